package soak

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncline/bench/light"
	"syncline/bench/rig"
	"syncline/crdt/id"
)

// audience is one document with a writer and readers, each with a connection of its
// own. Times are from before the writer makes a change to after a reader has taken it
// in, of every change at every reader.
type audience struct {
	doc    id.Document
	writer *replica
	ctx    context.Context // ends when one of them is cut off
	fail   context.CancelCauseFunc
	epoch  time.Time

	mu    sync.Mutex
	sent  []time.Duration // since epoch, by progress
	times []time.Duration // of the talk of now
	left  atomic.Int64    // changes at readers that are to come
	all   chan struct{}
}

// interval is that of a writer's edits: 20 in a second.
const interval = 50 * time.Millisecond

func gather(t testing.TB, ctx context.Context, url string, readers int) *audience {
	t.Helper()
	a := &audience{doc: id.NewDocument(), epoch: time.Now(), all: make(chan struct{}, 1)}
	a.ctx, a.fail = context.WithCancelCause(ctx)
	t.Cleanup(func() { a.fail(nil) })
	a.writer = newReplica(a.doc, 1)
	join := func(r *light.Replica) {
		c := rig.Get(light.Dial(a.ctx, url, light.ConnOptions{Ended: a.fail}))(t)
		t.Cleanup(c.Close)
		rig.OK(t, c.Open(r))
	}
	rig.Get(a.writer.Letter())(t)
	a.sent = make([]time.Duration, 2)
	a.left.Store(int64(readers))
	join(a.writer.Replica)
	rig.OK(t, a.writer.acked(a.ctx, 1))
	for i := range readers {
		join(a.reader(2 + i))
	}
	rig.OK(t, a.heard())
	return a
}

// reader is a replica that notes when changes come.
func (a *audience) reader(author int) *light.Replica {
	last := 0
	return light.NewReplica(a.doc, author, light.Hearing{Arrived: func(from, upTo int) {
		if from != 1 {
			return
		}
		now := time.Since(a.epoch)
		a.mu.Lock()
		for n := last + 1; n <= upTo; n++ {
			a.times = append(a.times, now-a.sent[n])
		}
		a.mu.Unlock()
		news := upTo - last
		last = upTo
		if a.left.Add(-int64(news)) == 0 {
			a.all <- struct{}{}
		}
	}})
}

// heard waits until every reader has everything.
func (a *audience) heard() error {
	select {
	case <-a.all:
		return nil
	case <-a.ctx.Done():
		return fmt.Errorf("%w; %d changes were still to come", context.Cause(a.ctx), a.left.Load())
	}
}

// talk is what a number of changes took to reach so many readers.
type talk struct{ p50, p99 time.Duration }

func (t talk) String() string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", float64(t.p50)/1e6, float64(t.p99)/1e6)
}

// talk has the writer make changes until the time is over, and done says that it may
// end; nil: it may. size 0 is a letter, and otherwise the bytes of a change. In the
// short form it waits for all with each change: on a busy machine readers may be behind
// by more than the relay keeps for them, and nothing is measured.
func (a *audience) talk(readers, size int, d time.Duration, done <-chan struct{}) (talk, error) {
	a.mu.Lock()
	a.times = nil
	a.mu.Unlock()
	inStep, open := !rig.Full(), int64(1)
	if inStep {
		open = 0
	}
	a.left.Store(open) // 1: so that it is not over before the last change is made
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < d || !ended(done); {
		a.left.Add(int64(readers))
		a.mu.Lock()
		a.sent = append(a.sent, time.Since(a.epoch))
		n := len(a.sent)
		a.mu.Unlock()
		var err error
		if size == 0 {
			_, err = a.writer.Letter()
		} else {
			_, err = a.writer.Record(size, uint64(n))
		}
		if err != nil {
			return talk{}, err
		}
		if inStep {
			if err := a.heard(); err != nil {
				return talk{}, err
			}
		}
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return talk{}, context.Cause(a.ctx)
		}
	}
	if !inStep && a.left.Add(-1) > 0 {
		if err := a.heard(); err != nil {
			return talk{}, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.times)
	return talk{rig.Percentile(a.times, 50), rig.Percentile(a.times, 99)}, nil
}

func ended(done <-chan struct{}) bool {
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}
