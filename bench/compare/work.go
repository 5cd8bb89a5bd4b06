package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"syncline/bench/rig"
	"syncline/crdt/id"
)

// work is one workload. Each of its runs is on a new server.
type work struct {
	name    string
	title   func(sizes) string
	metrics []metric
	run     func(r *run) (figures, error)
	// patience is how long a run may take before it counts as one that does not
	// finish.
	patience time.Duration
}

// metric is one line of a workload's table.
type metric struct {
	name   string
	format string // of a number, for fmt
	higher bool   // more is better
}

// figures are the results of a run, by the name of the metric. A metric that a
// side does not have is absent.
type figures map[string]float64

// The names of metrics that several workloads have.
const (
	cpuSeconds = "server CPU, s"
	seconds    = "time, s"
	bytesDown  = "bytes down"
	peakMB     = "server peak, MB"
	afterMB    = "server after, MB"
)

// sizes are how much work there is. The zero value is not usable.
type sizes struct {
	readers, edits int           // fanout
	interval       time.Duration // between two edits

	rooms, writers int           // ack
	warm, measured time.Duration // ack

	documents, bytes int // documents
	peers, offline   int // offline
	edited           int // edits of the paper: cold, upload
	inFlight         int // upload, documents
}

// full are the sizes of the comparison, tiny those of a test.
var (
	full = sizes{
		readers: 200, edits: 200, interval: 50 * time.Millisecond,
		rooms: 50, writers: 4, warm: 2 * time.Second, measured: 8 * time.Second,
		documents: 10_000, bytes: 1000, peers: 10, offline: 1000,
		edited: 259_778, inFlight: 50,
	}
	tiny = sizes{
		readers: 3, edits: 4, interval: 2 * time.Millisecond,
		rooms: 2, writers: 3, warm: 10 * time.Millisecond, measured: 100 * time.Millisecond,
		documents: 20, bytes: 200, peers: 3, offline: 20,
		edited: 500, inFlight: 5,
	}
)

// run is one workload on one server.
type run struct {
	sizes
	ctx   context.Context // ends with an error of any client
	side  side
	dir   string // for what the server keeps
	world *world
	*server
	close []func()
}

// dial connects a client, which is closed with the run.
func (r *run) dial() (client, error) {
	c, err := r.side.dialect.dial(r.ctx, r.url, r.world)
	if err == nil {
		r.close = append(r.close, c.close)
	}
	return c, err
}

// join connects a client of its own for a replica.
func (r *run) join(doc replica) error {
	c, err := r.dial()
	if err != nil {
		return err
	}
	return c.open(doc)
}

// found makes a document with one letter by author 1, and waits until the server
// has acknowledged it. h may be told of what comes then.
func (r *run) found(doc id.Document, h hearing) (replica, error) {
	there := newCountdown(1)
	told := h.acknowledged
	h.acknowledged = func(upTo int) {
		if upTo == 1 {
			there.less(1)
		} else if told != nil {
			told(upTo)
		}
	}
	first := r.side.dialect.replica(doc, 1, h)
	if _, err := first.letter(); err != nil {
		return nil, err
	}
	if err := r.join(first); err != nil {
		return nil, err
	}
	if err := there.wait(r.ctx); err != nil {
		return nil, fmt.Errorf("make a document: %w", err)
	}
	return first, nil
}

// countdown waits for a number of events.
type countdown struct {
	left atomic.Int64
	zero chan struct{}
}

func newCountdown(n int) *countdown {
	c := &countdown{zero: make(chan struct{})}
	c.left.Store(int64(n))
	if n == 0 {
		close(c.zero)
	}
	return c
}

func (c *countdown) less(n int) {
	if c.left.Add(int64(-n)) == 0 {
		close(c.zero)
	}
}

// wait waits for the last event.
func (c *countdown) wait(ctx context.Context) error {
	select {
	case <-c.zero:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w; %d events were still to come", context.Cause(ctx), c.left.Load())
	}
}

// since is the CPU time between two readings in seconds.
func since(before, after rig.Usage) float64 { return (after.CPU - before.CPU).Seconds() }

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
