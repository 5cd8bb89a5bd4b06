package peer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Step is one operation of a batch, as its record keeps it: what it worked on, not
// the values, which are in the change.
type Step struct {
	_          struct{} `cbor:",toarray"`
	Verb       crdt.Verb
	Collection string
	Entity     string
	Fields     []string // names, ascending; at most 64 are kept
}

// A record keeps so much of a batch at most: it is there to be read by people.
const (
	maxSteps  = 64
	maxFields = 64
)

// record is what the store keeps of a batch of operations, beside its change's row,
// hash and time.
type record struct {
	_       struct{} `cbor:",toarray"`
	Version int
	Actor   []byte
	Seq     uint64
	Intent  string // as in the change
	Count   int    // operations of the batch; 0 if they were issued again
	Steps   []Step

	undo *undoNote // of an undo or a redo
}

// undoRecord is the record of an undo or a redo.
type undoRecord struct {
	_       struct{} `cbor:",toarray"`
	Version int
	Record  record
	Undo    undoNote
}

// The forms of records. Another one is not read.
const (
	recordVersion     = 1
	undoRecordVersion = 2
)

var errRecord = errors.New("the record of an operation cannot be read")

// newRecord describes a change that was made of operations, or issued again.
func newRecord(c *chunk.Change, ops []crdt.Operation) []byte {
	return recordOf(c, ops, nil)
}

// recordOf is newRecord of operations that may undo something; undo is nil otherwise.
func recordOf(c *chunk.Change, ops []crdt.Operation, undo *undoNote) []byte {
	r := record{Version: recordVersion, Actor: []byte(c.Actor), Seq: c.Seq, Intent: c.Message, Count: len(ops)}
	for _, o := range ops[:min(len(ops), maxSteps)] {
		s := Step{Verb: o.Verb, Collection: o.Collection, Entity: o.ID}
		if len(o.Path) > 0 {
			if field, ok := o.Path[0].(string); ok {
				s.Fields = []string{field}
			}
		} else {
			s.Fields = slices.Sorted(maps.Keys(o.Fields))
			s.Fields = s.Fields[:min(len(s.Fields), maxFields)]
		}
		r.Steps = append(r.Steps, s)
	}
	var all any = r
	if undo != nil {
		all = undoRecord{Version: undoRecordVersion, Record: r, Undo: *undo}
	}
	b, err := cbor.Marshal(all)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

func decodeRecord(b []byte) (r record, err error) {
	var whole undoRecord
	if err := cbor.Unmarshal(b, &r); err == nil {
	} else if cbor.Unmarshal(b, &whole) != nil {
		return record{}, fmt.Errorf("%w: %w", errRecord, err)
	} else if r = whole.Record; whole.Version == undoRecordVersion {
		r.undo = &whole.Undo
	} else {
		r.Version = whole.Version
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("%w: its form is %d", errRecord, r.Version)
	}
	return r, nil
}

// fill writes what the record says into a receipt.
func (r *record) fill(to *Receipt) {
	to.Actor, to.ActorSeq, to.Intent, to.Operations, to.Steps = id.Actor(r.Actor), r.Seq, r.Intent, r.Count, r.Steps
	if r.undo != nil {
		to.Undoes = r.undo.hash()
		to.Redo = r.undo.Redo
	}
}

// milliseconds is a time as records keep it.
func milliseconds(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }
