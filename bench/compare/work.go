package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"syncline/bench/light"
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
	atOnce           int // documents that are not acknowledged
	peers, offline   int // offline
	edited           int // edits of the paper: cold, upload
	inFlight         int // upload: changes that are not acknowledged

	quiet time.Duration // for how long a server that has nothing to do uses no CPU
	idle  time.Duration // cold: the same of one that may be doing more by itself
}

// full are the sizes of the comparison, tiny those of a test.
var (
	full = sizes{
		readers: 200, edits: 200, interval: 50 * time.Millisecond,
		rooms: 50, writers: 4, warm: 2 * time.Second, measured: 8 * time.Second,
		documents: 10_000, bytes: 1000, atOnce: 10, peers: 10, offline: 1000,
		edited: 259_778, inFlight: 50,
		quiet: 300 * time.Millisecond, idle: 3 * time.Second,
	}
	tiny = sizes{
		readers: 3, edits: 4, interval: 2 * time.Millisecond,
		rooms: 2, writers: 3, warm: 10 * time.Millisecond, measured: 100 * time.Millisecond,
		documents: 20, bytes: 200, atOnce: 5, peers: 3, offline: 20,
		edited: 500, inFlight: 5,
		quiet: 50 * time.Millisecond, idle: 150 * time.Millisecond,
	}
)

// run is one workload on one server.
type run struct {
	sizes
	ctx   context.Context // ends with an error of any client
	side  side
	dir   string // for what the server keeps
	world *world
	*papers
	*light.Server
	close []func()
}

// begin starts the server and waits until it answers: automerge-repo's listens
// before it hears.
func (r *run) begin() error {
	s, err := r.side.start(r.ctx, r.dir)
	if err != nil {
		return err
	}
	r.Server = s
	ctx, cancel := context.WithTimeout(r.ctx, startGrace)
	defer cancel()
	for {
		const soon = 500 * time.Millisecond
		c, err := func() (client, error) {
			ctx, cancel := context.WithTimeout(ctx, soon)
			defer cancel()
			return r.side.dialect.dial(ctx, r.URL, r.world)
		}()
		if err == nil {
			c.close()
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("it does not answer: %w", err), r.Stop())
		}
	}
}

// restart ends the server, once it has written what it writes late, and starts it
// with what it has kept.
func (r *run) restart() error {
	r.settle(3*r.quiet, settleMost)
	r.hangUp()
	if err := r.Stop(); err != nil {
		return err
	}
	// Nothing is running in case that fails.
	r.Server = &light.Server{Stop: func() error { return nil }, Said: func() string { return "" }}
	return r.begin()
}

// hangUp closes all clients.
func (r *run) hangUp() {
	for _, c := range r.close {
		c()
	}
	r.close = nil
}

// settle waits until the server has used no CPU for a while, or for the most that it
// is given.
func (r *run) settle(quiet, most time.Duration) {
	last, since := r.Usage(), time.Now()
	for begun := since; time.Since(since) < quiet && time.Since(begun) < most && light.Pause(r.ctx, pollEvery*3) == nil; {
		if now := r.Usage(); now.CPU != last.CPU {
			last, since = now, time.Now()
		}
	}
}

const settleMost = 10 * time.Second

// settled is the usage once the server has nothing to do any more: what it does
// after it has answered is part of its work.
func (r *run) settled() rig.Usage {
	r.settle(r.quiet, settleMost)
	return r.Usage()
}

// dial connects a client, which is closed with the run.
func (r *run) dial() (client, error) {
	c, err := r.side.dialect.dial(r.ctx, r.URL, r.world)
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
