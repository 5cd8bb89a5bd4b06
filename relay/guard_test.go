package relay

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/access/accesstest"
)

// TestAnotherAccountDoesNotTakeAPeersPlace has somebody join with a peer id that is
// not his.
func TestAnotherAccountDoesNotTakeAPeersPlace(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	alice := joinBearing(t, s, "phone", i.Token("alice", accesstest.WritesAll), 0)
	joinBearing(t, s, "phone", i.Token("mallory", accesstest.WritesAll), 0).alive()
	alice.alive()
	joinBearing(t, s, "phone", i.Token("alice", accesstest.WritesAll), 0).alive()
	if code := alice.untilClosed(); code != wire.CloseReplaced {
		t.Errorf("closed with %s, want %s", code, wire.CloseReplaced)
	}
}

// TestNobodySendsMuchBeforeHeJoins has a client without a token send a large frame.
func TestNobodySendsMuchBeforeHeJoins(t *testing.T) {
	s := serve(t, Options{})
	c := upgrade(t, s.url, "p")
	c.write(websocket.MessageBinary, make([]byte, 4*wire.MaxJoin)) // which may fail, once it is refused
	if code := c.untilClosed(); code != wire.CloseTooLarge {
		t.Errorf("closed with %s, want %s", code, wire.CloseTooLarge)
	}
	joined := join(t, s.url, "q")
	joined.sendFrame(make([]byte, 4*wire.MaxJoin)) // no message, but of a size that is taken
	if code := joined.untilClosed(); code != wire.CloseProtocol {
		t.Errorf("closed with %s, want %s", code, wire.CloseProtocol)
	}
}

// TestADamagedDocumentCanBeDeleted deletes what cannot be read, while it is open.
func TestADamagedDocumentCanBeDeleted(t *testing.T) {
	s := serve(t, Options{})
	r := newReplica(t, id.NewDocument(), "a")
	r.edit("k")
	c := join(t, s.url, "c")
	c.sync(r)
	c.acked(r)
	until(t, "the room rests", func() bool { awake, _ := s.halls.count(); return awake == 0 })
	s.damage(t)
	r.edit("k")
	c.sync(r)
	c.until("it is told", func() bool { return len(c.errors) == 1 })
	if _, err := s.DeleteDocument(t.Context(), r.doc); err != nil {
		t.Fatal(err)
	}
	again := join(t, s.url, "again")
	r.begin(nil)
	again.sync(r)
	again.acked(r)
}

func TestAddressesAreThoseOfSubscribers(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:4000":               "192.0.2.7",
		"[::ffff:192.0.2.7]:4000":      "192.0.2.7",
		"[::1]:4000":                   "::1",
		"[2001:db8:1:2:3:4:5:6]:4000":  "2001:db8:1:2::/64",
		"[2001:db8:1:2::1%eth0]:4000":  "2001:db8:1:2::/64",
		"a name, as in tests of pages": "a name, as in tests of pages",
	} {
		if got := addressOf(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%s is %s, want %s", remote, got, want)
		}
	}
}
