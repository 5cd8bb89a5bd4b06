package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// conn is one connection after its handshake, whoever has dialled. Its reader,
// which is the caller of run, decodes and checks what the other end sends and
// hands it to desks; package socket does the rest.
type conn struct {
	// Static after construction.
	id     connID
	p      *Peer
	ws     Transport
	socket *socket.Conn    // ws, but in a simulation
	ctx    context.Context // ends when the connection begins to close
	remote wire.Remote
	self   string // our peer id on this connection
	log    *slog.Logger
	dialed bool                  // by us: we say the first word on each document
	peers  bool                  // the other end is a peer, as far as we know, and not a relay
	link   *link                 // what it is for; nil if it was accepted or is Sync's
	only   map[id.Document]bool  // what is carried; nil: of a dialled one all, of an accepted one what it asks for
	held   map[id.Document]error // what is not carried, and why
	admits bool                  // it may bring documents that we do not have
	gate   access.Gate           // of an accepted connection
	pass   *access.Pass          // what the other end may do; nil if we have dialled

	count connCounters

	mu       sync.Mutex
	docs     map[id.Document]*carried
	awaited  map[id.Document]struct{} // the other end may not bring them, and hears of them when they are there
	rest     int                      // how many of docs are not busy
	progress chan struct{}            // closed when the standing of a document changes
	said     *Fault                   // what the other end said last of the connection as a whole
}

type connCounters struct {
	socket                socket.Counters
	changesIn, changesOut atomic.Int64
}

// carried is a document on a connection.
type carried struct {
	met  bool // the session has begun on this connection
	anew bool // the next one is not the first
	now  standing
	err  error  // with standingBarred and standingApart
	free func() // gives a carrier's slot back; nil if it holds none

	digests allowance
}

// Transport is what a connection sends on: a *socket.Conn, but in a simulation.
type Transport interface {
	// Context ends when the connection begins to close.
	Context() context.Context
	// Send queues a frame, and then is called, unless nil, when it has left.
	Send(frame []byte, then func())
	// Close begins to close; it reports false if that has begun.
	Close(code wire.CloseCode, reason string) bool
}

// newConn returns a connection over a WebSocket. line is what is under one of this
// end's server; nil under one that it dialled.
func (p *Peer) newConn(ws *websocket.Conn, line *socket.Line, self string, remote wire.Remote, pulse *socket.Pulse) *conn {
	c := p.makeConn(self, remote)
	c.socket = socket.New(ws, pulse, socket.Options{
		PingInterval: p.o.PingInterval,
		MaxSilence:   p.o.MaxSilence,
		WriteTimeout: p.o.WriteTimeout,
		CloseTimeout: p.o.CloseTimeout,
		MaxQueue:     p.o.MaxQueue,
		Line:         line,
		Counters:     &c.count.socket,
		Log:          c.log,
	})
	c.open(c.socket)
	return c
}

// makeConn returns a connection that is not open yet.
func (p *Peer) makeConn(self string, remote wire.Remote) *conn {
	n := connID(p.lastConn.Add(1))
	return &conn{
		id: n, p: p, remote: remote, self: self,
		log:  p.o.Log.With("conn", uint64(n), "peer", remote.PeerID),
		docs: make(map[id.Document]*carried), awaited: make(map[id.Document]struct{}), progress: make(chan struct{}),
	}
}

func (c *conn) open(t Transport) { c.ws, c.ctx = t, t.Context() }

// run serves the connection until it is closed by either end, and returns when
// its goroutines have ended and its sessions have been left. The error is nil
// after a close that was ours.
func (c *conn) run() error {
	var err error
	var carrying sync.WaitGroup
	c.socket.Run(func() {
		if c.dialed {
			carrying.Go(c.carryAll)
		}
		err = c.read()
		c.left()
	})
	carrying.Wait()
	return c.ended(c.socket.End(), err)
}

// left leaves the sessions.
func (c *conn) left() {
	c.p.unregister(c)
	c.p.desks.tellAll(leave{conn: c.id})
}

// ended is what run returns.
func (c *conn) ended(e socket.Ending, err error) error {
	c.log.Info("connection closed", "reason", e.Reason, "code", uint16(e.Code), "err", err)
	return c.fault(e, err)
}

// fault is what the connection ended with: nil if that was our wish, else a *Fault.
func (c *conn) fault(e socket.Ending, err error) error {
	var f *Fault
	switch {
	case e.Lost:
		f = faultOf(fmt.Errorf("connection with %s lost: %w", c.remote.PeerID, err))
	case e.Code == wire.CloseNormal && e.Reason == bye:
		return nil
	case e.Code == wire.CloseNormal:
		f = &Fault{Class: ClassTimeout, Err: fmt.Errorf("connection with %s lost: %s", c.remote.PeerID, e.Reason)}
	default:
		f = &Fault{Class: classOfCode(e.Code), Err: fmt.Errorf("connection with %s closed (%s): %s", c.remote.PeerID, e.Code, e.Reason)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said != nil && (f.Class == c.said.Class || f.Class == ClassLost) {
		f.Class, f.RetryAfter = c.said.Class, c.said.RetryAfter
	}
	return f
}

// send queues a message. It never blocks.
func (c *conn) send(m wire.Message) { c.sendThen(m, nil) }

// sendThen queues a message, and has the writer call then when it has left.
func (c *conn) sendThen(m wire.Message, then func()) {
	b, err := wire.Encode(m)
	if err != nil {
		c.log.Error("message not sent", "type", m.Type(), "err", err)
		return
	}
	c.ws.Send(b, then)
}

// sendRefusal tells the other end that a change of its is not taken: it fails a check,
// or comes from an end that may only read.
func (c *conn) sendRefusal(doc id.Document, hash id.Hash, err error) {
	c.log.Warn("change refused", "doc", doc.String(), "hash", hash, "err", err)
	text, code := fmt.Sprintf("document %s: %s", doc, err), wire.NoticeRejectedChange
	if errors.Is(err, access.ErrReadOnly) {
		code = wire.NoticeReadOnly
	}
	switch {
	case c.remote.Metadata.Syncline > 0:
		c.send(&wire.Notice{Route: c.route(), Code: code, Document: doc, Hash: hash, Message: text})
	case !c.dialed: // a stock server expects no errors from clients
		c.send(&wire.Error{Route: c.route(), Message: text})
	}
}

// refuse tells the other end why, and closes.
func (c *conn) refuse(code wire.CloseCode, err error) {
	c.log.Warn("connection refused", "code", uint16(code), "err", err)
	if !c.dialed || c.remote.Metadata.Syncline > 0 {
		c.send(&wire.Error{Route: c.route(), Message: err.Error()})
	}
	c.ws.Close(code, err.Error())
}

// route is the way of a message from us to the other end.
func (c *conn) route() wire.Route {
	return wire.Route{SenderID: c.self, TargetID: c.remote.PeerID}
}

// read acts on frames until the socket ends.
func (c *conn) read() error {
	for {
		frame, err := c.socket.Next()
		if err == nil {
			err = c.receive(frame)
		} else if !errors.Is(err, wire.ErrFrame) {
			return err
		}
		c.closeFor(err)
	}
}

// closeFor refuses to go on because of what a frame brought, unless err is nil.
func (c *conn) closeFor(err error) {
	if err != nil && c.ctx.Err() == nil {
		c.refuse(socket.CodeOf(err), err)
	}
}
