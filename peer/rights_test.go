package peer

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/access/accesstest"
)

// acceptedBy is a peer's end of the connection that somebody else has made.
func acceptedBy(t testing.TB, p *Peer) *conn {
	t.Helper()
	for _, c := range p.connections() {
		if !c.dialed {
			return c
		}
	}
	t.Fatal("nobody is connected")
	return nil
}

// TestWhoMayOnlyReadGoesOnReading: its changes stay with it, which it is told and
// keeps, and those of others keep coming.
func TestWhoMayOnlyReadGoesOnReading(t *testing.T) {
	issuer := accesstest.NewIssuer(t)
	ada, ben := newPeer(t), newPeer(t)
	l := listen(t, ada, ListenOptions{Access: issuer.Verifier})
	a := create(t, ada)
	do(t, a, note("first"))
	b := fetch(t, ben, a.ID())
	if err := ben.Connect(Remote{URL: l.URL(), Peer: true, Token: issuer.Token("ben", accesstest.Reads(a.ID()))}); err != nil {
		t.Fatal(err)
	}
	run(t, ben)
	converge(t, a, b)
	for i := range 3 {
		own := do(t, b, note("own"+name(i)))
		d := untilDelivery(t, ben, a.ID(), DeliveryDead)
		if d.Class != ClassForbidden || !strings.Contains(d.Reason, "may read this document and not change it") {
			t.Errorf("%+v", d)
		}
		theirs := do(t, a, note("theirs"+name(i)))
		until(t, "it is read", []*Document{b}, func() bool { ok, _ := b.has(theirs); return ok })
		if ok, _ := a.has(own); ok {
			t.Fatal("its change was taken")
		}
		if p := progressOf(t, own); p.State > Sent {
			t.Errorf("it is %s", p.State)
		}
	}
	if n := collectionLen(t, b, "notes"); n != 7 {
		t.Errorf("the reader has %d notes, of all its own and the others'", n)
	}
	// Who only reads keeps nobody from closing the document.
	until(t, "the document is at rest", []*Document{a}, func() bool {
		idle := false
		err := ada.ask(bounded(t), a.ID(), func(d *desk) error { idle = d.r.idle(); return nil })
		return err == nil && idle
	})
}

// has reports whether a document has the change of an operation.
func (d *Document) has(r Receipt) (ok bool, err error) {
	err = d.p.ask(context.Background(), d.ID(), func(desk *desk) error { ok = desk.r.graph.Has(r.Hash); return nil })
	return ok, err
}

func TestATokenIsReplaced(t *testing.T) {
	issuer := accesstest.NewIssuer(t)
	p := newPeer(t)
	l := listen(t, p, ListenOptions{Access: issuer.Verifier})
	lost, gained := create(t, p), create(t, p)
	do(t, lost, note("a"))
	do(t, gained, note("a"))
	scratch := newPeer(t)
	other := create(t, scratch)
	do(t, other, note("mine"))
	change := changesOf(t, other)[0]

	c := &cell{client: dialRaw(t, l.URL(), bearing(issuer.Token("alice", accesstest.Writes(lost.ID()), accesstest.Reads(gained.ID())))), p: p, own: change}
	if err := c.join(wire.Metadata{Syncline: wire.Syncline}); err != nil {
		t.Fatal(err)
	}
	step := func(doc id.Document, want string, do func()) {
		t.Helper()
		c.doc, c.frames = doc, nil
		do()
		closed := c.fence()
		if got := accesstest.Told(t, c.frames, closed); got != want {
			t.Errorf("gets %q, want %q", got, want)
		}
	}
	ask := &session.Message{V2: true, Have: []session.Have{{}}, HasFlags: true}
	step(lost.ID(), allOfIt, func() { c.sync(true, ask) })
	step(gained.ID(), declined+" "+allOfIt, func() { c.sync(false, c.change()) })

	// What it may no longer read is gone, and it is told once. What it may write now
	// it is asked for.
	step(gained.ID(), gone+" sync(1 head, 0 changes)", func() {
		c.send(&wire.Token{Route: c.route(), Token: issuer.Token("alice", accesstest.Writes(gained.ID()))})
	})
	step(gained.ID(), "sync(2 heads, 1 change)", func() { c.sync(false, c.change()) })
	step(lost.ID(), "", func() { do(t, lost, note("secret")) })
	step(lost.ID(), gone, func() { c.sync(false, c.change()) })
	if n := len(changesOf(t, lost)); n != 2 {
		t.Errorf("%d changes in the document that may not be written", n)
	}
	if !slices.Contains(headsOf(t, gained), change.Hash) {
		t.Error("the change that may be written now was not taken")
	}
	if end := acceptedBy(t, p); len(end.standings([]id.Document{lost.ID()})) != 1 || end.carries(lost.ID()) {
		t.Error("the document that may not be read any more is still carried")
	}
	step(gained.ID(), "error close 4001", func() {
		c.send(&wire.Token{Route: c.route(), Token: issuer.Token("bob", accesstest.WritesAll)})
	})
}

func TestAConnectionEndsWithItsToken(t *testing.T) {
	issuer := accesstest.NewIssuer(t)
	p := newPeer(t)
	l := listen(t, p, ListenOptions{Access: issuer.Verifier})
	c := dialRaw(t, l.URL(), bearing(issuer.Token("alice", accesstest.WritesAll)))
	if err := c.join(wire.Metadata{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it has joined", []*Document{create(t, p)}, func() bool { return len(p.connections()) == 1 })
	acceptedBy(t, p).pass.Set(access.Grant{Account: "alice", Expires: time.Now()})
	if code := c.closedWith(); code != wire.CloseExpired {
		t.Errorf("closed with %v", code)
	}
}

func TestWithoutTokensOnlyThisMachineMayConnect(t *testing.T) {
	p := newPeer(t)
	if l, err := p.Listen(bounded(t), ":0", ListenOptions{}); !errors.Is(err, ErrUnguarded) {
		t.Errorf("it listens on %v: %v", l, err)
	}
	for name, o := range map[string]ListenOptions{"to everybody": {Open: true}, "to a secret": {Tokens: []string{"s"}}} {
		if l, err := p.Listen(bounded(t), ":0", o); err != nil {
			t.Errorf("open %s: %v", name, err)
		} else if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	// A server of the caller's may be behind a proxy.
	for open, want := range map[bool]string{false: "only programs on this machine", true: ""} {
		s := httptest.NewServer(p.Handler(ListenOptions{Open: open}))
		c := dialRaw(t, "ws"+strings.TrimPrefix(s.URL, "http"), &websocket.DialOptions{HTTPHeader: map[string][]string{"X-Forwarded-For": {"192.0.2.1"}}})
		err := c.join(wire.Metadata{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("open %v: %v", open, err)
		}
		c.ws.CloseNow()
		s.Close()
	}
}

func TestOneConnectionTooManyIsTurnedAway(t *testing.T) {
	p := newPeer(t)
	l := listen(t, p, ListenOptions{MaxConnections: 1})
	first := dialRaw(t, l.URL(), nil)
	if err := first.join(wire.Metadata{}); err != nil {
		t.Fatal(err)
	}
	second := dialRaw(t, l.URL(), nil)
	if _, err := second.next(); websocket.CloseStatus(err) != websocket.StatusCode(wire.CloseOverLimit) {
		t.Errorf("closed with %v", err)
	}
}
