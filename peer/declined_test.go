package peer

import (
	"errors"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// An end that does not have a document declines it only if it was offered to it:
// what it says of a request that went before is no refusal.
func TestOnlyWhatWasOfferedIsDeclined(t *testing.T) {
	const there, elsewhere = connID(1), connID(2)
	type bench struct {
		*simPeer
		now map[connID]standing
	}
	begin := func(t *testing.T, first enter) *bench {
		p := &bench{now: map[connID]standing{}, simPeer: &simPeer{s: &sim{t: t}, name: "A", saved: map[string][]byte{}, ends: map[connID]*simEnd{}}}
		p.r = newReplica(id.Document{1}, graph.New(), p.simPeer)
		p.s.rng = newSim(t, 1).rng
		p.open()
		first.conn, first.peer = there, "B"
		p.r.take(first)
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
	asks := func(conn connID) message { return message{conn: conn, request: true, msg: new(session.Message)} }
	// round returns how many requests and offers went there, and says of how many
	// connections it was said that the document is not here.
	refused := 0
	round := func(b *bench, err error) (requests, offers int) {
		refused = 0
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
			case sendUnavailable:
				refused++
			case stands:
				b.now[e.conn] = e.now
			}
		}
		return requests, offers
	}
	want := func(t *testing.T, b *bench, conn connID, now standing) {
		t.Helper()
		if b.now[conn] != now {
			t.Fatalf("it stands at %d, want %d", b.now[conn], now)
		}
	}

	t.Run("the answer to a request comes after an offer", func(t *testing.T) {
		b := begin(t, enter{begin: true})
		if requests, _ := round(b, nil); requests != 1 {
			t.Fatal("nothing was asked for")
		}
		edit(b)
		if _, offers := round(b, nil); offers != 1 {
			t.Fatal("nothing was offered")
		}
		b.r.take(unavailable{there})
		round(b, nil)
		want(t, b, there, standingBusy)
		b.r.take(unavailable{there})
		round(b, nil)
		want(t, b, there, standingApart)
	})
	t.Run("what was to be offered could not be stored", func(t *testing.T) {
		b := begin(t, enter{begin: true})
		round(b, nil)
		b.r.take(unavailable{there})
		round(b, nil)
		want(t, b, there, standingMissing)
		edit(b)
		b.r.take(unavailable{there})
		round(b, errors.New("no space"))
		b.open() // as a desk does
		edit(b)
		round(b, nil)
		want(t, b, there, standingBusy)
	})
	t.Run("the other end asks as well before it answers", func(t *testing.T) {
		b := begin(t, enter{begin: true})
		round(b, nil)
		b.r.take(asks(there))
		round(b, nil)
		edit(b)
		round(b, nil)
		b.r.take(unavailable{there})
		round(b, nil)
		want(t, b, there, standingBusy)
		b.r.take(unavailable{there})
		round(b, nil)
		want(t, b, there, standingApart)
	})
	t.Run("it was asked again when it was known to have nothing", func(t *testing.T) {
		b := begin(t, enter{met: true})
		b.r.take(asks(there))
		round(b, nil)
		b.r.take(message{conn: there, msg: new(session.Message)})
		if requests, _ := round(b, nil); requests != 1 {
			t.Fatal("nothing was asked for")
		}
		edit(b)
		round(b, nil)
		b.r.take(unavailable{there})
		round(b, nil)
		want(t, b, there, standingBusy)
	})
	t.Run("what waits on a spare connection was not offered on it", func(t *testing.T) {
		b := begin(t, enter{begin: true})
		b.r.take(enter{conn: elsewhere, peer: "B", begin: true, spare: true})
		round(b, nil)
		b.r.take(unavailable{there})
		b.r.take(unavailable{elsewhere})
		round(b, nil)
		edit(b)
		if _, offers := round(b, nil); offers != 1 {
			t.Fatalf("it was offered on %d connections", offers)
		}
		b.r.take(unavailable{elsewhere})
		round(b, nil)
		want(t, b, elsewhere, standingBusy)
	})
	t.Run("who asks is not kept waiting for one that asks itself", func(t *testing.T) {
		b := begin(t, enter{begin: true})
		round(b, nil)
		b.r.take(asks(there))
		round(b, nil)
		b.r.take(enter{conn: elsewhere, peer: "C"})
		b.r.take(asks(elsewhere))
		round(b, nil)
		if refused != 1 {
			t.Errorf("%d were told that it is not here", refused)
		}
	})
}
