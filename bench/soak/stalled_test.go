package soak

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"syncline/bench/light"
	"syncline/bench/rig"
)

// closedWithin is how long a relay may keep a reader that takes nothing.
const closedWithin = 10 * time.Second

// along is how long a reader reads with the others before it stalls: more than lies
// between two pings.
const along = 6 * time.Second

// A reader that stops reading does not slow the others, is closed soon, and has
// everything when it returns.
func TestAStalledReader(t *testing.T) {
	beside(t)
	for _, form := range []struct {
		name    string
		size    int // bytes of a change; 0: a letter
		readers int
		short   bool
	}{
		{"letters", 0, 100, false},
		{"4 KiB", 4 << 10, 100, false},
		{"48 KiB", 48 << 10, 20, false},
		{"a few", 24 << 10, 8, true},
	} {
		t.Run(form.name, func(t *testing.T) {
			beside(t)
			pairs, d := 1, time.Second
			var flags []string
			if rig.Full() && form.short {
				t.Skip("a part of the short form")
			} else if rig.Full() {
				pairs, d = 3, closedWithin-time.Second // about as long as a stalled one stays
			} else if !form.short {
				t.Skip("a part of the full form")
			} else {
				flags = []string{"--max-queue", "262144"} // full sooner
			}
			ctx := rig.Bounded(t)
			r := startRelay(t, t.TempDir(), flags...)
			a := gather(t, ctx, r.URL, form.readers)
			a.alone(t, r, form.readers, form.size, d/2) // to warm up

			var without, with []time.Duration
			for range pairs {
				for range 2 {
					before := r.work(t)
					alone := a.alone(t, r, form.readers, form.size, d)
					without = append(without, alone.p99)
					t.Logf("without: %v; %s; %s", alone, r.work(t).since(before), rig.Conditions())
				}
				before := r.work(t)
				beside, took := a.besideStalled(t, r, form.readers, form.size, d)
				with = append(with, beside.p99)
				t.Logf("with: %v; closed after %v; relay %v, %s; %s", beside, took.Round(time.Millisecond), r.Usage(), r.work(t).since(before), rig.Conditions())
				if rig.Full() && took > closedWithin {
					t.Errorf("the stalled reader was closed after %v, more than %v", took, closedWithin)
				}
			}
			slices.Sort(without)
			slices.Sort(with)
			spread := without[len(without)-1] - without[0]
			worse := rig.Percentile(with, 50) - rig.Percentile(without, 50)
			if rig.Full() && worse > spread {
				t.Errorf("p99 is %v longer beside a stalled reader; runs without one differ by %v", worse, spread)
			}
		})
	}
}

// alone is a talk without a stalled reader, in which the relay is asked the same as
// beside one: its answers take processor time, too.
func (a *audience) alone(t *testing.T, r *relayProcess, readers, size int, d time.Duration) talk {
	t.Helper()
	var over atomic.Bool
	_, watched := watch(a.ctx, r, func(int) bool { return over.Load() })
	said, err := a.talk(readers, size, d, nil)
	over.Store(true)
	rig.OK(t, <-watched)
	rig.OK(t, err)
	return said
}

// watch asks the relay again and again how many connections have joined, until over
// says that it is over.
func watch(ctx context.Context, r *relayProcess, over func(joined int) bool) (closed <-chan struct{}, watched <-chan error) {
	end, result := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(end)
		result <- eventually(ctx, "the stalled reader is closed", func() (bool, error) {
			m, err := r.metrics(ctx)
			return over(int(m[joinedNow])), err
		})
	}()
	return end, result
}

// besideStalled is a talk beside a reader that stops reading at its beginning, and
// how long until that one was closed.
func (a *audience) besideStalled(t *testing.T, r *relayProcess, readers, size int, d time.Duration) (talk, time.Duration) {
	t.Helper()
	slow := newReplica(a.doc, 1<<20)
	end := make(chan error, 1)
	c := rig.Get(light.Dial(a.ctx, r.URL, light.ConnOptions{Ended: func(err error) { end <- err }}))(t)
	defer c.Close()
	rig.OK(t, c.Open(slow.Replica))
	rig.OK(t, slow.has(a.ctx, a.writer.Heads()))

	if rig.Full() {
		// One that stalls behind a history, before it has answered a ping, may be at
		// work on it.
		rig.Get(a.talk(readers, size, along, nil))(t)
	}

	resume, stalled := c.Stall(), time.Now()
	defer resume()
	var took time.Duration
	closed, watched := watch(a.ctx, r, func(joined int) bool {
		took = time.Since(stalled)
		return joined == readers+1
	})
	said := rig.Get(a.talk(readers, size, d, closed))(t)
	rig.OK(t, <-watched)

	resume()
	select {
	case err := <-end:
		t.Logf("the stalled reader finds: %v", err)
	case <-a.ctx.Done():
		t.Fatal(a.ctx.Err())
	}
	c.Close()
	ctx, leave, err := connected(a.ctx, r.URL, light.ConnOptions{}, slow, true)
	rig.OK(t, err)
	defer leave()
	if err := slow.has(ctx, a.writer.Heads()); err != nil {
		t.Error(fmt.Errorf("it is not whole again: %w", err))
	}
	return said, took
}
