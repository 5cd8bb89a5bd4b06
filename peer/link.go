package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"sync"
	"time"

	"syncline/crdt/id"
)

// LinkState says how a remote is reached.
type LinkState string

// The states of a link.
const (
	LinkIdle       LinkState = "idle"       // Run is not running
	LinkConnecting LinkState = "connecting" // a connection is being made
	LinkConnected  LinkState = "connected"
	LinkWaiting    LinkState = "waiting" // for the next attempt, after a failure
	LinkOffline    LinkState = "offline" // the network has no way to it; tried at once when that changes
	// LinkStopped: an attempt failed in a way that another would not mend. It is
	// tried again after Retry, when the network changes, and by the next Run.
	LinkStopped LinkState = "stopped"
)

// link keeps a remote connected while Run is running. What it does is decided by
// the fault that the last connection ended with, and by its outbox.
type link struct {
	p    *Peer
	spec Remote
	kick chan struct{} // holds a token when there is news for the goroutine
	news func()        // takes the place of kick in a simulation; else nil

	mu       sync.Mutex
	state    LinkState
	since    time.Time // of the state
	failures int       // in a row
	fault    *Fault    // of the last attempt, nil when connected
	due      time.Time // when waiting
	again    bool      // try at once
	stopped  bool      // the store has why it is not tried; if it has no longer, somebody took it out
	conn     *conn     // the last one
	retries  map[Class]int64
	box      *outbox
	revived  []id.Document // to be offered again on this connection
}

// Connect adds a remote that Run keeps connected to, now or when it is called. It
// does not wait for the connection: Status says how it goes. The error is about
// the URL.
func (p *Peer) Connect(r Remote) error {
	if err := r.check(); err != nil {
		return err
	}
	l := &link{
		p: p, spec: r, state: LinkIdle, since: p.o.Now(), kick: make(chan struct{}, 1),
		retries: map[Class]int64{}, box: newOutbox(p.o.Backoff),
	}
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
	network := newNetworkWatch()
	p.run = func(l *link) { all.Go(func() { l.run(ctx, network) }) }
	for _, l := range p.links {
		p.run(l)
	}
	all.Go(func() { p.followWorkspace(ctx) })
	all.Go(func() { p.publish(ctx) })
	all.Go(func() { network.run(ctx, p.o.Network, p.o.NetworkPoll) })
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
func (l *link) run(ctx context.Context, network *networkWatch) {
	defer l.set(LinkIdle)
	l.begin(ctx)
	for l.await(ctx, network) {
		l.set(LinkConnecting)
		c, err := l.p.dial(ctx, l.spec, l.p.self, l, nil)
		if err == nil {
			l.connected(ctx, c)
			stop := context.AfterFunc(ctx, c.closeDown)
			var tending sync.WaitGroup
			tending.Go(func() { l.tend(c) })
			err = c.run()
			tending.Wait()
			stop()
		}
		if ctx.Err() != nil {
			return
		}
		l.failed(ctx, c, err)
	}
}

// begin forgets what an earlier Run has met, but for what the store has of it.
func (l *link) begin(ctx context.Context) {
	l.reread(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = true
}

// offlineLook is how often a link looks again whether there is a way, should the
// change of the network have been missed.
const offlineLook = 30 * time.Second

// await waits until it is time for an attempt. It reports false when ctx ends.
func (l *link) await(ctx context.Context, network *networkWatch) bool {
	for ctx.Err() == nil {
		changed := network.channel()
		wait := l.next()
		if wait == 0 {
			return true
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			l.waited()
		case <-changed:
			l.networkChanged()
		case <-l.kick:
		case <-ctx.Done():
		}
		t.Stop()
		if l.heldBack() {
			l.reread(ctx)
		}
	}
	return false
}

// next is for how long there is nothing to do; 0: an attempt is due.
func (l *link) next() time.Duration {
	wait := l.wait()
	if !l.p.o.Network.Routes(hostOf(l.spec.URL)) {
		l.set(LinkOffline)
		return offlineLook
	}
	return wait
}

// networkChanged has a remote tried at once: what was wrong may have been wrong with
// the network.
func (l *link) networkChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures, l.again = 0, true
}

// wait is for how long there is nothing to do.
func (l *link) wait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.again || l.fault == nil:
		return 0
	case !l.fault.Class.Mendable():
		l.setLocked(LinkStopped)
		return heldLook
	}
	l.setLocked(LinkWaiting)
	return max(time.Nanosecond, l.due.Sub(l.p.o.Now()))
}

// waited says that the time is over.
func (l *link) waited() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == LinkWaiting {
		l.again = true
	}
}

func (l *link) set(s LinkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setLocked(s)
}

func (l *link) setLocked(s LinkState) {
	if l.state != s {
		l.state, l.since = s, l.p.o.Now()
		l.p.stir()
	}
}

func (l *link) connected(ctx context.Context, c *conn) {
	l.mu.Lock()
	l.conn, l.fault, l.again, l.stopped = c, nil, false, false
	l.setLocked(LinkConnected)
	l.mu.Unlock()
	// An earlier process may have left it.
	if _, err := l.p.store.Value(ctx, keyStopped+l.spec.URL); err == nil {
		l.p.forgetStopped(ctx, l.spec.URL)
	}
}

// steady is how long a connection must have lasted for its end not to count as
// one more failure in a row.
const steady = 10 * time.Second

// failed notes why an attempt failed, or the connection c ended, and what follows.
func (l *link) failed(ctx context.Context, c *conn, err error) {
	if err == nil {
		err = errors.New("the other end closed the connection")
	}
	f := faultOf(err)
	var underWay []id.Document
	if c != nil && blames(f) {
		underWay = c.underWay()
	}
	l.mu.Lock()
	now := l.p.o.Now()
	if l.state == LinkConnected && now.Sub(l.since) >= steady {
		l.failures = 0
	}
	l.failures++
	l.retries[f.Class]++
	if len(underWay) > 0 {
		// It is about a document, so the others need not wait for long.
		l.failures = 1
		culprit, found, dead := l.box.blame(underWay, f, now, l.p.o.Rand())
		if found {
			l.p.o.Log.Warn("the connection ends over a document", "url", l.spec.URL, "doc", culprit.String(), "err", err, "dead", dead)
		}
		if dead {
			defer l.hold(ctx, culprit, f, now)
		}
	}
	delay, ok := l.p.o.Backoff.After(f, l.failures, l.p.o.Rand())
	l.fault, l.due, l.again = f, now.Add(delay), false
	l.mu.Unlock()
	if ok {
		l.p.o.Log.Info("remote lost", "url", l.spec.URL, "class", string(f.Class), "err", err, "next", delay)
		return
	}
	l.p.o.Log.Error("remote not tried again", "url", l.spec.URL, "class", string(f.Class), "err", err)
	if err := l.p.store.SetValue(ctx, keyStopped+l.spec.URL, encodeDead(f, now, false)); err != nil {
		l.p.o.Log.Warn("not kept why a remote is not tried", "url", l.spec.URL, "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// blames reports whether a fault that ended a connection may be about a document.
func blames(f *Fault) bool {
	switch f.Class {
	case ClassProtocol, ClassInternal, ClassOverLimit:
		return f.RetryAfter == 0
	}
	return false
}

func (p *Peer) forgetStopped(ctx context.Context, url string) {
	if err := p.store.DeleteValue(ctx, keyStopped+url); err != nil {
		p.o.Log.Warn("not forgotten why a remote was not tried", "url", url, "err", err)
	}
}

func (l *link) status() RemoteStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := RemoteStatus{URL: l.spec.URL, State: l.state, Since: l.since, Failures: l.failures, Retries: maps.Clone(l.retries)}
	if l.fault != nil {
		r.Class, r.Err, r.Reason = l.fault.Class, l.fault, l.fault.Error()
	}
	if l.state == LinkWaiting {
		r.Next = l.due
	}
	for _, le := range l.box.letters {
		switch le.state {
		case letterWaiting:
			r.Waiting++
		case letterDead:
			r.Dead++
		case letterDropped:
			r.Dropped++
		}
	}
	if l.conn != nil {
		r.PeerID, r.StorageID, r.Traffic = l.conn.remote.PeerID, l.conn.remote.Metadata.StorageID, l.conn.traffic()
	}
	return r
}
