package peer

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/access/accesstest"
	"syncline/storage"
)

// cell is one trial of the access matrix: somebody, connected to a peer that
// listens, sends it one message about one document.
type cell struct {
	*client
	p      *Peer
	doc    id.Document
	own    *chunk.Change // of the subject; nobody else has it
	frames [][]byte      // what the subject got
}

// role is who sends.
type role struct {
	name  string
	may   access.Access // with a granted document
	other access.Access // with any other
	rules func(granted id.Document) []access.Rule
}

func roles() []role {
	all := access.Rule{Access: access.Read}
	return []role{
		{"reads another", access.None, access.None, func(id.Document) []access.Rule { return []access.Rule{accesstest.Reads(id.NewDocument())} }},
		{"reads one", access.Read, access.None, func(d id.Document) []access.Rule { return []access.Rule{accesstest.Reads(d)} }},
		{"writes one", access.Write, access.None, func(d id.Document) []access.Rule { return []access.Rule{accesstest.Writes(d)} }},
		{"reads by prefix", access.Read, access.None, func(d id.Document) []access.Rule {
			return []access.Rule{{Prefix: string(d[:7]), Access: access.Read}}
		}},
		{"reads all, writes one", access.Write, access.Read, func(d id.Document) []access.Rule { return []access.Rule{accesstest.Writes(d), all} }},
		{"all", access.Write, access.Write, func(id.Document) []access.Rule { return []access.Rule{accesstest.WritesAll} }},
	}
}

// deed is what is sent, and what the subject gets by what it may do: for a document
// that is there, and for one that is not. Who may nothing gets none for both.
type deed struct {
	name        string
	do          func(*cell)
	read, write [2]string
	none        string
	brings      bool // a change, to be taken from who may write
}

const (
	gone     = "doc-unavailable"
	allOfIt  = "sync(1 head, 1 change)"
	nothing  = "sync(0 heads, 0 changes)"
	declined = "notice(read-only)"
	refused  = "error close 4001"
)

func deeds() []deed {
	empty := &session.Message{V2: true, Have: []session.Have{{}}, HasFlags: true}
	return []deed{
		{name: "join", do: func(c *cell) { c.send(wire.Local{PeerID: "raw"}.Join()) }},
		{name: "request", do: func(c *cell) { c.sync(true, empty) },
			read: [2]string{allOfIt, gone}, write: [2]string{allOfIt, gone}, none: gone},
		{name: "sync with nothing", do: func(c *cell) { c.sync(false, empty) },
			read: [2]string{allOfIt, nothing}, write: [2]string{allOfIt, nothing}, none: gone},
		{name: "sync with a change", do: func(c *cell) { c.sync(false, c.change()) }, brings: true,
			read: [2]string{declined + " " + allOfIt, declined + " " + nothing}, write: [2]string{"sync(2 heads, 1 change)", "sync(1 head, 0 changes)"}, none: gone},
		{name: "request with a change", do: func(c *cell) { c.sync(true, c.change()) }, brings: true,
			read: [2]string{declined + " " + allOfIt, gone + " " + declined}, write: [2]string{"sync(2 heads, 1 change)", "sync(1 head, 0 changes)"}, none: gone},
		{name: "ephemeral", do: func(c *cell) {
			c.send(&wire.Ephemeral{Route: c.route(), Document: c.doc, SessionID: "s", Count: 1, Data: []byte{0x61, 'x'}})
		}},
		{name: "doc-unavailable", do: func(c *cell) { c.send(&wire.Unavailable{Route: c.route(), Document: c.doc}) }},
		{name: "subscription", do: func(c *cell) { c.send(&wire.RemoteSubscription{Route: c.route(), Add: []string{c.p.StorageID()}}) }},
		{name: "remote heads", do: func(c *cell) {
			heads := map[string]wire.RemoteHead{"forged": {Heads: []string{c.own.Hash.Base58()}, Time: time.Now()}}
			c.send(&wire.RemoteHeads{Route: c.route(), Document: c.doc, Heads: heads})
		}},
		{name: "notice", do: func(c *cell) {
			c.send(&wire.Notice{Route: c.route(), Code: wire.NoticeUnavailable, Document: c.doc})
		}},
		{name: "digest", do: func(c *cell) {
			c.send(&wire.Digest{Route: c.route(), Document: c.doc, Heads: []id.Hash{c.own.Hash}, Sum: [wire.DigestSize]byte{1}})
		}},
		{name: "token that is bad", do: func(c *cell) { c.send(&wire.Token{Route: c.route(), Token: "x"}) },
			read: [2]string{refused, refused}, write: [2]string{refused, refused}, none: refused},
		{name: "sender forged", do: func(c *cell) {
			route := wire.Route{SenderID: "somebody else", TargetID: c.PeerID}
			c.send(&wire.Sync{Route: route, Document: c.doc, Data: c.change().Encode()})
		}},
	}
}

func (c *cell) change() *session.Message {
	return &session.Message{V2: true, Heads: []id.Hash{c.own.Hash}, Have: []session.Have{{}}, HasFlags: true, Chunks: [][]byte{c.own.Raw()}}
}

func (c *cell) sync(request bool, m *session.Message) {
	c.send(&wire.Sync{Route: c.route(), Request: request, Document: c.doc, Data: m.Encode()})
}

// fence returns when the peer has acted on all that the client has sent before, and
// the client has read all that was sent to it: that is in frames then. closed is the
// close code, if there is one.
func (c *cell) fence() (closed wire.CloseCode) {
	c.t.Helper()
	ask := (&session.Message{V2: true, Have: []session.Have{{}}}).Encode()
	for range 2 {
		probe := id.NewDocument()
		c.client.send(&wire.Sync{Route: c.route(), Request: true, Document: probe, Data: ask})
		for done := false; !done; {
			b, err := c.frame()
			if err != nil {
				return wire.CloseCode(websocket.CloseStatus(err))
			}
			m, err := wire.Decode(b)
			if err != nil {
				c.t.Fatal(err)
			}
			if u, ok := m.(*wire.Unavailable); ok && u.Document == probe {
				done = true
			} else {
				c.frames = append(c.frames, b)
			}
		}
		if c.p.desks.get(c.doc) != nil { // what it had to do is in its inbox
			if err := c.p.ask(bounded(c.t), c.doc, func(*desk) error { return nil }); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return 0
}

// stored is how many changes of the document the peer has.
func (c *cell) stored() int64 {
	c.t.Helper()
	stat, err := c.p.store.Document(bounded(c.t), c.doc)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		c.t.Fatal(err)
	}
	return stat.Changes
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

// TestAccessMatrix tries each role with each message on documents that it is granted
// and not, that are there and not. What is not there and what is not granted look
// the same, byte for byte; what is not granted is not stored.
func TestAccessMatrix(t *testing.T) {
	issuer := accesstest.NewIssuer(t)
	p, scratch := newPeer(t), newPeer(t)
	l := listen(t, p, ListenOptions{Access: issuer.Verifier})
	var changes [2]*chunk.Change
	for i, text := range []string{"secret", "mine"} {
		d := create(t, scratch)
		do(t, d, note(text))
		changes[i] = changesOf(t, d)[0]
	}
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
						c := &cell{client: &client{t: t}, p: p, doc: idOfLength(28), own: changes[1]}
						want, stored := d.none, int64(0)
						if there {
							stored++
							if _, err := p.Import(bounded(t), c.doc, changes[0].Raw()); err != nil {
								t.Fatal(err)
							}
						}
						subject := c.doc
						if !granted {
							subject = id.NewDocument()
						}
						c.client = dialRaw(t, l.URL(), bearing(issuer.Token("subject", r.rules(subject)...)))
						if err := c.join(wire.Metadata{Syncline: wire.Syncline}); err != nil {
							t.Fatal(err)
						}
						d.do(c)
						closed := c.fence()
						switch may {
						case access.Read:
							want = d.read[n]
						case access.Write:
							want = d.write[n]
							if d.brings {
								stored++
							}
						}
						where := fmt.Sprintf("granted %t (%s), there %t", granted, may, there)
						if got := accesstest.Told(t, c.frames, closed); got != want {
							t.Errorf("%s: gets %q, want %q", where, got, want)
						}
						if n := c.stored(); n != stored {
							t.Errorf("%s: %d changes are stored, want %d", where, n, stored)
						}
						frames[n] = bytes.ReplaceAll(bytes.Join(c.frames, nil), []byte(c.doc.String()), []byte("THE DOCUMENT"))
						c.ws.CloseNow()
					}
					if may == access.None && !bytes.Equal(frames[0], frames[1]) {
						t.Errorf("what is there and what is not differ:\n%x\n%x", frames[0], frames[1])
					}
				}
			})
		}
	}
}

// bearing is a request with a token in its header.
func bearing(token string) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}}
}
