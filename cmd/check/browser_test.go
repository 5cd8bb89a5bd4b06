package main

import "testing"

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
