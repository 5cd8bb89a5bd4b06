package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// ListenOptions say who may connect, and for what. With the zero, programs on this
// machine read and write all documents whose ids they know, and bring new ones.
type ListenOptions struct {
	// Access checks access tokens, as a relay does; what one grants is all that its
	// connection reads and writes. nil: none are taken but Tokens. The caller closes
	// it, after the peer.
	Access *access.Verifier
	// Tokens are secrets, any of which lets its bearer read and write everything.
	Tokens []string
	// Open lets everybody who reaches the address read and write everything. It is
	// only looked at without Access and Tokens; then nobody but programs on this
	// machine is let in otherwise.
	Open bool
	// Origins are the pages that may connect. Its zero: those of this machine.
	Origins access.Origins
	// RefuseNew keeps documents out that the store does not have. Otherwise they are
	// taken in from whoever may write them.
	RefuseNew bool
	// MaxConnections bounds the connections at a time, with those that have not
	// joined; one more is closed with wire.CloseOverLimit. 0: 1,000: each may have
	// Options.MaxQueue waiting for it.
	MaxConnections int
}

func (o ListenOptions) gate() access.Gate {
	return access.Gate{Verifier: o.Access, Secrets: o.Tokens, Origins: o.Origins, HereOnly: !o.Open}
}

// ErrUnguarded: others can reach the address, and nothing says who may do what.
var ErrUnguarded = errors.New("others can reach the address, and nothing says who may read and write: ask for access tokens, listen on 127.0.0.1, or open it to everybody")

// Listener takes connections until it, or its peer, is closed.
type Listener struct {
	l    net.Listener
	s    *http.Server
	p    *Peer
	done chan struct{}
	err  error
}

// Listen takes connections on a TCP address such as 127.0.0.1:3031; port 0 takes a
// free one. Other peers and stock clients connect to it as to a relay. Without access
// control the address has to be one of this machine (ErrUnguarded), unless the options
// say Open. Other errors are those of the network.
func (p *Peer) Listen(ctx context.Context, addr string, o ListenOptions) (*Listener, error) {
	tcp, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if !o.gate().Asks() && !o.Open && !access.Loopback(tcp.Addr()) {
		tcp.Close()
		return nil, fmt.Errorf("listen on %s: %w", tcp.Addr(), ErrUnguarded)
	}
	l := &Listener{l: tcp, p: p, done: make(chan struct{})}
	l.s = &http.Server{
		Handler:           p.Handler(o),
		ReadHeaderTimeout: p.o.DialTimeout,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(p.o.Log.Handler(), slog.LevelDebug),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		tcp.Close()
		return nil, ErrClosed
	}
	p.background.Go(func() {
		defer close(l.done)
		defer context.AfterFunc(p.ctx, func() { l.s.Close() })()
		if err := l.s.Serve(tcp); !errors.Is(err, http.ErrServerClosed) {
			l.err = fmt.Errorf("serve on %s: %w", tcp.Addr(), err)
			p.o.Log.Error("listener ended", "err", l.err)
		}
	})
	return l, nil
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.l.Addr() }

// URL is the WebSocket address of Addr.
func (l *Listener) URL() string { return "ws://" + l.l.Addr().String() }

// Close takes no more connections and waits for the goroutine that took them.
// Those that are open go on. It may be called again.
func (l *Listener) Close() error {
	l.s.Close()
	<-l.done
	return l.err
}

// Handler takes WebSocket connections on whatever path it is put, for a server of
// the caller's.
func (p *Peer) Handler(o ListenOptions) http.Handler {
	setDefault(&o.MaxConnections, 1000)
	return &door{p: p, gate: o.gate(), admits: !o.RefuseNew, most: int64(o.MaxConnections)}
}

// door is where connections come in.
type door struct {
	p      *Peer
	gate   access.Gate
	admits bool  // documents that the store does not have
	most   int64 // connections
	open   atomic.Int64
}

// ServeHTTP serves a connection until it ends. Refusals come as an error message and
// a close, never as an HTTP status: stock clients under Node throw on that, and
// their process ends.
func (d *door) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if d.p.ctx.Err() != nil {
		http.Error(w, ErrClosed.Error(), http.StatusServiceUnavailable)
		return
	}
	defer d.open.Add(-1)
	crowded := d.open.Add(1) > d.most
	visitor := d.gate.Visit(req)
	pulse := new(socket.Pulse)
	tap := &socket.Tap{ResponseWriter: w}
	ws, err := websocket.Accept(tap, req, &websocket.AcceptOptions{
		OnPongReceived: pulse.Pong,
		Subprotocols:   []string{access.Subprotocol},
		// The origin is the gate's to check, where the client can be told.
		InsecureSkipVerify: true,
	})
	if err != nil {
		d.p.o.Log.Debug("not a WebSocket request", "err", err)
		return
	}
	shut := func(err error) {
		d.p.o.Log.Info("handshake failed", "err", err)
		socket.Shut(ws, tap.Line, socket.CodeOf(err), err.Error())
	}
	if crowded {
		shut(errCrowded)
		return
	}
	ws.SetReadLimit(min(d.p.o.MaxFrame, wire.MaxJoin))
	remote, granted, err := d.greet(ws, visitor)
	if err != nil {
		shut(err)
		return
	}
	ws.SetReadLimit(d.p.o.MaxFrame)
	c := d.p.newConn(ws, tap.Line, d.p.self, remote, pulse)
	c.peers = true // relays do not dial
	c.admits = d.admits
	c.guard(d.gate, granted)
	defer c.pass.Stop()
	if !d.p.register(c) {
		shut(socket.WithCode(wire.CloseDraining, ErrClosed))
		return
	}
	d.p.remember(req.Context(), "", c)
	c.log.Info("peer joined", "account", granted.Account, "syncline", remote.Metadata.Syncline)
	c.run()
}

var errCrowded = socket.WithCode(wire.CloseOverLimit, errors.New("too many are connected; try again in a minute"))

// greet is the server's side of the handshake. The token may be in the request or
// in the join.
func (d *door) greet(ws *websocket.Conn, visitor access.Visitor) (remote wire.Remote, granted access.Grant, err error) {
	ctx, cancel := context.WithTimeout(d.p.ctx, d.p.o.DialTimeout)
	defer cancel()
	local := wire.Local{PeerID: d.p.self, Metadata: d.p.metadata()}
	remote, err = local.Serve(ctx, socket.Frames(ws), func(ctx context.Context, client wire.Remote) (err error) {
		granted, err = d.gate.Admit(ctx, visitor, client.Metadata.Token)
		return err
	})
	remote.Metadata.Token = ""
	return remote, granted, err
}
