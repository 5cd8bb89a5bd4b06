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
				pairs, d = 3, closedWithin-time.Second // about as long as a stalled one stays
			} else if !form.short {
				t.Skip("a part of the full form")
			} else {
				flags = []string{"--max-queue", "262144"} // full sooner
			}
			ctx := rig.Bounded(t)
			r := startRelay(t, t.TempDir(), flags...)
			a := gather(t, ctx, r.URL, form.readers)
			b := besides{a, r, form.readers, form.size, d}
			b.alone(t) // to warm up

			var without, with []time.Duration
			for range pairs {
				for range 2 {
					alone := b.alone(t)
					without = append(without, alone.p99)
					t.Logf("without: %v; %s", alone, rig.Conditions())
				}
				beside, took := b.stalled(t)
				with = append(with, beside.p99)
				t.Logf("with: %v; closed after %v; relay %v; %s", beside, took.Round(time.Millisecond), r.Usage(), rig.Conditions())
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

// besides are talks beside one more reader. All of them have it, ask the relay the same
// and last as long: a reader that came late, an answer of the relay and a longer
// document cost time, too.
type besides struct {
	*audience
	relay   *relayProcess
	readers int
	size    int // of a change
	d       time.Duration
}

// latecomer is a reader that joins when much has been said.
type latecomer struct {
	*replica
	conn *light.Conn
	end  <-chan error
}

func (b besides) latecomer(t *testing.T) latecomer {
	t.Helper()
	end := make(chan error, 1)
	l := latecomer{newReplica(b.doc, 1<<20), nil, end}
	l.conn = rig.Get(light.Dial(b.ctx, b.relay.URL, light.ConnOptions{Ended: func(err error) { end <- err }}))(t)
	t.Cleanup(l.conn.Close)
	rig.OK(t, l.conn.Open(l.Replica))
	rig.OK(t, l.has(b.ctx, b.writer.Heads()))
	if rig.Full() {
		// One that stalls behind a history, before it has answered a ping, may be at
		// work on it.
		rig.Get(b.talk(b.readers, b.size, along, nil))(t)
	}
	return l
}

// alone is a talk beside a latecomer that reads.
func (b besides) alone(t *testing.T) said {
	t.Helper()
	l := b.latecomer(t)
	defer l.conn.Close()
	over := time.Now().Add(b.d)
	return b.until(t, func(int) bool { return time.Now().After(over) })
}

// stalled is a talk beside one that stops reading at its beginning, and how long
// until that one was closed.
func (b besides) stalled(t *testing.T) (said, time.Duration) {
	t.Helper()
	l := b.latecomer(t)
	defer l.conn.Close()
	resume, stalled := l.conn.Stall(), time.Now()
	defer resume()
	var took time.Duration
	s := b.until(t, func(joined int) bool {
		took = time.Since(stalled)
		return joined == b.readers+1
	})
	resume()
	select {
	case err := <-l.end:
		t.Logf("the stalled reader finds: %v", err)
	case <-b.ctx.Done():
		t.Fatal(b.ctx.Err())
	}
	l.conn.Close()
	ctx, leave, err := connected(b.ctx, b.relay.URL, light.ConnOptions{}, l.replica, true)
	rig.OK(t, err)
	defer leave()
	if err := l.has(ctx, b.writer.Heads()); err != nil {
		t.Error(fmt.Errorf("it is not whole again: %w", err))
	}
	return s, took
}

// said is a talk, and what the relay did meanwhile.
type said struct {
	talk
	work string
}

func (s said) String() string { return s.talk.String() + "; " + s.work }

// until is a talk for the time of all, and until the relay, asked again and again how
// many connections have joined, has said what over waits for.
func (b besides) until(t *testing.T, over func(joined int) bool) said {
	t.Helper()
	before := b.relay.work(t)
	done, watched := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(done)
		watched <- eventually(b.ctx, "the relay has closed the stalled reader", func() (bool, error) {
			m, err := b.relay.metrics(b.ctx)
			return over(int(m[joinedNow])), err
		})
	}()
	spoken, err := b.talk(b.readers, b.size, b.d, done)
	rig.OK(t, err)
	rig.OK(t, <-watched)
	return said{spoken, b.relay.work(t).since(before)}
}
