package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// connID numbers the connections of a relay.
type connID uint64

// conn is one client's connection after its handshake. Its reader, which is the
// goroutine that accepted it, decodes and checks what the client sends and hands
// it to rooms; package socket does the rest.
type conn struct {
	// Static after construction.
	id     connID
	relay  *Relay
	ws     *socket.Conn
	ctx    context.Context // ends when the connection begins to close
	remote wire.Remote
	log    *slog.Logger

	// Owned by the reader.
	docs map[id.Document]struct{} // whose rooms it has entered
}

func newConn(r *Relay, n connID, ws *websocket.Conn, pulse *socket.Pulse, remote wire.Remote) *conn {
	c := &conn{
		id:     n,
		relay:  r,
		remote: remote,
		log:    r.o.Log.With("conn", uint64(n), "peer", remote.PeerID),
		docs:   make(map[id.Document]struct{}),
	}
	c.ws = socket.New(ws, pulse, socket.Options{
		PingInterval: r.o.PingInterval,
		MaxSilence:   r.o.MaxSilence,
		WriteTimeout: r.o.WriteTimeout,
		CloseTimeout: r.o.CloseTimeout,
		MaxQueue:     r.o.MaxQueue,
		Counters:     &r.count.sockets,
		Log:          c.log,
	})
	c.ctx = c.ws.Context()
	return c
}

// run serves the connection until it is closed by either end, and returns when
// its goroutines have ended and its sessions have left their rooms.
func (c *conn) run() {
	var err error
	c.ws.Run(func() {
		err = c.read()
		c.leaveRooms()
	})
	e := c.ws.End()
	c.log.Info("connection closed", "reason", e.Reason, "code", uint16(e.Code), "err", err)
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

// sendError tells the client what went wrong.
func (c *conn) sendError(text string) {
	c.send(&wire.Error{Route: c.route(), Message: text})
}

// sendRefusal tells the client that a change of its fails a check.
func (c *conn) sendRefusal(doc id.Document, hash id.Hash, err error) {
	c.log.Warn("change refused", "doc", doc, "hash", hash, "err", err)
	text := fmt.Sprintf("document %s: %s", doc, err)
	if c.remote.Metadata.Syncline == 0 {
		c.sendError(text)
		return
	}
	c.send(&wire.Notice{Route: c.route(), Code: wire.NoticeRejectedChange, Document: doc, Hash: hash, Message: text})
}

// refuse tells the client why, and closes.
func (c *conn) refuse(code wire.CloseCode, err error) {
	c.relay.count.refused.Add(1)
	c.log.Warn("connection refused", "code", uint16(code), "err", err)
	c.sendError(err.Error())
	c.ws.Close(code, err.Error())
}

// route is the way of a message from the relay to this client.
func (c *conn) route() wire.Route {
	return wire.Route{SenderID: c.relay.local.PeerID, TargetID: c.remote.PeerID}
}

// read acts on frames until the socket ends.
func (c *conn) read() error {
	for {
		frame, err := c.ws.Next()
		if err == nil {
			err = c.receive(frame)
		} else if !errors.Is(err, wire.ErrFrame) {
			return err
		}
		if err != nil {
			c.refuse(socket.CodeOf(err), err)
		}
	}
}
