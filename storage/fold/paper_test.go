package fold

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/storage"
)

// paper reads a document of 259,779 changes, each of one edit, written by
// JavaScript.
func paper(t testing.TB) []byte {
	dir := os.Getenv("SYNCLINE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(dir, "corpus", "documents", "paper-js-1op.automerge"))
	if err != nil {
		t.Skipf("needs the corpus of documents (SYNCLINE_SHARED): %v", err)
	}
	return b
}

// TestPaperIsFolded folds a long real history and says what that takes.
func TestPaperIsFolded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	changes, err := chunk.ParseDocument(paper(t))
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t)
	for some := range slices.Chunk(changes, 4096) {
		b := storage.Batch{}
		for _, c := range some {
			b.Entries = append(b.Entries, storage.Entry{Doc: doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Head: graph.MetaOf(c).Encode(), Body: c.Raw()})
		}
		if _, err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	last := changes[len(changes)-1].Hash
	begun := time.Now()
	works := compact(t, s, standard)
	t.Logf("%v in %.1f s", works, time.Since(begun).Seconds())
	l, err := readLayout(t.Context(), s, doc)
	if err != nil || l.chunk == nil {
		t.Fatal("no document chunk", err)
	}
	size := int64(0)
	for _, info := range l.folded {
		size += info.Size
	}
	t.Logf("%d segments of %d KB, document chunk of %d KB with %d changes", len(l.folded), size/1000, l.chunk.Size/1000, l.chunk.Rows)

	begun = time.Now()
	g, err := Graph(t.Context(), s, doc)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("graph loaded in %d ms, %d KB", time.Since(begun).Milliseconds(), g.Bytes()/1000)
	begun = time.Now()
	sh, err := Shallow(t.Context(), s, doc)
	if err != nil || sh == nil {
		t.Fatal("no shallow graph", err)
	}
	source := SourceOf(t.Context(), s, NewCache(16<<20), doc)
	nodes := sh.Since(nil)
	rows := make([]int64, len(nodes))
	for i, n := range nodes {
		rows[i] = sh.Row(n)
	}
	b, n, err := source.Pack(rows, true, 8<<20)
	if err != nil || n != len(rows) {
		t.Fatalf("%d of %d: %v", n, len(rows), err)
	}
	t.Logf("newest part loaded and packed in %d ms: %d bytes", time.Since(begun).Milliseconds(), len(b))
	if h := sh.Heads(); len(h) != 1 || h[0] != last {
		t.Errorf("heads %v, want %s", h, last)
	}
	if got, err := chunk.ParseChunks(b); err != nil || len(got) < len(changes) {
		t.Errorf("%d of %d changes: %v", len(got), len(changes), err)
	}
}
