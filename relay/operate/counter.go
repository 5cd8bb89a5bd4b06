package operate

import (
	"sync/atomic"
	"time"
)

// Counter is a number that only grows. Its zero is ready, and it costs one atomic
// addition: the type of the metrics library counts as cheaply, but does not tell
// its value to a program.
type Counter struct{ n atomic.Int64 }

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n, which is not negative.
func (c *Counter) Add(n int) { c.n.Add(int64(n)) }

// Load is the count of now.
func (c *Counter) Load() int64 { return c.n.Load() }

// Stopwatch is a Counter of time.
type Stopwatch struct{ n atomic.Int64 }

// Add adds a time, which is not negative.
func (s *Stopwatch) Add(d time.Duration) { s.n.Add(int64(d)) }

// Load is the sum of now.
func (s *Stopwatch) Load() time.Duration { return time.Duration(s.n.Load()) }

// Gauge is a number that goes up and down. Its zero is ready.
type Gauge struct{ n atomic.Int64 }

// Set makes it n.
func (g *Gauge) Set(n int64) { g.n.Store(n) }

// Add adds n, which may be negative.
func (g *Gauge) Add(n int64) { g.n.Add(n) }

// Load is the value of now.
func (g *Gauge) Load() int64 { return g.n.Load() }

// Sum is what counters have together.
func Sum(counters []Counter) int64 {
	var sum int64
	for i := range counters {
		sum += counters[i].Load()
	}
	return sum
}
