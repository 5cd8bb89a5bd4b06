package chunk

import "testing"

// BenchmarkEncodeDocument writes documents of decoded changes: a text of a
// thousand letters, and the editing trace of a paper (260,000 changes) where the
// shared corpus is there.
func BenchmarkEncodeDocument(b *testing.B) {
	b.Run("typed", func(b *testing.B) { benchmarkEncode(b, parseAll(b, typed(b, 1000))) })
	b.Run("paper", func(b *testing.B) {
		changes, err := ParseDocument(readFile(b, shared(b, "corpus", "documents", "paper-js-1op.automerge")))
		if err != nil {
			b.Fatal(err)
		}
		benchmarkEncode(b, changes)
	})
}

func benchmarkEncode(b *testing.B, changes []*Change) {
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		doc, err := EncodeDocument(each(changes), nil)
		if err != nil {
			b.Fatal(err)
		}
		size = len(doc)
	}
	b.ReportMetric(float64(b.N*len(changes))/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(size), "bytes")
}
