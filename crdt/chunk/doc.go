// Package chunk reads and writes the binary form of Automerge changes: change
// chunks (type 1, and type 2 with a deflated body), document chunks (type 0) and
// bundles (type 3), which are expanded into the changes they stand for.
//
// It is the first thing that foreign bytes meet on their way in. What it
// accepts is strictly well formed: every column has exactly the rows that the
// change has operations, every value has the one encoding that an honest writer
// gives it, and every operation is one that the core can apply and a document
// can store and give back with the same hash. It looks at a change alone;
// whether the change fits the document it names is for the packages graph and
// check. It does no I/O, uses no cgo and allocates in proportion to the bytes
// it is given, within the limits of limits.go.
//
// The format is described at https://automerge.org/automerge-binary-format-spec/.
package chunk
