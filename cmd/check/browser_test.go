package main

import (
	"errors"
	"io"
	"testing"
)

func TestBrowserCountsAreThoseOfTheLastLine(t *testing.T) {
	for said, want := range map[string]struct {
		passed, failed int
		ok             bool
	}{
		"":                                      {},
		"  25 passed (1.9m)\n":                  {},
		"  24 passed (1m)\n24 passed, 1 failed": {24, 1, true},
		"1 passed, 0 failed\nmore\n25 passed, 0 failed\n": {25, 0, true},
		"x 25 passed, 0 failed\n":                         {},
	} {
		passed, failed, ok := browserCounts(said)
		if passed != want.passed || failed != want.failed || ok != want.ok {
			t.Errorf("%q: %d, %d, %v; want %+v", said, passed, failed, ok, want)
		}
	}
}

func TestASuiteThatFailsIsNeverCountedAsPassed(t *testing.T) {
	broken := errors.New("3 passed, 0 failed\nnpm test: exit status 1")
	for _, x := range []struct {
		name           string
		counted        bool
		out            string
		err            error
		passed, failed int
		ok             bool
	}{
		{"all well", true, "3 passed, 0 failed\n", nil, 3, 0, true},
		{"one failed", true, "", errors.New("2 passed, 1 failed\nnpm test: exit status 1"), 2, 1, true},
		{"it says that all passed, and fails", true, "", broken, 0, 0, false},
		{"it says nothing", true, "", nil, 0, 0, false},
		{"it does not count", false, "", nil, 1, 0, true},
		{"it does not count, and fails", false, "", errors.New("tsc: exit status 2"), 0, 0, false},
	} {
		c := &checker{out: io.Discard}
		err := browserSuite{name: x.name, counted: x.counted}.count(c, x.out, x.err)
		if c.passed != x.passed || c.failed != x.failed || (err == nil) != x.ok {
			t.Errorf("%s: %d passed, %d failed, %v", x.name, c.passed, c.failed, err)
		}
	}
}
