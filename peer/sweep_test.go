package peer

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/storage"
)

func TestTheJournalIsReadAgainALittleAtATime(t *testing.T) {
	var passed atomic.Int64
	o := testOptions()
	o.Now = func() time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(passed.Load())) }
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, o)
	store := p.store.(*storage.Store)
	d := create(t, p)
	for i := range sweepRows + 10 {
		do(t, d, note(name(i)))
	}
	// Two rows that do not decode, and one under another name.
	_, err := store.Append(bounded(t), storage.Batch{Entries: []storage.Entry{
		{Doc: id.NewDocument(), Hash: id.Hash{1}, Body: []byte("rot")}, {Doc: id.NewDocument(), Hash: id.Hash{2}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	rows := func() int64 { return p.Counters().Divergences[DivergedRow] }
	if wait := p.sweepOnce(store); wait != sweepPause || rows() != 0 {
		t.Fatalf("after the first rows %d are damaged, and it goes on in %v", rows(), wait)
	}
	if wait := p.sweepOnce(store); wait != sweepPause || rows() != 2 {
		t.Fatalf("after the next %d are damaged, and it goes on in %v", rows(), wait)
	}
	passed.Add(int64(time.Hour))
	if wait := p.sweepOnce(store); wait != sweepEvery-time.Hour || rows() != 2 {
		t.Errorf("at the end of a pass %d are damaged, and it goes on in %v", rows(), wait)
	}
	passed.Add(int64(time.Hour))
	if wait := p.sweepOnce(store); wait != sweepEvery-2*time.Hour || rows() != 2 {
		t.Errorf("too early %d are damaged, and it goes on in %v", rows(), wait)
	}
	passed.Add(int64(sweepEvery))
	p.sweepOnce(store)
	p.sweepOnce(store)
	if rows() != 4 {
		t.Errorf("in the next pass they are found again: %d", rows())
	}
}

func TestASweepTakesLittleOfTheTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		took    time.Duration
		through bool
		want    time.Duration
	}{{0, false, sweepPause}, {time.Second, false, 99 * time.Second}, {0, true, sweepEvery}, {-time.Hour, false, sweepPause}} {
		if got := nextSweep(swept{Begun: now}, c.through, now, c.took); got != c.want {
			t.Errorf("%+v: in %v", c, got)
		}
	}
}
