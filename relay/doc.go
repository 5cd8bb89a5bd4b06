// Package relay keeps and forwards the changes of documents between peers that
// speak the automerge-repo protocol. It never edits, and it never loads a
// document: it works on the hash graph and on the bytes of changes.
//
// The way of a change: a connection's reader decodes the frame, the sync message
// in it and the chunks in that, and checks each change alone (conn.go,
// receive.go); it waits in the inbox of its document's room (hall.go); the room
// checks it in its document (package check) and stages it (stage.go); the store makes it
// durable; then the room makes it visible, answers its sender and tells every
// other session of the document (speak.go); each connection's writer sends what
// is queued for it (package socket).
//
// Nothing is acknowledged or passed on that is not durable. What fails a check is
// never stored, acknowledged or passed on:
//
//   - A frame, message or handshake that is not the protocol: an error message,
//     and the connection is closed with wire.CloseProtocol.
//   - A change that does not fit its document: an error message (to a Syncline end
//     a notice) that names it. It is not asked for again, and neither is what
//     builds on it. The session goes on, so that a client that was handed one bad
//     change still hears of everything else; after many of them it ends.
//   - Chunks that cannot be read, or hold a change that is malformed by itself: the
//     same message, and the session of that document on that connection ends: what
//     the client says on it is ignored until it connects again. Its other
//     documents are not affected.
//   - A message of an unknown type, or with the sender id of someone else: dropped
//     and counted.
//
// Rooms are state machines without I/O, clock or goroutine; a hall is what lies
// around one, with a goroutine while there is something to do. A room begins with
// the newest part of a long document and loads all of it when an input needs that
// (package fold). One in which nothing happens rests: what remains is who is there
// (rest.go, halls.go).
//
// Who comes in is for the lobby to say (lobby.go), what a client may read and
// write for its grant (grant.go, package access), how fast it may bring things for
// its pace (pace.go), whether anything can be stored for the disk (disk.go). What an
// operator sees is package operate's, asked of this one (source.go).
package relay
