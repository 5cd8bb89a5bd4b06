package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, events string) map[string]*packageResult {
	t.Helper()
	results := map[string]*packageResult{}
	if err := readEvents(strings.NewReader(events), func(p *packageResult) { results[p.Package] = p }); err != nil {
		t.Fatal(err)
	}
	return results
}

const twoPackages = `
{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"quiet\n"}
{"Action":"run","Package":"b","Test":"TestOther"}
{"Action":"pass","Package":"a","Test":"TestGood","Elapsed":0.1}
{"Action":"run","Package":"a","Test":"TestBad"}
{"Action":"run","Package":"a","Test":"TestBad/sub"}
{"Action":"output","Package":"a","Test":"TestBad/sub","Output":"    x_test.go:1: wrong\n"}
{"Action":"fail","Package":"a","Test":"TestBad/sub"}
{"Action":"fail","Package":"a","Test":"TestBad"}
{"Action":"run","Package":"a","Test":"TestSkip"}
{"Action":"output","Package":"a","Test":"TestSkip","Output":"=== RUN   TestSkip\n"}
{"Action":"output","Package":"a","Test":"TestSkip","Output":"    x_test.go:2: no such folder\n"}
{"Action":"output","Package":"a","Test":"TestSkip","Output":"--- SKIP: TestSkip (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestSkip"}
{"Action":"output","Package":"a","Output":"FAIL\n"}
{"Action":"fail","Package":"a","Elapsed":1.5}
{"Action":"output","Package":"b","Test":"BenchmarkX","Output":"BenchmarkX-2 \t 1\t 12 ns/op\n"}
{"Action":"output","Package":"b","Test":"BenchmarkY","Output":"BenchmarkY-2 \t"}
{"Action":"output","Package":"b","Test":"BenchmarkY","Output":" 1\t 12 ns/op\n"}
`

func TestEventsBecomeResults(t *testing.T) {
	r := read(t, twoPackages)
	a, b := r["a"], r["b"]
	if a.Status != "fail" || !slices.Equal(a.Passed, []string{"TestGood"}) || !slices.Equal(a.Failed, []string{"TestBad"}) || a.Elapsed != 1.5 {
		t.Errorf("a is %+v", a)
	}
	if got, want := a.failureOutput(), "    x_test.go:1: wrong\nFAIL\n"; got != want {
		t.Errorf("the failure shows %q, want %q", got, want)
	}
	if got, want := a.reason("TestSkip"), "x_test.go:2: no such folder"; got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
	// go test ended while b's test ran.
	if b.Status != "fail" || !slices.Equal(b.Failed, []string{"TestOther"}) {
		t.Errorf("b is %+v", b)
	}
	if len(b.Benchmarks) != 2 {
		t.Errorf("benchmarks of b: %q", b.Benchmarks)
	}
}

func TestEventsOfAFailedBuildShowTheCompiler(t *testing.T) {
	r := read(t, `
{"ImportPath":"a [a.test]","Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"ImportPath":"a [a.test]","Action":"build-fail"}
{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Output":"FAIL\ta [build failed]\n"}
{"Action":"fail","Package":"a","Elapsed":0,"FailedBuild":"a [a.test]"}
`)
	if out := r["a"].failureOutput(); !strings.Contains(out, "undefined: y") {
		t.Errorf("the failure shows %q", out)
	}
}

func TestEventsThatAreNotJSONAreAnError(t *testing.T) {
	if err := readEvents(strings.NewReader("ok a\n"), func(*packageResult) {}); err == nil {
		t.Error("no error")
	}
}

func TestTheEndCountsTestsAndSteps(t *testing.T) {
	var out bytes.Buffer
	c := &checker{out: &out}
	say := fixed("command")
	c.runAll(context.Background(), []step{
		{"fine", say, func(context.Context, *checker) error { return nil }},
		{"broken", say, func(context.Context, *checker) error { return errors.New("because") }},
		{"tests", say, func(_ context.Context, c *checker) error {
			return readEvents(strings.NewReader(twoPackages), c.tests)
		}},
		{"last", say, func(context.Context, *checker) error { return nil }},
	})
	if code := c.finish(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.HasSuffix(out.String(), "\n3 passed, 3 failed\n") {
		t.Errorf("the end is wrong:\n%s", out.String())
	}
	for _, want := range []string{"because", "x_test.go:1: wrong", "a TestSkip: x_test.go:2: no such folder", "b TestOther"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestStepsAfterAnInterruptCountAsFailed(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &checker{out: &bytes.Buffer{}}
	c.runAll(ctx, []step{
		{"first", fixed(""), func(context.Context, *checker) error { cancel(); return nil }},
		{"second", fixed(""), func(context.Context, *checker) error { t.Error("it ran"); return nil }},
	})
	if c.passed != 1 || c.failed != 1 {
		t.Errorf("%d passed, %d failed", c.passed, c.failed)
	}
}

func TestStepsAreChosenByName(t *testing.T) {
	chosen, err := selectSteps("vet,gofmt")
	if err != nil || len(chosen) != 2 || chosen[0].name != "gofmt" || chosen[1].name != "vet" {
		t.Errorf("got %v, %v", chosen, err)
	}
	if _, err := selectSteps("vett"); err == nil || !strings.Contains(err.Error(), "staticcheck") {
		t.Errorf("a misspelt step gives %v", err)
	}
}

func TestTheSimulationRunsInFull(t *testing.T) {
	chosen, err := selectSteps("simulation,test")
	if err != nil || len(chosen) != 2 || chosen[0].name != "test" {
		t.Fatalf("got %v, %v", chosen, err)
	}
	o := options{timeout: time.Minute}
	race, full := strings.Fields(chosen[0].command(o)), strings.Fields(chosen[1].command(o))
	if !slices.Contains(race, "-race") || !slices.Contains(race, "./...") {
		t.Errorf("the tests run as %q, want all under the race detector", race)
	}
	if slices.Contains(full, "-race") || slices.Contains(full, "-short") || !slices.Contains(full, "./bench/simulation/...") || !slices.Contains(full, "1m0s") {
		t.Errorf("the simulation runs as %q, want all of it, without the race detector, and with a timeout", full)
	}
}

func TestAFailedCommandShowsBothOfItsOutputs(t *testing.T) {
	c := &checker{root: t.TempDir()}
	_, err := c.output(t.Context(), "sh", "-c", "for i in 1 2 3; do echo out; echo err >&2; done; exit 3")
	if err == nil || strings.Count(err.Error(), "out\n") != 3 || strings.Count(err.Error(), "err\n") != 3 {
		t.Errorf("the error is %v", err)
	}
	out, err := c.output(t.Context(), "sh", "-c", "echo out; echo err >&2")
	if err != nil || out != "out\n" {
		t.Errorf("the output is %q, %v", out, err)
	}
}

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	fuzzTime := flags.Duration("fuzztime", time.Second, "")
	variables := map[string]string{"SYNCLINE_FUZZTIME": "3s"}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	if err := setFromEnvironment(flags, lookup); err != nil || *fuzzTime != 3*time.Second {
		t.Errorf("%v, %v", *fuzzTime, err)
	}
	variables["SYNCLINE_FUZZTIME"] = "soon"
	if err := setFromEnvironment(flags, lookup); err == nil || !strings.Contains(fmt.Sprint(err), "SYNCLINE_FUZZTIME") {
		t.Errorf("a bad value gives %v", err)
	}
}

func TestFuzzOutputIsRead(t *testing.T) {
	out := "fuzz: elapsed: 0s, gathering\nfuzz: elapsed: 3s, execs: 100 (33/sec)\nfuzz: elapsed: 5s, execs: 231 (20/sec)\nPASS\n"
	if n := executions(out); n != "231" {
		t.Errorf("executions %s, want 231", n)
	}
	if endOfTimeAlone("Failing input written to x\ncontext deadline exceeded") {
		t.Error("a found input was taken for the end of time")
	}
}
