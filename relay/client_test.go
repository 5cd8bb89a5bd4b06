package relay

import (
	"cmp"
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
	"syncline/storage"
)

// patience bounds every wait of a test; no test waits for it to pass.
const patience = 30 * time.Second

// bounded is the context of one wait.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// server is a relay on a port, over a store of its own.
type server struct {
	*Relay
	url   string
	store *storage.Store
	path  string
	stop  func()
}

func openStore(t testing.TB, path string) *storage.Store {
	t.Helper()
	store, err := storage.Open(t.Context(), path, storage.Options{Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func serve(t testing.TB, o Options) *server {
	t.Helper()
	return serveOn(t, filepath.Join(t.TempDir(), "relay.db"), o)
}

func serveOn(t testing.TB, path string, o Options) *server {
	t.Helper()
	o.Store = openStore(t, path)
	if _, ok := t.(*testing.T); ok && o.IdleBytes == 0 {
		o.IdleBytes = 1 // every room rests whenever it can
	}
	// A client of these tests reads when it is its turn, however long that takes: it is
	// given up for that only where the test says so.
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, time.Hour)
	o.MaxSilence = cmp.Or(o.MaxSilence, time.Hour)
	o.StallTimeout = cmp.Or(o.StallTimeout, time.Hour)
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	s := &server{Relay: r, url: "ws://" + l.Addr().String(), store: o.Store, path: path}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := o.Store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// client is a peer on a WebSocket, as a stock client is, in one goroutine.
type client struct {
	t    testing.TB
	ws   *websocket.Conn
	peer string
	far  wire.Remote
	docs map[id.Document]*replica

	// What came, but sync messages.
	gossip      []*wire.Ephemeral
	unavailable []id.Document
	errors      []string
	heads       []*wire.RemoteHeads
	notices     []*wire.Notice
}

// upgrade connects without a handshake.
func upgrade(t testing.TB, url, peer string) *client {
	t.Helper()
	return dial(t, url, peer, nil)
}

func dial(t testing.TB, url, peer string, o *websocket.DialOptions) *client {
	t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t: t, ws: ws, peer: peer, docs: make(map[id.Document]*replica)}
}

func join(t testing.TB, url, peer string) *client {
	t.Helper()
	return joinAs(t, url, wire.Local{PeerID: peer, Metadata: wire.Metadata{Ephemeral: true}})
}

func joinAs(t testing.TB, url string, l wire.Local) *client {
	t.Helper()
	c := upgrade(t, url, l.PeerID)
	c.handshake(l)
	return c
}

func (c *client) handshake(l wire.Local) {
	c.t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	far, err := l.Connect(ctx, socket.Frames(c.ws))
	if err != nil {
		c.t.Fatal(err)
	}
	c.far = far
}

func (c *client) route() wire.Route { return wire.Route{SenderID: c.peer, TargetID: c.far.PeerID} }

func (c *client) send(m wire.Message) {
	c.t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.sendFrame(b)
}

func (c *client) sendFrame(b []byte) {
	c.t.Helper()
	if err := c.write(websocket.MessageBinary, b); err != nil {
		// The relay has closed. What it said before is there to be read, and a read fails
		// where something else is waited for.
		c.t.Logf("%s: %v", c.peer, err)
	}
}

func (c *client) write(typ websocket.MessageType, b []byte) error {
	ctx, cancel := bounded()
	defer cancel()
	return c.ws.Write(ctx, typ, b)
}

func (c *client) read() ([]byte, error) {
	ctx, cancel := bounded()
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	return b, err
}

// sync sends what the replica has to say, if anything.
func (c *client) sync(r *replica) {
	c.t.Helper()
	c.docs[r.doc] = r
	if data := r.generate(); data != nil {
		c.send(&wire.Sync{Route: c.route(), Request: r.g.Len() == 0 && !r.session.Synced(), Document: r.doc, Data: data})
	}
}

func (c *client) say(doc id.Document, session string, count uint64, data string) {
	c.t.Helper()
	c.send(&wire.Ephemeral{Route: c.route(), Document: doc, SessionID: session, Count: count, Data: []byte(data)})
}

// next reads one message, and answers it if it is a sync message.
func (c *client) next() (wire.Message, error) {
	b, err := c.read()
	if err != nil {
		return nil, err
	}
	m, err := wire.Decode(b)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *wire.Sync:
		if r := c.docs[m.Document]; r != nil {
			r.receive(m.Data)
			c.sync(r)
		}
	case *wire.Ephemeral:
		c.gossip = append(c.gossip, m)
	case *wire.Unavailable:
		c.unavailable = append(c.unavailable, m.Document)
	case *wire.Error:
		c.errors = append(c.errors, m.Message)
	case *wire.Notice:
		c.notices = append(c.notices, m)
	case *wire.RemoteHeads:
		c.heads = append(c.heads, m)
	}
	return m, nil
}

// until reads until the condition holds.
func (c *client) until(what string, cond func() bool) {
	c.t.Helper()
	for !cond() {
		if _, err := c.next(); err != nil {
			c.t.Fatalf("%s waits until %s: %v", c.peer, what, err)
		}
	}
}

// acked waits until the relay has said that it has all of the replica.
func (c *client) acked(r *replica) {
	c.t.Helper()
	c.until("its changes are acknowledged", r.session.Synced)
}

// fetch waits until the replica has the changes.
func (c *client) fetch(r *replica, hashes ...id.Hash) {
	c.t.Helper()
	c.until("changes have come", func() bool { return r.has(hashes...) })
}

// untilClosed reads until the relay closes, and returns the code.
func (c *client) untilClosed() wire.CloseCode {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			return closeCode(c.t, err)
		}
	}
}

// closeCode is the code of the close that ended a read.
func closeCode(t testing.TB, err error) wire.CloseCode {
	t.Helper()
	ce, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		t.Fatalf("no close frame but: %v", err)
	}
	return wire.CloseCode(ce.Code)
}

// alive checks that the relay serves this client: a request is answered.
func (c *client) alive() {
	c.t.Helper()
	r := newReplica(c.t, id.NewDocument(), "nobody")
	n := len(c.unavailable)
	c.sync(r)
	c.until("a request is answered", func() bool { return len(c.unavailable) > n })
}

// until waits for something that only shows in a counter.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}
