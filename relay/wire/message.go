package wire

import (
	"time"

	"syncline/crdt/id"
)

// Message is one message of the protocol: a pointer to one of the types below.
type Message interface {
	// Type is the message's name on the wire.
	Type() string
	// Ends returns the peer ids of who sent the message and whom it is for. A
	// join is for whoever answers and has no target.
	Ends() (sender, target string)

	frame() (frame, error) // what Encode writes
}

// Route is the part that all messages have: the peer ids of the two ends. In an
// Ephemeral, SenderID is the peer that wrote it, whoever passed it on.
type Route struct {
	SenderID string
	TargetID string
}

// Metadata is what an end says about itself in the handshake.
type Metadata struct {
	// StorageID names the data of that end, and is the same for as long as
	// that data is kept. Empty when it keeps none.
	StorageID string
	// Ephemeral is true of an end whose data ends with its process.
	Ephemeral bool
	// Syncline is the version of our additions that the end understands; 0 for
	// a stock end.
	Syncline uint64
	// Token is an access token, for clients that cannot send a header.
	Token string
}

// Join is a client's first message.
type Join struct {
	SenderID string
	Metadata Metadata
	// Versions are the protocol versions the client speaks; nil when it does
	// not say, which means version 1.
	Versions []string
}

// Peer is the server's answer to a Join.
type Peer struct {
	Route
	Metadata Metadata
	Version  string
}

// Error says what went wrong. The sender usually closes after it.
type Error struct {
	Route
	Message string
}

// Sync carries one sync message of a document. Request is true from a peer that
// has nothing of the document and asks for it.
type Sync struct {
	Route
	Request  bool
	Document id.Document
	Data     []byte // never empty: a stock client throws on that
}

// Unavailable answers a request for a document that nobody asked has.
type Unavailable struct {
	Route
	Document id.Document
}

// Ephemeral is a message of the application, kept nowhere. Count grows with each
// message of (SenderID, SessionID).
type Ephemeral struct {
	Route
	Document  id.Document
	Count     uint64
	SessionID string
	Data      []byte
}

// RemoteSubscription asks to be told, or no longer, of the heads that the peers
// with these storage ids have.
type RemoteSubscription struct {
	Route
	Add, Remove []string
}

// RemoteHeads tells what heads other peers have of a document, by storage id.
type RemoteHeads struct {
	Route
	Document id.Document
	Heads    map[string]RemoteHead
}

// RemoteHead is what one peer is known to have, since when. Heads are written in
// bs58check and passed on as they are.
type RemoteHead struct {
	Heads []string
	Time  time.Time // to the millisecond
}

// Notice is Syncline's own message about a document or the connection, sent only
// to an end whose metadata says that it understands it.
type Notice struct {
	Route
	Code       NoticeCode
	Document   id.Document   // zero when the notice is about the connection
	Hash       id.Hash       // the change it is about, or zero
	RetryAfter time.Duration // to the millisecond; 0 when retrying is not suggested
	Message    string
}

// Digest says what the sender reads in a document at these heads, so that an end
// with equal heads can tell whether it reads the same. Only for Syncline ends. Heads
// and sum are byte strings on the wire; package crdt/digest says what is summed up.
type Digest struct {
	Route
	Document id.Document
	Heads    []id.Hash // ascending, from 1 to MaxDigestHeads
	Sum      [DigestSize]byte
}

// Token replaces the access token of a connection. Only for Syncline ends.
type Token struct {
	Route
	Token string
}

// Unknown is a message of a type that this package does not know.
type Unknown struct {
	Route
	Name string
}

// The names of the messages on the wire.
const (
	typeJoin               = "join"
	typePeer               = "peer"
	typeError              = "error"
	typeRequest            = "request"
	typeSync               = "sync"
	typeUnavailable        = "doc-unavailable"
	typeEphemeral          = "ephemeral"
	typeRemoteSubscription = "remote-subscription-change"
	typeRemoteHeads        = "remote-heads-changed"
	typeNotice             = "syncline-notice"
	typeToken              = "syncline-token"
	typeDigest             = "syncline-digest"
)

// Ends returns the peer ids of the two ends.
func (r Route) Ends() (sender, target string) { return r.SenderID, r.TargetID }

// Ends returns the peer id of the client, and no target.
func (m *Join) Ends() (sender, target string) { return m.SenderID, "" }

// Type is the message's name on the wire.
func (*Join) Type() string { return typeJoin }

// Type is the message's name on the wire.
func (*Peer) Type() string { return typePeer }

// Type is the message's name on the wire.
func (*Error) Type() string { return typeError }

// Type is the message's name on the wire.
func (*Unavailable) Type() string { return typeUnavailable }

// Type is the message's name on the wire.
func (*Ephemeral) Type() string { return typeEphemeral }

// Type is the message's name on the wire.
func (*RemoteSubscription) Type() string { return typeRemoteSubscription }

// Type is the message's name on the wire.
func (*RemoteHeads) Type() string { return typeRemoteHeads }

// Type is the message's name on the wire.
func (*Notice) Type() string { return typeNotice }

// Type is the message's name on the wire.
func (*Token) Type() string { return typeToken }

// Type is the message's name on the wire.
func (*Digest) Type() string { return typeDigest }

// Type is the message's name on the wire.
func (m *Unknown) Type() string { return m.Name }

// Type is the message's name on the wire.
func (m *Sync) Type() string {
	if m.Request {
		return typeRequest
	}
	return typeSync
}
