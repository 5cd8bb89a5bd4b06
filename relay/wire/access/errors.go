package access

import (
	"errors"
	"fmt"

	"syncline/relay/wire"
)

// class is an error that says with which code to close a connection. What follows the
// class in an error's text says why, in words that may go to the client: they quote
// nothing of a token, and name neither files nor addresses of the server.
type class struct {
	text string
	code wire.CloseCode
}

func (c *class) Error() string { return c.text }

// CloseCode is what socket.CodeOf asks for.
func (c *class) CloseCode() wire.CloseCode { return c.code }

// The classes of errors. Each says with which code to close the connection of a
// client that is refused for it.
var (
	// ErrUnauthorised: no token, or one that will never be accepted.
	ErrUnauthorised error = &class{"unauthorised", wire.CloseUnauthorised}
	// ErrExpired: a token that was good until its time was up.
	ErrExpired error = &class{"the access token has expired", wire.CloseExpired}
	// ErrUnavailable: the keys could not be had, so the token may be good; the
	// client does well to come back.
	ErrUnavailable error = &class{"access tokens cannot be checked at the moment", wire.CloseInternal}
	// ErrForbidden: not from this origin, or not with this token.
	ErrForbidden error = &class{"forbidden", wire.CloseUnauthorised}
	// ErrOverLimit: tokens are replaced too often.
	ErrOverLimit error = &class{"over the limit", wire.CloseOverLimit}
)

// ErrMissing is why somebody is unauthorised who sent no token at all.
var ErrMissing = errors.New("no access token was sent")

// ErrReadOnly is why a change is not taken from somebody who may only read its
// document. It ends nothing.
var ErrReadOnly = errors.New("you may read this document and not change it; your change stays with you")

// withClass gives a reason its class; no reason has none.
func withClass(class, reason error) error {
	if reason == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", class, reason)
}
