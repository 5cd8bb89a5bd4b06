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
// A change goes once over a connection to an end that has it or asks for it, but for
// changes that an end asks for by hash while they are on their way. An end that told of
// heads without the changes, as one does whose filter hid them or whose answer was cut,
// may be asked for them in each message that crosses its own. It cannot tell that from
// an ask of who has lost them (a full pool of orphans, a bundle that a stock end did not
// read), and messages have no numbers to tell by; so it gives them again. Both ends keep
// it rare: what was asked for is not asked for again before something has come, and who
// opens a connection (package peer) waits for the first answer before it tells of more.
//
// The package refuses malformed messages and bounds what a well formed one can
// make it do. It does no I/O, reads no clock and starts no goroutine; bodies of
// changes come from a Source. The algorithm is that of Kleppmann and Howard,
// "Byzantine Eventual Consistency and the Fundamental Limits of Peer-to-Peer
// Databases" (arXiv 2012.00472), as Automerge's implementations speak it.
package session
