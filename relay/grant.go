package relay

import (
	"context"
	"errors"
	"time"

	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// admit checks the token of a client that says join. It is done before the client
// is answered.
func (r *Relay) admit(ctx context.Context, v access.Visitor, client wire.Remote) (access.Grant, error) {
	g, err := r.gate.Admit(ctx, v, client.Metadata.Token)
	if err != nil {
		r.metrics.AuthFailures[authFailure(err)].Inc()
	}
	return g, err
}

// authFailure is what an error counts as.
func authFailure(err error) operate.AuthFailure {
	switch {
	case errors.Is(err, access.ErrExpired):
		return operate.AuthExpired
	case errors.Is(err, access.ErrUnavailable):
		return operate.AuthUnavailable
	case errors.Is(err, access.ErrForbidden):
		return operate.AuthForbidden
	case errors.Is(err, access.ErrMissing):
		return operate.AuthMissing
	}
	return operate.AuthUnauthorised
}

// expired ends a connection whose grant has ended.
func (c *conn) expired(err error) {
	if c.ctx.Err() == nil {
		c.refuse(socket.CodeOf(err), err)
	}
}

// renew replaces the grant of the connection.
func (c *conn) renew(m *wire.Token) error {
	if !c.relay.gate.Asks() {
		return nil // nobody needs one
	}
	next, err := c.pass.Renew(c.ctx, m.Token)
	if errors.Is(err, access.ErrUnavailable) {
		// The old one holds for as long as it says.
		c.notice(wire.Notice{Code: wire.NoticeOverLimit, RetryAfter: 10 * time.Second, Message: err.Error()})
		return nil
	}
	if err != nil {
		if !errors.Is(err, access.ErrOverLimit) {
			c.relay.metrics.AuthFailures[authFailure(err)].Inc()
		}
		return err
	}
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
