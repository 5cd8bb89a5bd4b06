package relay

import (
	"slices"
	"testing"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
)

// TestDigestsThatDifferArePassedOn has peers with equal heads say what they read: who
// agrees is told nothing, and who does not finds out, whoever spoke first. A stock
// client is told nothing at all.
func TestDigestsThatDifferArePassedOn(t *testing.T) {
	s := serve(t, Options{IdleBytes: 8 << 20})
	doc := id.NewDocument()
	peer := func(name string) (*client, *replica) {
		c := joinAs(t, s.url, wire.Local{PeerID: name, Metadata: wire.Metadata{Syncline: 1}})
		return c, newReplica(t, doc, name)
	}
	ada, a := peer("ada")
	a.edit("k")
	ada.sync(a)
	ada.acked(a)
	heads := a.g.Heads()
	enter := func(c *client, r *replica) {
		c.sync(r)
		c.fetch(r, heads...)
		c.acked(r)
	}
	ben, b := peer("ben")
	enter(ben, b)
	eve, e := peer("eve")
	enter(eve, e)
	stock := join(t, s.url, "stock")
	enter(stock, newReplica(t, doc, "stock"))

	count := uint64(0)
	say := func(c *client, sum byte, heads ...id.Hash) {
		c.send(&wire.Digest{Route: c.route(), Document: doc, Heads: heads, Sum: [wire.DigestSize]byte{sum}})
		count++
		// The relay has taken it in when it answers a request that the room gets later.
		c.send(&wire.Ephemeral{Route: c.route(), Document: doc, SessionID: c.peer, Count: count, Data: []byte("x")})
	}
	// hears reads until the other's gossip has come that followed its digest.
	hears := func(c *client, from string) (sums []byte) {
		before := len(c.gossip)
		for len(c.gossip) == before || c.gossip[len(c.gossip)-1].SenderID != from {
			m, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := m.(*wire.Digest); ok {
				if !slices.Equal(d.Heads, heads) || d.Document != doc || d.SenderID != c.far.PeerID {
					t.Errorf("%s was told %+v", c.peer, d)
				}
				sums = append(sums, d.Sum[0])
			}
		}
		return sums
	}
	told := func(what string, from *client, want map[*client][]byte) {
		t.Helper()
		for _, c := range []*client{ada, ben, eve, stock} {
			if c == from {
				continue
			}
			if got := hears(c, from.peer); !slices.Equal(got, want[c]) {
				t.Errorf("%s: %s was told %v, want %v", what, c.peer, got, want[c])
			}
		}
	}
	say(ada, 1, heads...)
	told("the first", ada, nil)
	say(ben, 1, heads...)
	told("one that agrees", ben, nil)
	say(eve, 9, id.Hash{7})
	told("one of other heads", eve, nil)
	say(eve, 2, heads...)
	told("one that differs", eve, map[*client][]byte{ada: {2}, ben: {2}})
	say(eve, 2, heads...)
	told("the same again", eve, nil)
	say(ben, 3, heads...)
	told("another", ben, map[*client][]byte{ada: {3}, eve: {1, 3}}) // 1 is what eve was told for her own
	for sum := byte(4); sum < 20; sum++ {
		say(eve, sum, heads...)
		want := map[*client][]byte{}
		if sum == 4 {
			want = map[*client][]byte{ada: {4}, ben: {1, 2, 4}}
		}
		told("made up ones", eve, want)
	}
	if n := s.metrics.Divergences[operate.DivergedState].Load(); n != maxDigests-1 {
		t.Errorf("%d divergences counted, want %d", n, maxDigests-1)
	}

	// With other heads all begins anew.
	a.edit("k")
	ada.sync(a)
	ada.acked(a)
	heads = a.g.Heads()
	for _, x := range []struct {
		c *client
		r *replica
	}{{ben, b}, {eve, e}} {
		x.c.fetch(x.r, heads...)
	}
	say(eve, 2, heads...)
	told("the first of new heads", eve, nil)

	// Who has no session for the document is not listened to.
	outsider, _ := peer("outsider")
	outsider.send(&wire.Digest{Route: outsider.route(), Document: doc, Heads: heads, Sum: [wire.DigestSize]byte{66}})
	outsider.alive()
	say(eve, 2, heads...)
	told("after one from outside", eve, nil)
}
