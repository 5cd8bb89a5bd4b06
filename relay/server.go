package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"syncline/relay/operate"
)

// Serve serves HTTP on a listener until ctx ends, then closes the relay and waits
// for it: Handler, and nothing else.
func (r *Relay) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           r.Handler(),
		ReadHeaderTimeout: r.o.HandshakeTimeout,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(r.o.Log.Handler(), slog.LevelDebug),
	}
	quiet := silent{}
	s.ConnState = quiet.note
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		r.Close()
		quiet.close()
		bounded, cancel := context.WithTimeout(context.Background(), r.o.CloseTimeout)
		defer cancel()
		if s.Shutdown(bounded) != nil {
			s.Close()
		}
	})()
	err := s.Serve(l)
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		<-stopped
		return nil
	}
	return fmt.Errorf("serve on %s: %w", l.Addr(), errors.Join(err, r.Close()))
}

// silent are the connections on which no request has come, as browsers open them in
// advance: http.Server.Shutdown would wait for each until it is five seconds old.
type silent struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// note is an http.Server's ConnState.
func (s *silent) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != http.StateNew {
		delete(s.conns, c)
		return
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[c] = struct{}{}
}

func (s *silent) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Handler is all that the relay serves: the WebSocket on every path, as stock
// clients want it, the paths of package operate, and Options.Pages.
func (r *Relay) Handler() http.Handler {
	return operate.Handler(r, operate.Options{Metrics: r.metrics, Allow: r.o.Admin.Allowed, Next: http.HandlerFunc(r.root), Log: r.o.Log})
}

func (r *Relay) root(w http.ResponseWriter, req *http.Request) {
	switch {
	case strings.EqualFold(req.Header.Get("Upgrade"), "websocket"):
		r.ServeHTTP(w, req)
	case r.o.Pages != nil:
		r.o.Pages.ServeHTTP(w, req)
	case req.URL.Path != "/":
		http.NotFound(w, req)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "This is a Syncline relay: it keeps and forwards the changes of Automerge documents.\n"+
			"Point the WebSocket adapter of an automerge-repo at ws://%s/\n"+
			"How it is doing is at /status, what it can do at %s\n", req.Host, operate.CapabilitiesPath)
	}
}
