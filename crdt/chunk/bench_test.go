package chunk

import (
	"os"
	"testing"

	"syncline/crdt/id"
)

// typed is a text typed by one author, one letter a change, as editors do.
func typed(b testing.TB, n int) (raws [][]byte) {
	letter := []byte("a")
	var deps []id.Hash
	for i := range n {
		h := Header{Actor: author, Seq: uint64(i) + 1, StartOp: uint64(i) + 1, Time: 1_700_000_000 + int64(i), Deps: deps}
		ops := []Op{{Key: "text", Action: MakeText}}
		if i > 0 {
			ops = []Op{{Obj: Ref{Ctr: 1}, IsElem: true, Insert: true, Action: Set, Value: Value{Type: String, Raw: letter}}}
			if i > 1 {
				ops[0].Elem = Ref{Ctr: uint64(i)}
			}
		}
		raw, err := Encode(h, ops)
		if err != nil {
			b.Fatal(err)
		}
		c, err := ParseChange(raw)
		if err != nil {
			b.Fatal(err)
		}
		raws, deps = append(raws, raw), []id.Hash{c.Hash}
	}
	return raws
}

// BenchmarkParseChange decodes and validates changes of one edit, of some 110 bytes.
func BenchmarkParseChange(b *testing.B) {
	raws := typed(b, 1000)
	n, bytes := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		c, err := ParseChange(raws[n%len(raws)])
		if err != nil {
			b.Fatal(err)
		}
		n++
		bytes += len(c.Raw())
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(bytes)/1e6/b.Elapsed().Seconds(), "MB/s")
}

// BenchmarkParseDocument expands a document chunk: the editing trace of a paper
// (260,000 changes) where the shared corpus is there, else a small one.
func BenchmarkParseDocument(b *testing.B) {
	b.Run("small", func(b *testing.B) { benchmarkDocument(b, "testdata/mixed.automerge") })
	b.Run("paper", func(b *testing.B) {
		benchmarkDocument(b, shared(b, "corpus", "documents", "paper-js-1op.automerge"))
	})
}

func benchmarkDocument(b *testing.B, path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	n, bytes := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		changes, err := ParseDocument(raw)
		if err != nil {
			b.Fatal(err)
		}
		n += len(changes)
		for _, c := range changes {
			bytes += len(c.Raw())
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(bytes)/1e6/b.Elapsed().Seconds(), "MB/s")
}
