package light

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// ConnOptions are how a Conn is made. The zero is usable.
type ConnOptions struct {
	// HTTP opens the socket. nil: the default client.
	HTTP *http.Client
	// Ended is told, once, why the connection has ended when it was not by Close.
	Ended func(error)
}

// Conn is a connection that speaks the automerge-repo protocol. Close it.
type Conn struct {
	o      ConnOptions
	ctx    context.Context
	cancel context.CancelFunc
	ws     *websocket.Conn
	route  wire.Route
	done   chan struct{}

	mu    sync.Mutex
	docs  map[id.Document]*Replica
	stall chan struct{} // while nothing is read; closed when it is again
}

// Dial connects to a server and shakes hands. The connection ends with ctx.
func Dial(ctx context.Context, url string, o ConnOptions) (*Conn, error) {
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: o.HTTP})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	name := id.NewDocument().String() // any random name
	local := wire.Local{PeerID: name, Metadata: wire.Metadata{Ephemeral: true}}
	far, err := local.Connect(ctx, socket.Frames(ws))
	if err != nil {
		ws.CloseNow()
		return nil, err
	}
	c := &Conn{o: o, ws: ws, route: wire.Route{SenderID: name, TargetID: far.PeerID}, done: make(chan struct{}), docs: make(map[id.Document]*Replica)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	go c.read()
	return c, nil
}

func (c *Conn) read() {
	defer close(c.done)
	for {
		_, frame, err := c.ws.Read(c.ctx)
		if err == nil {
			c.mu.Lock()
			stall := c.stall
			c.mu.Unlock()
			if stall != nil {
				select {
				case <-stall:
				case <-c.ctx.Done():
				}
			}
			err = c.receive(frame)
		}
		if err != nil {
			if c.ctx.Err() == nil && c.o.Ended != nil {
				c.o.Ended(err)
			}
			return
		}
	}
}

// Stall has the connection read nothing, but one frame at most, until resume is
// called. It answers no pings either then.
func (c *Conn) Stall() (resume func()) {
	stall := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stall = stall
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stall = nil
		close(stall)
	})
}

func (c *Conn) receive(frame []byte) error {
	m, err := wire.Decode(frame)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.Sync:
		if r := c.replica(m.Document); r != nil { // or this client never asked for it
			return r.Receive(m.Data)
		}
	case *wire.Unavailable:
		if r := c.replica(m.Document); r != nil && r.waits() {
			return fmt.Errorf("document %s is unavailable", m.Document)
		}
	case *wire.Error:
		return fmt.Errorf("the server says: %s", m.Message)
	}
	return nil
}

func (c *Conn) replica(doc id.Document) *Replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.docs[doc]
}

// Open begins to keep a replica in step with the server.
func (c *Conn) Open(r *Replica) error { return c.open(r, false) }

// Resume is Open on top of what the replica's last session shared with the server.
func (c *Conn) Resume(r *Replica) error { return c.open(r, true) }

func (c *Conn) open(r *Replica, resumed bool) error {
	c.mu.Lock()
	c.docs[r.doc] = r
	c.mu.Unlock()
	return r.Open(func(data []byte, request bool) error {
		b, err := wire.Encode(&wire.Sync{Route: c.route, Request: request, Document: r.doc, Data: data})
		if err != nil {
			return err
		}
		return c.ws.Write(c.ctx, websocket.MessageBinary, b)
	}, resumed)
}

// Close cuts the connection, without a closing handshake, and has its replicas leave.
func (c *Conn) Close() {
	c.cancel()
	c.ws.CloseNow()
	<-c.done
	for _, r := range c.docs {
		r.Leave()
	}
}
