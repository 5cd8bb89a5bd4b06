package crdt_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"syncline/bench/js"
	"syncline/crdt"
	"syncline/crdt/chunk"
	sum "syncline/crdt/digest"
	"syncline/crdt/id"
)

var digestsFlag = flag.Int("digests", 200, "random documents whose digests are compared with JavaScript's, half of them written there")

// digestOf is what a document's digest must be, by another encoder and from
// another reading of it.
func digestOf(t testing.TB, d interface {
	Value() (map[string]any, error)
}) sum.Sum {
	t.Helper()
	v, err := d.Value()
	if err != nil {
		t.Fatal(err)
	}
	o := cbor.CoreDetEncOptions()
	o.ShortestFloat, o.NaNConvert, o.InfConvert = cbor.ShortestFloatNone, cbor.NaNConvertNone, cbor.InfConvertNone
	b, err := must(o.EncMode()).Marshal(digestForm(v))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// digestForm puts a document's value into types that the other encoder knows.
func digestForm(v any) any {
	nan := math.Float64frombits(0x7ff8 << 48)
	switch v := v.(type) {
	case crdt.Counter:
		return cbor.Tag{Number: 40501, Content: int64(v)}
	case time.Time:
		if ms := v.UnixMilli(); ms <= sum.MaxMillis && ms >= -sum.MaxMillis {
			return cbor.Tag{Number: 1, Content: ms}
		}
		return cbor.Tag{Number: 1, Content: nan}
	case float64:
		if v != v {
			return nan
		}
	case map[string]any:
		for k := range v {
			v[k] = digestForm(v[k])
		}
	case []any:
		for i := range v {
			v[i] = digestForm(v[i])
		}
	}
	return v
}

// digester computes digests in JavaScript.
type digester struct{ *js.Worker }

type jsDigest struct {
	Sum   string
	CBOR  []byte
	Error string
}

func newDigester(t *testing.T) digester {
	t.Helper()
	js.Require(t)
	w, err := js.Start(context.Background(), "digest.mjs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return digester{w}
}

func (w digester) digests(t *testing.T, documents [][][]byte) []jsDigest {
	t.Helper()
	var reply struct{ Digests []jsDigest }
	if err := w.Call(context.Background(), "digest", map[string]any{"documents": documents}, &reply); err != nil {
		t.Fatal(err)
	}
	return reply.Digests
}

// Whoever wrote a document, and whoever reads it, its digest is one.
//
//	go test ./crdt -run TestDigestIsOne -digests 20000 -seed 7 -timeout 1h
func TestDigestIsOneInGoAndJavaScript(t *testing.T) {
	worker := newDigester(t)
	n := *digestsFlag / 2
	differs := func(t *testing.T, hs []history) {
		t.Helper()
		var documents [][][]byte
		for _, h := range hs {
			documents = append(documents, [][]byte{bytes.Join(h.changes, nil)})
		}
		for i, theirs := range worker.digests(t, documents) {
			d, err := crdt.Load("reader", hs[i].changes...)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := d.Digest()
			if err != nil || theirs.Error != "" {
				t.Errorf("seed %d, %s: %v; JavaScript: %s", *seedFlag, hs[i].name, err, theirs.Error)
			} else if ours.String() != theirs.Sum {
				t.Errorf("seed %d, %s: %s, in JavaScript %s\n%s\n%x", *seedFlag, hs[i].name, ours, theirs.Sum, docJSON(t, d), theirs.CBOR)
			} else if want := digestOf(t, d); ours != want {
				t.Errorf("seed %d, %s: %s, of the value %s\n%s", *seedFlag, hs[i].name, ours, want, docJSON(t, d))
			}
			d.Close()
		}
	}
	t.Run("go", func(t *testing.T) {
		for from := 0; from < n; from += 100 {
			var hs []history
			for i := from; i < min(from+100, n); i++ {
				hs = append(hs, goHistory(*seedFlag<<32+uint64(i)))
			}
			differs(t, hs)
		}
	})
	t.Run("javascript", func(t *testing.T) {
		ctx := context.Background()
		writer, err := js.StartAutomerge(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		for from := 0; from < n; from += 100 {
			made, err := writer.Histories(ctx, *seedFlag*1_000_039+uint64(from), min(100, n-from), js.Sizes{Least: 3, Most: 60})
			if err != nil {
				t.Fatal(err)
			}
			var hs []history
			for i, h := range made {
				for c := range h.Changes {
					h.Changes[c] = must(inflated(h.Changes[c]))
				}
				hs = append(hs, history{name: fmt.Sprintf("js-%d", from+i), changes: h.Changes})
			}
			differs(t, hs)
		}
	})
}

// rawDocument is a document of one change whose root has the values, by keys.
func rawDocument(t testing.TB, values map[string]chunk.Value) []byte {
	t.Helper()
	var ops []chunk.Op
	for _, k := range sortedKeys(values) {
		ops = append(ops, chunk.Op{Key: k, Action: chunk.Set, Value: values[k]})
	}
	raw := must(chunk.Encode(chunk.Header{Actor: "author", Seq: 1, StartOp: 1}, ops))
	c, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	newDocGate().pass(t, c)
	return raw
}

func sortedKeys(m map[string]chunk.Value) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// What few writers write, and every reader meets some day.
func TestDigestOfExtremesIsOneInGoAndJavaScript(t *testing.T) {
	worker := newDigester(t)
	integer := func(kind chunk.ValueType, n int64) chunk.Value {
		return chunk.Value{Type: kind, Raw: chunk.AppendInt(nil, n)}
	}
	float := func(bits uint64) chunk.Value {
		return chunk.Value{Type: chunk.Float, Raw: binary.LittleEndian.AppendUint64(nil, bits)}
	}
	cases := map[string]map[string]chunk.Value{"no values": {}}
	for _, n := range []int64{0, -1, 1 << 52, 1<<53 - 1, 1 << 53, 1<<53 + 1, -1<<53 - 1, sum.MaxMillis, sum.MaxMillis + 1, -sum.MaxMillis, -sum.MaxMillis - 1, 1<<62 + 1, math.MaxInt64, math.MinInt64} {
		cases[fmt.Sprintf("int %d", n)] = map[string]chunk.Value{"v": integer(chunk.Int, n)}
		cases[fmt.Sprintf("time %d", n)] = map[string]chunk.Value{"v": integer(chunk.Timestamp, n)}
		cases[fmt.Sprintf("counter %d", n)] = map[string]chunk.Value{"v": integer(chunk.Counter, n)}
		cases[fmt.Sprintf("uint %d", uint64(n))] = map[string]chunk.Value{"v": {Type: chunk.Uint, Raw: chunk.AppendUint(nil, uint64(n))}}
	}
	for _, bits := range []uint64{0, 1 << 63, 1, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 0xfff8 << 48, 0x7ff0<<48 + 1, 0x7fff_ffff_ffff_ffff, math.Float64bits(5), math.Float64bits(1 << 53)} {
		cases[fmt.Sprintf("float %x", bits)] = map[string]chunk.Value{"v": float(bits)}
	}
	cases["keys"] = map[string]chunk.Value{}
	for i, k := range []string{"", "a", "b", "aa", "ü", "水", "～1", "🔑", "zzzz", "__proto__", "constructor", "1", "10", "9", strings.Repeat("k", 23), strings.Repeat("j", 24), strings.Repeat("i", 255), strings.Repeat("h", 256)} {
		cases["keys"][k] = integer(chunk.Int, int64(i))
	}
	var names []string
	var documents [][][]byte
	for name, values := range cases {
		names = append(names, name)
		documents = append(documents, [][]byte{rawDocument(t, values)})
	}
	for i, theirs := range worker.digests(t, documents) {
		d, err := crdt.Load("reader", documents[i]...)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := d.Digest()
		if err != nil || ours.String() != theirs.Sum || ours != digestOf(t, d) {
			t.Errorf("%s: %s (%v), in JavaScript %s %x %s, of the value %s", names[i], ours, err, theirs.Sum, theirs.CBOR, theirs.Error, digestOf(t, d))
		}
		d.Close()
	}
}

func TestAnUnknownValueHasNoDigest(t *testing.T) {
	worker := newDigester(t)
	raw := must(chunk.Encode(chunk.Header{Actor: "far", Seq: 1, StartOp: 1}, []chunk.Op{
		{Key: "a", Action: chunk.MakeList},
		{Obj: chunk.Ref{Ctr: 1}, IsElem: true, Insert: true, Action: chunk.MakeMap},
		{Obj: chunk.Ref{Ctr: 2}, Key: "future", Action: chunk.Set, Value: chunk.Value{Type: 12, Raw: []byte{1, 2}}},
	}))
	d, err := crdt.Open("reader", newDocGate().pass(t, must(chunk.ParseChange(raw))))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Digest()
	if !errors.Is(err, sum.ErrUnknown) || !strings.Contains(err.Error(), "a[0]/future") {
		t.Errorf("got %v", err)
	}
	if theirs := worker.digests(t, [][][]byte{{raw}})[0]; !strings.Contains(theirs.Error, "does not know") {
		t.Errorf("in JavaScript: %+v", theirs)
	}
}

func TestDigestGoesAsDeepAsReadersDo(t *testing.T) {
	worker := newDigester(t)
	for _, levels := range []int{crdt.MaxDepth, crdt.MaxDepth + 1} {
		// Each level has an entry whose key comes last in the core's order and
		// first here.
		var ops []chunk.Op
		obj := chunk.Ref{}
		for i := range levels {
			ops = append(ops, chunk.Op{Obj: obj, Key: "deeper", Action: chunk.MakeMap},
				chunk.Op{Obj: obj, Key: "n", Action: chunk.Set, Value: chunk.Value{Type: chunk.Uint, Raw: []byte{1}}})
			obj = chunk.Ref{Ctr: uint64(2*i + 1)}
		}
		raw := must(chunk.Encode(chunk.Header{Actor: "far", Seq: 1, StartOp: 1}, ops))
		d, err := crdt.Open("reader", newDocGate().pass(t, must(chunk.ParseChange(raw))))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := d.Digest()
		theirs := worker.digests(t, [][][]byte{{raw}})[0]
		switch {
		case levels > crdt.MaxDepth:
			if !errors.Is(err, crdt.ErrTooDeep) || !strings.Contains(theirs.Error, "too deep") {
				t.Errorf("%d levels: %v, in JavaScript: %+v", levels, err, theirs)
			}
		case err != nil || ours.String() != theirs.Sum:
			t.Errorf("%d levels: %s (%v), in JavaScript %s %s", levels, ours, err, theirs.Sum, theirs.Error)
		}
		d.Close()
	}
}

func TestAClosedDocumentHasNoDigest(t *testing.T) {
	d := openDoc(t, "author")
	d.Close()
	if _, err := d.Digest(); !errors.Is(err, crdt.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// A digest says what the document says: it changes when that does, comes back
// when that does, and does not tell how it came about.
func TestDigestFollowsTheDocument(t *testing.T) {
	digest := func(d interface{ Digest() (sum.Sum, error) }) sum.Sum {
		t.Helper()
		s, err := d.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	d := openDoc(t, "author")
	if want := sum.Sum(sha256.Sum256([]byte{0xa0})); digest(d) != want {
		t.Errorf("of nothing: %s, want that of an empty map", digest(d))
	}
	docDo(t, d, crdt.Create("notes", "n1", map[string]any{"title": "Hi", "n": 1, "f": 1.0, "s": crdt.Scalar("x"), "l": []any{1, 2}}))
	first, heads := digest(d), d.Heads()
	seen := map[sum.Sum]string{first: "the first"}
	for name, o := range map[string]crdt.Operation{
		"another text":    crdt.Splice("notes", "n1", "title", 2, 0, "!"),
		"an int to float": crdt.Set("notes", "n1", "n", 1.0),
		"float to an int": crdt.Set("notes", "n1", "f", 1),
		"int to counter":  crdt.Set("notes", "n1", "n", crdt.Counter(1)),
		"int to time":     crdt.Set("notes", "n1", "n", time.UnixMilli(1)),
		"string to bytes": crdt.Set("notes", "n1", "s", []byte("x")),
		"order of a list": crdt.Set("notes", "n1", "l", []any{2, 1}),
		"null":            crdt.Set("notes", "n1", "s", nil),
		"a field less":    crdt.Unset("notes", "n1", "s"),
		"an entity more":  crdt.Create("notes", "n2", map[string]any{}),
	} {
		other := openDoc(t, "other "+name)
		if err := other.Apply(mustChanges(t, d)); err != nil {
			t.Fatal(err)
		}
		docDo(t, other, o)
		s := digest(other)
		if was := seen[s]; was != "" {
			t.Errorf("%s: the digest is that of %s", name, was)
		}
		seen[s] = name
		if v := must(other.At(heads)); digest(v) != first {
			t.Errorf("%s: as it was, the digest is another", name)
		}
	}
	docDo(t, d, crdt.Set("notes", "n1", "n", 2), crdt.Set("notes", "n1", "s", "x"))
	docDo(t, d, crdt.Set("notes", "n1", "n", uint64(1)))
	if digest(d) != first {
		t.Error("a text for a string, and an unsigned integer for a signed one, have another digest")
	}
}

// mustChanges lists the changes of a document.
func mustChanges(t *testing.T, d *crdt.Document) []*chunk.Change {
	t.Helper()
	saved, err := d.Save()
	if err != nil {
		t.Fatal(err)
	}
	return must(chunk.ParseDocument(saved))
}

// A view has the digest of the document as it was at those heads.
func TestDigestOfViews(t *testing.T) {
	for i := range uint64(20) {
		h := goHistory(*seedFlag<<32 + 900 + i)
		d := must(crdt.Load("reader", h.changes...))
		for n := 1; n <= len(h.changes); n += 3 {
			was := must(crdt.Load("reader", h.changes[:n]...))
			want, got := must(was.Digest()), must(must(d.At(was.Heads())).Digest())
			if got != want {
				t.Errorf("seed %d, %s at %d changes: %s, want %s", *seedFlag, h.name, n, got, want)
			}
			was.Close()
		}
		d.Close()
	}
}

// paperDocument is a text of 259,779 changes of one edit each.
func paperDocument(b *testing.B) *crdt.Document {
	raw, err := os.ReadFile(filepath.Join(sharedDir(b), "corpus", "documents", "paper-js-1op.automerge"))
	if err != nil {
		b.Skipf("needs the corpus of documents (SYNCLINE_SHARED): %v", err)
	}
	d, err := crdt.Load("reader", raw)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.Close)
	return d
}

func BenchmarkDigest(b *testing.B) {
	entities := func(b *testing.B) *crdt.Document {
		d, err := crdt.Open(id.Actor("reader"), manyEntities(b, 10_000))
		docOK(err)
		b.Cleanup(d.Close)
		return d
	}
	for name, open := range map[string]func(*testing.B) *crdt.Document{"entities": entities, "paper": paperDocument} {
		b.Run(name, func(b *testing.B) {
			d := open(b)
			b.Run("digest", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := d.Digest()
					docOK(err)
				}
			})
			b.Run("value", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := d.Value()
					docOK(err)
				}
			})
		})
	}
}
