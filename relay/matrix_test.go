package relay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/access/accesstest"
)

// cell is one trial of the access matrix: somebody, connected, sends one message
// about one document, while a watcher who may do everything has it open.
type cell struct {
	t       *testing.T
	s       *server
	issuer  *accesstest.Issuer
	doc     id.Document
	replica *replica // of the watcher
	watcher *client
	subject *client
	own     *replica // of the subject, with a change that nobody has
	frames  [][]byte // what the subject got
}

// role is who sends.
type role struct {
	name  string
	may   access.Access // with a granted document
	other access.Access // with any other
	claim func(granted id.Document) access.Claims
}

func roles() []role {
	of := func(rules ...access.Rule) access.Claims { return access.Claims{Account: "subject", Documents: rules} }
	// Whatever the role, there is a document that it may write, or an account that
	// may nothing would be shut out before.
	return []role{
		{"admin only", access.None, access.None, func(id.Document) access.Claims {
			return access.Claims{Account: "subject", Admin: true}
		}},
		{"reads another", access.None, access.None, func(id.Document) access.Claims { return of(accesstest.Reads(id.NewDocument())) }},
		{"reads one", access.Read, access.None, func(d id.Document) access.Claims { return of(accesstest.Reads(d)) }},
		{"writes one", access.Write, access.None, func(d id.Document) access.Claims { return of(accesstest.Writes(d)) }},
		{"reads by prefix", access.Read, access.None, func(d id.Document) access.Claims {
			return of(access.Rule{Prefix: string(d[:7]), Access: access.Read})
		}},
		{"reads all, writes one", access.Write, access.Read, func(d id.Document) access.Claims {
			return of(accesstest.Writes(d), access.Rule{Access: access.Read})
		}},
		{"all", access.Write, access.Write, func(id.Document) access.Claims { return of(accesstest.WritesAll) }},
	}
}

// deed is what is sent, and what comes of it by what the subject may do and
// whether the document is there.
type deed struct {
	name string
	do   func(*cell)
	// gets is what the subject gets, if it may read or write; wants has those for a
	// document that is there, and for one that is not.
	read, write [2]string
	// none is what it gets if it may not, whether the document is there or not.
	none string
	// spread is what the watcher gets of it, by access.
	spread map[access.Access]string
}

const (
	gone      = "doc-unavailable"
	allOfIt   = "sync(1 head, 1 change)"
	nothing   = "sync(0 heads, 0 changes)"
	acked     = "sync(2 heads, 1 change)"
	ackedOwn  = "sync(1 head, 0 changes)"
	declined  = "notice(read-only)"
	noMessage = ""
)

func deeds() []deed {
	return []deed{
		{name: "join", do: func(c *cell) { c.subject.send(wire.Local{PeerID: c.subject.peer}.Join()) }},
		{name: "request", do: func(c *cell) { c.send(true, &session.Message{V2: true, Have: []session.Have{{}}, HasFlags: true}) },
			read: [2]string{allOfIt, gone}, write: [2]string{allOfIt, gone}, none: gone},
		{name: "sync with nothing", do: func(c *cell) { c.send(false, &session.Message{V2: true, Have: []session.Have{{}}, HasFlags: true}) },
			read: [2]string{allOfIt, nothing}, write: [2]string{allOfIt, nothing}, none: gone},
		{name: "sync with a change", do: (*cell).sendChange,
			read: [2]string{declined + " " + allOfIt, declined + " " + nothing}, write: [2]string{acked, ackedOwn}, none: gone,
			spread: map[access.Access]string{access.Write: "change"}},
		{name: "request with a change", do: (*cell).requestWithChange,
			read: [2]string{declined + " " + allOfIt, gone + " " + declined}, write: [2]string{acked, ackedOwn}, none: gone,
			spread: map[access.Access]string{access.Write: "change"}},
		{name: "ephemeral", do: func(c *cell) { c.subject.say(c.doc, "s", 1, "hello") },
			spread: map[access.Access]string{access.Read: "gossip", access.Write: "gossip"}},
		{name: "doc-unavailable", do: func(c *cell) { c.subject.send(&wire.Unavailable{Route: c.subject.route(), Document: c.doc}) }},
		{name: "subscription", do: func(c *cell) {
			c.subject.send(&wire.RemoteSubscription{Route: c.subject.route(), Add: []string{"watcher's store"}})
		}},
		{name: "remote heads", do: func(c *cell) {
			heads := map[string]wire.RemoteHead{"forged": {Heads: []string{c.own.g.Heads()[0].Base58()}, Time: time.Now()}}
			c.subject.send(&wire.RemoteHeads{Route: c.subject.route(), Document: c.doc, Heads: heads})
		}},
		{name: "notice", do: func(c *cell) {
			c.subject.send(&wire.Notice{Route: c.subject.route(), Code: wire.NoticeUnavailable, Document: c.doc})
		}},
		{name: "token that is bad", do: func(c *cell) { c.subject.send(&wire.Token{Route: c.subject.route(), Token: "x"}) },
			read: [2]string{"error close 4001", "error close 4001"}, write: [2]string{"error close 4001", "error close 4001"}, none: "error close 4001"},
		{name: "sender forged", do: func(c *cell) {
			m := syncOf(c.subject, c.doc, &session.Message{V2: true, Heads: c.own.g.Heads(), Have: []session.Have{{}}, Chunks: [][]byte{c.own.bodies[0]}})
			m.SenderID = c.watcher.peer
			c.subject.send(m)
		}},
	}
}

func (c *cell) send(request bool, m *session.Message) {
	s := syncOf(c.subject, c.doc, m)
	s.Request = request
	c.subject.send(s)
}

func (c *cell) change() *session.Message {
	return &session.Message{V2: true, Heads: c.own.g.Heads(), Have: []session.Have{{}}, HasFlags: true, Chunks: [][]byte{c.own.bodies[0]}}
}

func (c *cell) sendChange()        { c.send(false, c.change()) }
func (c *cell) requestWithChange() { c.send(true, c.change()) }

// fence returns when the relay has acted on all that the client has sent before, and
// the client has read all that was sent to it. What it read meanwhile is in frames.
// closed is the close code, if there is one.
func (c *cell) fence() (closed wire.CloseCode) {
	for range 2 {
		probe := id.NewDocument()
		c.subject.send(&wire.Sync{Route: c.subject.route(), Request: true, Document: probe, Data: (&session.Message{V2: true, Have: []session.Have{{}}}).Encode()})
		for {
			b, err := c.subject.read()
			if err != nil {
				return closeCode(c.t, err)
			}
			m, err := wire.Decode(b)
			if err != nil {
				c.t.Fatal(err)
			}
			if u, ok := m.(*wire.Unavailable); ok && u.Document == probe {
				break
			}
			c.frames = append(c.frames, b)
		}
		c.s.settled(c.t, c.doc)
	}
	return 0
}

// settled waits until nothing is under way in the room of a document.
func (s *server) settled(t testing.TB, doc id.Document) {
	t.Helper()
	until(t, "the room is quiet", func() bool {
		s.halls.mu.Lock()
		h := s.halls.byDoc[doc]
		s.halls.mu.Unlock()
		if h == nil {
			return true
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		return !h.running && len(h.inbox) == 0
	})
}

// newCell seats the watcher, who has the document if it is to be there.
func newCell(t *testing.T, s *server, i *accesstest.Issuer, r role, granted, there bool) *cell {
	t.Helper()
	c := &cell{t: t, s: s, issuer: i, doc: idOfLength(28)}
	c.watcher = joinBearing(t, s, "watcher "+c.doc.String(), i.Token("watcher", accesstest.WritesAll), wire.Syncline)
	c.replica = newReplica(t, c.doc, "watcher")
	if there {
		c.replica.edit("secret")
		c.watcher.sync(c.replica)
		c.watcher.acked(c.replica)
	}
	subject := c.doc
	if !granted {
		subject = id.NewDocument()
	}
	c.subject = joinBearing(t, s, "subject "+c.doc.String(), i.Sign(r.claim(subject)), wire.Syncline)
	c.own = newReplica(t, c.doc, "subject")
	c.own.edit("mine")
	return c
}

// idOfLength makes a document whose printed id has n letters, so that frames about
// two of them differ in nothing else.
func idOfLength(n int) id.Document {
	for {
		if d := id.NewDocument(); len(d.String()) == n {
			return d
		}
	}
}

// spread is what has come to the watcher.
func (c *cell) spread() string {
	c.t.Helper()
	if c.replica.g.Len() == 0 {
		return "" // it has nothing open
	}
	before, gossip := c.replica.g.Len(), len(c.watcher.gossip)
	heads := 0
	probe := &wire.Sync{Route: c.watcher.route(), Request: true, Document: id.NewDocument(), Data: (&session.Message{V2: true, Have: []session.Have{{}}}).Encode()}
	c.watcher.send(probe)
	for done := false; !done; {
		m, err := c.watcher.next()
		if err != nil {
			c.t.Fatal(err)
		}
		switch m := m.(type) {
		case *wire.Unavailable:
			done = m.Document == probe.Document
		case *wire.RemoteHeads:
			heads++
		}
	}
	var said []string
	if c.replica.g.Len() > before {
		said = append(said, "change")
	}
	if len(c.watcher.gossip) > gossip {
		said = append(said, "gossip")
	}
	if heads > 0 {
		said = append(said, "heads")
	}
	return strings.Join(said, " ")
}

// TestAccessMatrix tries each role with each message on documents that it is granted
// and not, that are there and not. What is not there and what is not granted look
// the same, byte for byte; what is not granted is neither stored nor passed on.
func TestAccessMatrix(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	for _, r := range roles() {
		for _, d := range deeds() {
			t.Run(r.name+"/"+d.name, func(t *testing.T) {
				for _, granted := range []bool{true, false} {
					may := r.other
					if granted {
						may = r.may
					}
					var frames [2][]byte
					for n, there := range []bool{true, false} {
						c := newCell(t, s, i, r, granted, there)
						d.do(c)
						closed := c.fence()
						want := d.none
						switch may {
						case access.Read:
							want = d.read[n]
						case access.Write:
							want = d.write[n]
						}
						where := fmt.Sprintf("granted %t (%s), there %t", granted, may, there)
						if got := accesstest.Told(t, c.frames, closed); got != want {
							t.Errorf("%s: gets %q, want %q", where, got, want)
						}
						if got := c.spread(); there && got != d.spread[may] {
							t.Errorf("%s: the watcher gets %q, want %q", where, got, d.spread[may])
						}
						c.stored(where, there, d.spread[may] == "change")
						frames[n] = c.anonymous()
						c.subject.ws.CloseNow()
						c.watcher.ws.CloseNow()
					}
					if may == access.None && !bytes.Equal(frames[0], frames[1]) {
						t.Errorf("what is there and what is not differ:\n%x\n%x", frames[0], frames[1])
					}
				}
			})
		}
	}
}

// stored checks what the store has of the document.
func (c *cell) stored(where string, there, taken bool) {
	c.t.Helper()
	want := int64(0)
	if there {
		want++
	}
	if taken {
		want++
	}
	stat, err := c.s.store.DocumentStat(c.t.Context(), c.doc)
	if want == 0 && err == nil {
		c.t.Errorf("%s: the store knows of the document", where)
	}
	if want > 0 && (err != nil || stat.Changes != want) {
		c.t.Errorf("%s: %d changes are stored, want %d: %v", where, stat.Changes, want, err)
	}
}

// anonymous is all that the subject got, with nothing in it that tells one cell
// from another.
func (c *cell) anonymous() []byte {
	return bytes.ReplaceAll(bytes.Join(c.frames, nil), []byte(c.doc.String()), []byte("THE DOCUMENT"))
}

// TestWithoutAGoodTokenThereIsNothing: no message but join is looked at.
func TestWithoutAGoodTokenThereIsNothing(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	for _, d := range deeds() {
		t.Run(d.name, func(t *testing.T) {
			var first []byte
			for _, there := range []bool{true, false} {
				c := newCell(t, s, i, roles()[0], false, there)
				c.subject.ws.CloseNow()
				c.subject = upgrade(t, s.url, "subject "+c.doc.String())
				d.do(c)
				if closed := c.fence(); closed == 0 {
					t.Fatal("it is served")
				}
				if got := accesstest.Told(t, c.frames, 0); got != "error" {
					t.Errorf("gets %q", got)
				}
				if got := c.spread(); got != "" {
					t.Errorf("the watcher gets %q", got)
				}
				c.stored("without a token", there, false)
				if first == nil {
					first = c.anonymous()
				} else if !bytes.Equal(first, c.anonymous()) {
					t.Errorf("what is there and what is not differ:\n%x\n%x", first, c.anonymous())
				}
			}
		})
	}
}
