package dirty_test

import (
	"reflect"
	"slices"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
)

// change writes a change of actor, from its first operation on.
func change(t *testing.T, actor id.Actor, seq, start uint64, others []id.Actor, ops ...chunk.Op) *chunk.Change {
	t.Helper()
	return write(t, chunk.Header{Actor: actor, Seq: seq, StartOp: start, OtherActors: others}, ops...)
}

func write(t *testing.T, h chunk.Header, ops ...chunk.Op) *chunk.Change {
	t.Helper()
	raw, err := chunk.Encode(h, ops)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func at(ctr uint64) chunk.Ref { return chunk.Ref{Ctr: ctr} }

// by names an operation of the first of the other actors.
func by(ctr uint64) chunk.Ref { return chunk.Ref{Actor: 1, Ctr: ctr} }

func TestIndex(t *testing.T) {
	one := chunk.Value{Type: chunk.Int, Raw: []byte{1}}
	base := change(t, "a", 1, 1, nil,
		chunk.Op{Key: "notes", Action: chunk.MakeMap},                           // 1
		chunk.Op{Obj: at(1), Key: "n", Action: chunk.MakeMap},                   // 2
		chunk.Op{Obj: at(2), Key: "list", Action: chunk.MakeList},               // 3
		chunk.Op{Obj: at(3), IsElem: true, Insert: true, Action: chunk.MakeMap}, // 4
		chunk.Op{Key: "odd", Action: chunk.MakeList},                            // 5
		chunk.Op{Obj: at(5), IsElem: true, Insert: true, Action: chunk.MakeMap}, // 6
		chunk.Op{Obj: at(6), Key: "deep", Action: chunk.MakeMap},                // 7
		chunk.Op{Obj: at(1), Key: "plain", Action: chunk.Set, Value: one},       // 8
	)
	other := []id.Actor{"a"}
	for _, test := range []struct {
		name        string
		op          chunk.Op
		collections []string
		entities    map[string][]string
		all         bool
	}{
		{"a collection", chunk.Op{Key: "notes", Action: chunk.MakeMap, Pred: []chunk.Ref{by(1)}}, []string{"notes"}, nil, false},
		{"a scalar at the root", chunk.Op{Key: "title", Action: chunk.Set, Value: one}, []string{"title"}, nil, false},
		{"an entity", chunk.Op{Obj: by(1), Key: "m", Action: chunk.MakeMap}, nil, map[string][]string{"notes": {"m"}}, false},
		{"a field", chunk.Op{Obj: by(2), Key: "k", Action: chunk.Set, Value: one}, nil, map[string][]string{"notes": {"n"}}, false},
		{"deep in an entity", chunk.Op{Obj: by(4), Key: "k", Action: chunk.Set, Value: one}, nil, map[string][]string{"notes": {"n"}}, false},
		{"an element of a list in the root", chunk.Op{Obj: by(5), IsElem: true, Insert: true, Action: chunk.Set, Value: one}, []string{"odd"}, nil, false},
		{"deep in a list in the root", chunk.Op{Obj: by(7), Key: "k", Action: chunk.Set, Value: one}, []string{"odd"}, nil, false},
		{"an object that was never added", chunk.Op{Obj: by(8), Key: "k", Action: chunk.Set, Value: one}, nil, nil, true},
	} {
		others := other
		if test.op.Obj.Ctr == 0 && len(test.op.Pred) == 0 {
			others = nil
		}
		c := change(t, "b", 1, 20, others, test.op)
		var fresh dirty.Index
		fresh.Add(base)
		fresh.Add(c)
		fresh.Add(c)
		if !test.all && fresh.Contested("notes", "n") != slices.Contains(test.entities["notes"], "n") && !slices.Contains(test.collections, "notes") {
			t.Errorf("%s: contested: %v", test.name, fresh.Contested("notes", "n"))
		}
		var s dirty.Set
		fresh.Touch(&s, c)
		var collections []string
		for name := range s.Collections {
			collections = append(collections, name)
		}
		entities := map[string][]string{}
		for c, e := range s.Each() {
			entities[c] = append(entities[c], e)
			if !s.Has(c, e) || s.Has(c, e+"?") {
				t.Errorf("%s: Has is wrong of %s/%s", test.name, c, e)
			}
		}
		if test.entities == nil {
			test.entities = map[string][]string{}
		}
		if s.All != test.all || !slices.Equal(collections, test.collections) || !reflect.DeepEqual(entities, test.entities) || s.Empty() {
			t.Errorf("%s: got %+v", test.name, s)
		}
		var sum dirty.Set
		sum.Merge(s)
		sum.Merge(s)
		if !reflect.DeepEqual(sum, s) {
			t.Errorf("%s: merged %+v, want %+v", test.name, sum, s)
		}
	}
}

// An actor's first change may be one that was issued again, which has values beside
// those of a change that it depends on.
func TestWhatAnActorBeginsWithMayBeContested(t *testing.T) {
	one := chunk.Value{Type: chunk.Int, Raw: []byte{1}}
	base := write(t, chunk.Header{Actor: "a", Seq: 1, StartOp: 1},
		chunk.Op{Key: "notes", Action: chunk.MakeMap},
		chunk.Op{Obj: at(1), Key: "m", Action: chunk.MakeMap},
		chunk.Op{Obj: at(1), Key: "n", Action: chunk.MakeMap})
	next := write(t, chunk.Header{Actor: "a", Seq: 2, StartOp: 4, Deps: []id.Hash{base.Hash}},
		chunk.Op{Obj: at(2), Key: "k", Action: chunk.Set, Value: one})
	first := write(t, chunk.Header{Actor: "b", Seq: 1, StartOp: 5, Deps: []id.Hash{next.Hash}, OtherActors: []id.Actor{"a"}},
		chunk.Op{Obj: by(3), Key: "k", Action: chunk.Set, Value: one})
	var x dirty.Index
	for _, c := range []*chunk.Change{base, next, first} {
		x.Add(c)
	}
	if x.Contested("notes", "m") || !x.Contested("notes", "n") {
		t.Errorf("contested: m %v, n %v; one actor has written the first", x.Contested("notes", "m"), x.Contested("notes", "n"))
	}
}

// The founding of a collection is concurrent with all that was there before, and has
// nothing to do with it.
func TestFoundingsContestNothing(t *testing.T) {
	makes := func(actor id.Actor, key string) *chunk.Change {
		return write(t, chunk.Header{Actor: actor, Seq: 1, StartOp: 1}, chunk.Op{Key: key, Action: chunk.MakeMap})
	}
	deps := func(of ...*chunk.Change) (list []id.Hash) {
		for _, c := range of {
			list = append(list, c.Hash)
		}
		id.SortHashes(list)
		return list
	}
	one := chunk.Value{Type: chunk.Int, Raw: []byte{1}}
	notes, tasks := makes("x", "notes"), makes("y", "tasks")
	first := write(t, chunk.Header{Actor: "a", Seq: 1, StartOp: 2, Deps: deps(notes), OtherActors: []id.Actor{"x"}},
		chunk.Op{Obj: by(1), Key: "n", Action: chunk.MakeMap})
	then := write(t, chunk.Header{Actor: "a", Seq: 2, StartOp: 3, Deps: deps(first, tasks), OtherActors: []id.Actor{"y"}},
		chunk.Op{Obj: at(2), Key: "k", Action: chunk.Set, Value: one}, chunk.Op{Obj: by(1), Key: "t", Action: chunk.MakeMap})
	beside := write(t, chunk.Header{Actor: "b", Seq: 1, StartOp: 3, Deps: deps(first), OtherActors: []id.Actor{"x"}},
		chunk.Op{Obj: by(1), Key: "m", Action: chunk.MakeMap})
	var x dirty.Index
	for _, c := range []*chunk.Change{notes, first, tasks, then} {
		x.Add(c)
	}
	for place, name := range map[string]string{"notes": "n", "tasks": "t"} {
		if x.Contested(place, name) {
			t.Errorf("%s/%s is contested", place, name)
		}
	}
	if x.Add(beside); !x.Contested("notes", "m") {
		t.Error("what two made apart is not contested")
	}
}
