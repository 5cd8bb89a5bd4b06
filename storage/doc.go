// Package storage keeps documents in one SQLite file: the journal of changes,
// the heads of each document, segments made by compaction, sync states,
// quarantined evidence, which changes are on their way into their document
// (applying.go), and a few keys.
//
// It stands at the point of the data's way where a change becomes durable.
// Append returns only after its transaction is on the disk
// (synchronous=FULL), and nothing may be shown or acknowledged to anyone
// before it returned. Everything is opaque here: a change is a hash, an
// author, and two byte strings, the head (what a hash graph needs, kept small)
// and the body (the chunk itself). The package never decodes either.
//
// # Writing
//
// One goroutine owns the one connection that writes. Calls that arrive while
// it commits are gathered into the next transaction, so that many callers
// share one fsync; each gets its own result, and a batch that cannot be stored
// is undone alone, by its savepoint. A transaction gathers small batches up to
// a megabyte; a larger batch is one transaction by itself, and after each such
// one the small ones that wait go first, so that a bulk upload delays an edit
// by at most one upload. A batch is never split: it is stored whole or not at
// all.
//
// # Reading
//
// Readers have connections of their own and never wait for the writer. Long
// reads (Journal, Bodies, …) fetch a bounded piece, let go of the connection,
// and only then call back, so a slow consumer neither holds a snapshot open,
// which would keep the write-ahead log from being emptied, nor a connection;
// a callback may use the Store.
//
// # Several processes
//
// A second process may open the same file and append to it. Watch tells of
// the rows that came from elsewhere. What it does not do: the heads kept here
// are those that their last writer knew; with several writers they are a hint,
// and the journal is the truth.
//
// # Rows
//
// Rows of the journal are numbered upwards from 1 over all documents, never
// reused and never updated (the schema refuses it). Numbers may have gaps.
//
// # Refusals
//
// A file of another program or of a newer schema is refused and left as it
// is. After an unclean end (the process died, the power failed) the file is
// checked before it is used. The file must be on a local disk: SQLite's
// write-ahead log needs shared memory, which network file systems lack.
package storage
