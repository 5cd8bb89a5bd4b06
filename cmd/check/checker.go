package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// checker runs steps, prints what they do, and counts.
type checker struct {
	options options
	root    string // the module's folder, where commands run
	out     io.Writer

	passed, failed int
	failures       []string // what failed, in order
	skipped        []string // tests that were skipped, with their reasons
}

// step is one kind of check. A step either counts what it found itself, by pass
// and fail, or counts as one.
type step struct {
	name    string
	command func(o options) string // as one would type it
	run     func(ctx context.Context, c *checker) error
}

func (c *checker) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// pass counts n things that are as they should be.
func (c *checker) pass(n int) { c.passed += n }

// fail counts one thing that is not.
func (c *checker) fail(format string, args ...any) {
	c.failed++
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
}

func (c *checker) runAll(ctx context.Context, steps []step) {
	for _, s := range steps {
		c.printf("\n== %s: %s\n", s.name, s.command(c.options))
		if ctx.Err() != nil {
			c.printf("   not run: interrupted\n")
			c.fail("%s: interrupted", s.name)
			continue
		}
		passed, failed, begun := c.passed, c.failed, time.Now()
		err := s.run(ctx, c)
		took := time.Since(begun)
		switch {
		case err != nil:
			c.printf("%s\n", indent(err.Error()))
			c.fail("%s", s.name)
			c.printf("   FAILED after %.1f s\n", took.Seconds())
		case c.failed > failed:
			c.printf("   FAILED after %.1f s: %d passed, %d failed\n", took.Seconds(), c.passed-passed, c.failed-failed)
		case c.passed > passed:
			c.printf("   ok, %.1f s: %d passed\n", took.Seconds(), c.passed-passed)
		default:
			c.pass(1)
			c.printf("   ok, %.1f s\n", took.Seconds())
		}
	}
}

// finish prints the end and returns the exit code.
func (c *checker) finish() int {
	if len(c.skipped) > 0 {
		c.printf("\nSkipped:\n%s\n", indent(strings.Join(c.skipped, "\n")))
	}
	if len(c.failures) > 0 {
		c.printf("\nFailed:\n%s\n", indent(strings.Join(c.failures, "\n")))
	}
	c.printf("\n%d passed, %d failed\n", c.passed, c.failed)
	if c.failed > 0 {
		return 1
	}
	return 0
}

func indent(s string) string {
	return "   " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n   ")
}
