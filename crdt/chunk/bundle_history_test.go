package chunk

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
)

// historian makes changes that are well formed by themselves, of several actors,
// with everything that a change can have. What they do makes no sense in one
// document, of which a bundle knows nothing.
type historian struct {
	*rand.Rand
	authors []historyAuthor // ascending
	changes []*Change
}

type historyAuthor struct {
	actor      id.Actor
	seq, maxOp uint64
	heads      []id.Hash
}

// history makes n changes, each after its deps.
func history(t testing.TB, seed uint64, n int) []*Change {
	t.Helper()
	w := &historian{Rand: rand.New(rand.NewPCG(seed, 1))}
	for range 1 + w.IntN(5) {
		actor := make([]byte, 1+w.IntN(16))
		for i := range actor {
			actor[i] = byte(w.Uint32())
		}
		w.authors = append(w.authors, historyAuthor{actor: id.Actor(actor)})
	}
	byActor := func(a, b historyAuthor) int { return cmp.Compare(a.actor, b.actor) }
	slices.SortFunc(w.authors, byActor)
	w.authors = slices.CompactFunc(w.authors, func(a, b historyAuthor) bool { return a.actor == b.actor })
	for range n {
		w.change(t)
	}
	return w.changes
}

func (w *historian) change(t testing.TB) {
	t.Helper()
	author := w.IntN(len(w.authors))
	a := &w.authors[author]
	for range w.IntN(3) {
		o := &w.authors[w.IntN(len(w.authors))]
		a.heads, a.maxOp = append(a.heads, o.heads...), max(a.maxOp, o.maxOp)
	}
	id.SortHashes(a.heads)
	a.heads = slices.Compact(a.heads)
	a.seq++
	h := Header{Actor: a.actor, Seq: a.seq, StartOp: a.maxOp + 1 + uint64(w.IntN(2)*w.IntN(9)), Time: w.Int64N(5) * w.Int64N(1<<40), Deps: a.heads}
	switch w.IntN(6) {
	case 0:
		h.Message = strings.Repeat("ä", w.IntN(200))
	case 1:
		h.Extra = make([]byte, w.IntN(20))
	}
	var ops []Op
	for range w.IntN(5) * w.IntN(5) {
		ops = w.addOp(ops, author, h.StartOp)
	}
	w.localise(&h, author, ops)
	if hasMarks(ops) {
		h.Extra = nil // which is refused
	}
	raw, err := Encode(h, ops)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseChange(raw)
	if err != nil {
		t.Fatalf("the test wrote a change that is refused: %v", err)
	}
	a.maxOp, a.heads = max(a.maxOp, c.MaxOp()), []id.Hash{c.Hash}
	w.changes = append(w.changes, c)
}

// addOp adds an operation or a pair of them. References name actors by their place
// among the authors.
func (w *historian) addOp(ops []Op, author int, start uint64) []Op {
	op := Op{Key: strings.Repeat("k", w.IntN(4)), Action: Set, Value: w.value()}
	at := start + uint64(len(ops))
	if start > 1 && w.IntN(2) == 0 {
		op.Obj = w.before(start)
	}
	switch kind := w.IntN(8); {
	case kind == 0:
		op.Action, op.Value = []Action{MakeMap, MakeList, MakeText}[w.IntN(3)], Value{}
	case kind < 5 && op.Obj.Ctr > 0: // of a list
		op.Key, op.IsElem, op.Insert = "", true, true
		if elem := w.before(start); elem.Ctr > op.Obj.Ctr {
			op.Elem = elem
		}
		if last := len(ops) - 1; last >= 0 && ops[last].Insert && ops[last].Action == Set {
			op.Obj, op.Elem = ops[last].Obj, Ref{uint32(author), at - 1}
		}
		if op.Elem.Ctr > 0 && w.IntN(3) == 0 {
			op.Insert, op.Pred = false, w.preds(start)
			if w.IntN(2) == 0 {
				op.Action, op.Value = Delete, Value{}
			}
		} else if op.Elem.Ctr > 0 && kind == 4 {
			op.Action, op.MarkName, op.HasMark, op.Expand = Mark, "bold", true, w.IntN(2) == 0
			end := Op{Obj: op.Obj, IsElem: true, Elem: Ref{uint32(author), at}, Insert: true, Action: Mark, Expand: w.IntN(2) == 0}
			return append(ops, op, end)
		}
	case kind == 5 && start > 1:
		op.Action, op.Value, op.Pred = Delete, Value{}, w.preds(start)
	case kind == 6 && start > 1:
		op.Action, op.Value, op.Pred = Increment, Value{Int, AppendInt(nil, w.Int64N(300)-150)}, w.preds(start)
	case kind == 7 && start > 1:
		op.Pred = w.preds(start)
	}
	return append(ops, op)
}

func (w *historian) value() Value {
	return []Value{
		{}, {Type: True}, {Uint, AppendUint(nil, w.Uint64N(1<<40))}, {Int, AppendInt(nil, -w.Int64N(9))}, {Float, make([]byte, 8)},
		str("a"), str(strings.Repeat("é", w.IntN(100))), {Bytes, make([]byte, w.IntN(300))}, {Counter, AppendInt(nil, 5)},
		{Timestamp, AppendInt(nil, w.Int64N(1<<40))}, {ValueType(10 + w.IntN(6)), []byte{1, 2}},
	}[w.IntN(11)]
}

// before names any operation with a counter below start.
func (w *historian) before(start uint64) Ref {
	return Ref{uint32(w.IntN(len(w.authors))), 1 + w.Uint64N(start-1)}
}

func (w *historian) preds(start uint64) []Ref {
	var refs []Ref
	for range 1 + w.IntN(3)*w.IntN(2) {
		refs = append(refs, w.before(start))
	}
	slices.SortFunc(refs, func(a, b Ref) int { return cmp.Or(cmp.Compare(a.Ctr, b.Ctr), cmp.Compare(a.Actor, b.Actor)) })
	return slices.Compact(refs)
}

// localise names actors as a change does, those that it refers to ascending.
func (w *historian) localise(h *Header, author int, ops []Op) {
	used := make([]bool, len(w.authors))
	each := func(f func(*Ref)) {
		for i := range ops {
			for _, r := range []*Ref{&ops[i].Obj, &ops[i].Elem} {
				if r.Ctr > 0 {
					f(r)
				}
			}
			for k := range ops[i].Pred {
				f(&ops[i].Pred[k])
			}
		}
	}
	each(func(r *Ref) { used[r.Actor] = true })
	local := make([]uint32, len(w.authors))
	for i, a := range w.authors {
		if used[i] && i != author {
			h.OtherActors = append(h.OtherActors, a.actor)
			local[i] = uint32(len(h.OtherActors))
		}
	}
	each(func(r *Ref) { r.Actor = local[r.Actor] })
}

func hasMarks(ops []Op) bool { return slices.ContainsFunc(ops, func(o Op) bool { return o.HasMark }) }

func TestExtraBytesBehindMarksAreRefused(t *testing.T) {
	for _, extra := range [][]byte{nil, {1, 1, 1}} {
		mark := []Op{
			{Key: "t", Action: MakeText},
			{Obj: Ref{Ctr: 1}, IsElem: true, Insert: true, Action: Mark, HasMark: true, MarkName: "bold", Value: Value{Type: True}},
			{Obj: Ref{Ctr: 1}, IsElem: true, Elem: Ref{Ctr: 2}, Insert: true, Action: Mark},
		}
		raw, err := Encode(Header{Actor: "a", Seq: 1, StartOp: 1, Extra: extra}, mark)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseChange(raw); (err != nil) != (extra != nil) {
			t.Errorf("%d extra bytes: %v", len(extra), err)
		}
	}
}
