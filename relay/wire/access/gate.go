package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"
)

// Gate decides who is let in when a client connects, and for what. The zero lets
// everybody in for everything, except pages that are not of this machine.
type Gate struct {
	// Verifier checks tokens. nil: none are taken but Secrets.
	Verifier *Verifier
	// Secrets are tokens that say nothing, each of which grants everything for ever.
	Secrets []string
	// Origins are the pages that may connect.
	Origins Origins
	// HereOnly lets only users of this machine in while no token is asked for, as
	// AdminGate has them, but that pages are for Origins to say.
	HereOnly bool
}

// Asks reports whether the gate asks for a token.
func (g Gate) Asks() bool { return g.Verifier != nil || len(g.Secrets) > 0 }

// Visitor is what the request of a WebSocket brought of access, before the client
// has joined.
type Visitor struct {
	token string
	err   error // why it cannot be let in
}

var errElsewhere = errors.New("without access tokens only programs on this machine may connect, and not through a proxy")

// Visit reads a request. Why it cannot be let in is for Admit to say, when the client
// can be told: stock clients under Node end on an HTTP status.
func (g Gate) Visit(r *http.Request) (v Visitor) {
	switch v.err = g.Origins.Check(r); {
	case v.err != nil:
	case g.Asks():
		v.token, _, v.err = FromRequest(r)
	case g.HereOnly && !local(r):
		v.err = withClass(ErrForbidden, errElsewhere)
	}
	return v
}

// Admit says what a visitor is granted whose join brought a token, or "". An error is
// of one of the classes of this package, and its text may go to the client.
func (g Gate) Admit(ctx context.Context, v Visitor, joined string) (Grant, error) {
	if v.err != nil {
		return Grant{}, v.err
	}
	if !g.Asks() {
		return Open(), nil
	}
	token, err := OneToken(v.token, joined)
	if err != nil {
		return Grant{}, err
	}
	return g.grant(ctx, token)
}

// grant is what a token grants.
func (g Gate) grant(ctx context.Context, token string) (Grant, error) {
	known := 0
	for _, s := range g.Secrets {
		known |= subtle.ConstantTimeCompare([]byte(s), []byte(token))
	}
	switch {
	case token == "":
		return Grant{}, withClass(ErrUnauthorised, ErrMissing)
	case known == 1:
		return Open(), nil
	case g.Verifier == nil:
		return Grant{}, withClass(ErrUnauthorised, errUnknown)
	}
	return g.Verifier.Verify(ctx, token, time.Now())
}

var errUnknown = errors.New("the access token is not one of those that are taken here")
