package socket

import (
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// writer is what writes to the socket of a Conn.
//
// One write to the socket is most of what a frame costs, and the rest is kept
// small. There is one timer for all writes: the library would make one for each
// whose context can end. A frame of two parts is put together where the last one
// was. Over a Line only what has to wait gets here.
type writer struct {
	*Conn
	patience *time.Timer // runs while the socket is written to
}

// write sends what is queued until the connection closes, and then says so.
func (c *Conn) write() {
	w := &writer{Conn: c}
	w.patience = time.AfterFunc(c.o.WriteTimeout, w.lose)
	defer w.patience.Stop()
	c.out.wrote(0)
	for {
		f, ok, shut := c.out.next()
		var err error
		if ok {
			err = w.send(f)
		} else {
			err = w.finish()
		}
		if err != nil {
			c.fail(err)
			c.ws.CloseNow()
			return
		}
		if ok {
			continue
		}
		w.patience.Stop()
		if shut {
			break
		}
		<-c.out.ready
	}
	if e := c.End(); !e.now {
		// Next reads, and lets go of the socket in time; hurry sees to the rest.
		c.ws.Close(websocket.StatusCode(e.Code), cutReason(e.Reason))
	}
}

// fail gives up a connection whose socket cannot be written to.
func (c *Conn) fail(err error) {
	c.o.Log.Debug("write failed", "err", err)
	c.close(Ending{Code: wire.CloseNormal, Reason: "the socket failed", now: true})
}

// lose gives up a connection whose socket takes nothing. One that is closing has
// its bound already.
func (w *writer) lose() {
	w.close(Ending{Code: wire.CloseSlow, Reason: fmt.Sprintf("it has taken no bytes for %v", w.o.WriteTimeout), now: true})
}

func (w *writer) send(f frame) error {
	w.pulse.tell(f.len() > fragment)
	w.pulse.writing.Store(true)
	err := w.writeFrame(f)
	w.wrote(f.len() > fragment)
	if err != nil {
		return err
	}
	w.out.wrote(f.len())
	w.sent(f)
	if f.then != nil {
		f.then()
	}
	return nil
}

func (c *Conn) sent(f frame) {
	c.o.Counters.MessagesOut.Add(1)
	c.o.Counters.BytesOut.Add(int64(f.len()))
}

// shortFrame is up to how many bytes a frame may be written by who has it: the network
// has room for as much nearly always, and what it has no room for is copied.
const shortFrame = 16 << 10

// sendNow writes a frame if nothing is before it, it is short, and the network takes
// it now. It reports false when it is to be queued.
func (c *Conn) sendNow(f frame) bool {
	if c.o.Line == nil || f.then != nil || f.len() > shortFrame || !c.out.take(f.len()) {
		return false
	}
	b := appendFrame(c.joined[:0], f.data, f.end)
	if cap(b) <= keptBuffer {
		c.joined = b
	}
	c.pulse.tell(false)
	is, err := c.o.Line.try(b)
	switch {
	case err != nil:
		c.fail(err)
		c.out.release(f.len(), false)
	case is == untouched:
		c.out.putBack(f)
	default:
		c.sent(f)
		c.out.release(f.len(), is == cut)
	}
	return true
}

// finish writes what who had the turn could not.
func (w *writer) finish() error {
	if w.o.Line == nil || !w.o.Line.isCut() {
		return nil
	}
	w.patience.Reset(w.o.WriteTimeout)
	w.pulse.writing.Store(true)
	defer w.wrote(false)
	return w.o.Line.finish()
}

// fragment is how much of a message is written at once, in bytes. Between two
// fragments a ping gets its turn, and the network has shown that it moves.
const fragment = 64 << 10

// writeFrame writes one frame as one message: in one piece if it is no longer than
// a fragment.
func (w *writer) writeFrame(f frame) error {
	w.patience.Reset(w.o.WriteTimeout)
	if f.len() <= fragment {
		whole := f.data
		if len(f.end) > 0 {
			whole = append(append(w.joined[:0], f.data...), f.end...)
			if cap(whole) <= keptBuffer {
				w.joined = whole
			}
		}
		return w.ws.Write(context.Background(), websocket.MessageBinary, whole)
	}
	msg, err := w.ws.Writer(context.Background(), websocket.MessageBinary)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{f.data, f.end} {
		for len(part) > 0 {
			n := min(fragment, len(part))
			if _, err := msg.Write(part[:n]); err != nil {
				return err
			}
			part = part[n:]
			w.pulse.tell(true)
			w.patience.Reset(w.o.WriteTimeout)
		}
	}
	return msg.Close()
}

// hurry gives a closing connection a bounded time for what is queued, and the
// other end for its answer.
func (c *Conn) hurry(over <-chan struct{}) {
	if !c.End().now {
		t := time.NewTimer(c.o.CloseTimeout)
		defer t.Stop()
		select {
		case <-over:
			return
		case <-t.C:
		}
	}
	c.ws.CloseNow()
}
