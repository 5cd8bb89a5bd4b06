package soak

import (
	"fmt"
	"slices"
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
				pairs, d = 3, closedWithin/2
			} else if !form.short {
				t.Skip("a part of the full form")
			} else {
				flags = []string{"--max-queue", "262144"} // full sooner
			}
			ctx := rig.Bounded(t)
			r := startRelay(t, t.TempDir(), flags...)
			a := gather(t, ctx, r.URL, form.readers)
			rig.Get(a.talk(form.readers, form.size, d/2, nil))(t) // to warm up

			var without, with []time.Duration
			for range pairs {
				for range 2 {
					alone := rig.Get(a.talk(form.readers, form.size, d, nil))(t)
					without = append(without, alone.p99)
					t.Logf("without: %v; %s", alone, rig.Conditions())
				}
				cpu := r.Usage().CPU
				beside, took := a.besideStalled(t, r, form.readers, form.size, d)
				with = append(with, beside.p99)
				t.Logf("with: %v; closed after %v; relay %v, CPU %v; %s", beside, took.Round(time.Millisecond), r.Usage(), r.Usage().CPU-cpu, rig.Conditions())
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
	closed := make(chan struct{})
	var took time.Duration
	watched := make(chan error, 1)
	go func() {
		defer close(closed)
		watched <- eventually(a.ctx, "the stalled reader is closed", func() (bool, error) {
			m, err := r.metrics(a.ctx)
			took = time.Since(stalled)
			return m[joinedNow] == float64(readers+1), err
		})
	}()
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
