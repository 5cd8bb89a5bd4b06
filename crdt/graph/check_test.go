package graph

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

func change(t testing.TB, h chunk.Header, ops ...chunk.Op) *chunk.Change {
	t.Helper()
	id.SortHashes(h.Deps)
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

func add(t testing.TB, g *Graph, cs ...*chunk.Change) {
	t.Helper()
	for _, c := range cs {
		if err := g.Check(c); err != nil {
			t.Fatal(err)
		}
		if err := g.Add(MetaOf(c)); err != nil {
			t.Fatal(err)
		}
	}
	g.Publish(nil)
}

func own(ctr uint64) chunk.Ref { return chunk.Ref{Ctr: ctr} }
func theirs(ctr uint64) chunk.Ref {
	return chunk.Ref{Actor: 1, Ctr: ctr}
}

func TestCheck(t *testing.T) {
	null := chunk.Value{Type: chunk.Null}
	g := New()
	// a: a map, a list with an element, a text. b: beside it, a map.
	base := change(t, chunk.Header{Actor: "aa", Seq: 1, StartOp: 1},
		chunk.Op{Key: "map", Action: chunk.MakeMap, Value: null},
		chunk.Op{Key: "list", Action: chunk.MakeList, Value: null},
		chunk.Op{Obj: own(2), IsElem: true, Insert: true, Action: chunk.Set, Value: null},
		chunk.Op{Key: "text", Action: chunk.MakeText, Value: null},
		chunk.Op{Key: "plain", Action: chunk.Set, Value: null},
	)
	beside := change(t, chunk.Header{Actor: "bb", Seq: 1, StartOp: 1}, chunk.Op{Key: "m", Action: chunk.MakeMap, Value: null})
	add(t, g, base, beside)

	after := func(deps []id.Hash, others []id.Actor, ops ...chunk.Op) *chunk.Change {
		return change(t, chunk.Header{Actor: "cc", Seq: 1, StartOp: 6, Deps: deps, OtherActors: others}, ops...)
	}
	onA := []id.Hash{base.Hash}
	a, b := []id.Actor{"aa"}, []id.Actor{"bb"}
	for _, test := range []struct {
		name   string
		c      *chunk.Change
		reason string // "" for a change that fits
	}{
		{"a key of a map", after(onA, a, chunk.Op{Obj: theirs(1), Key: "k", Action: chunk.Set, Value: null}), ""},
		{"an element of a list", after(onA, a, chunk.Op{Obj: theirs(2), IsElem: true, Elem: theirs(3), Insert: true, Action: chunk.Set, Value: null}), ""},
		{"an insertion at the head of a text", after(onA, a, chunk.Op{Obj: theirs(4), IsElem: true, Insert: true, Action: chunk.Set, Value: null}), ""},
		{"an overwritten key", after(onA, a, chunk.Op{Key: "plain", Action: chunk.Set, Value: null, Pred: []chunk.Ref{theirs(5)}}), ""},
		{"a map of its own", after(onA, nil, chunk.Op{Key: "x", Action: chunk.MakeMap, Value: null}, chunk.Op{Obj: own(6), Key: "k", Action: chunk.Set, Value: null}), ""},
		{"no operations", after(onA, nil), ""},
		{"an element of the map", after(onA, a, chunk.Op{Obj: theirs(1), IsElem: true, Insert: true, Action: chunk.Set, Value: null}), "an element of a map"},
		{"a key of the list", after(onA, a, chunk.Op{Obj: theirs(2), Key: "k", Action: chunk.Set, Value: null}), "a key of a list"},
		{"a key of a plain value", after(onA, a, chunk.Op{Obj: theirs(5), Key: "k", Action: chunk.Set, Value: null}), "creates no object"},
		{"an object of nobody", after(onA, []id.Actor{"dd"}, chunk.Op{Obj: theirs(1), Key: "k", Action: chunk.Set, Value: null}), "no ancestor holds the operation that its object"},
		{"an object made beside it", after(onA, b, chunk.Op{Obj: theirs(1), Key: "k", Action: chunk.Set, Value: null}), "no ancestor holds the operation that its object"},
		{"an object of its own that is not there", change(t, chunk.Header{Actor: "cc", Seq: 1, StartOp: 9, Deps: onA}, chunk.Op{Obj: own(7), Key: "k", Action: chunk.Set, Value: null}), "no ancestor holds the operation that its object"},
		{"an element made beside it", after(onA, []id.Actor{"aa", "bb"}, chunk.Op{Obj: theirs(2), IsElem: true, Elem: chunk.Ref{Actor: 2, Ctr: 1}, Insert: true, Action: chunk.Set, Value: null}), "no ancestor holds the element"},
		{"a predecessor made beside it", after(onA, b, chunk.Op{Key: "m", Action: chunk.Set, Value: null, Pred: []chunk.Ref{theirs(1)}}), "no ancestor holds an operation that it overwrites"},
		{"a predecessor past the actor's last", change(t, chunk.Header{Actor: "cc", Seq: 1, StartOp: 9, Deps: onA, OtherActors: a}, chunk.Op{Key: "m", Action: chunk.Set, Value: null, Pred: []chunk.Ref{theirs(7)}}), "no ancestor holds an operation that it overwrites"},
		{"counters of its ancestors again", change(t, chunk.Header{Actor: "cc", Seq: 1, StartOp: 5, Deps: onA}), "its dependencies reach 5"},
		{"a gap in its sequence", change(t, chunk.Header{Actor: "cc", Seq: 2, StartOp: 6, Deps: onA}), "whose last change among its ancestors is 0"},
	} {
		err := g.Check(test.c)
		var refusal *RefusedError
		switch {
		case test.reason == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.reason != "" && (!errors.As(err, &refusal) || refusal.Hash != test.c.Hash || !strings.Contains(err.Error(), test.reason)):
			t.Errorf("%s: %v, want %q", test.name, err, test.reason)
		}
	}
	var missing *MissingError
	if err := g.Check(after([]id.Hash{{1}}, nil)); !errors.As(err, &missing) {
		t.Errorf("a missing dep: %v", err)
	}
	if err := g.Check(base); !errors.Is(err, ErrKnown) {
		t.Errorf("a known change: %v", err)
	}
}

// The answer about what builds on a quarantined change is the same as it was, or
// would be, without the quarantine.
func TestCheckInQuarantine(t *testing.T) {
	null := chunk.Value{Type: chunk.Null}
	root := change(t, chunk.Header{Actor: "aa", Seq: 1, StartOp: 1}, chunk.Op{Key: "m", Action: chunk.MakeMap, Value: null})
	twin := func(kind chunk.Action, message string) *chunk.Change {
		return change(t, chunk.Header{Actor: "aa", Seq: 2, StartOp: 2, Deps: []id.Hash{root.Hash}, Message: message}, chunk.Op{Key: "x", Action: kind, Value: null})
	}
	m, l := twin(chunk.MakeMap, ""), twin(chunk.MakeList, "")
	if m.Hash.Compare(l.Hash) < 0 {
		m, l = l, m
	}
	low := l
	for _, order := range [][]*chunk.Change{{root, m, l}, {root, l, m}} {
		g := New()
		add(t, g, order...)
		if !slices.Equal(g.Heads(), []id.Hash{low.Hash}) {
			t.Fatalf("heads %v", g.Heads())
		}
		for _, base := range []*chunk.Change{m, l} {
			isMap := base.Makes()[0].Kind == chunk.KindMap
			onBase := chunk.Header{Actor: "bb", Seq: 1, StartOp: 3, Deps: []id.Hash{base.Hash}, OtherActors: []id.Actor{"aa"}}
			key := change(t, onBase, chunk.Op{Obj: theirs(2), Key: "k", Action: chunk.Set, Value: null})
			elem := change(t, onBase, chunk.Op{Obj: theirs(2), IsElem: true, Insert: true, Action: chunk.Set, Value: null})
			old := change(t, onBase, chunk.Op{Obj: theirs(1), Key: "k", Action: chunk.Set, Value: null})
			if err := g.Check(key); (err == nil) != isMap {
				t.Errorf("a key below %v: %v", base.Makes(), err)
			}
			if err := g.Check(elem); (err == nil) == isMap {
				t.Errorf("an element below %v: %v", base.Makes(), err)
			}
			if err := g.Check(old); err != nil {
				t.Errorf("an object from before the twins: %v", err)
			}
		}
	}
}

func TestOrphansCome(t *testing.T) {
	seeds(t, 100, func(t *testing.T, r *rand.Rand) {
		var all []*chunk.Change
		var seqs, tops [4]uint64
		var last [4]id.Hash
		for range 30 {
			a := r.IntN(4)
			h := chunk.Header{Actor: actors[a], Seq: seqs[a] + 1, StartOp: 1}
			for b := range 4 {
				if (a == b || r.IntN(3) == 0) && seqs[b] > 0 {
					h.Deps = append(h.Deps, last[b])
					h.StartOp = max(h.StartOp, tops[b]+1)
				}
			}
			c := change(t, h, chunk.Op{Key: "k", Action: chunk.Set})
			seqs[a], tops[a], last[a] = c.Seq, c.MaxOp(), c.Hash
			all = append(all, c)
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		g, o := New(), NewOrphans(OrphanLimits{})
		for _, c := range all {
			for todo := []*chunk.Change{c}; len(todo) > 0; {
				c, todo = todo[0], todo[1:]
				err := g.Check(c)
				var missing *MissingError
				if errors.As(err, &missing) {
					if out := o.Hold(c, Sender{Name: "x"}, missing.Missing); out != nil {
						t.Fatal("evicted")
					}
					for _, h := range o.MissingFrom(g, []id.Hash{c.Hash}, 100) {
						if g.Contains(h) || o.Has(h) {
							t.Fatal("what is here is asked for")
						}
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				add(t, g, c)
				for _, x := range o.Arrived(c.Hash) {
					todo = append(todo, x.Change)
				}
			}
		}
		if o.Len() != 0 || o.Bytes() != 0 || len(o.waiters) != 0 || g.Len() != len(all) {
			t.Fatalf("%d changes, %d orphans of %d bytes left, %d waited for", g.Len(), o.Len(), o.Bytes(), len(o.waiters))
		}
	})
}

func TestOrphansAreBounded(t *testing.T) {
	g, o := New(), NewOrphans(OrphanLimits{Count: 3})
	var all []*chunk.Change
	for i := range 5 {
		c := change(t, chunk.Header{Actor: "aa", Seq: uint64(i + 2), StartOp: 9, Deps: []id.Hash{{byte(i)}}})
		all = append(all, c)
		evicted := o.Hold(c, Sender{Name: "x"}, c.Deps)
		if i < 3 && evicted != nil || i >= 3 && (len(evicted) != 1 || evicted[0].Change != all[i-3] || evicted[0].From.Name != "x") {
			t.Fatalf("orphan %d: evicted %v", i, evicted)
		}
	}
	if got := o.MissingFrom(g, []id.Hash{all[4].Hash, all[0].Hash}, 10); len(got) != 2 || !slices.Contains(got, id.Hash{4}) || !slices.Contains(got, all[0].Hash) {
		t.Errorf("missing: %v", got)
	}
	child := change(t, chunk.Header{Actor: "bb", Seq: 1, StartOp: 10, Deps: []id.Hash{all[4].Hash}})
	o.Hold(child, Sender{Name: "y"}, child.Deps)
	dropped := o.Refuse(id.Hash{4})
	if len(dropped) != 2 || o.Len() != 1 || !o.Refused(child.Hash) {
		t.Errorf("refused: %v, %d left", dropped, o.Len())
	}
	if got := o.MissingFrom(g, []id.Hash{child.Hash, {4}}, 10); len(got) != 0 {
		t.Errorf("refused changes would be asked for again: %v", got)
	}
	for i := range 2 * maxRefused {
		o.Refuse(id.Hash{9, byte(i), byte(i >> 8)})
	}
	if len(o.refused) != maxRefused {
		t.Errorf("%d refused changes are remembered", len(o.refused))
	}
	small := NewOrphans(OrphanLimits{Bytes: 1})
	if evicted := small.Hold(child, Sender{Name: "y"}, child.Deps); len(evicted) != 1 || small.Bytes() != 0 {
		t.Errorf("an orphan larger than the pool: %v", evicted)
	}
}

func FuzzDecodeMeta(f *testing.F) {
	f.Add(Meta{Actor: "a", Seq: 1, StartOp: 1}.Encode())
	f.Add(Meta{Actor: "actor", Seq: 7, StartOp: 3, NumOps: 9, Deps: []id.Hash{{1}, {2}}, Makes: []chunk.Make{{Counter: 4, Kind: chunk.KindText}}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMeta(id.Hash{1}, 2, b)
		if err != nil {
			return
		}
		again, err := DecodeMeta(m.Hash, m.Row, m.Encode())
		if err != nil || again.Actor != m.Actor || !slices.Equal(again.Deps, m.Deps) || !slices.Equal(again.Makes, m.Makes) {
			t.Fatalf("%x: %+v, then %+v, %v", b, m, again, err)
		}
		g := New()
		g.Add(m)
		g.Publish(nil)
	})
}
