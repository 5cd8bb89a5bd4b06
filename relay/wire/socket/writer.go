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
// was. Several frames are not put into one write, as it is seldom that another
// waits: of 126,000 in bench/compare's work "ack", 2,000.
type writer struct {
	*Conn
	patience *time.Timer // runs while the socket is written to
	joined   []byte
}

// write sends what is queued until the connection closes, and then says so.
func (c *Conn) write() {
	w := &writer{Conn: c}
	w.patience = time.AfterFunc(c.o.WriteTimeout, w.lose)
	defer w.patience.Stop()
	for {
		f, ok, shut := c.out.next()
		if ok {
			if err := w.send(f); err != nil {
				c.o.Log.Debug("write failed", "err", err)
				c.close(Ending{Code: wire.CloseNormal, Reason: "the socket failed", now: true})
				c.ws.CloseNow()
				return
			}
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

// lose gives up a connection whose socket takes nothing. One that is closing has
// its bound already.
func (w *writer) lose() {
	w.close(Ending{Code: wire.CloseSlow, Reason: fmt.Sprintf("it has taken no bytes for %v", w.o.WriteTimeout), now: true})
}

func (w *writer) send(f frame) error {
	w.pulse.tell(f.len() > fragment)
	w.pulse.writing.Store(true)
	err := w.writeFrame(f)
	w.pulse.writing.Store(false)
	if err != nil {
		return err
	}
	w.out.wrote(f.len())
	w.o.Counters.MessagesOut.Add(1)
	w.o.Counters.BytesOut.Add(int64(f.len()))
	if f.then != nil {
		f.then()
	}
	return nil
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
