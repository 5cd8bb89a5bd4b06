package access

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// AdminGate decides who sees the admin pages and uses the admin verbs over HTTP:
// whoever is on this machine, and whoever has a token with the admin claim. The
// zero knows this machine only.
//
// A request is of this machine if it comes from a loopback address, asks for one,
// and bears no sign of a proxy or of a page from elsewhere: a proxy on this machine
// comes from loopback whomever it speaks for, and a page whose name was made to
// point at this machine (DNS rebinding) asks for that name. A proxy that says
// nothing of itself, as nginx does unless told to, cannot be told from a user of
// this machine: behind one, set TokenOnly.
type AdminGate struct {
	// Verifier checks tokens. nil: none are taken.
	Verifier *Verifier
	// TokenOnly has users of this machine show a token too.
	TokenOnly bool
}

var (
	errNotHere    = errors.New("only from this machine, and not through a proxy")
	errAdminToken = errors.New("the access token is without the admin claim")
)

// Allowed says why a request is refused: ErrForbidden, or what Verify says of its
// token.
func (g AdminGate) Allowed(r *http.Request) error {
	if !g.TokenOnly && local(r) && (Origins{}).Check(r) == nil {
		return nil
	}
	if g.Verifier == nil {
		return withClass(ErrForbidden, errNotHere)
	}
	token, _, err := FromRequest(r)
	if err != nil {
		return err
	}
	grant, err := g.Verifier.Verify(r.Context(), token, time.Now())
	if err != nil {
		return err
	}
	if !grant.Admin {
		return withClass(ErrForbidden, errAdminToken)
	}
	return nil
}

// Wrap puts a handler behind the gate. These are pages and not upgrades, so a
// refusal is an HTTP status.
func (g AdminGate) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := g.Allowed(r)
		if err == nil {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, err.Error(), Refusal(w.Header(), err))
	})
}

// Refusal is the status of a page that is refused for an error of Allowed. Where a
// better token would help, the header says so.
func Refusal(h http.Header, err error) (status int) {
	switch {
	case errors.Is(err, ErrUnauthorised), errors.Is(err, ErrExpired):
		h.Set("WWW-Authenticate", "Bearer")
		return http.StatusUnauthorized
	case errors.Is(err, ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// proxyHeaders are what proxies say of themselves and whom they speak for.
var proxyHeaders = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

// local reports whether a user of this machine makes a request, as the comment of
// AdminGate has it, pages from elsewhere apart.
func local(r *http.Request) bool {
	for _, name := range proxyHeaders {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !loopbackHost(host) {
		return false
	}
	asked := url.URL{Host: r.Host}
	return loopbackHost(asked.Hostname())
}
