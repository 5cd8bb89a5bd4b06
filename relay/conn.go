package relay

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

// connID numbers the connections of a relay.
type connID uint64

// conn is one client's connection after its handshake. Three goroutines serve
// it: the reader, which is the one that accepted it, decodes and checks what the
// client sends and hands it to rooms; the writer empties the outbox; the pinger
// finds out that the client is gone. The first reason to close stands, and
// whoever gives it does not wait.
type conn struct {
	// Static after construction.
	id     connID
	relay  *Relay
	ws     *websocket.Conn
	remote wire.Remote
	log    *slog.Logger
	out    *outbox

	// ctx ends when the connection begins to close. It bounds waits for others,
	// not reads from the socket: those must go on for the closing handshake.
	ctx    context.Context
	cancel context.CancelFunc

	heard *atomic.Bool // something arrived since the last ping
	busy  atomic.Bool  // the reader is working and cannot hear a pong

	// Owned by the reader.
	rooms map[id.Document]*hall

	mu     sync.Mutex
	ending *ending // nil while open
}

// ending is why and how a connection is closed.
type ending struct {
	code   wire.CloseCode
	reason string
	now    bool // the socket is of no more use: send nothing
}

func newConn(r *Relay, n connID, ws *websocket.Conn, heard *atomic.Bool, remote wire.Remote) *conn {
	c := &conn{
		id:     n,
		relay:  r,
		ws:     ws,
		remote: remote,
		log:    r.o.Log.With("conn", uint64(n), "peer", remote.PeerID),
		out:    newOutbox(r.o.MaxQueue),
		heard:  heard,
		rooms:  make(map[id.Document]*hall),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// run serves the connection until it is closed by either end, and returns when
// its goroutines have ended and its sessions have left their rooms.
func (c *conn) run() {
	var others sync.WaitGroup
	others.Go(c.write)
	others.Go(c.ping)
	err := c.read()
	// Unless the connection is closing already, the client closed or is lost.
	c.close(ending{code: wire.CloseNormal, now: websocket.CloseStatus(err) == -1})
	c.leaveRooms()
	others.Wait()
	c.log.Info("connection closed", "reason", c.end().reason, "code", uint16(c.end().code), "err", err)
}

// close begins to close the connection. Only the first call counts.
func (c *conn) close(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	c.ending = &e
	// What the client did not read so far it will not read now.
	c.out.close(e.now || e.code == wire.CloseSlow || e.code == wire.CloseReplaced)
	c.cancel()
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
		c.relay.count.overflows.Add(1)
		c.close(ending{code: wire.CloseSlow, reason: fmt.Sprintf("more than %d bytes are waiting to be read", c.relay.o.MaxQueue)})
	}
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
	c.close(ending{code: code, reason: err.Error()})
}

// route is the way of a message from the relay to this client.
func (c *conn) route() wire.Route {
	return wire.Route{SenderID: c.relay.local.PeerID, TargetID: c.remote.PeerID}
}

// read takes frames from the socket until it ends.
func (c *conn) read() error {
	for {
		frame, err := c.readFrame()
		if err != nil {
			return err
		}
		if c.ctx.Err() != nil {
			return nil
		}
		c.busy.Store(true)
		c.relay.count.messagesIn.Add(1)
		c.relay.count.bytesIn.Add(int64(len(frame)))
		err = c.receive(frame)
		c.heard.Store(true)
		c.busy.Store(false)
		if err != nil {
			c.refuse(closeCodeOf(err), err)
			return nil
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

// write sends what is queued until the connection closes, and then says so.
func (c *conn) write() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// A closing connection gets a bounded time for what is queued.
	defer context.AfterFunc(c.ctx, func() {
		if c.end().now {
			c.ws.CloseNow()
			return
		}
		time.AfterFunc(c.relay.o.CloseTimeout, cancel)
	})()
	for {
		frames, shut := c.out.take()
		for _, frame := range frames {
			if err := c.writeFrame(ctx, frame.data); err != nil {
				c.log.Debug("write failed", "err", err)
				c.close(ending{code: wire.CloseNormal, reason: "the socket failed", now: true})
				c.ws.CloseNow()
				return
			}
			c.out.wrote(len(frame.data))
			c.relay.count.messagesOut.Add(1)
			c.relay.count.bytesOut.Add(int64(len(frame.data)))
			if frame.then != nil {
				frame.then()
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
	patience := time.AfterFunc(c.relay.o.WriteTimeout, cancel)
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
		patience.Reset(c.relay.o.WriteTimeout)
	}
	return w.Close()
}

// ping asks for a sign of life again and again, and drops the client when there
// is none for too long.
func (c *conn) ping() {
	interval := c.relay.o.PingInterval
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
		if silence > c.relay.o.MaxSilence {
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
