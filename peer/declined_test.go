package peer

import (
	"errors"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// An end that does not have a document declines it only if it was offered to it:
// what it says of a request that went before is no refusal.
func TestOnlyWhatWasOfferedIsDeclined(t *testing.T) {
	const there = connID(1)
	type bench struct {
		*simPeer
		now standing
	}
	begin := func(t *testing.T) *bench {
		p := &bench{simPeer: &simPeer{s: &sim{t: t}, name: "A", saved: map[string][]byte{}, ends: map[connID]*simEnd{}}}
		p.r = newReplica(id.Document{1}, graph.New(), p.simPeer)
		p.s.rng = newSim(t, 1).rng
		p.open()
		return p
	}
	edit := func(b *bench) {
		c, err := b.core.Do(time.Unix(1, 0), crdt.Create("notes", "n", map[string]any{"by": "A"}))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.r.stageLocal(c, kept{}); err != nil {
			t.Fatal(err)
		}
	}
	// round returns how many requests and offers went there.
	round := func(b *bench, err error) (requests, offers int) {
		var rows []int64
		if batch, ok := b.r.batch(); ok && err == nil {
			for _, e := range batch.Entries {
				rows = append(rows, int64(len(b.bodies)))
				b.bodies = append(b.bodies, e.Body)
			}
		}
		b.r.commit(rows, err)
		for _, e := range b.r.effects() {
			switch e := e.(type) {
			case sendSync:
				if e.request {
					requests++
				} else {
					offers++
				}
			case stands:
				b.now = e.now
			}
		}
		return requests, offers
	}
	want := func(b *bench, now standing) {
		t.Helper()
		if b.now != now {
			t.Fatalf("it stands at %d, want %d", b.now, now)
		}
	}

	t.Run("the answer to a request comes after an offer", func(t *testing.T) {
		b := begin(t)
		b.r.take(enter{conn: there, peer: "B", begin: true})
		if requests, _ := round(b, nil); requests != 1 {
			t.Fatal("nothing was asked for")
		}
		edit(b)
		if _, offers := round(b, nil); offers != 1 {
			t.Fatal("nothing was offered")
		}
		b.r.take(unavailable{there})
		round(b, nil)
		want(b, standingBusy)
		b.r.take(unavailable{there})
		round(b, nil)
		want(b, standingApart)
	})
	t.Run("what was to be offered could not be stored", func(t *testing.T) {
		b := begin(t)
		b.r.take(enter{conn: there, peer: "B", begin: true})
		round(b, nil)
		b.r.take(unavailable{there})
		round(b, nil)
		want(b, standingMissing)
		edit(b)
		b.r.take(unavailable{there})
		round(b, errors.New("no space"))
		b.open() // as a desk does
		edit(b)
		round(b, nil)
		want(b, standingBusy)
	})
}
