// Package fold keeps long histories short. It stands between the journal and those
// who read documents from it: a compactor folds runs of rows into segments, levels
// of them that grow, and writes a document chunk beside them for ends that have
// nothing; readers load a graph, the newest part of one, and bodies, wherever these
// lie.
//
//	rows of the journal → bundle of 1,024 → of 4,096 → of 16,384
//
// A segment is a bundle chunk with a graph.Run as its index: what a bundle does not
// hold, the hashes, and what a graph is loaded from without decoding a bundle. It
// replaces its rows only after every change was built from it again and had the
// hash that the row had. What does not fold stays in the journal.
//
// Package storage keeps all of it as opaque bytes and sees to it that no row
// leaves the journal that is not in a segment.
package fold
