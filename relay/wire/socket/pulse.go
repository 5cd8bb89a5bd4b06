package socket

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"syncline/relay/wire"
)

// Pulse is what is known of the other end's being alive. It is there before the
// socket is, because a WebSocket is opened with its Pong.
type Pulse struct {
	heard atomic.Bool // something arrived since the last ping
	busy  atomic.Bool // the reader is working and cannot hear a pong

	// A frame is being written. The WebSocket library ends the connection if a ping
	// does not get into the socket within five seconds, and behind a client that
	// reads slowly it may not; whether bytes move at all is then for the write's
	// own patience to say.
	writing atomic.Bool
}

// Pong is for OnPongReceived of a WebSocket's options.
func (p *Pulse) Pong(context.Context, []byte) { p.heard.Store(true) }

// work says that what arrives is not read for a while.
func (p *Pulse) work() { p.busy.Store(true) }

// listen says that what arrives is read again.
func (p *Pulse) listen() {
	p.heard.Store(true)
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
		l.pulse.heard.Store(true)
	}
	return n, err
}

// ping asks for a sign of life again and again, and gives the connection up when
// there is none for too long.
func (c *Conn) ping() {
	t := time.NewTicker(c.o.PingInterval)
	defer t.Stop()
	var silence time.Duration
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
		}
		if silence += c.o.PingInterval; c.pulse.beats() || c.pulse.writing.Load() {
			silence = 0
		}
		if silence > c.o.MaxSilence {
			c.close(Ending{Code: wire.CloseNormal, Reason: "it does not answer pings", now: true})
			return
		}
		if c.pulse.writing.Load() {
			continue
		}
		// Whether the answer comes in time does not matter here: when it comes, it
		// is heard.
		ctx, cancel := context.WithTimeout(c.ctx, c.o.PingInterval)
		c.ws.Ping(ctx)
		cancel()
	}
}
