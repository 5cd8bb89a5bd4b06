package crdt

import (
	"encoding/hex"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Entry is a change as people look at it.
type Entry struct {
	Hash   id.Hash
	Actor  id.Actor
	Seq    uint64
	Time   time.Time // UTC, in seconds; what the author says
	Intent string    // as Do writes it; of other writers whatever they wrote, or ""
	Deps   []id.Hash
	Ops    uint64 // how many operations of the core
}

// History lists changes as entries, in the order given. It needs no document.
func History(changes []*chunk.Change) []Entry {
	entries := make([]Entry, len(changes))
	for i, c := range changes {
		entries[i] = Entry{
			Hash: c.Hash, Actor: c.Actor, Seq: c.Seq, Time: time.Unix(c.Time, 0).UTC(),
			Intent: c.Message, Deps: c.Deps, Ops: c.NumOps,
		}
	}
	return entries
}

// Device names the device that made the change, in hexadecimal: the same in all its
// changes of this document, and nothing elsewhere. Of other writers, who have a new
// actor for each session or for ever, it is the start of that.
func (e Entry) Device() string {
	return hex.EncodeToString([]byte(e.Actor[:min(deviceTag, len(e.Actor))]))
}
