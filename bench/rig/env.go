package rig

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Variables that say how much is done.
const (
	// FullEnv set to 1 asks for the long forms of tests: whole traces, a thousand
	// histories. They need -timeout 60m.
	FullEnv = "SYNCLINE_FULL"
	// BenchEnv set to tiny asks for benchmarks that only show that they run.
	BenchEnv = "SYNCLINE_BENCH"
)

// Full says whether the long forms are asked for.
func Full() bool { return os.Getenv(FullEnv) == "1" }

// Tiny says whether benchmarks are only to show that they run.
func Tiny() bool { return testing.Short() || os.Getenv(BenchEnv) == "tiny" }

// bound is how long a test may take before it counts as stuck. Every wait ends by
// an event; none lasts this long when all is well.
func bound() time.Duration {
	if Full() {
		return time.Hour
	}
	return 4 * time.Minute
}

// Bounded returns a context that ends with the test, or when it is stuck.
func Bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound())
	t.Cleanup(cancel)
	return ctx
}

// Conditions says what a figure was measured under: how busy the machine is, and
// whether the race detector slows it. Empty parts are not known.
func Conditions() string {
	var parts []string
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		parts = append(parts, "load "+strings.Join(strings.Fields(string(b))[:3], " "))
	}
	if RaceDetector {
		parts = append(parts, "race detector on")
	}
	return strings.Join(parts, ", ")
}

// MB writes bytes as megabytes.
func MB(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Get turns a result and its error into the result, failing the test on an error:
// Get(f())(t).
func Get[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// OK fails the test on an error.
func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
