package fold

import (
	"time"

	"syncline/storage"
)

// limits are what a plan goes by.
type limits struct {
	// keep is how many of its newest changes a document keeps in the journal: ends
	// that were away for a moment lack these, and a shallow graph is made of them.
	keep int64
	// run is how many rows one step folds at most, and so how long it may keep the
	// writer of the store busy: some 20 ms.
	run int64
	// Rows are folded earlier than by their number if there are heavyBytes of them
	// and heavyRows at least.
	heavyBytes, heavyRows int64
	// chunk is from how many changes on a document has a document chunk, and how
	// many must have come before it is written anew; but at least one of part that
	// it holds, so that long histories are not written too often, and what an end
	// has to load beside it stays small.
	chunk, part int64
	// bytes is up to how many bytes of changes a document has a document chunk: about
	// as much is in memory while one is written. large is how much of them may lie
	// in changes beyond largeChange each: a long value is no smaller there than in a
	// bundle, and takes ten times its length until the chunk is written and read again.
	bytes, large int64
	// settle is for how long a document is left alone that has just grown: what
	// comes in a burst is folded once it is over.
	settle time.Duration
}

var standard = limits{keep: 256, run: 1024, heavyBytes: 1 << 20, heavyRows: 64, chunk: 1024, part: 32, bytes: 256 << 20, large: 16 << 20, settle: 2 * time.Second}

const (
	// runBytes bounds the bodies that a step folds. It has ten times as much in memory.
	runBytes = 3 << 20
	// largeChange is from how many bytes on a change is large.
	largeChange = 1 << 10
	// fanout is how many segments of a level become one of the next. A change is
	// rewritten twice in its life.
	fanout   = 4
	maxLevel = 3 // 16,384 changes: opened, some megabytes and milliseconds
	// mergeBytes bounds the bodies of segments that are merged: large changes gain
	// nothing by it.
	mergeBytes = 4 << 20
)

// step is what a compactor does to a document next.
type step struct {
	what     Work
	rows     int64             // to fold: how many of the oldest
	replaces []storage.Segment // to merge
}

// Work is a kind of step.
type Work string

// What a compactor does.
const (
	Nothing Work = ""
	Fold    Work = "fold"  // rows into a segment
	Merge   Work = "merge" // segments into a larger one
	Chunk   Work = "chunk" // write the document chunk anew
)

// plan decides on the next step. unfit says that a part of the document that is
// not folded cannot be, and noChunk that no document chunk can be made of it.
func (lim *limits) plan(d storage.DocumentInfo, l *layout, unfit, noChunk bool) step {
	spare := d.RawChanges - lim.keep
	if !unfit && (spare >= lim.run || spare >= lim.heavyRows && d.RawBytes >= lim.heavyBytes) {
		return step{what: Fold, rows: min(spare, lim.run)}
	}
	if m := mergeable(l.folded); m != nil {
		return step{what: Merge, replaces: m}
	}
	held := int64(0)
	if l.chunk != nil {
		held = l.chunk.Rows
	}
	if fresh := d.Changes - held; !noChunk && fresh >= max(lim.chunk, held/lim.part) {
		return step{what: Chunk}
	}
	return step{}
}

// mergeable finds neighbours of one level that are to be merged.
func mergeable(segments []storage.Segment) []storage.Segment {
	for i := range segments {
		level := segments[i].Level
		if level >= maxLevel || i+fanout > len(segments) {
			continue
		}
		some := segments[i : i+fanout]
		size, alike := int64(0), true
		for _, s := range some {
			alike = alike && s.Level == level
			size += s.Size
		}
		if alike && size <= mergeBytes {
			return some
		}
	}
	return nil
}
