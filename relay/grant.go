package relay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// ticket is what a request brought of access before the client has joined.
type ticket struct {
	address string
	token   string
	err     error // why it cannot be let in
}

// ticketOf reads the token that the request of a WebSocket carries. Errors are kept
// until the client can be told: stock clients under Node end on an HTTP status.
func (r *Relay) ticketOf(req *http.Request) ticket {
	t := ticket{address: addressOf(req)}
	if err := r.o.Origins.Check(req); err != nil {
		t.err = err
		return t
	}
	if r.o.Access != nil {
		t.token, _, t.err = access.FromRequest(req)
	}
	return t
}

// grant checks the token of a client that says join. It is done before the client
// is answered.
func (r *Relay) grant(ctx context.Context, t ticket, client wire.Remote) (access.Grant, error) {
	g, err := access.Open(), t.err
	if err == nil && r.o.Access != nil {
		var token string
		if token, err = access.OneToken(t.token, client.Metadata.Token); err == nil {
			g, err = r.o.Access.Verify(ctx, token, time.Now())
		}
	}
	if err != nil {
		none := t.err == nil && t.token == "" && client.Metadata.Token == ""
		r.metrics.AuthFailures[authFailure(none, err)].Inc()
	}
	return g, err
}

// authFailure is what an error counts as; none: there was no token at all.
func authFailure(none bool, err error) operate.AuthFailure {
	switch {
	case errors.Is(err, access.ErrExpired):
		return operate.AuthExpired
	case errors.Is(err, access.ErrUnavailable):
		return operate.AuthUnavailable
	case errors.Is(err, access.ErrForbidden):
		return operate.AuthForbidden
	case none:
		return operate.AuthMissing
	}
	return operate.AuthUnauthorised
}

// coded gives an error of package access its close code.
func coded(err error) error {
	for _, of := range []error{access.ErrUnauthorised, access.ErrExpired, access.ErrUnavailable, access.ErrForbidden} {
		if errors.Is(err, of) {
			return socket.WithCode(access.CloseCode(err), err)
		}
	}
	return err
}

// renewEvery is how often a client may replace its token: each costs a signature.
const renewEvery = time.Second

// renew replaces the grant of the connection.
func (c *conn) renew(m *wire.Token) error {
	if c.relay.o.Access == nil {
		return nil // nobody needs one
	}
	if wait := reserve(c.renewals, time.Now(), 1); wait > 10*renewEvery {
		return socket.WithCode(wire.CloseOverLimit, errors.New("access tokens are replaced too often; once an hour is enough"))
	}
	next, err := c.relay.o.Access.Verify(c.ctx, m.Token, time.Now())
	if errors.Is(err, access.ErrUnavailable) {
		// The old one holds for as long as it says.
		c.notice(wire.Notice{Code: wire.NoticeOverLimit, RetryAfter: 10 * time.Second, Message: err.Error()})
		return nil
	}
	if err == nil {
		err = c.granted().Renew(next)
	}
	if err != nil {
		c.relay.metrics.AuthFailures[authFailure(m.Token == "", err)].Inc()
		return coded(err)
	}
	c.setGrant(next)
	for doc := range c.docs {
		switch next.Document(doc) {
		case access.None:
			c.leave(doc)
			c.send(&wire.Unavailable{Route: c.route(), Document: doc})
		case access.Read:
			c.relay.halls.tell(doc, granted{conn: c.id, readOnly: true})
		default:
			c.relay.halls.tell(doc, granted{conn: c.id})
		}
	}
	return nil
}

func (c *conn) granted() access.Grant { return *c.grant.Load() }

// setGrant keeps a grant, and closes the connection when it ends.
func (c *conn) setGrant(g access.Grant) {
	c.grant.Store(&g)
	c.awaitExpiry(g)
}

// expiryLook is how often it is looked at least whether a grant has ended: its end
// is a time of day, and a timer knows neither of a clock that is set nor of a
// machine that slept.
const expiryLook = time.Minute

func (c *conn) awaitExpiry(g access.Grant) {
	if !g.Expires.IsZero() {
		c.expiry.Reset(min(time.Until(g.Expires), expiryLook))
	}
}

// expired is what the timer of the grant calls.
func (c *conn) expired() {
	g := c.granted()
	switch {
	case c.ctx.Err() != nil:
	case g.Expired(time.Now()):
		c.refuse(wire.CloseExpired, errors.New("the access token has expired; connect again with a new one"))
	default:
		c.awaitExpiry(g)
	}
}
