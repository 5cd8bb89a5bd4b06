package chunk

import (
	"cmp"
	"fmt"
	"slices"

	"syncline/crdt/id"
)

// OpID names an operation across changes.
type OpID struct {
	Actor id.Actor
	Ctr   uint64
}

// Moves says where the operations of a change have gone.
type Moves struct {
	actor    id.Actor
	from, to uint64 // the first counter before and after
	n        uint64
	left     []uint64 // counters before, ascending, of operations that were left out
}

// Shift returns the moves of n operations from counter from on, none of which is
// left out, to an actor's from counter to on.
func Shift(from, n uint64, actor id.Actor, to uint64) Moves {
	return Moves{actor: actor, from: from, n: n, to: to}
}

// Find returns what the operation with counter ctr is called now. It reports
// false for one that was left out or is none of the change's.
func (m *Moves) Find(ctr uint64) (OpID, bool) {
	if ctr < m.from || ctr-m.from >= m.n {
		return OpID{}, false
	}
	i, gone := slices.BinarySearch(m.left, ctr)
	if gone {
		return OpID{}, false
	}
	return OpID{m.actor, m.to + ctr - m.from - uint64(i)}, true
}

// Left is how many operations were left out.
func (m *Moves) Left() int { return len(m.left) }

// Transplant writes the operations of c again as a change of another actor at
// another place: the Actor, Seq, StartOp and Deps of h, with the time, message and
// extra bytes of c. find says what the operations of other changes are called that
// c refers to, or that they are not there any more.
//
// Predecessors that are not there are dropped. An operation is left out if its
// object or the list element it names is not there, if it has to overwrite
// something and none of that is, or if it is one half of a mark whose other half
// is left out. The result depends on nothing but c, h and the answers of find, and
// is valid alone; whether it fits its document is for package check.
func (c *Change) Transplant(h Header, find func(OpID) (OpID, bool)) (*Change, Moves, error) {
	t := &transplant{
		c: c, find: find, index: map[id.Actor]uint32{h.Actor: 0}, actors: []id.Actor{h.Actor}, used: []int{0},
		moves: Moves{actor: h.Actor, from: c.StartOp, n: c.NumOps, to: h.StartOp},
	}
	t.survey()
	h.Time, h.Message, h.Extra = c.Time, c.Message, c.Extra()
	h.OtherActors = t.rank()
	raw, _, _ := t.write(&h)
	out, err := ParseChange(raw)
	if err != nil {
		return nil, Moves{}, fmt.Errorf("transplant change %s: %w", c.Hash, err)
	}
	return out, t.moves, nil
}

// transplant goes over the operations twice: to find out which are left out and
// which actors the others name, and to write them.
type transplant struct {
	c     *Change
	find  func(OpID) (OpID, bool)
	moves Moves

	actors []id.Actor // as they were met; the author is the first
	index  map[id.Actor]uint32
	used   []int    // per actor: references to it
	ranks  []uint32 // per actor: its index in the new change

	op   Op // translated, with indexes into actors
	last struct {
		from, to Ref
		ok       bool
	}
}

// survey fills in moves.left and used.
func (t *transplant) survey() {
	var open Op // a mark that has begun
	opened, kept := uint64(0), false
	for ctr, op := range t.c.Ops() {
		ok := t.translate(op)
		switch {
		case op.Action == Mark && op.HasMark:
			// Whether it stays is known with its end, which comes next.
			open, opened, kept = t.op, ctr, ok
			continue
		case op.Action == Mark:
			if ok && kept {
				t.use(&open, 1)
			} else {
				t.moves.left = append(t.moves.left, opened)
				ok = false
			}
		}
		if ok {
			t.use(&t.op, 1)
		} else {
			t.moves.left = append(t.moves.left, ctr)
		}
	}
}

func (t *transplant) use(op *Op, n int) {
	if op.Obj.Ctr > 0 {
		t.used[op.Obj.Actor] += n
	}
	if op.Elem.Ctr > 0 {
		t.used[op.Elem.Actor] += n
	}
	for _, p := range op.Pred {
		t.used[p.Actor] += n
	}
}

// rank numbers the actors that are used, and returns those beside the author in
// the order of their bytes.
func (t *transplant) rank() (others []id.Actor) {
	for i, a := range t.actors[1:] {
		if t.used[i+1] > 0 {
			others = append(others, a)
		}
	}
	slices.Sort(others)
	t.ranks = make([]uint32, len(t.actors))
	for i, a := range others {
		t.ranks[t.index[a]] = uint32(i + 1)
	}
	return others
}

func (t *transplant) write(h *Header) (raw []byte, hash id.Hash, bodyAt int) {
	e := newOpEncoder()
	left := t.moves.left
	for ctr, op := range t.c.Ops() {
		if len(left) > 0 && left[0] == ctr {
			left = left[1:]
			continue
		}
		t.translate(op)
		t.op.Obj.Actor, t.op.Elem.Actor = t.ranks[t.op.Obj.Actor], t.ranks[t.op.Elem.Actor]
		for i := range t.op.Pred {
			t.op.Pred[i].Actor = t.ranks[t.op.Pred[i].Actor]
		}
		e.add(&t.op)
	}
	return e.finish(h)
}

// translate makes t.op of op. It reports false if op is left out on its own
// account.
func (t *transplant) translate(op *Op) (ok bool) {
	preds := t.op.Pred[:0]
	t.op = *op
	t.op.Pred = preds
	if t.op.Obj, ok = t.object(op.Obj); !ok {
		return false
	}
	if t.op.Elem, ok = t.ref(op.Elem); !ok {
		return false
	}
	for _, p := range op.Pred {
		if p, ok := t.ref(p); ok {
			t.op.Pred = append(t.op.Pred, p)
		}
	}
	slices.SortFunc(t.op.Pred, func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Ctr, b.Ctr), cmp.Compare(t.actors[a.Actor], t.actors[b.Actor]))
	})
	t.op.Pred = slices.Compact(t.op.Pred)
	overwrites := op.Action == Delete || op.Action == Increment || op.IsElem && !op.Insert
	return len(t.op.Pred) > 0 || !overwrites
}

// object is ref with the last answer kept: runs of operations on one object are
// the rule.
func (t *transplant) object(r Ref) (Ref, bool) {
	if r.Ctr == 0 {
		return r, true
	}
	if r != t.last.from {
		t.last.from = r
		t.last.to, t.last.ok = t.ref(r)
	}
	return t.last.to, t.last.ok
}

func (t *transplant) ref(r Ref) (Ref, bool) {
	if r.Ctr == 0 { // the root or the head of a list
		return Ref{}, true
	}
	var to OpID
	var ok bool
	if r.Actor == 0 && r.Ctr >= t.c.StartOp {
		to, ok = t.moves.Find(r.Ctr)
	} else {
		to, ok = t.find(OpID{t.c.ActorOf(r.Actor), r.Ctr})
	}
	if !ok {
		return Ref{}, false
	}
	i, known := t.index[to.Actor]
	if !known {
		i = uint32(len(t.actors))
		t.actors, t.used = append(t.actors, to.Actor), append(t.used, 0)
		t.index[to.Actor] = i
	}
	return Ref{i, to.Ctr}, true
}
