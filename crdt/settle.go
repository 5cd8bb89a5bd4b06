package crdt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// A conflict that a rule decides may be settled in the document itself, so that whoever
// reads it without the rules sees the same. What is written takes away the values that
// the rule has passed over and leaves the one that it chose as it is: with its operation,
// its time and, of a text, list or map, what others are typing into it. That is what
// makes it safe to do, by several at once:
//
//   - It adds no value. Two who settle the same conflict take away the same values
//     twice, which is nothing, and no new conflict comes of it.
//   - A rule that chooses by an order (max, min, ranked, last, first, winner) chooses
//     the same among what is left, also with a value that comes later: what has lost
//     against a value that is there loses against any set in which that value is. The
//     writer's own clock and operation ids take no part.
//
// A rule that makes a new value of several (union, a function of the app) is not
// written: what others are adding to one of the lists would be lost with it, and
// another value that comes later would meet a list that has two of them in it.
// Its conflicts stay, and are read as one value by all who have the rule.
//
// There is one thing that a settlement changes, and must: who has not seen it, and
// replaces or removes the value that was chosen, does so for good. The values that had
// lost against it do not come back.

// VerbSettle is what records and the messages of changes call a settlement. Do does
// not know it: see Retire.
const VerbSettle Verb = "settle"

// Losers lists the operations of the values that the rule has passed over for good,
// ascending. There are none if the conflict is left for a person, or the rule is one
// that is not written.
func (p MergedPlace) Losers() (ids []OpID) {
	if !p.Result.Conflict || !p.Result.Settled || !chooses(p.Rule) {
		return nil
	}
	for _, c := range p.Values {
		if !slices.Contains(p.Result.From, c.ID) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// chooses reports whether a rule takes one of the values, by an order of them all.
func chooses(r merge.Rule) bool {
	switch r.Name {
	case merge.Winner, merge.Max, merge.Min, merge.Ranked, merge.Last, merge.First:
		return true
	}
	return false
}

// Retirement is what takes values away at one place of an entity.
type Retirement struct {
	Collection, ID string // of the entity
	Path           Path   // from the entity on
	Losers         []OpID // the operations that wrote them
}

// Operation is what a record says of it.
func (r Retirement) Operation() Operation {
	return Operation{Verb: VerbSettle, Collection: r.Collection, ID: r.ID, Path: r.Path}
}

// errNotWritten is about what a caller has to find first.
var errNotWritten = errors.New("it is in none of the changes given")

// Retire takes values away that concurrent changes have left at places, as one change,
// and returns it; what else is at the places stays. written are the changes of the
// losers. Each loser must be one of the values that its place has now. at is as in Do, and
// so is what an error leaves behind.
func (d *Document) Retire(at time.Time, places []Retirement, written []*chunk.Change) (*chunk.Change, error) {
	if d.core == nil {
		return nil, d.why
	}
	w := retiring{index: map[id.Actor]uint32{}}
	var said []Operation
	for _, p := range places {
		said = append(said, p.Operation())
		if err := w.add(p, written); err != nil {
			return nil, fmt.Errorf("settle %s: %w", append(Path{p.Collection, p.ID}, p.Path...), err)
		}
	}
	if len(w.ops) == 0 {
		return nil, ErrNoChange
	}
	h := chunk.Header{
		Actor: d.actor, Seq: d.seq + 1, StartOp: d.maxOp + 1, Time: at.Unix(),
		Message: intentOf(said), Deps: slices.Clone(d.heads), OtherActors: w.rank(d.actor),
	}
	if d.maxOp+uint64(len(w.ops)) > chunk.MaxCounter {
		return nil, fmt.Errorf("%w: the document has used up its %d operation counters", ErrTooLarge, uint64(chunk.MaxCounter))
	}
	id.SortHashes(h.Deps)
	raw, err := chunk.Encode(h, w.ops)
	if err != nil {
		return nil, err
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		return nil, fmt.Errorf("write a settlement: %w", err)
	}
	if err := d.Apply([]*chunk.Change{c}); err != nil {
		return nil, err
	}
	d.seq = c.Seq
	return c, nil
}

// retiring writes the operations of a settlement.
type retiring struct {
	ops    []chunk.Op
	actors []id.Actor // as they were met; references are indexes into it until rank
	index  map[id.Actor]uint32
}

// slot is where an operation has put its value.
type slot struct {
	obj, elem value.OpID
	key       string
	isElem    bool
}

// add writes what takes the losers of one place away.
func (w *retiring) add(p Retirement, written []*chunk.Change) error {
	at := map[slot][]OpID{}
	var order []slot
	for _, loser := range p.Losers {
		s, err := slotOf(loser, written)
		if err != nil {
			return fmt.Errorf("operation %d of %s: %w", loser.Counter, loser.Actor, err)
		}
		if at[s] == nil {
			order = append(order, s)
		}
		at[s] = append(at[s], loser)
	}
	for _, s := range order {
		op := chunk.Op{Obj: w.ref(s.obj), Key: s.key, Elem: w.ref(s.elem), IsElem: s.isElem, Action: chunk.Delete}
		slices.SortFunc(at[s], OpID.Compare)
		for _, loser := range slices.Compact(at[s]) {
			op.Pred = append(op.Pred, w.ref(loser))
		}
		w.ops = append(w.ops, op)
	}
	return nil
}

// slotOf finds where an operation has put its value.
func slotOf(o OpID, written []*chunk.Change) (slot, error) {
	for _, c := range written {
		if c.Actor != o.Actor || o.Counter < c.StartOp || o.Counter > c.MaxOp() {
			continue
		}
		for ctr, op := range c.Ops() {
			if ctr < o.Counter {
				continue
			}
			named := func(r chunk.Ref) value.OpID {
				if r.Ctr == 0 {
					return value.OpID{}
				}
				return value.OpID{Counter: r.Ctr, Actor: c.ActorOf(r.Actor)}
			}
			s := slot{obj: named(op.Obj), key: op.Key, elem: named(op.Elem), isElem: op.IsElem}
			if op.Insert {
				s.elem = o
			}
			return s, nil
		}
	}
	return slot{}, errNotWritten
}

func (w *retiring) ref(o value.OpID) chunk.Ref {
	if o.Counter == 0 {
		return chunk.Ref{}
	}
	i, known := w.index[o.Actor]
	if !known {
		i = uint32(len(w.actors))
		w.actors = append(w.actors, o.Actor)
		w.index[o.Actor] = i
	}
	return chunk.Ref{Actor: i, Ctr: o.Counter}
}

// rank makes references those of a change by the author, and returns its other actors
// in the order of their bytes.
func (w *retiring) rank(author id.Actor) (others []id.Actor) {
	for _, a := range w.actors {
		if a != author {
			others = append(others, a)
		}
	}
	slices.Sort(others)
	ranked := func(r *chunk.Ref) {
		if r.Ctr == 0 {
			return
		}
		a := w.actors[r.Actor]
		if r.Actor = 0; a != author {
			i, _ := slices.BinarySearch(others, a)
			r.Actor = uint32(i + 1)
		}
	}
	for i := range w.ops {
		op := &w.ops[i]
		ranked(&op.Obj)
		ranked(&op.Elem)
		for j := range op.Pred {
			ranked(&op.Pred[j])
		}
		slices.SortFunc(op.Pred, func(a, b chunk.Ref) int {
			actor := func(r chunk.Ref) id.Actor {
				if r.Actor == 0 {
					return author
				}
				return others[r.Actor-1]
			}
			return cmp.Or(cmp.Compare(a.Ctr, b.Ctr), cmp.Compare(actor(a), actor(b)))
		})
	}
	return others
}
