package chunk

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
)

// each hands out changes as EncodeDocument takes them.
func each(changes []*Change) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// parseAll reads raw changes.
func parseAll(t testing.TB, raws [][]byte) (out []*Change) {
	t.Helper()
	for _, raw := range raws {
		c, err := ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// comesBack writes changes as a document and expects to read them from it.
func comesBack(t testing.TB, changes []*Change) []byte {
	t.Helper()
	doc, err := EncodeDocument(each(changes), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDocument(doc)
	if err != nil {
		t.Fatalf("the document is refused: %v\n%x", err, doc)
	}
	if len(got) != len(changes) {
		t.Fatalf("%d changes come back, not %d", len(got), len(changes))
	}
	for i, c := range got {
		if !bytes.Equal(c.Raw(), changes[i].Raw()) {
			t.Fatalf("change %d comes back as another", i)
		}
	}
	return doc
}

// inflatedDocument returns what a document chunk holds, apart from how well its
// columns are deflated.
func inflatedDocument(t testing.TB, raw []byte) (d *document, changes, ops columnSet, headIndexes []byte) {
	t.Helper()
	_, _, body, _, err := split(raw)
	if err != nil {
		t.Fatal(err)
	}
	d = &document{budget: MaxDocumentBytes}
	r := &reader{buf: body}
	if err := d.readHeader(r, actorTable{}); err != nil {
		t.Fatal(err)
	}
	changes, ops, err = d.readColumns(r)
	if err != nil {
		t.Fatal(err)
	}
	return d, changes, ops, r.buf[r.off:]
}

// A document is the one that @automerge/automerge saves, byte for byte before
// its columns are deflated.
func TestEncodeDocumentWritesWhatJavaScriptSaves(t *testing.T) {
	same := func(t *testing.T, changes []*Change, saved []byte) {
		doc := comesBack(t, changes)
		d, changeCols, opCols, indexes := inflatedDocument(t, doc)
		wantD, wantChanges, wantOps, wantIndexes := inflatedDocument(t, saved)
		if !slices.Equal(d.actors, wantD.actors) || !slices.Equal(d.heads, wantD.heads) || !bytes.Equal(indexes, wantIndexes) {
			t.Errorf("actors %x, heads %s at %x; JavaScript has %x, %s at %x", d.actors, d.heads, indexes, wantD.actors, wantD.heads, wantIndexes)
		}
		for _, set := range []struct {
			name      string
			got, want columnSet
		}{{"change", changeCols, wantChanges}, {"operation", opCols, wantOps}} {
			for spec := range uint64(256) {
				if got, want := set.got[spec], set.want[spec]; !bytes.Equal(got, want) {
					t.Errorf("%s column %#x is\n%x, JavaScript writes\n%x", set.name, spec, got, want)
				}
			}
		}
		if len(doc)*100 > len(saved)*103 {
			t.Errorf("%d bytes, JavaScript needs %d", len(doc), len(saved))
		}
	}
	t.Run("histories", func(t *testing.T) {
		files, _ := filepath.Glob(filepath.Join(shared(t, "corpus", "histories"), "*.changes"))
		for _, f := range files {
			saved, err := os.ReadFile(f[:len(f)-len(".changes")] + ".automerge")
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(f), func(t *testing.T) { same(t, parseAll(t, rawChanges(t, f)), saved) })
		}
	})
	t.Run("paper", func(t *testing.T) {
		saved, err := os.ReadFile(shared(t, "corpus", "documents", "paper-js-100ops.automerge"))
		if err != nil {
			t.Fatal(err)
		}
		changes, err := ParseDocument(saved)
		if err != nil {
			t.Fatal(err)
		}
		same(t, changes, saved)
	})
}

// What a document chunk cannot give back is refused, with a reason.
func TestEncodeDocumentRefuses(t *testing.T) {
	null := Value{Type: Null}
	change := func(h Header, ops ...Op) *Change {
		t.Helper()
		id.SortHashes(h.Deps)
		raw, err := Encode(h, ops)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	in := func(list uint64, op Op) Op { op.Obj, op.IsElem = Ref{Actor: 1, Ctr: list}, true; return op }
	// A map, two lists with an element each, and two values.
	base := change(Header{Actor: "aa", Seq: 1, StartOp: 1},
		Op{Key: "map", Action: MakeMap}, Op{Key: "one", Action: MakeList}, Op{Key: "two", Action: MakeList},
		Op{Obj: Ref{Ctr: 2}, IsElem: true, Insert: true, Action: Set}, Op{Obj: Ref{Ctr: 3}, IsElem: true, Insert: true, Action: Set},
		Op{Key: "x", Action: Set}, Op{Key: "y", Action: Set}, Op{Key: "x", Action: Delete, Pred: []Ref{{Ctr: 6}}})
	after := func(start uint64, ops ...Op) *Change {
		h := Header{Actor: "bb", Seq: 1, StartOp: start, Deps: []id.Hash{base.Hash}}
		if len(ops) > 0 {
			h.OtherActors = []id.Actor{"aa"}
		}
		return change(h, ops...)
	}
	theirs := func(ctrs ...uint64) (refs []Ref) {
		for _, c := range ctrs {
			refs = append(refs, Ref{Actor: 1, Ctr: c})
		}
		return refs
	}
	late := change(Header{Actor: "bb", Seq: 1, StartOp: 20, Deps: []id.Hash{base.Hash}}, Op{Key: "k", Action: Set})
	for _, test := range []struct {
		name    string
		changes []*Change
		want    string // "" for what makes a document
	}{
		{"nothing", nil, ""},
		{"a change", []*Change{base}, ""},
		{"counters left out", []*Change{base, late}, ""},
		{"a change without operations", []*Change{base, after(9)}, ""},
		{"a change without operations that starts late", []*Change{base, after(10)}, "has no operations"},
		{"the same twice", []*Change{base, base}, "comes after number 1"},
		{"a missing dep", []*Change{after(9)}, "did not come before it"},
		{"a gap in the sequence", []*Change{change(Header{Actor: "aa", Seq: 2, StartOp: 1})}, "comes after number 0"},
		{"counters of its deps again", []*Change{base, after(8, Op{Key: "x", Action: Set, Pred: theirs(6)})}, "its deps reach 8"},
		{"counters of its actor again", []*Change{base, late, change(Header{Actor: "bb", Seq: 2, StartOp: 20}, Op{Key: "k", Action: Set})}, "has used 20"},
		{"a deletion at one key", []*Change{base, after(9, Op{Key: "y", Action: Delete, Pred: theirs(7)})}, ""},
		{"a deletion at another key", []*Change{base, after(9, Op{Key: "x", Action: Delete, Pred: theirs(7)})}, "at another place"},
		{"a deletion of a deletion", []*Change{base, after(9, Op{Key: "x", Action: Delete, Pred: theirs(8)})}, "did not come before it"},
		{"an element of another list", []*Change{base, after(9, in(2, Op{Elem: Ref{Actor: 1, Ctr: 5}, Insert: true, Action: Set}))}, "none of that list"},
		{"an element that is a key", []*Change{base, after(9, in(2, Op{Elem: Ref{Actor: 1, Ctr: 6}, Insert: true, Action: Set}))}, "none of that list"},
		{"an overwritten element of another list", []*Change{base, after(9, in(2, Op{Elem: Ref{Actor: 1, Ctr: 4}, Action: Set, Pred: theirs(5)}))}, "at another place"},
		{"a deleted increment", []*Change{base, after(9, Op{Key: "y", Action: Increment, Value: Value{Type: Int, Raw: []byte{1}}, Pred: theirs(7)}, Op{Key: "y", Action: Delete, Pred: []Ref{{Ctr: 9}}})}, "no value"},
		{"an object that is a value", []*Change{base, after(9, in(6, Op{Insert: true, Action: Set}))}, "its object is none"},
		{"a list in a map", []*Change{base, after(9, in(1, Op{Insert: true, Action: Set}))}, "does not fit"},
		{"an operation to come", []*Change{base, after(20, Op{Key: "x", Action: Set, Value: null, Pred: theirs(19)})}, "did not come before it"},
		{"an actor without changes", []*Change{base, change(Header{Actor: "bb", Seq: 1, StartOp: 9, OtherActors: []id.Actor{"cc"}, Deps: []id.Hash{base.Hash}}, Op{Key: "k", Action: Set, Pred: theirs(3)})}, "there is no change"},
	} {
		if test.want == "" {
			comesBack(t, test.changes)
			continue
		}
		_, err := EncodeDocument(each(test.changes), nil)
		if !errors.Is(err, ErrNotDocument) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

// Millions of operations that take next to no bytes are a bomb to every reader.
func TestEncodeDocumentRefusesWhatNoReaderTakes(t *testing.T) {
	const inserts = maxFreeOps - 1
	raw, err := Encode(Header{Actor: author, Seq: 1, StartOp: 1}, []Op{{Key: "list", Action: MakeList}})
	if err != nil {
		t.Fatal(err)
	}
	changes := parseAll(t, [][]byte{raw})
	ops := slices.Repeat([]Op{{Obj: Ref{Ctr: 1}, IsElem: true, Insert: true, Action: Set}}, inserts)
	for i := range uint64(3) {
		h := Header{Actor: author, Seq: i + 2, StartOp: i*inserts + 2, Deps: []id.Hash{changes[i].Hash}}
		if raw, err = Encode(h, ops); err != nil {
			t.Fatal(err)
		}
		changes = append(changes, parseAll(t, [][]byte{raw})...)
	}
	comesBack(t, changes[:2])
	if _, err := EncodeDocument(each(changes), nil); !errors.Is(err, ErrNotDocument) {
		t.Errorf("%d operations in nothing: %v", 3*inserts, err)
	}
}

// Values of all lengths keep apart, those too large for a block too.
func TestEncodeDocumentOfLargeValues(t *testing.T) {
	var raws [][]byte
	var deps []id.Hash
	for i, n := range []int{0, 1, 60_000, 10_000, blockLen, 5, blockLen + 1, 3 * blockLen, 0, 7} {
		h := Header{Actor: author, Seq: uint64(i) + 1, StartOp: uint64(i) + 1, Deps: deps}
		raw, err := Encode(h, []Op{{Key: "k", Action: Set, Value: Value{Type: Bytes, Raw: bytes.Repeat([]byte{byte(i)}, n)}}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		raws, deps = append(raws, raw), []id.Hash{c.Hash}
	}
	comesBack(t, parseAll(t, raws))
}

func TestEncodeDocumentStops(t *testing.T) {
	changes := parseAll(t, typed(t, 2*stepsBetweenPauses))
	stop := errors.New("stop")
	pauses := 0
	if _, err := EncodeDocument(each(changes), func() error { pauses++; return nil }); err != nil || pauses < 6 {
		t.Errorf("%d pauses for %d operations, and %v", pauses, len(changes), err)
	}
	for _, at := range []int{0, 1, pauses / 2, pauses - 1} {
		n := 0
		_, err := EncodeDocument(each(changes), func() error {
			if n++; n > at {
				return stop
			}
			return nil
		})
		if err != stop || n != at+1 {
			t.Errorf("stopped at pause %d: error %v after %d pauses", at, err, n)
		}
	}
	_, err := EncodeDocument(func(yield func(*Change, error) bool) {
		if yield(changes[0], nil) && yield(nil, stop) {
			t.Error("asked for more after an error")
		}
	}, nil)
	if err != stop {
		t.Errorf("error %v of the changes, want %v", err, stop)
	}
}

// Many who insert at one place, in the order that a list of siblings likes least,
// cost no more than a sort.
func TestEncodeDocumentOfManySiblings(t *testing.T) {
	const authors, inserts = 200, 500
	list, err := Encode(Header{Actor: "list", Seq: 1, StartOp: 1}, []Op{{Key: "list", Action: MakeList}})
	if err != nil {
		t.Fatal(err)
	}
	changes := parseAll(t, [][]byte{list})
	for a := range authors {
		ops := slices.Repeat([]Op{{Obj: Ref{Actor: 1, Ctr: 1}, IsElem: true, Insert: true, Action: Set}}, inserts)
		h := Header{Actor: id.Actor([]byte{255 - byte(a), 0}), Seq: 1, StartOp: 2 + uint64(authors-a)*inserts,
			Deps: []id.Hash{changes[0].Hash}, OtherActors: []id.Actor{"list"}}
		raw, err := Encode(h, ops)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, parseAll(t, [][]byte{raw})...)
	}
	comesBack(t, changes)
}
