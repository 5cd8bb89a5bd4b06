package relay

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

func TestHandshake(t *testing.T) {
	s := serve(t, Options{})
	route := wire.Route{SenderID: "p", TargetID: "relay"}
	tests := []struct {
		name  string
		first wire.Message
		code  wire.CloseCode // 0: welcome
	}{
		{"join", &wire.Join{SenderID: "p", Versions: []string{"1"}}, 0},
		{"join among versions", &wire.Join{SenderID: "p", Versions: []string{"0", "1"}}, 0},
		{"join without versions", &wire.Join{SenderID: "p"}, 0},
		{"join with another version", &wire.Join{SenderID: "p", Versions: []string{"2"}}, wire.CloseProtocol},
		{"a request first", &wire.Sync{Route: route, Request: true, Data: []byte{0x42}}, wire.CloseProtocol},
		{"peer", &wire.Peer{Route: route, Version: "1"}, wire.CloseProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := upgrade(t, s.url, "p")
			c.send(tt.first)
			m, err := c.next()
			if err != nil {
				t.Fatal(err)
			}
			if from, to := m.Ends(); from != s.PeerID() || to != "p" {
				t.Errorf("answer goes from %q to %q", from, to)
			}
			if tt.code == 0 {
				peer, ok := m.(*wire.Peer)
				if !ok {
					t.Fatalf("answer is %#v", m)
				}
				want := wire.Metadata{StorageID: s.store.StorageID(), Syncline: wire.Syncline}
				if peer.Metadata != want || peer.Version != "1" {
					t.Errorf("have %+v, want metadata %+v", peer, want)
				}
				return
			}
			if _, ok := m.(*wire.Error); !ok {
				t.Errorf("answer is %#v, want an error", m)
			}
			if code := c.untilClosed(); code != tt.code {
				t.Errorf("closed with %s, want %s", code, tt.code)
			}
		})
	}
}

func TestAChangeReachesEveryOtherSession(t *testing.T) {
	s := serve(t, Options{})
	doc := id.NewDocument()
	a, b, c := join(t, s.url, "a"), join(t, s.url, "b"), join(t, s.url, "c")
	ra, rb, rc := newReplica(t, doc, "a"), newReplica(t, doc, "b"), newReplica(t, doc, "c")
	ra.edit("title")
	a.sync(ra)
	a.acked(ra)
	b.sync(rb)
	b.acked(rb)
	c.sync(rc)
	c.acked(rc)
	for range 20 {
		x, y := ra.edit("x"), rb.edit("y")
		a.sync(ra)
		b.sync(rb)
		a.fetch(ra, y.Hash)
		b.fetch(rb, x.Hash)
		c.fetch(rc, x.Hash, y.Hash)
	}
	if !sameHeads(ra, rb, rc) {
		t.Error("heads differ")
	}
	if n := s.Counters().ChangesIn; n != 41 {
		t.Errorf("counted %d changes in, want 41", n)
	}
}

func TestALateJoinerGetsAllAfterTheWriterHasGone(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	a := join(t, s.url, "a")
	var hashes []id.Hash
	for range 300 {
		hashes = append(hashes, r.edit("k").Hash)
	}
	a.sync(r)
	a.acked(r)
	a.ws.CloseNow()
	late := newReplica(t, r.doc, "b")
	b := join(t, s.url, "b")
	b.sync(late)
	b.fetch(late, hashes...)
}

func TestASecondJoinReplacesTheFirstSocket(t *testing.T) {
	s := serve(t, Options{})
	first := join(t, s.url, "p")
	first.alive()
	second := join(t, s.url, "p")
	if code := first.untilClosed(); code != wire.CloseReplaced {
		t.Errorf("first socket closed with %s, want %s", code, wire.CloseReplaced)
	}
	second.alive()
}

func TestAMessageOfAnotherSenderIsDropped(t *testing.T) {
	s := serve(t, Options{})
	c := join(t, s.url, "p")
	r := newReplica(t, id.NewDocument(), "a")
	r.edit("k")
	c.send(&wire.Sync{Route: wire.Route{SenderID: "somebody else", TargetID: c.far.PeerID}, Document: r.doc, Data: r.generate()})
	c.alive()
	if n := s.Counters(); n.Dropped != 1 || n.ChangesIn != 0 {
		t.Errorf("have %+v, want one dropped and no changes", n)
	}
}

func TestUnknownMessagesAreDropped(t *testing.T) {
	s := serve(t, Options{})
	c := join(t, s.url, "p")
	c.send(&wire.Join{SenderID: "p", Versions: []string{"1"}})
	c.sendFrame([]byte("\xb9\x00\x02\x64type\x66gossip\x68senderId\x61p"))
	c.alive()
	if n := s.Counters().Dropped; n != 2 {
		t.Errorf("%d dropped, want 2", n)
	}
}

func TestEphemeralMessages(t *testing.T) {
	s := serve(t, Options{})
	doc := id.NewDocument()
	a, b, c := join(t, s.url, "a"), join(t, s.url, "b"), join(t, s.url, "c")
	for _, x := range []*client{a, b, c} {
		r := newReplica(t, doc, x.peer)
		r.edit("k")
		x.sync(r)
		x.acked(r)
	}
	a.say(doc, "s", 1, "one")
	b.until("one has come", func() bool { return len(b.gossip) == 1 })
	// As a stock client does, b sends back what it received, its author's name on it.
	echo := *b.gossip[0]
	b.send(&echo)
	a.say(doc, "s", 1, "again")
	a.say(doc, "s", 3, "three")
	a.say(doc, "s", 2, "late")
	a.say(doc, "other session", 1, "fresh")
	c.until("all has come", func() bool { return len(c.gossip) == 3 })
	b.until("all has come", func() bool { return len(b.gossip) == 3 })
	// What comes to a is what b says after all that.
	b.say(doc, "b", 1, "from b")
	a.until("b is heard", func() bool { return len(a.gossip) > 0 })

	words := func(c *client) (all []string) {
		for _, m := range c.gossip {
			all = append(all, m.SenderID+": "+string(m.Data))
			if m.TargetID != c.peer {
				t.Errorf("%s got a message for %q", c.peer, m.TargetID)
			}
		}
		return all
	}
	if have, want := words(a), []string{"b: from b"}; !slices.Equal(have, want) {
		t.Errorf("a heard %q, want %q", have, want)
	}
	for _, x := range []*client{b, c} {
		if have, want := words(x)[:3], []string{"a: one", "a: three", "a: fresh"}; !slices.Equal(have, want) {
			t.Errorf("%s heard %q, want %q", x.peer, have, want)
		}
	}
}

func TestAnUnknownDocumentIsUnavailableUntilItTurnsUp(t *testing.T) {
	s := serve(t, Options{})
	asker, writer := join(t, s.url, "asker"), join(t, s.url, "writer")
	wanted := newReplica(t, id.NewDocument(), "asker")
	asker.sync(wanted)
	asker.until("it is unavailable", func() bool { return slices.Contains(asker.unavailable, wanted.doc) })

	made := newReplica(t, wanted.doc, "writer")
	first := made.edit("k")
	writer.sync(made)
	writer.acked(made)
	asker.fetch(wanted, first.Hash)
}

func TestRowsOfAnotherProcessReachSessions(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	r.edit("k")
	c := join(t, s.url, "a")
	c.sync(r)
	c.acked(r)

	other := serveOn(t, s.path, Options{})
	far := newReplica(t, r.doc, "b")
	b := join(t, other.url, "b")
	b.sync(far)
	b.acked(far)
	change := far.edit("from another process")
	b.sync(far)
	b.acked(far)
	c.fetch(r, change.Hash)
	if s.PeerID() != other.PeerID() {
		t.Errorf("two relays over the same data are %s and %s", s.PeerID(), other.PeerID())
	}
}

func TestASavedStateMakesResumingCheap(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	for range 2000 {
		r.edit("k")
	}
	self := wire.Local{PeerID: "a", Metadata: wire.Metadata{StorageID: "laptop"}}
	c := joinAs(t, s.url, self)
	c.sync(r)
	c.acked(r)
	c.ws.CloseNow()
	saved := r.session.Save()

	other := newReplica(t, r.doc, "b")
	b := join(t, s.url, "b")
	b.sync(other)
	b.acked(other)
	change := other.edit("k")
	b.sync(other)
	b.acked(other)

	before := s.Counters().BytesOut
	r.begin(saved)
	r.edit("k")
	c = joinAs(t, s.url, self)
	c.sync(r)
	c.fetch(r, change.Hash)
	if n := s.Counters().BytesOut - before; n > 2000 {
		t.Errorf("resuming took %d bytes", n)
	}
}

func TestARelayThatLostItsDataIsFilledAgain(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	for range 50 {
		r.edit("k")
	}
	self := wire.Local{PeerID: "a", Metadata: wire.Metadata{StorageID: "laptop"}}
	c := joinAs(t, s.url, self)
	c.sync(r)
	c.acked(r)
	saved := r.session.Save()
	c.ws.CloseNow()
	s.stop()

	s = serve(t, Options{})
	r.begin(saved)
	c = joinAs(t, s.url, self)
	c.sync(r)
	c.acked(r)
	late := newReplica(t, r.doc, "b")
	b := join(t, s.url, "b")
	b.sync(late)
	b.fetch(late, r.g.Heads()...)
}

func TestHTTP(t *testing.T) {
	s := serve(t, Options{})
	for path, want := range map[string]string{"/healthz": "ok\n", "/": s.url + "/"} {
		res, err := http.Get("http" + strings.TrimPrefix(s.url, "ws") + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %q, %v", path, res.StatusCode, body, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestClosingSendsWhatIsQueuedAndSaysWhy(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	change := r.edit("k")
	c := join(t, s.url, "a")
	c.sync(r)
	c.acked(r)
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	if code := c.untilClosed(); code != wire.CloseDraining {
		t.Errorf("closed with %s, want %s", code, wire.CloseDraining)
	}
	<-stopped

	s = serveOn(t, s.path, Options{})
	late := newReplica(t, r.doc, "b")
	b := join(t, s.url, "b")
	b.sync(late)
	b.fetch(late, change.Hash)
}
