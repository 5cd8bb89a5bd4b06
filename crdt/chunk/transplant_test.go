package chunk

import (
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/id"
)

// transplanted encodes operations as a change of actor "b" on top of others', and
// moves it to actor "n" at operation 100.
func transplanted(t *testing.T, others []id.Actor, ops []Op, find func(OpID) (OpID, bool)) (from, to *Change, moves Moves) {
	t.Helper()
	h := Header{Actor: "b", Seq: 7, StartOp: 20, Time: 5, Message: "edit a/b", Deps: []id.Hash{{1}}, OtherActors: others, Extra: []byte{1, 2}}
	if hasMarks(ops) {
		h.Extra = nil // behind marks they are refused
	}
	raw, err := Encode(h, ops)
	if err != nil {
		t.Fatal(err)
	}
	if from, err = ParseChange(raw); err != nil {
		t.Fatal(err)
	}
	to, moves, err = from.Transplant(Header{Actor: "n", Seq: 1, StartOp: 100, Deps: []id.Hash{{2}, {3}}}, find)
	if err != nil {
		t.Fatal(err)
	}
	if to.Actor != "n" || to.Seq != 1 || to.StartOp != 100 || !slices.Equal(to.Deps, []id.Hash{{2}, {3}}) ||
		to.Time != 5 || to.Message != "edit a/b" || !slices.Equal(to.Extra(), h.Extra) {
		t.Fatalf("header: %+v", to.Header())
	}
	if to.NumOps != from.NumOps-uint64(moves.Left()) {
		t.Fatalf("%d operations of %d, %d left out", to.NumOps, from.NumOps, moves.Left())
	}
	return from, to, moves
}

func opsOf(c *Change) (ops []Op) {
	for _, op := range c.Ops() {
		o := *op
		o.Pred = slices.Clone(op.Pred)
		ops = append(ops, o)
	}
	return ops
}

func same(op OpID) (OpID, bool) { return op, true }

func TestTransplantLeavesOutWhatHasLostItsGround(t *testing.T) {
	text := Value{Type: String, Raw: []byte("x")}
	one := Value{Type: Int, Raw: []byte{1}}
	a := func(ctr uint64) Ref { return Ref{1, ctr} } // of actor "a"
	own := func(i uint64) Ref { return Ref{0, 20 + i} }
	list := a(3)
	ops := []Op{
		0:  {Key: "kept", Action: Set, Value: text, Pred: []Ref{a(5), a(9)}},
		1:  {Obj: a(9), Key: "in a lost map", Action: Set, Value: text},
		2:  {Key: "map", Action: MakeMap},
		3:  {Obj: own(2), Key: "k", Action: Set, Value: text},
		4:  {Obj: list, IsElem: true, Insert: true, Action: Set, Value: text, Elem: a(9)},
		5:  {Obj: list, IsElem: true, Insert: true, Action: Set, Value: text, Elem: own(4)},
		6:  {Obj: list, IsElem: true, Insert: true, Action: Set, Value: text},
		7:  {Key: "gone", Action: Delete, Pred: []Ref{a(9)}},
		8:  {Key: "half gone", Action: Delete, Pred: []Ref{a(5), a(9)}},
		9:  {Key: "counter", Action: Increment, Value: one, Pred: []Ref{a(9)}},
		10: {Obj: list, IsElem: true, Elem: a(6), Action: Set, Value: text, Pred: []Ref{a(9)}},
		11: {Obj: list, IsElem: true, Insert: true, Elem: a(6), Action: Mark, HasMark: true, MarkName: "bold"},
		12: {Obj: list, IsElem: true, Insert: true, Elem: a(9), Action: Mark},
		13: {Obj: list, IsElem: true, Insert: true, Elem: a(6), Action: Mark, HasMark: true, MarkName: "bold"},
		14: {Obj: list, IsElem: true, Insert: true, Elem: own(6), Action: Mark},
	}
	_, to, moves := transplanted(t, []id.Actor{"a"}, ops, func(op OpID) (OpID, bool) { return op, op != OpID{"a", 9} })
	left := []uint64{1, 4, 5, 7, 9, 10, 11, 12}
	if moves.Left() != len(left) {
		t.Errorf("%d left out, want %d", moves.Left(), len(left))
	}
	next := uint64(100)
	for i := range ops {
		got, ok := moves.Find(20 + uint64(i))
		if want := !slices.Contains(left, uint64(i)); ok != want {
			t.Errorf("operation %d: is there %v, want %v", i, ok, want)
		} else if ok {
			if want := (OpID{"n", next}); got != want {
				t.Errorf("operation %d is %v, want %v", i, got, want)
			}
			next++
		}
	}
	if _, ok := moves.Find(35); ok {
		t.Error("an operation that the change does not have was found")
	}
	got := opsOf(to)
	if p := got[0].Pred; !slices.Equal(p, []Ref{a(5)}) {
		t.Errorf("predecessors %v", p)
	}
	if got[2].Obj != (Ref{0, 101}) {
		t.Errorf("an object of the change itself: %v", got[2].Obj)
	}
	if end := got[len(got)-1]; end.Action != Mark || end.HasMark || end.Elem != (Ref{0, 103}) {
		t.Errorf("the last is %+v", end)
	}
}

func TestTransplantKeepsPredecessorsInOrder(t *testing.T) {
	ops := []Op{{Key: "k", Action: Set, Value: Value{Type: Null}, Pred: []Ref{{1, 4}, {2, 4}, {0, 6}}}}
	_, to, _ := transplanted(t, []id.Actor{"a", "c"}, ops, func(op OpID) (OpID, bool) {
		return map[OpID]OpID{{"a", 4}: {"z", 6}, {"c", 4}: {"c", 8}, {"b", 6}: {"b", 6}}[op], true
	})
	// Ordered by counter, then by the bytes of the actor: b6, z6, c8.
	if got, want := opsOf(to)[0].Pred, []Ref{{1, 6}, {3, 6}, {2, 8}}; !slices.Equal(got, want) {
		t.Errorf("predecessors %v of %v, want %v", got, to.OtherActors, want)
	}
}

func TestTransplantOfNothing(t *testing.T) {
	_, to, _ := transplanted(t, nil, nil, same)
	if to.NumOps != 0 {
		t.Errorf("%d operations", to.NumOps)
	}
	_, to, moves := transplanted(t, []id.Actor{"a"}, []Op{{Key: "k", Action: Delete, Pred: []Ref{{1, 4}}}}, func(OpID) (OpID, bool) { return OpID{}, false })
	if to.NumOps != 0 || moves.Left() != 1 || len(to.OtherActors) > 0 {
		t.Errorf("%d operations, %d left out, actors %v", to.NumOps, moves.Left(), to.OtherActors)
	}
}

// Whatever is not there, the result is valid, which Transplant checks itself, and
// back in its old place is what was kept.
func TestTransplantOfAnything(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		others := []id.Actor{"a", "c"}
		var ops []Op
		ref := func() Ref { return Ref{uint32(1 + rng.IntN(2)), uint64(1 + rng.IntN(19))} }
		for len(ops) < 3+rng.IntN(30) {
			ctr := 20 + uint64(len(ops))
			op := Op{Key: "k", Action: Set, Value: Value{Type: String, Raw: []byte("v")}}
			switch rng.IntN(5) {
			case 0:
				op.Action, op.Value = MakeMap, Value{}
			case 1:
				op.Pred = []Ref{ref()}
			case 2:
				op.Action, op.Value, op.Pred = Delete, Value{}, []Ref{ref()}
			case 3:
				op.Obj, op.Key, op.IsElem, op.Insert = Ref{1, 1}, "", true, true
				if rng.IntN(2) == 0 {
					op.Elem = Ref{2, uint64(2 + rng.IntN(18))}
				}
			case 4:
				op.Obj, op.Key, op.IsElem, op.Insert = Ref{1, 1}, "", true, true
				if last := len(ops) - 1; last >= 0 && ops[last].Insert {
					op.Elem = Ref{0, ctr - 1}
				}
			}
			ops = append(ops, op)
		}
		used := slices.ContainsFunc(ops, func(o Op) bool {
			return o.Obj.Actor == 1 || slices.ContainsFunc(o.Pred, func(p Ref) bool { return p.Actor == 1 })
		})
		if !used || !slices.ContainsFunc(ops, func(o Op) bool {
			return o.Elem.Actor == 2 || slices.ContainsFunc(o.Pred, func(p Ref) bool { return p.Actor == 2 })
		}) {
			continue
		}
		gone := map[OpID]bool{}
		for range rng.IntN(8) {
			gone[OpID{others[rng.IntN(2)], uint64(1 + rng.IntN(19))}] = true
		}
		from, to, moves := transplanted(t, others, ops, func(op OpID) (OpID, bool) { return op, !gone[op] })
		if len(gone) > 0 && moves.Left() > 0 {
			continue
		}
		back, _, err := to.Transplant(from.Header(), func(op OpID) (OpID, bool) { return op, true })
		if err != nil {
			t.Fatal(err)
		}
		if len(gone) == 0 && back.Hash != from.Hash {
			t.Fatalf("seed %d: there and back is another change", seed)
		}
	}
}
