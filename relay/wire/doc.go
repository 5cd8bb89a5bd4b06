// Package wire is the automerge-repo WebSocket protocol, version 1: the CBOR
// messages, one in each binary frame, and the handshake of both ends. It stands
// between a socket and whoever acts on messages: the relay on one side, the
// native peer on the other.
//
// It reads what stock clients write (map headers that are longer than they need
// to be, undefined for an absent field, integers and times as floats) and
// refuses, with an error that names the field, whatever else does not have the
// shape that the protocol gives it. It neither reads the bytes of a sync message
// nor opens a connection. A message of a type that it does not know is returned
// as Unknown, so that the caller can say that it dropped it.
package wire
