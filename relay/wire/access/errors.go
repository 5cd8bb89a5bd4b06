package access

import (
	"errors"

	"syncline/relay/wire"
)

// The classes of errors. What follows the class in an error's text says why, in
// words that may go to the client: they quote nothing of a token, and name neither
// files nor addresses of the server.
var (
	// ErrUnauthorised: no token, or one that will never be accepted.
	ErrUnauthorised = errors.New("unauthorised")
	// ErrExpired: a token that was good until its time was up.
	ErrExpired = errors.New("the access token has expired")
	// ErrUnavailable: the keys could not be had, so the token may be good; the
	// client does well to come back.
	ErrUnavailable = errors.New("access tokens cannot be checked at the moment")
	// ErrForbidden: not from this origin, or not with this token.
	ErrForbidden = errors.New("forbidden")
)

// CloseCode is the code to close a connection with that is refused with an error
// of this package.
func CloseCode(err error) wire.CloseCode {
	switch {
	case errors.Is(err, ErrExpired):
		return wire.CloseExpired
	case errors.Is(err, ErrUnavailable):
		return wire.CloseInternal
	}
	return wire.CloseUnauthorised
}
