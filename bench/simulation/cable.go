package simulation

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// cable is a connection between two nodes. Frames of one end arrive in the order in
// which they were sent, after a while; nothing is said about the order between cables.
type cable struct {
	w       *world
	ends    [2]*end // the first has dialled
	latency time.Duration
	cut     bool
}

// end is a node's side of a cable. It is a Transport of both peer and relay.
type end struct {
	c      *cable
	n      *node
	life   int // of the node
	other  *end
	ctx    context.Context
	cancel context.CancelFunc
	last   time.Time // when what was sent last arrives

	closing bool // nothing is sent any longer
	over    bool // the node knows that it has ended

	receive func(frame []byte)
	ended   func(e socket.Ending, err error)
}

func (w *world) newCable(from, to *node) *cable {
	c := &cable{w: w, latency: w.latency()}
	for i, n := range []*node{from, to} {
		e := &end{c: c, n: n, life: n.life, last: w.now}
		e.ctx, e.cancel = context.WithCancel(context.Background())
		c.ends[i] = e
		n.ends = append(n.ends, e)
	}
	c.ends[0].other, c.ends[1].other = c.ends[1], c.ends[0]
	w.cables = append(w.cables, c)
	return c
}

// latency is that of a new cable: some are slow.
func (w *world) latency() time.Duration {
	d := time.Duration(1+w.rng.IntN(40)) * time.Millisecond
	if w.rng.IntN(6) == 0 {
		d += time.Duration(w.rng.IntN(1500)) * time.Millisecond
	}
	return d
}

// Context is that of a Transport.
func (e *end) Context() context.Context { return e.ctx }

// Queued is that of a Transport: nothing waits here.
func (e *end) Queued() int { return 0 }

// SendJoined is that of a Transport.
func (e *end) SendJoined(frame, tail []byte, then func()) {
	e.Send(slices.Concat(frame, tail), then)
}

// Send is that of a Transport.
func (e *end) Send(frame []byte, then func()) {
	w := e.c.w
	if e.closing {
		return
	}
	w.spoken(e.n, frame)
	if hook := w.bug.Send; hook != nil {
		frame = hook(w, e, frame)
	}
	if then != nil {
		w.in(time.Millisecond, e.ifOpen(then))
	}
	if frame == nil {
		return
	}
	e.last = later(e.last, w.now.Add(e.c.latency+time.Duration(w.rng.IntN(3))*time.Millisecond))
	w.at(e.last, func() {
		if !e.c.cut {
			e.other.ifOpen(func() { e.other.receive(frame) })()
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ifOpen is fn for as long as the node has not heard the end of the connection.
func (e *end) ifOpen(fn func()) func() {
	return func() {
		if !e.over && e.n.life == e.life {
			e.n.do(fn)
		}
	}
}

// Close is that of a Transport.
func (e *end) Close(code wire.CloseCode, reason string) bool {
	if e.closing {
		return false
	}
	e.closing = true
	e.cancel()
	w := e.c.w
	w.in(e.c.latency, func() { e.finish(socket.Ending{Code: code, Reason: reason}, nil) })
	w.at(later(e.last, w.now.Add(e.c.latency)), func() {
		if !e.c.cut {
			e.other.lost(websocket.CloseError{Code: websocket.StatusCode(code), Reason: reason})
		}
	})
	return true
}

// lost tells the node that the connection has ended, and not by its wish.
func (e *end) lost(err error) { e.finish(socket.Ending{Lost: true}, err) }

func (e *end) finish(how socket.Ending, err error) {
	e.ifOpen(func() {
		e.over, e.closing = true, true
		e.cancel()
		e.n.forget(e)
		e.ended(how, err)
	})()
}

// drop takes the end away from a node that is no more.
func (e *end) drop() {
	e.over, e.closing = true, true
	e.cancel()
}

// sever cuts a cable. What is on its way is lost, and the ends notice after a while:
// until one does, a node may have two connections with the same other one.
func (c *cable) sever(first, second time.Duration) {
	if c.cut {
		return
	}
	c.cut = true
	for i, after := range []time.Duration{first, second} {
		e := c.ends[i]
		c.w.in(after, func() { e.lost(io.ErrUnexpectedEOF) })
	}
}

// open reports whether both ends take it to be.
func (c *cable) open() bool { return !c.cut && !c.ends[0].over && !c.ends[1].over }
