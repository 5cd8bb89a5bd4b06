package relay

import (
	"slices"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// TestHeadsOfOthersAreTold has one client ask for what another one has, which it
// knows by its storage id.
func TestHeadsOfOthersAreTold(t *testing.T) {
	s := serve(t, Options{IdleBytes: 8 << 20})
	watcher := join(t, s.url, "watcher")
	watcher.send(&wire.RemoteSubscription{Route: watcher.route(), Add: []string{"the other's store", "far away"}})
	doc := id.NewDocument()
	mine := newReplica(t, doc, "watcher")
	mine.edit("k")
	watcher.sync(mine)
	watcher.acked(mine)

	other := joinAs(t, s.url, wire.Local{PeerID: "other", Metadata: wire.Metadata{StorageID: "the other's store"}})
	theirs := newReplica(t, doc, "other")
	other.sync(theirs)
	other.fetch(theirs, mine.g.Heads()...)
	told := watcher.untilHeads(doc, "the other's store", mine.g.Heads())

	theirs.edit("k")
	other.sync(theirs)
	if again := watcher.untilHeads(doc, "the other's store", theirs.g.Heads()); again.Before(told) {
		t.Error("the later heads have an earlier time")
	}

	// Who hears of heads passes them on; what is older than what is known is not.
	far := wire.RemoteHead{Heads: []string{theirs.g.Heads()[0].Base58()}, Time: time.UnixMilli(1_800_000_000_000)}
	other.send(&wire.RemoteHeads{Route: other.route(), Document: doc, Heads: map[string]wire.RemoteHead{"far away": far}})
	watcher.untilHeads(doc, "far away", theirs.g.Heads())
	far.Time = far.Time.Add(-time.Second)
	other.send(&wire.RemoteHeads{Route: other.route(), Document: doc, Heads: map[string]wire.RemoteHead{"far away": far}})
	other.alive()
	n := len(watcher.heads)
	watcher.alive()
	if len(watcher.heads) != n {
		t.Error("old heads were passed on")
	}

	// Who asks later is told what is known.
	late := join(t, s.url, "late")
	behind := newReplica(t, doc, "late")
	late.sync(behind)
	late.fetch(behind, theirs.g.Heads()...)
	late.send(&wire.RemoteSubscription{Route: late.route(), Add: []string{"far away"}})
	late.untilHeads(doc, "far away", theirs.g.Heads())

	watcher.send(&wire.RemoteSubscription{Route: watcher.route(), Remove: []string{"the other's store"}})
	watcher.alive()
	n = len(watcher.heads)
	theirs.edit("k")
	other.sync(theirs)
	other.acked(theirs)
	watcher.fetch(mine, theirs.g.Heads()...)
	watcher.alive()
	if len(watcher.heads) != n {
		t.Error("heads were told to somebody who no longer wants them")
	}
}

// untilHeads reads until it is told these heads, and returns of when they are.
func (c *client) untilHeads(doc id.Document, storage string, heads []id.Hash) (at time.Time) {
	c.t.Helper()
	var want []string
	for _, h := range heads {
		want = append(want, h.Base58())
	}
	c.until("it is told the heads of "+storage, func() bool {
		i := slices.IndexFunc(c.heads, func(m *wire.RemoteHeads) bool {
			return m.Document == doc && slices.Equal(m.Heads[storage].Heads, want)
		})
		if i >= 0 {
			at = c.heads[i].Heads[storage].Time
		}
		return i >= 0
	})
	return at
}
