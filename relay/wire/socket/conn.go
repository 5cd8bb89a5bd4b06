package socket

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// Options of a Conn. They are those that the options of a relay or a peer have for
// every connection of theirs, and say what they do; none has a default here but
// Counters and Log.
type Options struct {
	PingInterval time.Duration // between two pings
	MaxSilence   time.Duration // for how long nothing may be heard
	StallTimeout time.Duration // for what was sent to lie unread; 0: MaxSilence and WriteTimeout say
	WriteTimeout time.Duration // for the network to accept 64 KiB
	CloseTimeout time.Duration // for a closing connection to send what is queued
	MaxQueue     int           // bytes to be sent, beyond which the other end is too slow
	// Line is under the WebSocket, at its server: see Tap. nil: one goroutine writes.
	Line *Line

	// Counters count what goes over the connection, and may be shared by many.
	// nil: counters of its own.
	Counters *Counters
	// Log is told of failures. nil: silent.
	Log *slog.Logger
}

// Counters are what went over connections.
type Counters struct {
	MessagesIn, MessagesOut atomic.Int64 // frames
	BytesIn, BytesOut       atomic.Int64 // of the payload of frames
	Overflows               atomic.Int64 // connections closed because the other end did not read
}

// Conn is a WebSocket after its handshake. The first reason to close stands, and
// whoever gives it does not wait. All methods but Run and Next may be called from
// any goroutine, before Run and after it, too.
type Conn struct {
	ws    *websocket.Conn
	pulse *Pulse
	o     Options
	out   *outbox
	ask   chan struct{} // holds a token when a ping is to be sent now

	joined []byte // the frame of now, as it is written; of who has the turn to write

	// Owned by who calls Next.
	in   bytes.Buffer // the frame of now
	hear listener

	// ctx ends when the connection begins to close. It bounds waits for others,
	// not reads from the socket: those must go on for the closing handshake.
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	ending *Ending // nil while open
}

// Ending is why and how a connection is closed.
type Ending struct {
	Code   wire.CloseCode // 0: it is open
	Reason string
	Lost   bool // nobody here wanted it: the other end has closed, or the socket fails to be read

	now bool // the socket is of no more use: send nothing
}

// New returns a connection over a WebSocket that was opened with the pulse's Pong.
// Run it: until then nothing is sent.
func New(ws *websocket.Conn, pulse *Pulse, o Options) *Conn {
	if o.Counters == nil {
		o.Counters = new(Counters)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Conn{ws: ws, pulse: pulse, o: o, out: newOutbox(o.MaxQueue), ask: make(chan struct{}, 1)}
	c.out.taken = true // until write
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Context ends when the connection begins to close.
func (c *Conn) Context() context.Context { return c.ctx }

// Run has the socket written to and pinged until it is closed, and calls serve,
// which is to call Next until that fails. If the connection is still open when serve
// returns, it is closed. Run returns when its goroutines have ended, which
// is within about Options.CloseTimeout of the close, or the 10 s that the library
// may wait for the other end's answer to it.
func (c *Conn) Run(serve func()) {
	var others, last sync.WaitGroup
	over := make(chan struct{})
	last.Add(1)
	context.AfterFunc(c.ctx, func() { // no goroutine waits while nothing ends
		defer last.Done()
		c.hurry(over)
	})
	others.Go(c.write)
	others.Go(c.ping)
	defer c.watchStall()()
	serve()
	c.Close(wire.CloseNormal, "it is not read from any more")
	others.Wait()
	close(over)
	last.Wait()
}

// Next reads the next frame. A text frame is an error that wraps wire.ErrFrame,
// and the connection goes on; after any other it is closed. What comes
// while the connection closes is dropped, up to the other end's close.
//
// The frame is the caller's until it calls Next again: then its bytes are used for
// the next one. Meanwhile the caller counts as busy, and the other end need not be
// heard.
func (c *Conn) Next() ([]byte, error) {
	if c.in.Cap() > keptBuffer {
		c.in = bytes.Buffer{}
	}
	c.pulse.listen()
	for {
		frame, err := c.readFrame()
		if err != nil && err != errText {
			// Unless the connection is closing already, the other end closed or is lost.
			c.close(Ending{Code: wire.CloseNormal, Reason: "the other end has closed", Lost: true, now: websocket.CloseStatus(err) == -1})
			return nil, err
		}
		if c.ctx.Err() != nil {
			continue // only the other end's close is of interest
		}
		c.pulse.work()
		if err != nil {
			return nil, err
		}
		c.o.Counters.MessagesIn.Add(1)
		c.o.Counters.BytesIn.Add(int64(len(frame)))
		return frame, nil
	}
}

// keptBuffer is how many bytes a connection keeps at most for frames to come. Most
// have less.
const keptBuffer = 4 << 10

// readFrame reads one binary frame. Each piece that arrives is a sign of life.
func (c *Conn) readFrame() ([]byte, error) {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	c.in.Reset()
	c.hear = listener{r, c.pulse}
	_, err = c.in.ReadFrom(&c.hear)
	if err == nil && typ != websocket.MessageBinary {
		err = errText
	}
	return c.in.Bytes(), err
}

// Send queues a frame, and has the writer call then, which may be nil, when it has
// left. It never blocks: when too much is queued, the connection is closed with
// wire.CloseSlow.
func (c *Conn) Send(data []byte, then func()) { c.SendJoined(data, nil, then) }

// SendJoined is Send for a frame that is data with end behind it. Neither may change
// from now on; both may be sent to any number of connections, and nothing is
// allocated for each.
func (c *Conn) SendJoined(data, end []byte, then func()) {
	f := frame{data, end, then}
	if c.sendNow(f) {
		return
	}
	if !c.out.push(f) {
		c.o.Counters.Overflows.Add(1)
		c.Close(wire.CloseSlow, fmt.Sprintf("more than %d bytes are waiting to be read", c.o.MaxQueue))
	}
}

// Close begins to close the connection: what is queued is sent first, and Run
// returns when it is done. Only the first call counts, and reports true.
func (c *Conn) Close(code wire.CloseCode, reason string) bool {
	return c.close(Ending{Code: code, Reason: reason})
}

func (c *Conn) close(e Ending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return false
	}
	c.ending = &e
	// What the other end did not read so far it will not read now.
	c.out.close(e.now || e.Code == wire.CloseSlow || e.Code == wire.CloseReplaced)
	c.cancel()
	return true
}

// End is why the connection closes.
func (c *Conn) End() Ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		return Ending{}
	}
	return *c.ending
}
