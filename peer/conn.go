package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// conn is one connection after its handshake, whoever has dialled. Three
// goroutines serve it: the reader, which is the caller of run, decodes and checks
// what the other end sends and hands it to desks; the writer empties the outbox;
// the pinger finds out that the other end is gone. The first reason to close
// stands, and whoever gives it does not wait.
type conn struct {
	// Static after construction.
	id     connID
	p      *Peer
	ws     *websocket.Conn
	remote wire.Remote
	self   string // our peer id on this connection
	log    *slog.Logger
	out    *outbox
	dialed bool                 // by us: we say the first word on each document
	only   map[id.Document]bool // what is carried; nil: of a dialled one all, of an accepted one what it asks for
	admits func() bool          // whether it may bring documents that we do not have

	// ctx ends when the connection begins to close. It bounds waits for others,
	// not reads from the socket: those must go on for the closing handshake.
	ctx    context.Context
	cancel context.CancelFunc

	heard *atomic.Bool // something arrived since the last ping
	busy  atomic.Bool  // the reader is working and cannot hear a pong
	count connCounters

	mu       sync.Mutex
	ending   *ending // nil while open
	docs     map[id.Document]*carried
	rest     int           // how many of docs are not busy
	progress chan struct{} // closed when the standing of a document changes
}

type connCounters struct {
	bytesIn, bytesOut, changesIn, changesOut atomic.Int64
}

// carried is a document on a connection.
type carried struct {
	met  bool // the session has begun on this connection
	now  standing
	err  error  // with standingBarred and standingApart
	free func() // gives a carrier's slot back; nil if it holds none
}

// ending is why and how a connection is closed.
type ending struct {
	code   wire.CloseCode
	reason string
	now    bool // the socket is of no more use: send nothing
}

func (p *Peer) newConn(ws *websocket.Conn, self string, remote wire.Remote, heard *atomic.Bool) *conn {
	n := connID(p.lastConn.Add(1))
	c := &conn{
		id: n, p: p, ws: ws, remote: remote, self: self, heard: heard,
		log: p.o.Log.With("conn", uint64(n), "peer", remote.PeerID),
		out: newOutbox(p.o.MaxQueue), docs: make(map[id.Document]*carried), progress: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// run serves the connection until it is closed by either end, and returns when
// its goroutines have ended and its sessions have been left. The error is nil
// after a close that was ours.
func (c *conn) run() error {
	var others, last sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	last.Go(func() { c.hurry(over, cancel) })
	others.Go(func() { c.write(ctx) })
	others.Go(c.ping)
	if c.dialed {
		others.Go(c.carryAll)
	}
	err := c.read()
	// Unless the connection is closing already, the other end closed or is lost.
	ours := !c.close(ending{code: wire.CloseNormal, reason: "the other end has closed", now: websocket.CloseStatus(err) == -1})
	c.p.unregister(c)
	c.p.desks.tellAll(leave{conn: c.id})
	others.Wait()
	close(over)
	last.Wait()
	e := c.end()
	c.log.Info("connection closed", "reason", e.reason, "code", uint16(e.code), "err", err)
	switch {
	case !ours:
		return fmt.Errorf("connection with %s lost: %w", c.remote.PeerID, err)
	case e.code != wire.CloseNormal && e.code != wire.CloseDraining:
		return fmt.Errorf("connection with %s closed (%s): %s", c.remote.PeerID, e.code, e.reason)
	}
	return nil
}

// close begins to close the connection. Only the first call counts, and reports
// true.
func (c *conn) close(e ending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return false
	}
	c.ending = &e
	// What the other end did not read so far it will not read now.
	c.out.close(e.now || e.code == wire.CloseSlow || e.code == wire.CloseReplaced)
	c.cancel()
	return true
}

// end is why the connection closes. It is open if the result's code is 0.
func (c *conn) end() ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		return ending{}
	}
	return *c.ending
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
	if !c.out.push(frame{b, then}) {
		c.close(ending{code: wire.CloseSlow, reason: fmt.Sprintf("more than %d bytes are waiting to be read", c.p.o.MaxQueue)})
	}
}

// sendRefusal tells the other end that a change it sent fails a check.
func (c *conn) sendRefusal(doc id.Document, hash id.Hash, err error) {
	c.log.Warn("change refused", "doc", doc.String(), "hash", hash, "err", err)
	text := fmt.Sprintf("document %s: %s", doc, err)
	switch {
	case c.remote.Metadata.Syncline > 0:
		c.send(&wire.Notice{Route: c.route(), Code: wire.NoticeRejectedChange, Document: doc, Hash: hash, Message: text})
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
	c.close(ending{code: code, reason: err.Error()})
}

// route is the way of a message from us to the other end.
func (c *conn) route() wire.Route {
	return wire.Route{SenderID: c.self, TargetID: c.remote.PeerID}
}

// read takes frames from the socket until it ends.
func (c *conn) read() error {
	for {
		frame, err := c.readFrame()
		if err != nil {
			return err
		}
		if c.ctx.Err() != nil {
			continue // closing: only the other end's close is of interest
		}
		c.busy.Store(true)
		c.count.bytesIn.Add(int64(len(frame)))
		err = c.receive(frame)
		c.heard.Store(true)
		c.busy.Store(false)
		if err != nil && c.ctx.Err() == nil {
			c.refuse(closeCodeOf(err), err)
		}
	}
}

// readFrame reads one binary frame. Each piece that arrives is a sign of life.
func (c *conn) readFrame() ([]byte, error) {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	frame, err := io.ReadAll(listener{r, c.heard})
	if err != nil {
		return nil, err
	}
	if typ != websocket.MessageBinary {
		err := fmt.Errorf("%w: a text frame; messages are CBOR in binary frames", wire.ErrFrame)
		c.refuse(wire.CloseProtocol, err)
		return nil, err
	}
	return frame, nil
}

// listener notes that something was heard.
type listener struct {
	r     io.Reader
	heard *atomic.Bool
}

func (l listener) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.heard.Store(true)
	}
	return n, err
}

// hurry gives a closing connection a bounded time for what is queued, and the
// other end for its answer.
func (c *conn) hurry(over <-chan struct{}, cancel context.CancelFunc) {
	defer cancel()
	<-c.ctx.Done()
	if !c.end().now {
		t := time.NewTimer(c.p.o.CloseTimeout)
		defer t.Stop()
		select {
		case <-over:
			return
		case <-t.C:
		}
	}
	c.ws.CloseNow()
}

// write sends what is queued until the connection closes, and then says so.
func (c *conn) write(ctx context.Context) {
	for {
		frames, shut := c.out.take()
		for _, f := range frames {
			if err := c.writeFrame(ctx, f.data); err != nil {
				c.log.Debug("write failed", "err", err)
				c.close(ending{code: wire.CloseNormal, reason: "the socket failed", now: true})
				c.ws.CloseNow()
				return
			}
			c.out.wrote(len(f.data))
			c.count.bytesOut.Add(int64(len(f.data)))
			if f.then != nil {
				f.then()
			}
		}
		if len(frames) > 0 {
			continue
		}
		if shut {
			break
		}
		<-c.out.ready
	}
	e := c.end()
	if !e.now {
		c.ws.Close(websocket.StatusCode(e.code), cutReason(e.reason))
	}
}

// fragment is how much of a message is written at once, in bytes. Between two
// fragments a ping gets its turn, and the network has shown that it moves.
const fragment = 64 << 10

func (c *conn) writeFrame(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := time.AfterFunc(c.p.o.WriteTimeout, cancel)
	defer patience.Stop()
	if len(frame) <= fragment {
		return c.ws.Write(ctx, websocket.MessageBinary, frame)
	}
	w, err := c.ws.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	for len(frame) > 0 {
		n := min(fragment, len(frame))
		if _, err := w.Write(frame[:n]); err != nil {
			return err
		}
		frame = frame[n:]
		patience.Reset(c.p.o.WriteTimeout)
	}
	return w.Close()
}

// ping asks for a sign of life again and again, and gives the connection up when
// there is none for too long.
func (c *conn) ping() {
	interval := c.p.o.PingInterval
	t := time.NewTicker(interval)
	defer t.Stop()
	var silence time.Duration
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		if silence += interval; c.heard.Swap(false) || c.busy.Load() {
			silence = 0
		}
		if silence > c.p.o.MaxSilence {
			c.close(ending{code: wire.CloseNormal, reason: "it does not answer pings", now: true})
			return
		}
		// Whether the answer comes in time does not matter here: when it comes, it
		// is heard.
		ctx, cancel := context.WithTimeout(c.ctx, interval)
		c.ws.Ping(ctx)
		cancel()
	}
}

// closeError is an error that says with which code to close.
type closeError struct {
	code wire.CloseCode
	err  error
}

func (e *closeError) Error() string { return e.err.Error() }
func (e *closeError) Unwrap() error { return e.err }

func closeCodeOf(err error) wire.CloseCode {
	if e, ok := errors.AsType[*closeError](err); ok {
		return e.code
	}
	return wire.CloseProtocol
}

// cutReason shortens a text to what a close frame holds.
func cutReason(s string) string {
	const maxReason = 123
	if len(s) <= maxReason {
		return s
	}
	cut := maxReason
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut]
}
