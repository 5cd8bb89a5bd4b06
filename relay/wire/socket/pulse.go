package socket

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"syncline/relay/wire"
)

// Pulse is what is known of the other end's being alive. It is there before the
// socket is, because a WebSocket is opened with its Pong.
type Pulse struct {
	heard atomic.Bool  // something arrived since the last ping
	told  atomic.Int64 // when the first frame was sent since something arrived, in ns; 0: none was
	long  atomic.Int64 // when a piece of a long frame was last sent, in ns; 0 when it was read
	busy  atomic.Bool  // the reader is working and cannot hear a pong

	// A frame is being written. The WebSocket library ends the connection if a ping
	// does not get into the socket within five seconds, and behind a client that
	// reads slowly it may not; whether bytes move at all is then for the write's
	// own patience to say.
	writing atomic.Bool
	waits   atomic.Bool // … and a ping waits for that to end
}

// Pong is for OnPongReceived of a WebSocket's options.
func (p *Pulse) Pong(context.Context, []byte) { p.hear() }

// hear says that something arrived.
func (p *Pulse) hear() {
	p.heard.Store(true)
	p.told.Store(0)
}

// tell says that a frame is about to be written.
func (p *Pulse) tell(long bool) {
	if p.told.Load() == 0 {
		p.told.Store(time.Now().UnixNano())
	}
	if long {
		p.long.Store(time.Now().UnixNano())
	}
}

// unread is for how long the other end has let something lie unread that it has no
// reason to, as far as is known: nothing has been heard of it since, and no long frame
// was sent to it for a while, which it may be working on. 0 if there is none.
func (p *Pulse) unread(while time.Duration) time.Duration {
	told := p.told.Load()
	if told == 0 || p.busy.Load() || time.Since(time.Unix(0, p.long.Load())) < while {
		return 0
	}
	return time.Since(time.Unix(0, told))
}

// work says that what arrives is not read for a while.
func (p *Pulse) work() { p.busy.Store(true) }

// listen says that what arrives is read again.
func (p *Pulse) listen() {
	p.hear()
	p.busy.Store(false)
}

// beats reports whether there was a sign of life since it was last asked, or
// there could be none.
func (p *Pulse) beats() bool { return p.heard.Swap(false) || p.busy.Load() }

// listener notes that something was heard.
type listener struct {
	r     io.Reader
	pulse *Pulse
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.pulse.hear()
	}
	return n, err
}

// watchStall gives the connection up when what was sent lies unread for too long. It
// costs a timer that fires once in StallTimeout. stop ends it.
func (c *Conn) watchStall() (stop func()) {
	if c.o.StallTimeout <= 0 {
		return func() {}
	}
	var mu sync.Mutex // held until look has its timer
	var t *time.Timer
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		if c.ctx.Err() != nil {
			return
		}
		unread := c.pulse.unread(c.o.MaxSilence)
		if unread >= c.o.StallTimeout {
			c.close(Ending{Code: wire.CloseSlow, Reason: fmt.Sprintf("it has read nothing for %v", c.o.StallTimeout), now: true})
			return
		}
		t.Reset(c.o.StallTimeout - unread)
	}
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(c.o.StallTimeout, look)
	return func() { t.Stop() }
}

// wrote says that a frame has been written, which may let a ping go behind it.
func (c *Conn) wrote(long bool) {
	c.pulse.writing.Store(false)
	if c.pulse.waits.Swap(false) || long {
		select {
		case c.ask <- struct{}{}:
		default:
		}
	}
}

// ping asks for a sign of life again and again, and gives the connection up when
// there is none for too long. It asks at once behind a long frame, to know when the
// reader is done with it, and behind a frame whose writing a ping had to wait for.
func (c *Conn) ping() {
	t := time.NewTicker(c.o.PingInterval)
	defer t.Stop()
	var silence time.Duration
	looked := time.Now()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		case <-c.ask:
		}
		writing := c.pulse.writing.Load()
		silence += time.Since(looked)
		looked = time.Now()
		if c.pulse.beats() || writing {
			silence = 0
		}
		if silence > c.o.MaxSilence {
			c.close(Ending{Code: wire.CloseNormal, Reason: "it does not answer pings", now: true})
			return
		}
		if writing {
			c.pulse.waits.Store(true)
			continue
		}
		// Whether the answer comes in time does not matter here: when it comes, it
		// is heard. In time, it says that all that was sent before has been read.
		asked := time.Now().UnixNano()
		ctx, cancel := context.WithTimeout(c.ctx, c.o.PingInterval)
		err := c.ws.Ping(ctx)
		cancel()
		if long := c.pulse.long.Load(); err == nil && long <= asked {
			c.pulse.long.CompareAndSwap(long, 0)
		}
	}
}
