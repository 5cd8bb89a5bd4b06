// Package storage keeps documents in one SQLite file: the journal of changes,
// the segments that compaction folds them into, the heads of each document, sync
// states, quarantined evidence, which changes are on their way into their
// document (applying.go), and a few keys.
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
// reused and never updated. Numbers may have gaps. A row leaves the journal in
// one of three ways, and the schema refuses any other, whoever writes the file:
//
// It is folded. A segment takes the place of the oldest rows of a document, in
// the transaction that drops them, and later a larger segment that of several
// (fold.go). At each moment, and so after a kill at any, a row is in the journal
// or in one folding segment: those up to DocumentInfo.FoldedRow are folded,
// those above it are not. What a segment says is the compactor's own; it proves
// that the rows can be had back before it folds them.
//
// Or all of its document is deleted (delete.go).
//
// Or it was found damaged, and is kept as it was in a table of its own, so that sync can
// bring the change again (mend.go).
//
// A change that was made here has a record of the operation that it is, stored with
// it and kept when its row is folded (operations.go).
//
// # Rows for SQL
//
// Beside the journal there are tables that show the entities of documents as rows
// (tables.go, projection.go), written in the transaction of the change that they show,
// or after it; each document knows up to which row of the journal it is shown. They
// hold nothing that cannot be made again. Package query reads them.
//
// # Copies
//
// Backup copies the file while it is written to (backup.go). Files copied in
// any other way are right only if nobody has the store open, and with their
// write-ahead log.
//
// # Damage
//
// Inspect looks at a file that may be damaged, without any of what Open relies on, and
// Mend puts right what is wrong; both are for package peer/doctor, which knows what
// the bytes mean. Sweep is for who checks a sound file a little at a time.
//
// # Refusals
//
// A file of another program or of a newer schema is refused and left as it
// is. After an unclean end (the process died, the power failed) the file is
// checked before it is used. The file must be on a local disk: SQLite's
// write-ahead log needs shared memory, which network file systems lack.
package storage
