package chunk

import (
	"testing"

	"syncline/crdt/id"
)

// paperChanges are 259,779 changes of one edit each, by one author.
func paperChanges(b *testing.B) []*Change {
	b.Helper()
	changes, err := ParseDocument(readFile(b, shared(b, "corpus", "documents", "paper-js-1op.automerge")))
	if err != nil {
		b.Fatal(err)
	}
	return changes
}

func BenchmarkEncodeBundle(b *testing.B) {
	changes := paperChanges(b)
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		raw, err := EncodeBundle(changes)
		if err != nil {
			b.Fatal(err)
		}
		size = len(raw)
	}
	b.ReportMetric(float64(b.N*len(changes))/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(size), "bytes")
}

// BenchmarkBundle opens a bundle, opens it to build all of its changes, and builds
// one of an open bundle.
func BenchmarkBundle(b *testing.B) {
	changes := paperChanges(b)
	raw, err := EncodeBundle(changes)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := OpenBundle(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseBundle(raw); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*len(changes))/b.Elapsed().Seconds(), "changes/s")
	})
	b.Run("change", func(b *testing.B) {
		bundle, err := OpenBundle(raw)
		if err != nil {
			b.Fatal(err)
		}
		hashes := make([]id.Hash, len(changes))
		for i, c := range changes {
			hashes[i] = c.Hash
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := bundle.Change(i*7919%len(changes), hashes); err != nil {
				b.Fatal(err)
			}
		}
	})
}
