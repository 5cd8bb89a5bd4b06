package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// document is a graph and a checker under test, which reads bodies by their rows.
type document struct {
	t      testing.TB
	g      *graph.Graph
	k      *Checker
	bodies [][]byte
	read   int   // bodies given
	fail   error // of the source
}

func newDocument(t testing.TB) *document {
	d := &document{t: t, g: graph.New()}
	d.k = New(d.g, d)
	return d
}

func (d *document) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		d.read++
		if d.fail != nil || !yield(d.bodies[row]) {
			break
		}
	}
	return d.fail
}

// stage checks a change, which must be accepted, and adds it unpublished.
func (d *document) stage(c *chunk.Change) {
	d.t.Helper()
	if err := d.k.Check(c); err != nil {
		d.t.Fatal(err)
	}
	if err := d.g.Add(graph.MetaOf(c)); err != nil {
		d.t.Fatal(err)
	}
	d.k.Added(c)
}

// add checks a change, which must be accepted, and publishes it.
func (d *document) add(c *chunk.Change) {
	d.t.Helper()
	d.stage(c)
	d.g.Publish([]int64{int64(len(d.bodies))})
	d.bodies = append(d.bodies, c.Raw())
	d.k.Settle()
}

func write(t testing.TB, h chunk.Header, ops ...chunk.Op) *chunk.Change {
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

func TestHistoriesArePassed(t *testing.T) {
	files := []string{filepath.Join("..", "chunk", "testdata", "mixed.changes")}
	root := os.Getenv("SYNCLINE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	more, _ := filepath.Glob(filepath.Join(root, "corpus", "histories", "*.changes"))
	if len(more) == 0 {
		t.Logf("no shared corpus at %s: only the history in testdata is read", root)
	}
	for _, f := range append(files, more...) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := newDocument(t)
		for len(b) > 0 {
			n := binary.LittleEndian.Uint32(b)
			c, err := chunk.ParseChange(b[4 : 4+n])
			if err != nil {
				t.Fatal(err)
			}
			d.add(c)
			b = b[4+n:]
		}
	}
}

func str(s string) chunk.Value { return chunk.Value{Type: chunk.String, Raw: []byte(s)} }

// base has a map, a list of two, a text of one, a value and a counter:
//
//	1 m = {}   2 l = []   3,4 elements of l   5 t = ""   6 element of t
//	7 v = "x"  8 c = counter   9 m.k = "y"   10, 11 a mark in t
func base(d *document) *chunk.Change {
	m, l, x := chunk.Ref{Ctr: 1}, chunk.Ref{Ctr: 2}, chunk.Ref{Ctr: 5}
	c := write(d.t, chunk.Header{Actor: "a", Seq: 1, StartOp: 1},
		chunk.Op{Key: "m", Action: chunk.MakeMap},
		chunk.Op{Key: "l", Action: chunk.MakeList},
		chunk.Op{Obj: l, IsElem: true, Insert: true, Action: chunk.Set, Value: str("0")},
		chunk.Op{Obj: l, IsElem: true, Elem: chunk.Ref{Ctr: 3}, Insert: true, Action: chunk.Set, Value: str("1")},
		chunk.Op{Key: "t", Action: chunk.MakeText},
		chunk.Op{Obj: x, IsElem: true, Insert: true, Action: chunk.Set, Value: str("a")},
		chunk.Op{Key: "v", Action: chunk.Set, Value: str("x")},
		chunk.Op{Key: "c", Action: chunk.Set, Value: chunk.Value{Type: chunk.Counter, Raw: []byte{1}}},
		chunk.Op{Obj: m, Key: "k", Action: chunk.Set, Value: str("y")},
		chunk.Op{Obj: x, IsElem: true, Insert: true, Action: chunk.Mark, HasMark: true, MarkName: "b", Value: str("y")},
		chunk.Op{Obj: x, IsElem: true, Elem: chunk.Ref{Ctr: 6}, Insert: true, Action: chunk.Mark},
	)
	d.add(c)
	return c
}

func TestRefusals(t *testing.T) {
	ref := func(ctr uint64) chunk.Ref { return chunk.Ref{Actor: 1, Ctr: ctr} }
	pred := func(ctr uint64) []chunk.Ref { return []chunk.Ref{ref(ctr)} }
	cases := []struct {
		name string
		op   chunk.Op
		want string
	}{
		{"set", chunk.Op{Key: "v", Action: chunk.Set, Pred: pred(7)}, ""},
		{"set in map", chunk.Op{Obj: ref(1), Key: "k", Action: chunk.Set, Pred: pred(9)}, ""},
		{"set an element", chunk.Op{Obj: ref(2), IsElem: true, Elem: ref(4), Action: chunk.Set, Pred: pred(4)}, ""},
		{"delete text", chunk.Op{Obj: ref(5), IsElem: true, Elem: ref(6), Action: chunk.Delete, Pred: pred(6)}, ""},
		{"insert behind a mark", chunk.Op{Obj: ref(5), IsElem: true, Elem: ref(10), Insert: true, Action: chunk.Set}, ""},
		{"increment", chunk.Op{Key: "c", Action: chunk.Increment, Value: chunk.Value{Type: chunk.Int, Raw: []byte{1}}, Pred: pred(8)}, ""},
		{"object is a value", chunk.Op{Obj: ref(7), Key: "k", Action: chunk.Set}, "creates no object"},
		{"map key in a list", chunk.Op{Obj: ref(2), Key: "k", Action: chunk.Set}, "key of a list"},
		{"element of a map", chunk.Op{Obj: ref(1), IsElem: true, Insert: true, Action: chunk.Set}, "element of a map"},
		{"object unknown", chunk.Op{Obj: ref(12), Key: "k", Action: chunk.Set}, "no ancestor"},
		{"element of another list", chunk.Op{Obj: ref(2), IsElem: true, Elem: ref(6), Insert: true, Action: chunk.Set}, "which it is not"},
		{"element that is a map value", chunk.Op{Obj: ref(2), IsElem: true, Elem: ref(9), Insert: true, Action: chunk.Set}, "which it is not"},
		{"pred under another key", chunk.Op{Key: "v", Action: chunk.Set, Pred: pred(8)}, "another key"},
		{"pred in another map", chunk.Op{Key: "k", Action: chunk.Set, Pred: pred(9)}, "another key"},
		{"pred is another element", chunk.Op{Obj: ref(2), IsElem: true, Elem: ref(4), Action: chunk.Set, Pred: pred(3)}, "another key"},
		{"pred is a mark", chunk.Op{Obj: ref(5), IsElem: true, Elem: ref(10), Action: chunk.Delete, Pred: pred(10)}, "no value"},
	}
	for _, k := range cases {
		d := newDocument(t)
		b := base(d)
		c := write(t, chunk.Header{Actor: "b", Seq: 1, StartOp: 20, Deps: []id.Hash{b.Hash}, OtherActors: []id.Actor{"a"}}, k.op)
		err := d.k.Check(c)
		switch {
		case k.want == "" && err != nil:
			t.Errorf("%s: refused: %v", k.name, err)
		case k.want != "" && err == nil:
			t.Errorf("%s: accepted", k.name)
		case k.want != "":
			var refused *graph.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), k.want) {
				t.Errorf("%s: error %q does not say %q", k.name, err, k.want)
			}
		}
	}
}

// A change that names an operation of a change that is there, but not among its
// ancestors, is refused.
func TestConcurrentOperationIsNoAncestor(t *testing.T) {
	d := newDocument(t)
	b := base(d)
	d.add(write(t, chunk.Header{Actor: "b", Seq: 1, StartOp: 12, Deps: []id.Hash{b.Hash}}, chunk.Op{Key: "n", Action: chunk.MakeMap}))
	c := write(t, chunk.Header{Actor: "c", Seq: 1, StartOp: 20, Deps: []id.Hash{b.Hash}, OtherActors: []id.Actor{"b"}},
		chunk.Op{Obj: chunk.Ref{Actor: 1, Ctr: 12}, Key: "k", Action: chunk.Set})
	if err := d.k.Check(c); err == nil {
		t.Error("accepted")
	}
}

// Changes that are checked before the ones they refer to are published see them,
// and do not any more once those were truncated.
func TestUnpublishedChangesAreSeen(t *testing.T) {
	d := newDocument(t)
	b := base(d)
	next := func(v string) *chunk.Change {
		return write(t, chunk.Header{Actor: "a", Seq: 2, StartOp: 12, Deps: []id.Hash{b.Hash}}, chunk.Op{Key: "v", Action: chunk.Set, Value: str(v), Pred: []chunk.Ref{{Ctr: 7}}})
	}
	on := func(c *chunk.Change, key string) *chunk.Change {
		return write(t, chunk.Header{Actor: "a", Seq: 3, StartOp: 13, Deps: []id.Hash{c.Hash}}, chunk.Op{Key: key, Action: chunk.Set, Pred: []chunk.Ref{{Ctr: 12}}})
	}
	first := next("1")
	d.stage(first)
	if err := d.k.Check(on(first, "c")); err == nil {
		t.Error("what is not published was overwritten under another key")
	}
	d.stage(on(first, "v"))
	d.g.Truncate()
	d.k.Settle()
	second := next("2")
	d.add(second)
	d.add(on(second, "v"))
}

// A check reads the changes that hold what a change refers to, each once, and what
// was just used not again.
func TestReadsWhatIsReferredTo(t *testing.T) {
	d := newDocument(t)
	deps := []id.Hash{base(d).Hash}
	for i := range uint64(3000) {
		ops := []chunk.Op{{Key: "v", Action: chunk.Set, Value: str("x"), Pred: []chunk.Ref{{Ctr: 7}}}}
		if i > 0 {
			ops[0].Pred[0].Ctr = 11 + i
		}
		c := write(t, chunk.Header{Actor: "a", Seq: i + 2, StartOp: 12 + i, Deps: deps}, ops...)
		d.add(c)
		deps = []id.Hash{c.Hash}
	}
	if d.read > 10 {
		t.Errorf("%d bodies were read for edits on top of each other", d.read)
	}
	if n := len(d.k.held); n > keepOperations {
		t.Errorf("%d changes are held", n)
	}
}

// What is kept is bounded by its bytes too, and counted.
func TestKeepsNoMoreThanSomeBytes(t *testing.T) {
	d := newDocument(t)
	deps := []id.Hash{base(d).Hash}
	picture := str(strings.Repeat("x", keepBytes/4))
	most := 0
	for i := range uint64(20) {
		c := write(t, chunk.Header{Actor: "a", Seq: i + 2, StartOp: 12 + i, Deps: deps}, chunk.Op{Key: fmt.Sprint("k", i), Action: chunk.Set, Value: picture})
		d.add(c)
		deps = []id.Hash{c.Hash}
		held := 0
		for _, o := range d.k.held {
			held += len(o.c.Raw())
		}
		if d.k.Bytes() < held {
			t.Fatalf("%d bytes are counted, and %d held", d.k.Bytes(), held)
		}
		most = max(most, held)
	}
	if most < keepBytes/4 || most > keepBytes {
		t.Errorf("up to %d bytes of changes are held", most)
	}
}

// What cannot be read says nothing about the change.
func TestSourceFails(t *testing.T) {
	d := newDocument(t)
	b := base(d)
	clear(d.k.held)
	c := write(t, chunk.Header{Actor: "b", Seq: 1, StartOp: 12, Deps: []id.Hash{b.Hash}, OtherActors: []id.Actor{"a"}},
		chunk.Op{Key: "v", Action: chunk.Set, Pred: []chunk.Ref{{Actor: 1, Ctr: 7}}})
	d.fail = errors.New("disk gone")
	err := d.k.Check(c)
	var refused *graph.RefusedError
	if !errors.Is(err, ErrSource) || !errors.Is(err, d.fail) || errors.As(err, &refused) {
		t.Errorf("a source that fails: %v", err)
	}
	d.fail = nil
	d.add(c)
}

// BenchmarkCheck checks one edit on top of a long text, of which the neighbours
// were typed long ago.
func BenchmarkCheck(b *testing.B) {
	d := newDocument(b)
	c := write(b, chunk.Header{Actor: "a", Seq: 1, StartOp: 1}, chunk.Op{Key: "t", Action: chunk.MakeText})
	d.add(c)
	edit := func(seq, elem uint64) *chunk.Change {
		op := chunk.Op{Obj: chunk.Ref{Ctr: 1}, IsElem: true, Elem: chunk.Ref{Ctr: elem}, Insert: true, Action: chunk.Set, Value: str("x")}
		return write(b, chunk.Header{Actor: "a", Seq: seq, StartOp: seq, Deps: d.g.Heads()}, op)
	}
	for i := range uint64(2000) {
		at := i + 1
		if i == 0 {
			at = 0
		}
		d.add(edit(i+2, at))
	}
	c = edit(2002, 100)
	b.ReportAllocs()
	for b.Loop() {
		clear(d.k.held)
		if err := d.k.Check(c); err != nil {
			b.Fatal(err)
		}
	}
}
