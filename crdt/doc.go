// Package crdt is the document: the only place that imports automerge-go. It
// stands above the pure packages (id, chunk, graph, check, session), which know
// no cgo, and below the peer. Nothing reaches the C core through it that chunk
// and check have not passed.
package crdt
