package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// connID numbers the connections of a relay.
type connID uint64

// conn is one client's connection after its handshake. Its reader, which is the
// goroutine that accepted it, decodes and checks what the client sends and hands
// it to rooms; package socket does the rest.
type conn struct {
	// Static after construction.
	id      connID
	relay   *Relay
	ws      Transport
	socket  *socket.Conn    // ws, but in a simulation
	ctx     context.Context // ends when the connection begins to close
	remote  wire.Remote
	address string
	since   time.Time
	log     *slog.Logger
	account *account // nil: nobody's
	pace    pace
	pass    *access.Pass
	target  []byte // the end of a shared frame

	// Owned by the reader.
	docs    map[id.Document]struct{} // whose rooms it has entered
	decoder wire.Decoder

	subscriptions     atomic.Pointer[map[string]struct{}] // to heads, by storage id
	documents         atomic.Int64                        // in docs
	bytesIn, bytesOut atomic.Int64                        // of messages
}

// guest is who a connection is for, once it has joined.
type guest struct {
	remote  wire.Remote
	address string
	grant   access.Grant
	account *account
}

// Transport is what a connection sends on: a *socket.Conn, but in a simulation.
type Transport interface {
	// Context ends when the connection begins to close.
	Context() context.Context
	// Send queues a frame, and then is called, unless nil, when it has left.
	Send(frame []byte, then func())
	// SendJoined is Send of two parts of a frame.
	SendJoined(frame, end []byte, then func())
	// Close begins to close; it reports false if that has begun.
	Close(code wire.CloseCode, reason string) bool
	// Queued is how many bytes wait to be sent.
	Queued() int
}

func newConn(r *Relay, n connID, ws *websocket.Conn, line *socket.Line, pulse *socket.Pulse, g guest) *conn {
	c := makeConn(r, n, g)
	c.socket = socket.New(ws, pulse, socket.Options{
		PingInterval: r.o.PingInterval,
		MaxSilence:   r.o.MaxSilence,
		StallTimeout: r.o.StallTimeout,
		WriteTimeout: r.o.WriteTimeout,
		CloseTimeout: r.o.CloseTimeout,
		MaxQueue:     r.o.MaxQueue,
		Line:         line,
		Counters:     &r.metrics.Sockets,
		Log:          c.log,
	})
	c.open(c.socket, g.grant)
	return c
}

// makeConn returns a connection that is not open yet.
func makeConn(r *Relay, n connID, g guest) *conn {
	return &conn{
		id:      n,
		relay:   r,
		remote:  g.remote,
		address: g.address,
		since:   time.Now(),
		log:     r.o.Log.With("conn", uint64(n), "peer", g.remote.PeerID),
		account: g.account,
		pace:    newPace(r.o, 1),
		docs:    make(map[id.Document]struct{}),
		target:  wire.Target(g.remote.PeerID),
	}
}

func (c *conn) open(t Transport, g access.Grant) {
	c.ws, c.ctx = t, t.Context()
	c.pass = access.NewPass(c.relay.gate, g, c.expired)
}

// run serves the connection until it is closed by either end, and returns when
// its goroutines have ended and its sessions have left their rooms.
func (c *conn) run() {
	var err error
	c.socket.Run(func() {
		err = c.read()
		c.leaveRooms()
	})
	c.left()
	e := c.socket.End()
	c.relay.metrics.Closed(e.Code, e.Lost)
	c.log.Info("connection closed", "reason", e.Reason, "code", uint16(e.Code), "err", err)
}

// left gives back what a connection holds that has left its rooms.
func (c *conn) left() {
	c.pass.Stop()
	c.unsubscribe()
}

// storage is the client's storage id, "" if what it has ends with it.
func (c *conn) storage() string {
	if c.remote.Metadata.Ephemeral {
		return ""
	}
	return c.remote.Metadata.StorageID
}

// send queues a message. It never blocks.
func (c *conn) send(m wire.Message) {
	b, err := wire.Encode(m)
	if err != nil {
		c.log.Error("message not sent", "type", m.Type(), "err", err)
		return
	}
	c.bytesOut.Add(int64(len(b)))
	c.ws.Send(b, nil)
}

// sendFrame queues a frame that EncodeShared began, and has the writer call then when
// it has left.
func (c *conn) sendFrame(frame []byte, then func()) {
	if frame == nil {
		return
	}
	c.bytesOut.Add(int64(len(frame) + len(c.target)))
	c.ws.SendJoined(frame, c.target, then)
}

// sendError tells the client what went wrong.
func (c *conn) sendError(text string) {
	c.send(&wire.Error{Route: c.route(), Message: text})
}

// notice tells a Syncline end, and any other as an error.
func (c *conn) notice(n wire.Notice) {
	if c.remote.Metadata.Syncline == 0 {
		c.sendError(n.Message)
		return
	}
	n.Route = c.route()
	c.send(&n)
}

// sendRefusal tells the client that a change of its is not taken: it fails a check,
// or comes from somebody who may only read.
func (c *conn) sendRefusal(doc id.Document, hash id.Hash, err error) {
	n := wire.Notice{Code: wire.NoticeRejectedChange, Document: doc, Hash: hash, Message: fmt.Sprintf("document %s: %s", doc, err)}
	why := operate.RejectUnfit
	switch {
	case errors.Is(err, access.ErrReadOnly):
		why, n.Code = operate.RejectForbidden, wire.NoticeReadOnly
	case hash == id.Hash{}:
		why = operate.RejectMalformed
	}
	c.relay.metrics.Rejected[why].Inc()
	c.log.Warn("change refused", "doc", doc, "hash", hash, "err", err)
	c.notice(n)
}

// refuse tells the client why, and closes.
func (c *conn) refuse(code wire.CloseCode, err error) {
	c.relay.refused(code, err, c.address, c.remote.PeerID)
	c.log.Warn("connection refused", "code", uint16(code), "err", err)
	if n, ok := closingNotices[code]; ok && c.remote.Metadata.Syncline > 0 {
		c.notice(wire.Notice{Code: n.code, RetryAfter: n.retry, Message: err.Error()})
	} else {
		c.sendError(err.Error())
	}
	c.ws.Close(code, err.Error())
}

// closingNotices are what a Syncline end is told before the close, with when to
// come back.
var closingNotices = map[wire.CloseCode]struct {
	code  wire.NoticeCode
	retry time.Duration
}{
	wire.CloseOverLimit: {wire.NoticeOverLimit, time.Minute},
	wire.CloseReadOnly:  {wire.NoticeStorageFull, 30 * time.Second},
	wire.CloseDraining:  {wire.NoticeDraining, 0},
}

// route is the way of a message from the relay to this client.
func (c *conn) route() wire.Route {
	return wire.Route{SenderID: c.relay.local.PeerID, TargetID: c.remote.PeerID}
}

// read acts on frames until the socket ends.
func (c *conn) read() error {
	for {
		frame, err := c.socket.Next()
		c.bytesIn.Add(int64(len(frame)))
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
	if err != nil {
		c.refuse(socket.CodeOf(err), err)
	}
}
