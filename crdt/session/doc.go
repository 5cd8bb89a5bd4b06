// Package session speaks the Automerge sync protocol for one document over one
// connection: the message codec (V1 and V2), the Bloom filter, and the state of a
// session.
//
// It stands between the hash graph of the document and the frames of the wire
// protocol. A message that came in is decoded here; its chunks are parsed,
// checked, journaled and published by the caller; then Receive takes note of what
// the other end said, and Generate writes what it should hear. So our heads, which
// are an acknowledgement, never name a change that is not durable.
//
// The package refuses malformed messages and bounds what a well formed one can
// make it do. It does no I/O, reads no clock and starts no goroutine; bodies of
// changes come from a Source. The algorithm is that of Kleppmann and Howard,
// "Byzantine Eventual Consistency and the Fundamental Limits of Peer-to-Peer
// Databases" (arXiv 2012.00472), as Automerge's implementations speak it.
package session
