package operate

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"syncline/relay/wire/access"
	"syncline/relay/wire/admin"
)

// Options of a Handler. The zero lets nobody see more than whether the relay is
// ready and what it can do.
type Options struct {
	// Metrics are those that /metrics shows. nil: there is no such page.
	Metrics *Metrics
	// Allow says in one line for people why a request to /metrics, /status or the
	// admin verbs is refused, as access.AdminGate.Allowed does. nil: all are.
	Allow func(*http.Request) error
	// Next serves all other paths. nil: they are not found.
	Next http.Handler
	// Log is told of what an admin did, and of failures. nil: silent.
	Log *slog.Logger
}

// The paths.
const (
	HealthPath       = "/healthz"
	ReadyPath        = "/readyz"
	CapabilitiesPath = "/.well-known/syncline"
	MetricsPath      = "/metrics"
	StatusPath       = "/status"
)

// pages is a Handler.
type pages struct {
	source Source
	o      Options
	status *statusPage
	mux    *http.ServeMux
}

// Handler serves the pages of a relay.
func Handler(source Source, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Next == nil {
		o.Next = http.NotFoundHandler()
	}
	p := &pages{source: source, o: o, status: newStatusPage(), mux: http.NewServeMux()}
	p.public(HealthPath, p.health)
	p.public(ReadyPath, p.ready)
	p.public(CapabilitiesPath, p.capabilities)
	p.private(StatusPath, p.showStatus, http.MethodGet)
	if o.Metrics != nil {
		p.private(MetricsPath, promhttp.HandlerFor(o.Metrics.Gatherer(), promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
			// A slow reader must not have one read pile up on the other.
			MaxRequestsInFlight: 4,
			Timeout:             10 * time.Second,
			EnableOpenMetrics:   true,
		}).ServeHTTP, http.MethodGet)
	}
	p.private(admin.Path, p.documents, http.MethodGet)
	p.private(admin.Path+"/{id}", p.document, http.MethodGet, http.MethodDelete)
	p.mux.Handle("/", o.Next)
	return p.mux
}

func (p *pages) public(path string, h http.HandlerFunc) {
	p.mux.Handle(path, limited(h, http.MethodGet))
}

// private is a page for those whom Allow lets in. Others do not even learn which
// methods it has.
func (p *pages) private(path string, h http.HandlerFunc, methods ...string) {
	inside := limited(h, methods...)
	p.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		err := errNobody
		if p.o.Allow != nil {
			err = p.o.Allow(r)
		}
		if err != nil {
			secure(w)
			p.o.Log.Info("page refused", "path", r.URL.Path, "err", err)
			refuse(w, r, access.Refusal(w.Header(), err), err)
			return
		}
		inside.ServeHTTP(w, r)
	})
}

var errNobody = errors.New("this page is not open to anybody at this relay")

// limited is a handler for these methods, and HEAD with GET.
func limited(h http.HandlerFunc, methods ...string) http.Handler {
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w)
		if !slices.Contains(methods, r.Method) {
			allowed := strings.Join(methods, ", ")
			w.Header().Set("Allow", allowed)
			refuse(w, r, http.StatusMethodNotAllowed, errors.New("this page knows only "+allowed))
			return
		}
		h(w, r)
	})
}

// secure says to browsers what these pages never do: load anything, be framed, be
// kept, be taken for another type, be read by another site.
func secure(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// refuse answers with an error in one line, in JSON where programs ask.
func refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	if strings.HasPrefix(r.URL.Path, admin.Path) {
		writeJSON(w, status, admin.Error{Error: err.Error()})
		return
	}
	writeText(w, status, err.Error())
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (p *pages) health(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") }

func (p *pages) ready(w http.ResponseWriter, _ *http.Request) {
	if err := p.source.Ready(); err != nil {
		writeText(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	writeText(w, http.StatusOK, "ready")
}

func (p *pages) capabilities(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	writeJSON(w, http.StatusOK, p.source.Capabilities())
}
