package peer

import (
	"context"
	"encoding/json"
	"time"

	"syncline/peer/doctor"
	"syncline/storage"
)

// A disk forgets without telling. A running peer therefore reads its journal again, a
// few rows at a time and each about once a day, those first that were not read for
// longest, and holds each change against its hash. What does not fit is counted and
// logged; to mend it is for syncline doctor. It takes one part in a hundred of a
// processor at most, and begins a minute after the start, so that commands do without.

const (
	sweepDelay = time.Minute
	sweepRows  = 64          // at a time
	sweepPause = time.Second // between two times, at least
	sweepShare = 100         // one part in so many of the time
	sweepEvery = 24 * time.Hour
	// keySwept is where the store keeps how far it has come.
	keySwept = "swept"
)

// swept is how far a pass over the journal has come.
type swept struct {
	Row   int64     // through which it was read
	Begun time.Time // the pass
}

// nextSweep is when the next rows are read: after some that took so long, or in the
// next pass.
func nextSweep(s swept, through bool, now time.Time, took time.Duration) time.Duration {
	wait := max(sweepPause, took*(sweepShare-1))
	if through {
		wait = max(wait, s.Begun.Add(sweepEvery).Sub(now))
	}
	return wait
}

// sweeper is what a store has for it: a *storage.Store.
type sweeper interface {
	Sweep(ctx context.Context, after int64, limit int, fn func(row int64, e storage.Entry) error) (last int64, err error)
}

// sweep runs until the peer closes.
func (p *Peer) sweep(rows sweeper) {
	for wait := sweepDelay; ; wait = p.sweepOnce(rows) {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-p.ctx.Done():
			t.Stop()
			return
		}
	}
}

// sweepOnce reads some rows, and says when to go on.
func (p *Peer) sweepOnce(rows sweeper) (wait time.Duration) {
	var s swept
	if b, err := p.store.Value(p.ctx, keySwept); err == nil {
		if json.Unmarshal(b, &s) != nil {
			s = swept{}
		}
	}
	now := p.o.Now()
	if s.Row == 0 {
		if next := s.Begun.Add(sweepEvery); next.After(now) {
			return next.Sub(now)
		}
		s.Begun = now
	}
	last, err := rows.Sweep(p.ctx, s.Row, sweepRows, func(row int64, e storage.Entry) error {
		if err := doctor.CheckRow(&e); err != nil {
			p.tally.rows.Add(1)
			p.o.Log.Error("a stored change is damaged; run syncline doctor on the file", "doc", e.Doc.String(), "row", row, "hash", e.Hash, "err", err)
		}
		return nil
	})
	if err != nil {
		if p.ctx.Err() == nil {
			p.o.Log.Error("the journal cannot be read; run syncline doctor on the file", "err", err)
		}
		return sweepEvery
	}
	through := last == s.Row
	if s.Row = last; through {
		s.Row = 0
	}
	if b, err := json.Marshal(s); err == nil {
		if err := p.store.SetPassing(p.ctx, keySwept, b); err != nil && p.ctx.Err() == nil {
			p.o.Log.Warn("not kept how far the journal was checked", "err", err)
		}
	}
	end := p.o.Now()
	return nextSweep(s, through, end, end.Sub(now))
}
