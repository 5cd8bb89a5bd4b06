package wire

import "fmt"

// Version is the only version of the automerge-repo protocol there is.
const Version = "1"

// Syncline is the version of our additions to the protocol, announced as
// peerMetadata.syncline. They are sent only to an end that announces 1 or more.
const Syncline = 1

// CloseCode says why a WebSocket connection was closed.
type CloseCode uint16

// The close codes. Those from 4001 on are Syncline's own; a stock client treats
// all of them as a lost connection and comes back.
const (
	CloseNormal       CloseCode = 1000
	CloseTooLarge     CloseCode = 1009 // a frame above the receiver's limit
	CloseInternal     CloseCode = 1011 // the relay failed to read what it keeps
	CloseUnauthorised CloseCode = 4001
	CloseExpired      CloseCode = 4002 // the token's time is up
	CloseProtocol     CloseCode = 4003 // what was sent is not the protocol
	CloseSlow         CloseCode = 4004 // the receiver did not read fast enough
	CloseOverLimit    CloseCode = 4005
	CloseDraining     CloseCode = 4006 // the relay is shutting down
	CloseReadOnly     CloseCode = 4007 // the relay cannot store changes
	CloseReplaced     CloseCode = 4008 // a newer connection of the same peer
)

// String returns the code's name with its number.
func (c CloseCode) String() string {
	names := map[CloseCode]string{
		CloseNormal: "normal", CloseTooLarge: "frame too large", CloseInternal: "internal error",
		CloseUnauthorised: "unauthorised", CloseExpired: "token expired",
		CloseProtocol: "protocol error", CloseSlow: "slow reader",
		CloseOverLimit: "over limit", CloseDraining: "draining",
		CloseReadOnly: "storage read-only", CloseReplaced: "replaced",
	}
	if name := names[c]; name != "" {
		return fmt.Sprintf("%s (%d)", name, uint16(c))
	}
	return fmt.Sprintf("close code %d", uint16(c))
}

// NoticeCode is the machine-readable part of a Notice.
type NoticeCode string

// The notice codes.
const (
	NoticeUnavailable    NoticeCode = "unavailable" // missing or not permitted: the same
	NoticeReadOnly       NoticeCode = "read-only"
	NoticeOverLimit      NoticeCode = "over-limit"
	NoticeStorageFull    NoticeCode = "storage-full"
	NoticeRejectedChange NoticeCode = "rejected-change" // with the change's hash
	NoticeTwin           NoticeCode = "twin"
	NoticeDraining       NoticeCode = "draining"
)
