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
}

// recordVersion is the form of records. Another one is not read.
const recordVersion = 1

var errRecord = errors.New("the record of an operation cannot be read")

// newRecord describes a change that was made of operations, or issued again.
func newRecord(c *chunk.Change, ops []crdt.Operation) []byte {
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
	b, err := cbor.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

func decodeRecord(b []byte) (r record, err error) {
	if err := cbor.Unmarshal(b, &r); err != nil {
		return record{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("%w: its form is %d", errRecord, r.Version)
	}
	return r, nil
}

// fill writes what the record says into a receipt.
func (r *record) fill(to *Receipt) {
	to.Actor, to.ActorSeq, to.Intent, to.Operations, to.Steps = id.Actor(r.Actor), r.Seq, r.Intent, r.Count, r.Steps
}

// milliseconds is a time as records keep it.
func milliseconds(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }
