package peer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access/accesstest"
	"syncline/relay/wire/socket"
)

func listen(t *testing.T, p *Peer, o ListenOptions) *Listener {
	t.Helper()
	l, err := p.Listen(bounded(t), "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// client is a raw client of a listening peer.
type client struct {
	t  *testing.T
	ws *websocket.Conn
	wire.Remote
}

func dialRaw(t *testing.T, url string, o *websocket.DialOptions) *client {
	t.Helper()
	ws, _, err := websocket.Dial(bounded(t), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t: t, ws: ws}
}

func (c *client) join(m wire.Metadata) error {
	c.t.Helper()
	var err error
	c.Remote, err = wire.Local{PeerID: "raw", Metadata: m}.Connect(bounded(c.t), socket.Frames(c.ws))
	return err
}

func (c *client) send(m wire.Message) {
	c.t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(b)
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if err := c.ws.Write(bounded(c.t), websocket.MessageBinary, b); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next message, or the error with which the connection ended.
func (c *client) next() (wire.Message, error) {
	b, err := c.frame()
	if err != nil {
		return nil, err
	}
	return wire.Decode(b)
}

func (c *client) frame() ([]byte, error) { return socket.Frames(c.ws).ReadFrame(bounded(c.t)) }

// closedWith reads an error message and then the close, and returns its code.
func (c *client) closedWith() wire.CloseCode {
	c.t.Helper()
	said := false
	for {
		m, err := c.next()
		if err != nil {
			if !said {
				c.t.Errorf("closed without an error message: %v", err)
			}
			return wire.CloseCode(websocket.CloseStatus(err))
		}
		if _, ok := m.(*wire.Error); ok {
			said = true
		}
	}
}

func (c *client) route() wire.Route { return wire.Route{SenderID: "raw", TargetID: c.PeerID} }

func TestMalformedInputEndsAConnection(t *testing.T) {
	p := newPeer(t)
	d := create(t, p)
	do(t, d, note("a"))
	l := listen(t, p, ListenOptions{})
	cases := map[string]func(c *client){
		"a frame that is no CBOR":       func(c *client) { c.write([]byte{0xff, 0x00}) },
		"a sync message that is none":   func(c *client) { c.send(&wire.Sync{Route: c.route(), Document: d.ID(), Data: []byte{1, 2, 3}}) },
		"a frame that is a text":        func(c *client) { c.ws.Write(context.Background(), websocket.MessageText, []byte("hello")) },
		"a message without its members": func(c *client) { c.write([]byte{0xa1, 0x64, 't', 'y', 'p', 'e', 0x64, 's', 'y', 'n', 'c'}) },
	}
	for name, bad := range cases {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, l.URL(), nil)
			if err := c.join(wire.Metadata{}); err != nil {
				t.Fatal(err)
			}
			bad(c)
			if code := c.closedWith(); code != wire.CloseProtocol {
				t.Errorf("closed with %v", code)
			}
		})
	}
	t.Run("a first message that is no join", func(t *testing.T) {
		c := dialRaw(t, l.URL(), nil)
		c.send(&wire.Sync{Route: wire.Route{SenderID: "raw", TargetID: "x"}, Document: d.ID(), Data: []byte{1}})
		if code := c.closedWith(); code != wire.CloseProtocol {
			t.Errorf("closed with %v", code)
		}
	})
	t.Run("chunks that cannot be read end the session only", func(t *testing.T) {
		c := dialRaw(t, l.URL(), nil)
		if err := c.join(wire.Metadata{}); err != nil {
			t.Fatal(err)
		}
		bad := (&session.Message{Heads: []id.Hash{{1}}, Chunks: [][]byte{make([]byte, 20)}}).Encode()
		c.send(&wire.Sync{Route: c.route(), Document: d.ID(), Data: bad})
		if m, err := c.next(); err != nil || m.Type() != "error" {
			t.Fatalf("%v, %v, want an error", m, err)
		}
		other := create(t, p)
		do(t, other, note("b"))
		ask := (&session.Message{Have: make([]session.Have, 1)}).Encode()
		c.send(&wire.Sync{Route: c.route(), Request: true, Document: other.ID(), Data: ask})
		m, err := c.next()
		if s, ok := m.(*wire.Sync); err != nil || !ok || s.Document != other.ID() {
			t.Errorf("%v, %v, want the other document", m, err)
		}
	})
}

func TestWhoMayConnect(t *testing.T) {
	i := accesstest.NewIssuer(t) // its verifier outlives the peer
	p := newPeer(t)
	signed := i.Token("alice", accesstest.WritesAll)
	l := listen(t, p, ListenOptions{Tokens: []string{"open sesame"}, Access: i.Verifier})
	cases := []struct {
		name string
		dial *websocket.DialOptions
		meta wire.Metadata
		ok   bool
	}{
		{"in the header", bearing("open sesame"), wire.Metadata{}, true},
		{"signed", bearing(signed), wire.Metadata{}, true},
		{"as a subprotocol", &websocket.DialOptions{Subprotocols: []string{"syncline.v1", "bearer." + signed}}, wire.Metadata{}, true},
		{"in the join", nil, wire.Metadata{Token: signed}, true},
		{"a wrong one", bearing("open simsim"), wire.Metadata{}, false},
		{"none", nil, wire.Metadata{}, false},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			c := dialRaw(t, l.URL(), k.dial)
			err := c.join(k.meta)
			if k.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, wire.ErrRefused) || !strings.Contains(err.Error(), "access token") {
				t.Errorf("join: %v", err)
			}
			if _, err := c.next(); websocket.CloseStatus(err) != websocket.StatusCode(wire.CloseUnauthorised) {
				t.Errorf("closed with %v", err)
			}
		})
	}
	// A peer sends its token by itself.
	d := create(t, p)
	do(t, d, note("a"))
	other := newPeer(t)
	fetch(t, other, d.ID())
	if _, err := other.Sync(bounded(t), SyncOptions{Remotes: []Remote{{URL: l.URL(), Token: signed}}}); err != nil {
		t.Error(err)
	}
	if _, err := other.Sync(bounded(t), SyncOptions{Remotes: []Remote{{URL: l.URL(), Token: "forged"}}}); !errors.Is(err, wire.ErrRefused) {
		t.Errorf("with a wrong token: %v", err)
	}
}

// Who is told that a document is not here hears of it when it is, also where he may not
// bring it himself.
func TestWhoAskedForADocumentThatWasKeptOutHearsOfItLater(t *testing.T) {
	p, other := newPeer(t), newPeer(t)
	d := create(t, other)
	do(t, d, note("a"))
	saved, err := d.Save(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, listen(t, p, ListenOptions{RefuseNew: true}).URL(), nil)
	if err := c.join(wire.Metadata{}); err != nil {
		t.Fatal(err)
	}
	ask := (&session.Message{Have: make([]session.Have, 1)}).Encode()
	c.send(&wire.Sync{Route: c.route(), Request: true, Document: d.ID(), Data: ask})
	if m, err := c.next(); err != nil {
		t.Fatal(err)
	} else if u, ok := m.(*wire.Unavailable); !ok || u.Document != d.ID() {
		t.Fatalf("asked for what is not there: %+v", m)
	}
	if _, err := p.Import(bounded(t), d.ID(), saved); err != nil {
		t.Fatal(err)
	}
	m, err := c.next()
	if err != nil {
		t.Fatal(err)
	}
	sync, ok := m.(*wire.Sync)
	if !ok || sync.Document != d.ID() {
		t.Fatalf("when it has come: %+v", m)
	}
	msg, err := session.Decode(sync.Data)
	if err != nil || !slices.Equal(msg.Heads, headsOf(t, d)) {
		t.Errorf("heads %v, %v, want %v", msg.Heads, err, headsOf(t, d))
	}
}

func TestNewDocumentsAreKeptOutIfAsked(t *testing.T) {
	p := newPeer(t)
	l := listen(t, p, ListenOptions{RefuseNew: true})
	other := newPeer(t, l.URL())
	d := create(t, other)
	do(t, d, note("a"))
	results, err := other.Sync(bounded(t), SyncOptions{})
	if !errors.Is(err, ErrNotSynced) || len(results) != 1 || !errors.Is(results[0].Err, ErrDeclined) {
		t.Errorf("%+v, %v", results, err)
	}
	if docs, err := p.Documents(bounded(t)); err != nil || len(docs) != 0 {
		t.Errorf("documents %v, %v", docs, err)
	}
	if _, err := p.Listen(bounded(t), l.Addr().String(), ListenOptions{}); err == nil {
		t.Error("two listen on one address")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
