package chunk

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncline/crdt/id"
)

// mixed returns the changes of a small history by the JavaScript
// implementation: conflicts, text, marks, block markers, counters, deletions.
func mixed(t testing.TB) (document []byte, changes [][]byte) {
	document, err := os.ReadFile(filepath.Join("testdata", "mixed.automerge"))
	if err != nil {
		t.Fatal(err)
	}
	return document, rawChanges(t, filepath.Join("testdata", "mixed.changes"))
}

func TestDocumentIsItsChanges(t *testing.T) {
	document, raws := mixed(t)
	changes, err := ParseDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != len(raws) {
		t.Fatalf("%d changes, want %d", len(changes), len(raws))
	}
	want := map[id.Hash][]byte{}
	for _, raw := range raws {
		c, err := ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		want[c.Hash] = c.Raw()
		if !bytes.Equal(reencode(t, c), c.Raw()) {
			t.Errorf("change %s encodes to something else", c.Hash)
		}
	}
	seen := map[id.Hash]bool{}
	for _, c := range changes {
		if !bytes.Equal(want[c.Hash], c.Raw()) {
			t.Errorf("change %s differs", c.Hash)
		}
		for _, d := range c.Deps {
			if !seen[d] {
				t.Errorf("change %s comes before its dep %s", c.Hash, d)
			}
		}
		seen[c.Hash] = true
	}
}

// fix puts the checksum of a chunk right after its body was tampered with.
func fix(b []byte) []byte {
	sum := sha256.Sum256(b[8:])
	copy(b[4:8], sum[:4])
	return b
}

// A flipped bit is refused, or it is one that says nothing: padding of a deflate
// stream, or an index of a head, which the heads themselves make redundant.
func TestEveryFlippedBitOfADocumentIsRefusedOrMeansNothing(t *testing.T) {
	document, raws := mixed(t)
	accepted := 0
	for i := 9; i < len(document); i++ {
		b := bytes.Clone(document)
		b[i] ^= 1 << (i % 8)
		changes, err := ParseDocument(fix(b))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("byte %d: error %v does not wrap ErrMalformed", i, err)
			}
			continue
		}
		accepted++
		for k, c := range changes {
			if len(changes) != len(raws) || !bytes.Equal(c.Raw(), raws[k]) && !bytes.Equal(deflated(t, c.Raw()), raws[k]) {
				t.Errorf("bit %d of byte %d flipped: change %d became %s", i%8, i, k, c.Hash)
			}
		}
	}
	if accepted > len(document)/50 {
		t.Errorf("%d of %d flipped documents were accepted", accepted, len(document))
	}
}

var author = id.Actor(bytes.Repeat([]byte{7}, 16))

func header() Header {
	return Header{Actor: author, Seq: 1, StartOp: 10, OtherActors: nil}
}

func str(s string) Value { return Value{Type: String, Raw: []byte(s)} }

// text is a change that makes a text at 10, inserts at 11 and 12.
func text() []Op {
	return []Op{
		{Key: "t", Action: MakeText},
		{Obj: Ref{0, 10}, IsElem: true, Insert: true, Action: Set, Value: str("a")},
		{Obj: Ref{0, 10}, IsElem: true, Elem: Ref{0, 11}, Insert: true, Action: Set, Value: str("b")},
	}
}

func TestRefusals(t *testing.T) {
	elem := Op{Obj: Ref{0, 10}, IsElem: true, Elem: Ref{0, 11}}
	begin := Op{Obj: Ref{0, 10}, IsElem: true, Insert: true, Action: Mark, HasMark: true, MarkName: "b", Expand: true, Value: str("x")}
	end := Op{Obj: Ref{0, 10}, IsElem: true, Elem: Ref{0, 11}, Insert: true, Action: Mark}
	with := func(base Op, f func(*Op)) []Op { f(&base); return append(text(), base) }
	head := func(f func(*Header)) Header { h := header(); f(&h); return h }
	cases := []struct {
		name string
		h    Header
		ops  []Op
		want string
	}{
		{"good", header(), text(), ""},
		{"good deletion", header(), with(elem, func(o *Op) { o.Action = Delete; o.Pred = []Ref{{0, 11}} }), ""},
		{"good mark", header(), append(text(), begin, end), ""},
		{"mark without end", header(), append(text(), begin), "no end"},
		{"mark that something else follows", header(), append(text(), begin, Op{Key: "k", Action: Set}), "does not follow"},
		{"end without mark", header(), append(text(), end), "does not follow"},
		{"end before its mark", header(), append(text(), begin, Op{Obj: Ref{0, 10}, IsElem: true, Insert: true, Action: Mark}), "before its start"},
		{"end in another list", header(), append(text(), begin, Op{Obj: Ref{0, 9}, IsElem: true, Elem: Ref{0, 11}, Insert: true, Action: Mark}), "not in the list"},
		{"empty", header(), nil, ""},
		{"seq 0", head(func(h *Header) { h.Seq = 0 }), text(), "sequence number"},
		{"seq past its limit", head(func(h *Header) { h.Seq = MaxSeq + 1 }), text(), "sequence number"},
		{"time far out", head(func(h *Header) { h.Time = math.MinInt64 }), text(), "time"},
		{"startOp 0", head(func(h *Header) { h.StartOp = 0 }), nil, "start of its operations"},
		{"counters past their limit", head(func(h *Header) { h.StartOp = MaxCounter }), []Op{{Key: "a", Action: MakeMap}, {Key: "b", Action: MakeMap}}, "run past"},
		{"deps out of order", head(func(h *Header) { h.Deps = []id.Hash{{2}, {1}} }), nil, "ascending"},
		{"deps twice", head(func(h *Header) { h.Deps = []id.Hash{{1}, {1}} }), nil, "ascending"},
		{"message not UTF-8", head(func(h *Header) { h.Message = "\xff" }), nil, "UTF-8"},
		{"long actor", head(func(h *Header) { h.Actor = id.Actor(make([]byte, MaxActorBytes+1)) }), nil, "limit"},
		{"unused actor", head(func(h *Header) { h.OtherActors = []id.Actor{"x"} }), text(), "no operation refers"},
		{"author among others", head(func(h *Header) { h.OtherActors = []id.Actor{author} }), text(), "name the author"},
		{"actors out of order", head(func(h *Header) { h.OtherActors = []id.Actor{"y", "x"} }), []Op{{Key: "a", Action: Set, Pred: []Ref{{1, 1}, {2, 2}}}}, "ascending"},
		{"unknown action", header(), []Op{{Key: "a", Action: 8}}, "action 8"},
		{"object not before", header(), []Op{{Obj: Ref{0, 10}, Key: "a", Action: Set}}, "not before it"},
		{"object is no object", header(), with(Op{Obj: Ref{0, 11}, Key: "k", Action: Set}, func(*Op) {}), "is no object"},
		{"map key in text", header(), with(Op{Obj: Ref{0, 10}, Key: "k", Action: Set}, func(*Op) {}), "does not fit"},
		{"element of the root", header(), []Op{{IsElem: true, Insert: true, Action: Set}}, "root"},
		{"insert at a map key", header(), []Op{{Key: "k", Insert: true, Action: Set}}, "map key"},
		{"set the head", header(), with(Op{Obj: Ref{0, 10}, IsElem: true, Action: Set, Pred: []Ref{{0, 11}}}, func(*Op) {}), "head"},
		{"element older than its list", header(), append(text(), Op{Obj: Ref{0, 10}, IsElem: true, Elem: Ref{0, 9}, Insert: true, Action: Set}), "older"},
		{"insert with preds", header(), with(elem, func(o *Op) { o.Insert, o.Action, o.Pred = true, Set, []Ref{{0, 11}} }), "overwrites something"},
		{"element without preds", header(), with(elem, func(o *Op) { o.Action = Set }), "overwrites nothing"},
		{"preds not before", header(), []Op{{Key: "k", Action: Set, Pred: []Ref{{0, 10}}}}, "not before it"},
		{"preds twice", header(), []Op{{Key: "k", Action: Set, Pred: []Ref{{0, 3}, {0, 3}}}}, "ascending"},
		{"make with value", header(), []Op{{Key: "k", Action: MakeList, Value: str("x")}}, "has a value"},
		{"delete with value", header(), []Op{{Key: "k", Action: Delete, Value: str("x"), Pred: []Ref{{0, 3}}}}, "deletion"},
		{"delete of nothing", header(), []Op{{Key: "k", Action: Delete}}, "deletion"},
		{"increment by text", header(), []Op{{Key: "k", Action: Increment, Value: str("x"), Pred: []Ref{{0, 3}}}}, "increment"},
		{"increment by uint", header(), []Op{{Key: "k", Action: Increment, Value: Value{Uint, []byte{1}}, Pred: []Ref{{0, 3}}}}, "increment"},
		{"increment of nothing", header(), []Op{{Key: "k", Action: Increment, Value: Value{Int, []byte{1}}}}, "increment"},
		{"table", header(), []Op{{Key: "k", Action: MakeTable}}, "tables"},
		{"mark on a key", header(), []Op{{Key: "k", Action: Mark, HasMark: true}}, "mark"},
		{"end of mark with value", header(), append(text(), begin, Op{Obj: Ref{0, 10}, IsElem: true, Elem: Ref{0, 11}, Insert: true, Action: Mark, Value: str("x")}), "end of a mark"},
		{"mark name on a set", header(), []Op{{Key: "k", Action: Set, HasMark: true, MarkName: "x"}}, "flags of a mark"},
		{"expand on a set", header(), []Op{{Key: "k", Action: Set, Expand: true}}, "flags of a mark"},
		{"null with bytes", header(), []Op{{Key: "k", Action: Set, Value: Value{Null, []byte{1}}}}, "null or a boolean"},
		{"short float", header(), []Op{{Key: "k", Action: Set, Value: Value{Float, []byte{1}}}}, "eight bytes"},
		{"string not UTF-8", header(), []Op{{Key: "k", Action: Set, Value: str("\xff")}}, "UTF-8"},
		{"key not UTF-8", header(), []Op{{Key: "\xff", Action: Set}}, "UTF-8"},
		{"long number", header(), []Op{{Key: "k", Action: Set, Value: Value{Int, []byte{0x81, 0}}}}, "longer than it needs"},
		{"number and more", header(), []Op{{Key: "k", Action: Set, Value: Value{Uint, []byte{1, 1}}}}, "behind its number"},
		{"actor index", head(func(h *Header) { h.OtherActors = []id.Actor{"x"} }), []Op{{Key: "k", Action: Set, Pred: []Ref{{1, 12}}}}, "not before it"},
		{"a bomb of nulls", header(), make([]Op, maxFreeOps+10000), "too much for its size"},
	}
	for _, c := range cases {
		raw, err := Encode(c.h, c.ops)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		_, err = ParseChange(raw)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: refused: %v", c.name, err)
		case c.want != "" && err == nil:
			t.Errorf("%s: accepted", c.name)
		case c.want != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %q does not say %q", c.name, err, c.want)
		}
	}
}

// deflated is the type 2 form of a type 1 chunk.
func deflated(t testing.TB, raw []byte) []byte {
	r := reader{buf: raw, off: 9}
	body, err := r.prefixed()
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, flate.BestCompression)
	w.Write(body)
	w.Close()
	out := append(append([]byte{}, raw[:8]...), typeDeflated)
	return append(AppendUint(out, uint64(z.Len())), z.Bytes()...)
}

func TestDeflatedChangeHasTheSameHash(t *testing.T) {
	_, raws := mixed(t)
	for _, raw := range raws {
		c, err := ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseChange(deflated(t, c.Raw()))
		if err != nil {
			t.Fatal(err)
		}
		if d.Hash != c.Hash || !bytes.Equal(d.Raw(), c.Raw()) {
			t.Errorf("change %s deflated is %s", c.Hash, d.Hash)
		}
		if _, err := ParseChange(append(deflated(t, c.Raw()), 0)); err == nil {
			t.Error("a byte behind the chunk was accepted")
		}
	}
}

func TestInflationIsCapped(t *testing.T) {
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, flate.BestCompression)
	zeros := make([]byte, 1<<20)
	for range MaxChangeBytes>>20 + 1 {
		w.Write(zeros)
	}
	w.Close()
	b := append([]byte(magic+"\x00\x00\x00\x00"), typeDeflated)
	b = append(AppendUint(b, uint64(z.Len())), z.Bytes()...)
	if _, err := ParseChange(b); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a bomb of %d bytes: %v", len(b), err)
	}
}

func TestClaimsCostNothing(t *testing.T) {
	huge := AppendUint(nil, 1<<62)
	body := func(parts ...[]byte) []byte {
		raw, _, _ := frame(typeChange, bytes.Join(parts, nil))
		return raw
	}
	rest := append(AppendUint(nil, 16), author...)
	rest = append(rest, 1, 1, 0, 0)
	for name, b := range map[string][]byte{
		"deps":      body(huge),
		"actor":     body([]byte{0}, huge),
		"others":    body([]byte{0}, rest, huge),
		"columns":   body([]byte{0}, rest, []byte{0}, huge),
		"column":    body([]byte{0}, rest, []byte{0, 1, colAction}, huge),
		"rows":      body([]byte{0}, rest, []byte{0, 1, colAction, 12, 0}, huge, []byte{1}),
		"run":       body([]byte{0}, rest, []byte{0, 1, colAction, 11}, AppendInt(nil, 1<<62), []byte{1}),
		"literal":   body([]byte{0}, rest, []byte{0, 1, colAction, 11}, AppendInt(nil, -1<<62), []byte{1}),
		"length":    append([]byte(magic+"\x00\x00\x00\x00\x01"), huge...),
		"no change": {},
	} {
		allocs := testing.AllocsPerRun(1, func() {
			if _, err := ParseChange(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if allocs > 40 {
			t.Errorf("%s: %v allocations for %d bytes", name, allocs, len(b))
		}
	}
}

func FuzzParseChange(f *testing.F) {
	_, raws := mixed(f)
	for _, raw := range raws {
		f.Add(raw)
		f.Add(deflated(f, raw))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 9 {
			if b[8] == typeDeflated {
				if _, whole, _, _, err := split(b); err == nil {
					b = whole
				}
			}
			b = fix(bytes.Clone(b))
		}
		c, err := ParseChange(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v does not wrap ErrMalformed", err)
			}
			return
		}
		if again := reencode(t, c); !bytes.Equal(again, c.Raw()) {
			t.Errorf("accepted\n%x, which encodes to\n%x", c.Raw(), again)
		}
	})
}

func FuzzParseChunks(f *testing.F) {
	document, raws := mixed(f)
	f.Add(document)
	f.Add(append(bytes.Clone(document), raws[0]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 9 {
			b = fix(bytes.Clone(b))
		}
		changes, err := ParseChunks(b)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("error %v does not wrap ErrMalformed", err)
		}
		for _, c := range changes {
			if _, err := ParseChange(c.Raw()); err != nil {
				t.Errorf("a change of an accepted chunk is refused by itself: %v", err)
			}
		}
	})
}
