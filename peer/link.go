package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// LinkState says how a remote is reached.
type LinkState string

// The states of a link.
const (
	LinkIdle       LinkState = "idle"       // Run is not running
	LinkConnecting LinkState = "connecting" // a connection is being made
	LinkConnected  LinkState = "connected"
	LinkWaiting    LinkState = "waiting" // for the next attempt, after a failure
)

// link keeps a remote connected while Run is running.
type link struct {
	p    *Peer
	spec Remote

	mu       sync.Mutex
	state    LinkState
	since    time.Time // of the state
	failures int       // in a row
	err      error     // of the last attempt
	next     time.Time // when waiting
	conn     *conn     // the last one
}

// Connect adds a remote that Run keeps connected to, now or when it is called. It
// does not wait for the connection: Status says how it goes. The error is about
// the URL.
func (p *Peer) Connect(r Remote) error {
	if err := r.check(); err != nil {
		return err
	}
	l := &link{p: p, spec: r, state: LinkIdle, since: p.o.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, l)
	if p.run != nil {
		p.run(l)
	}
	return nil
}

func (r Remote) check() error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return fmt.Errorf("%q is not the address of a relay: write ws://HOST:PORT or wss://HOST", r.URL)
	}
	return nil
}

// Run keeps the remotes connected, and fetches what a workspace lists, until ctx
// ends or the peer is closed, neither of which is an error. It returns when all
// its connections have ended.
func (p *Peer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	var all sync.WaitGroup
	p.mu.Lock()
	switch {
	case p.ctx.Err() != nil:
		p.mu.Unlock()
		return ErrClosed
	case p.run != nil:
		p.mu.Unlock()
		return ErrRunning
	}
	p.run = func(l *link) { all.Go(func() { l.run(ctx) }) }
	for _, l := range p.links {
		p.run(l)
	}
	all.Go(func() { p.followWorkspace(ctx) })
	p.serving.Add(1)
	p.mu.Unlock()
	defer p.serving.Done()

	<-ctx.Done()
	p.mu.Lock()
	p.run = nil
	p.mu.Unlock()
	all.Wait()
	return nil
}

// run connects, and connects again, until ctx ends.
func (l *link) run(ctx context.Context) {
	defer l.set(LinkIdle)
	for ctx.Err() == nil {
		l.set(LinkConnecting)
		c, err := l.p.dial(ctx, l.spec, l.p.self)
		if err == nil {
			l.connected(c)
			stop := context.AfterFunc(ctx, c.closeDown)
			err = c.run()
			stop()
		}
		if ctx.Err() != nil {
			return
		}
		delay := l.failed(err)
		l.p.o.Log.Info("remote lost", "url", l.spec.URL, "err", err, "next", delay)
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

func (l *link) set(s LinkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.since = s, l.p.o.Now()
	l.p.stir()
}

func (l *link) connected(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.since, l.conn, l.err = LinkConnected, l.p.o.Now(), c, nil
	l.p.stir()
}

// steady is how long a connection must have lasted for its end not to count as
// one more failure in a row.
const steady = 10 * time.Second

// failed notes a failure and says how long to wait.
func (l *link) failed(err error) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.p.o.Now()
	if l.state == LinkConnected && now.Sub(l.since) >= steady {
		l.failures = 0
	}
	l.failures++
	if err == nil {
		err = errors.New("the other end closed the connection")
	}
	delay := l.p.o.Backoff.Delay(l.failures, l.p.o.Rand())
	l.state, l.since, l.err, l.next = LinkWaiting, now, err, now.Add(delay)
	l.p.stir()
	return delay
}

// dial connects to a remote and shakes hands.
func (p *Peer) dial(ctx context.Context, r Remote, self string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.DialTimeout)
	defer cancel()
	pulse := new(socket.Pulse)
	o := &websocket.DialOptions{OnPongReceived: pulse.Pong}
	if r.Token != "" {
		o.HTTPHeader = http.Header{"Authorization": {"Bearer " + r.Token}}
	}
	ws, _, err := websocket.Dial(ctx, r.URL, o)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", r.URL, err)
	}
	ws.SetReadLimit(p.o.MaxFrame)
	local := wire.Local{PeerID: self, Metadata: p.metadata()}
	remote, err := local.Connect(ctx, socket.Frames(ws))
	if err != nil {
		ws.CloseNow()
		return nil, fmt.Errorf("handshake with %s: %w", r.URL, err)
	}
	c := p.newConn(ws, self, remote, pulse)
	c.dialed, c.peers = true, r.Peer
	if r.Documents != nil {
		c.only = make(map[id.Document]bool, len(r.Documents))
		for _, doc := range r.Documents {
			c.only[doc] = true
		}
	}
	if !p.register(c) {
		ws.CloseNow()
		return nil, ErrClosed
	}
	c.log.Info("connected", "url", r.URL)
	p.remember(ctx, r.URL, c)
	return c, nil
}

func (p *Peer) metadata() wire.Metadata {
	return wire.Metadata{StorageID: p.store.StorageID(), Syncline: wire.Syncline}
}

// closeDown closes a connection because we have nothing more to say.
func (c *conn) closeDown() { c.ws.Close(wire.CloseNormal, "bye") }
