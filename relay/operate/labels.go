package operate

import "syncline/relay/wire"

// Reason is why a connection was closed, or why a connection, a message or a
// document was refused to a client.
type Reason int

// The reasons. Which of them close, which refuse and which do both is in their
// order: see closings and refusals.
const (
	Normal   Reason = iota // somebody wanted no more of it
	Lost                   // the other end closed it or was not heard of any more
	Slow                   // it did not read
	Replaced               // by a newer one of the same peer
	Other                  // with a code that is not in package wire

	TooLarge     // a frame above the limit
	Internal     // the relay failed to read what it keeps, or to check a token
	Unauthorised // no access token, or none that is good
	Expired      // the access token's time is up
	Protocol     // what came is not the protocol
	OverLimit    // of connections, documents, bytes or changes
	Draining     // the relay is shutting down
	ReadOnly     // the relay cannot store

	Unavailable // a document that is missing or not permitted
	Forbidden   // a change by somebody who may only read
	reasons     // how many there are
)

var reasonNames = [reasons]string{
	Normal: "normal", Lost: "lost", Slow: "slow", Replaced: "replaced", Other: "other",
	TooLarge: "too_large", Internal: "internal", Unauthorised: "unauthorised", Expired: "expired",
	Protocol: "protocol", OverLimit: "over_limit", Draining: "draining", ReadOnly: "read_only",
	Unavailable: "unavailable", Forbidden: "forbidden",
}

const (
	closings = ReadOnly + 1 // reasons below it close
	refusals = TooLarge     // reasons from it on refuse
)

// String is the reason's word in metrics and on the status page.
func (r Reason) String() string { return reasonNames[r] }

// MarshalText writes the same word.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ReasonOf is the reason that a close code stands for.
func ReasonOf(code wire.CloseCode) Reason {
	switch code {
	case wire.CloseNormal:
		return Normal
	case wire.CloseTooLarge:
		return TooLarge
	case wire.CloseInternal:
		return Internal
	case wire.CloseUnauthorised:
		return Unauthorised
	case wire.CloseExpired:
		return Expired
	case wire.CloseProtocol:
		return Protocol
	case wire.CloseSlow:
		return Slow
	case wire.CloseOverLimit:
		return OverLimit
	case wire.CloseDraining:
		return Draining
	case wire.CloseReadOnly:
		return ReadOnly
	case wire.CloseReplaced:
		return Replaced
	}
	return Other
}

// Rejection is why a change was not taken.
type Rejection int

// The rejections.
const (
	RejectMalformed Rejection = iota // wrong by itself
	RejectUnfit                      // does not fit its document
	RejectForbidden                  // from somebody who may only read
	RejectOverLimit                  // too many, too large, or too many without their dependencies
	rejections
)

var rejectionNames = [rejections]string{"malformed", "unfit", "forbidden", "over_limit"}

// Divergence is a way in which what should be equal is not.
type Divergence int

// The divergences that a relay can see: it holds hashes, not values. That peers read
// different values it is told by them.
const (
	DivergedTwin  Divergence = iota // two changes of one actor with one number
	DivergedRow                     // a stored change or segment that does not decode to its hash
	DivergedState                   // two peers with equal heads sent different digests
	divergences
)

var divergenceNames = [divergences]string{"twin", "row", "state"}

// AuthFailure is why an access token did not open a connection.
type AuthFailure int

// The failures, by the classes of errors of package access.
const (
	AuthMissing      AuthFailure = iota // no token came in time
	AuthUnauthorised                    // one that will never be good
	AuthExpired
	AuthForbidden   // from an origin that is not allowed
	AuthUnavailable // the keys could not be had
	authFailures
)

var authFailureNames = [authFailures]string{"missing", "unauthorised", "expired", "forbidden", "unavailable"}

// Drop is why a message was dropped without an answer.
type Drop int

// The drops.
const (
	DropUnknown Drop = iota // of a type that the relay does not know
	DropSender              // with the sender id of somebody else
	drops
)

var dropNames = [drops]string{"unknown_type", "wrong_sender"}
