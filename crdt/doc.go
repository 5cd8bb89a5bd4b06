// Package crdt is the document: collections of entities in the Automerge core,
// edited by operations and read as plain Go values. It is the only place that
// links the core, through automerge-go's static library and a small C shim of
// our own (core*.c), in which one call does a whole job and frees all that the
// core handed out.
//
// It stands above the pure packages (id, chunk, graph, check, session), which
// know no cgo, and below the peer. A local operation comes in through
// Document.Do and leaves as a change, which is not durable before the caller
// has journaled it. A remote change comes in through Document.Apply, after
// chunk and check have passed it: malformed bytes and changes that do not fit
// their document end the process inside the core, and nothing here looks again.
//
// What changes have touched is told by Touched and Dirty (package dirty), and read in
// few calls by Select: that is what projections live on. A View is the document as it
// was; Diff compares two points of its history, Restore brings an entity back, and
// Invert undoes a change as it stands now (the meaning of an undo beside the edits of
// others is written there).
//
// The core's memory is not Go's. A document is freed by Close and by nothing
// else; Cache keeps a bounded number of documents open. It does no I/O, starts
// no goroutine and reads no clock.
package crdt
