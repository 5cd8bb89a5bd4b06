package crdt_test

import (
	"bytes"
	"compress/flate"
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"

	"syncline/bench/js"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

var historiesFlag = flag.Int("histories", 60, "random histories that TestHonestHistoriesAreAccepted makes, half in Go and half in JavaScript")

// Whatever honest editors write passes, in every form in which it can come.
//
//	go test ./crdt -run TestHonest -histories 10000 -seed 7 -timeout 1h
func TestHonestHistoriesAreAccepted(t *testing.T) {
	n := uint64(*historiesFlag / 2)
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		changes := 0
		for i := range n {
			h := goHistory(*seedFlag<<32 + i)
			h.index()
			changes += len(h.changes)
			accept(t, h)
		}
		t.Logf("%d histories, %d changes", n, changes)
	})
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		js.Require(t)
		ctx := context.Background()
		worker, err := js.StartAutomerge(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer worker.Close()
		changes := 0
		for from := uint64(0); from < n; from += 100 {
			hs, err := worker.Histories(ctx, *seedFlag*1_000_003+from, int(min(100, n-from)), js.Sizes{Least: 3, Most: 60})
			if err != nil {
				t.Fatal(err)
			}
			for i, h := range hs {
				changes += len(h.Changes)
				accept(t, history{name: fmt.Sprintf("js-%d", from+uint64(i)), changes: h.Changes, document: h.Saved})
			}
		}
		t.Logf("%d histories, %d changes", n, changes)
	})
	t.Run("corpus", func(t *testing.T) {
		t.Parallel()
		hs := jsHistories(t)
		if len(hs) == 0 {
			t.Skip("no corpus beside the module; set SYNCLINE_SHARED")
		}
		for _, h := range hs {
			accept(t, h)
		}
	})
}

// accept expects a history to pass change by change, deflated, and as a document.
func accept(t *testing.T, h history) {
	t.Helper()
	r := newReceiver()
	for i, raw := range h.changes {
		c, err := chunk.ParseChange(raw)
		if err != nil {
			t.Fatalf("seed %d, %s: change %d is refused: %v\n%s", *seedFlag, h.name, i, err, dump(raw))
		}
		if i%8 > 0 {
			// Deflating all of them would take most of the time.
		} else if again := must(chunk.ParseChange(deflate(raw))); again.Hash != c.Hash || !bytes.Equal(again.Raw(), raw) {
			t.Fatalf("%s: change %d comes out of its deflated form as another", h.name, i)
		}
		if err := r.take(c); err != nil {
			t.Fatalf("seed %d, %s: change %d is refused in its document: %v\n%s", *seedFlag, h.name, i, err, dump(raw))
		}
	}
	if got := len(r.standing()); got != len(h.changes) {
		t.Fatalf("%s: %d of %d changes stand", h.name, got, len(h.changes))
	}
	if h.document == nil {
		return
	}
	expanded, err := chunk.ParseDocument(h.document)
	if err != nil {
		t.Fatalf("seed %d, %s: the document is refused: %v", *seedFlag, h.name, err)
	}
	d := newReceiver()
	for _, c := range expanded {
		if err := d.take(c); err != nil {
			t.Fatalf("%s: a change of the document is refused: %v", h.name, err)
		}
	}
	if !slices.Equal(hashesOf(d.standing()), hashesOf(h.changes)) {
		t.Fatalf("%s: the document holds other changes than its history", h.name)
	}
}

// hashesOf lists the hashes of changes, ascending.
func hashesOf(changes [][]byte) []id.Hash {
	var hs []id.Hash
	for _, raw := range changes {
		hs = append(hs, hashOf(raw))
	}
	id.SortHashes(hs)
	return hs
}

// deflate gives a change the form of type 2, which keeps the checksum of type 1.
func deflate(raw []byte) []byte {
	_, body, _ := chunkBody(raw)
	var b bytes.Buffer
	w := must(flate.NewWriter(&b, flate.DefaultCompression))
	must(w.Write(body))
	must0(w.Close())
	out := encodeChunk(2, b.Bytes())
	copy(out[4:8], raw[4:8])
	return out
}
