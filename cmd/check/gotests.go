package main

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

var (
	layeringArgs = []string{"go", "test", "-count=1", "-run", "^TestLayer", "./cmd/check"}
	benchArgs    = []string{"go", "test", "-run", "^$", "-bench", ".", "-benchtime", "1x", "-short", "./..."}
)

// layering runs a test that the test step runs again: told apart, it says at once
// what an import broke.
func layering(ctx context.Context, c *checker) error {
	return c.goTest(ctx, nil, layeringArgs[2:], c.tests)
}

func testArgs(o options) []string {
	return []string{"-race", "-count=1", "-timeout", o.timeout.String(), "./..."}
}

func testCommand(o options) string {
	return "SYNCLINE_REQUIRE_JS=1 go test " + strings.Join(testArgs(o), " ")
}

func tests(ctx context.Context, c *checker) error {
	return c.goTest(ctx, nil, testArgs(c.options), c.tests)
}

// simulationArgs have no -race: a simulated network is one goroutine, which the detector
// only slows down, so that under it the test step runs a fiftieth of them.
func simulationArgs(o options) []string {
	return []string{"-count=1", "-timeout", o.timeout.String(), "./bench/simulation/..."}
}

func simulationCommand(o options) string { return "go test " + strings.Join(simulationArgs(o), " ") }

func simulation(ctx context.Context, c *checker) error {
	return c.goTest(ctx, nil, simulationArgs(c.options), c.tests)
}

// tests counts and prints the result of one package's tests.
func (c *checker) tests(p *packageResult) {
	c.pass(len(p.Passed))
	for _, test := range p.Failed {
		c.fail("%s %s", p.Package, test)
	}
	for _, test := range p.Skipped {
		c.skipped = append(c.skipped, fmt.Sprintf("%s %s: %s", p.Package, test, p.reason(test)))
	}
	switch p.Status {
	case "skip":
	case "pass":
		c.printf("   ok    %-28s %7.1f s  %d passed%s\n", p.Package, p.Elapsed, len(p.Passed), also(len(p.Skipped), "skipped"))
	default:
		if len(p.Failed) == 0 {
			c.fail("%s (the package)", p.Package)
		}
		c.printf("   FAIL  %-28s %7.1f s  %d passed, %d failed%s\n%s\n", p.Package, p.Elapsed,
			len(p.Passed), max(1, len(p.Failed)), also(len(p.Skipped), "skipped"), indent(p.failureOutput()))
	}
}

func also(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", n, what)
}

func benchmarks(ctx context.Context, c *checker) error {
	return c.goTest(ctx, []string{"SYNCLINE_BENCH=tiny"}, benchArgs[2:], func(p *packageResult) {
		c.pass(len(p.Benchmarks))
		for _, result := range p.Benchmarks {
			c.printf("   %s\n", result)
		}
		if p.Status == "fail" {
			c.fail("%s (benchmarks)", p.Package)
			c.printf("   FAIL  %s\n%s\n", p.Package, indent(p.failureOutput()))
		}
	})
}

func fuzzCommand(o options) string {
	return fmt.Sprintf("go test -run '^$' -fuzz '^EACH$' -fuzztime %v -fuzzminimizetime 10x PACKAGE", o.fuzzTime)
}

// fuzz runs each fuzz target by itself, as go test wants it.
func fuzz(ctx context.Context, c *checker) error {
	type target struct{ pkg, name string }
	var targets []target
	err := c.goTest(ctx, nil, []string{"-list", "^Fuzz", "./..."}, func(p *packageResult) {
		for _, l := range p.lines {
			if strings.HasPrefix(l.text, "Fuzz") {
				targets = append(targets, target{p.Package, strings.TrimSpace(l.text)})
			}
		}
		if p.Status == "fail" {
			c.fail("%s (list fuzz targets)", p.Package)
			c.printf("   FAIL  %s\n%s\n", p.Package, indent(p.failureOutput()))
		}
	})
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz target found")
	}
	for _, t := range targets {
		begun := time.Now()
		args := []string{"test", "-run", "^$", "-fuzz", "^" + t.name + "$", "-fuzztime", c.options.fuzzTime.String(), "-fuzzminimizetime", "10x", t.pkg}
		out, err := c.output(ctx, "go", args...)
		if err != nil && ctx.Err() == nil && endOfTimeAlone(err.Error()) {
			out, err = c.output(ctx, "go", args...)
		}
		if err != nil {
			c.fail("%s %s", t.pkg, t.name)
			c.printf("   FAIL  %s %s\n%s\n", t.pkg, t.name, indent(err.Error()))
			continue
		}
		c.pass(1)
		c.printf("   ok    %-28s %-24s %5.1f s  %s inputs\n", t.pkg, t.name, time.Since(begun).Seconds(), executions(out))
	}
	return nil
}

// endOfTimeAlone says whether a fuzz run failed only because its time ran out
// while an input was in work, which go test sometimes reports as a failure.
func endOfTimeAlone(out string) bool {
	return strings.Contains(out, "context deadline exceeded") && !strings.Contains(out, "Failing input written")
}

var executed = regexp.MustCompile(`execs: (\d+)`)

// executions returns the last count of inputs that a fuzz run printed.
func executions(out string) string {
	count := "0"
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		if m := executed.FindStringSubmatch(s.Text()); m != nil {
			count = m[1]
		}
	}
	return count
}
