package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
)

// childFoldsEnv has the child fold what it appends.
const childFoldsEnv = "SYNCLINE_STORAGE_TEST_CHILD_FOLDS"

// foldUntil folds rows of a document, a few and many at a time, with and without
// earlier segments, until ctx ends. A body lists the rows and their hashes.
func foldUntil(ctx context.Context, s *Store, doc id.Document, rng *rand.Rand) error {
	for {
		err := foldOnce(ctx, s, doc, 1+rng.IntN(400), max(0, rng.IntN(7)-3))
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
		yield()
	}
}

func foldOnce(ctx context.Context, s *Store, doc id.Document, most, segments int) error {
	var folding []Segment
	err := s.Segments(ctx, doc, func(g Segment) error {
		if g.Folds {
			folding = append(folding, g)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var body strings.Builder
	f := Fold{Segment: Segment{Doc: doc}}
	for _, g := range folding[len(folding)-min(segments, len(folding)):] {
		part, err := s.SegmentBody(ctx, g.ID)
		if err != nil {
			return err
		}
		if f.Rows == 0 {
			f.FirstRow = g.FirstRow
		}
		f.Rows, f.LastRow, f.Replaces = f.Rows+g.Rows, g.LastRow, append(f.Replaces, g.ID)
		body.Write(part)
	}
	err = s.Journal(ctx, doc, 0, func(row int64, hash id.Hash, _ []byte) error {
		if f.Rows == 0 {
			f.FirstRow = row
		}
		f.Rows, f.LastRow = f.Rows+1, row
		fmt.Fprintf(&body, "%d %s\n", row, hash)
		if most--; most == 0 {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) || f.Rows == 0 {
		return err
	}
	f.Body = []byte(body.String())
	if _, err := s.Fold(ctx, f); err != nil {
		return err
	}
	_, err = s.PutChunk(ctx, Segment{Doc: doc, FirstRow: f.FirstRow, LastRow: f.LastRow, Rows: f.Rows}, nil, f.Body)
	return err
}

// TestNothingFoldedIsLostByAKill kills a process that appends and folds, and
// looks for every row it was given: in the journal or in a segment, never in
// both.
func TestNothingFoldedIsLostByAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make(map[id.Document]map[int64]id.Hash)
	for crash := range crashes(t) {
		cmd, _, read := startChild(t, path, childFoldsEnv+"=1")
		left := rng.IntN(1000)
		note := func(a acknowledged) bool {
			if all[a.doc] == nil {
				all[a.doc] = make(map[int64]id.Hash)
			}
			all[a.doc][a.row] = a.hash
			left--
			return left > 0
		}
		read(note)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		left = 1 << 30
		read(note) // what it printed before it died
		cmd.Wait()

		s, err := Open(context.Background(), path, Options{})
		if err != nil {
			t.Fatalf("crash %d: %v", crash, err)
		}
		for doc, want := range all {
			verifyFolded(t, s, doc, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("after crash %d", crash)
		}
	}
}

// verifyFolded looks for the wanted rows of a document.
func verifyFolded(t *testing.T, s *Store, doc id.Document, want map[int64]id.Hash) {
	t.Helper()
	got := make(map[int64]id.Hash)
	last, folds := int64(0), 0
	for _, g := range segmentsOf(t, s, doc) {
		if !g.Folds {
			continue
		}
		folds++
		if g.FirstRow <= last {
			t.Errorf("document %x: segment %d begins at row %d, another ends at %d", doc[0], g.ID, g.FirstRow, last)
		}
		last = g.LastRow
		body, err := s.SegmentBody(context.Background(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		before := len(got)
		for line := range strings.Lines(string(body)) {
			var row int64
			var hash string
			if _, err := fmt.Sscanf(line, "%d %s", &row, &hash); err != nil {
				t.Fatal(err)
			}
			if got[row], err = id.ParseHash(hash); err != nil {
				t.Fatal(err)
			}
		}
		if n := int64(len(got) - before); n != g.Rows {
			t.Errorf("document %x: segment %d has %d rows of %d", doc[0], g.ID, n, g.Rows)
		}
	}
	rows, hashes := journalOf(t, s, doc, 0)
	raw := int64(0)
	for i, row := range rows {
		if _, both := got[row]; both || row <= last {
			t.Errorf("document %x: row %d is folded up to row %d, and in the journal", doc[0], row, last)
		}
		got[row] = hashes[i]
	}
	if err := s.Bodies(context.Background(), doc, rows, func(_ int64, b []byte) error { raw += int64(len(b)); return nil }); err != nil {
		t.Error(err)
	}
	for row, hash := range want {
		if got[row] != hash {
			t.Errorf("document %x: row %d is %s, acknowledged was %s", doc[0], row, got[row], hash)
		}
	}
	d := mustDocument(t, s, doc)
	if d.Changes != int64(len(got)) || d.RawChanges != int64(len(rows)) || d.RawBytes != raw || d.FoldedRow != last {
		t.Errorf("document %x: %+v, has %d rows, %d with %d bytes above row %d", doc[0], d, len(got), len(rows), raw, last)
	}
	t.Logf("document %x: %d rows, %d of them in %d segments", doc[0], len(got), len(got)-len(rows), folds)
}
