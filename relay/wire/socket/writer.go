package socket

import (
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// write sends what is queued until the connection closes, and then says so.
func (c *Conn) write(ctx context.Context) {
	for {
		queued, shut := c.out.take()
		for _, f := range queued {
			c.pulse.writing.Store(true)
			err := c.writeFrame(ctx, f.data)
			c.pulse.writing.Store(false)
			if err != nil {
				c.o.Log.Debug("write failed", "err", err)
				c.close(Ending{Code: wire.CloseNormal, Reason: "the socket failed", now: true})
				c.ws.CloseNow()
				return
			}
			c.out.wrote(len(f.data))
			c.o.Counters.MessagesOut.Add(1)
			c.o.Counters.BytesOut.Add(int64(len(f.data)))
			if f.then != nil {
				f.then()
			}
		}
		if len(queued) > 0 {
			continue
		}
		if shut {
			break
		}
		<-c.out.ready
	}
	if e := c.End(); !e.now {
		Shut(c.ws, e.Code, e.Reason)
	}
}

// fragment is how much of a message is written at once, in bytes. Between two
// fragments a ping gets its turn, and the network has shown that it moves.
const fragment = 64 << 10

func (c *Conn) writeFrame(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := time.AfterFunc(c.o.WriteTimeout, func() {
		c.close(Ending{Code: wire.CloseSlow, Reason: fmt.Sprintf("it has taken no bytes for %v", c.o.WriteTimeout), now: true})
		cancel()
	})
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
		patience.Reset(c.o.WriteTimeout)
	}
	return w.Close()
}

// hurry gives a closing connection a bounded time for what is queued, and the
// other end for its answer.
func (c *Conn) hurry(over <-chan struct{}, cancel context.CancelFunc) {
	defer cancel()
	<-c.ctx.Done()
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
