package peer

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// ListenOptions say who may connect. The zero lets everyone who can reach the
// address sync the documents whose ids they know, and those on this machine bring
// new ones.
type ListenOptions struct {
	// Tokens are access tokens, one of which a client must send. With Authorize
	// nil and no Tokens, none is needed.
	Tokens []string
	// Authorize says why a token ("" if the client sent none) is not accepted. It
	// is asked if Tokens does not have it.
	Authorize func(ctx context.Context, token string) error
	// RefuseNew keeps documents out that the store does not have. Otherwise those
	// are taken in from clients with a token, or on this machine.
	RefuseNew bool
}

func (o ListenOptions) open() bool { return len(o.Tokens) == 0 && o.Authorize == nil }

var errToken = errors.New("the access token is missing or not valid here")

func (o ListenOptions) authorize(ctx context.Context, token string) error {
	if o.open() {
		return nil
	}
	for _, t := range o.Tokens {
		if subtle.ConstantTimeCompare([]byte(t), []byte(token)) == 1 {
			return nil
		}
	}
	if o.Authorize != nil {
		return o.Authorize(ctx, token)
	}
	return errToken
}

// Listener takes connections until it, or its peer, is closed.
type Listener struct {
	l    net.Listener
	s    *http.Server
	p    *Peer
	done chan struct{}
	err  error
}

// Listen takes connections on a TCP address such as 127.0.0.1:3031; port 0 takes a
// free one. Other peers and stock clients connect to it as to a relay.
func (p *Peer) Listen(ctx context.Context, addr string, o ListenOptions) (*Listener, error) {
	tcp, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
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
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { p.accept(w, req, o) })
}

// protocol is the WebSocket subprotocol that a browser names beside its token.
const protocol = "syncline.v1"

// accept serves a connection until it ends. Refusals come as an error message and
// a close, never as an HTTP status: stock clients under Node throw on that, and
// their process ends.
func (p *Peer) accept(w http.ResponseWriter, req *http.Request, o ListenOptions) {
	if p.ctx.Err() != nil {
		http.Error(w, ErrClosed.Error(), http.StatusServiceUnavailable)
		return
	}
	pulse := new(socket.Pulse)
	tap := &socket.Tap{ResponseWriter: w}
	ws, err := websocket.Accept(tap, req, &websocket.AcceptOptions{
		OnPongReceived: pulse.Pong,
		Subprotocols:   []string{protocol},
		// Any page may connect: nothing here rests on cookies.
		InsecureSkipVerify: true,
	})
	if err != nil {
		p.o.Log.Debug("not a WebSocket request", "err", err)
		return
	}
	ws.SetReadLimit(p.o.MaxFrame)
	remote, err := p.greet(ws, tokenOf(req), o)
	if err != nil {
		p.o.Log.Info("handshake failed", "err", err)
		socket.Shut(ws, tap.Conn, socket.CodeOf(err), err.Error())
		return
	}
	c := p.newConn(ws, p.self, remote, pulse)
	c.peers = true // relays do not dial
	admits := !o.RefuseNew && (!o.open() || fromHere(req))
	c.admits = func() bool { return admits }
	if !p.register(c) {
		socket.Shut(ws, tap.Conn, wire.CloseDraining, ErrClosed.Error())
		return
	}
	p.remember(req.Context(), "", c)
	c.log.Info("peer joined", "syncline", remote.Metadata.Syncline)
	c.run()
}

// greet is the server's side of the handshake. The token may be in the request or
// in the join.
func (p *Peer) greet(ws *websocket.Conn, token string, o ListenOptions) (wire.Remote, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.o.DialTimeout)
	defer cancel()
	b, err := socket.Frames(ws).ReadFrame(ctx)
	if err != nil {
		return wire.Remote{}, fmt.Errorf("read join: %w", err)
	}
	local := wire.Local{PeerID: p.self, Metadata: p.metadata()}
	var reply wire.Message
	var remote wire.Remote
	first, err := wire.Decode(b)
	if err != nil {
		reply = &wire.Error{Route: wire.Route{SenderID: p.self}, Message: err.Error()}
	} else {
		reply, remote, err = local.Answer(first)
	}
	if err == nil {
		if token == "" {
			token = remote.Metadata.Token
		}
		if aerr := o.authorize(ctx, token); aerr != nil {
			err = socket.WithCode(wire.CloseUnauthorised, aerr)
			reply = &wire.Error{Route: wire.Route{SenderID: p.self, TargetID: remote.PeerID}, Message: aerr.Error()}
		}
	}
	remote.Metadata.Token = ""
	out, werr := wire.Encode(reply)
	if werr == nil {
		werr = socket.Frames(ws).WriteFrame(ctx, out)
	}
	return remote, errors.Join(err, werr)
}

// tokenOf finds the token in a request: in its header, or among the subprotocols.
func tokenOf(req *http.Request) string {
	if t, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(t)
	}
	for _, h := range req.Header.Values("Sec-WebSocket-Protocol") {
		for s := range strings.SplitSeq(h, ",") {
			if t, ok := strings.CutPrefix(strings.TrimSpace(s), "bearer."); ok {
				return t
			}
		}
	}
	return ""
}

// fromHere reports whether a request comes from this machine, and not by way of a
// proxy on it.
func fromHere(req *http.Request) bool {
	if req.Header.Get("Forwarded") != "" || req.Header.Get("X-Forwarded-For") != "" {
		return false
	}
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
