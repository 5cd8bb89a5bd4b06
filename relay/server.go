package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Serve serves HTTP on a listener until ctx ends, then closes the relay and waits
// for it. The port has the WebSocket on every path, and for those who come with
// something else: /healthz, which answers "ok" while connections are taken, and
// /, a page that says what this is.
func (r *Relay) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", r.health)
	mux.HandleFunc("/", r.root)
	s := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: r.o.HandshakeTimeout,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(r.o.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		r.Close()
		bounded, cancel := context.WithTimeout(context.Background(), r.o.CloseTimeout)
		defer cancel()
		s.Shutdown(bounded)
	})()
	err := s.Serve(l)
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		<-stopped
		return nil
	}
	return fmt.Errorf("serve on %s: %w", l.Addr(), errors.Join(err, r.Close()))
}

func (r *Relay) health(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}

func (r *Relay) root(w http.ResponseWriter, req *http.Request) {
	if strings.EqualFold(req.Header.Get("Upgrade"), "websocket") {
		r.ServeHTTP(w, req)
		return
	}
	if req.URL.Path != "/" {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "This is a Syncline relay: it keeps and forwards the changes of Automerge documents.\n"+
		"Point the WebSocket adapter of an automerge-repo at ws://%s/\n", req.Host)
}
