package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt/id"
)

// model is what a store should hold.
type model struct {
	docs map[id.Document]*modelDoc
	last int64 // the highest row that was ever given
}

type modelDoc struct {
	rows    []int64 // in the journal
	have    map[id.Hash]int64
	bodies  map[int64][]byte
	heads   []id.Hash
	states  map[string][]byte
	changes int64
	folds   []modelFold // by first row
	chunks  map[int]int64
}

// modelFold is a folding segment, whose body lists its rows.
type modelFold struct {
	id   int64
	rows []int64
}

func (m *model) doc(d id.Document) *modelDoc {
	if m.docs[d] == nil {
		m.docs[d] = &modelDoc{have: make(map[id.Hash]int64), bodies: make(map[int64][]byte), states: make(map[string][]byte), chunks: make(map[int]int64)}
	}
	return m.docs[d]
}

// memoryDir returns a directory in memory where the system has such a place, for
// tests that open many files and do not care for the disk.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "storage")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestStoreAgainstModel does to a store and a model what rapid thinks of,
// with the file closed and opened again in between.
func TestStoreAgainstModel(t *testing.T) {
	dir := memoryDir(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run), "store.db")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		// The memory of a machine is not there for the files of all runs.
		defer os.RemoveAll(filepath.Dir(path))
		ctx := context.Background()
		open := func() *Store {
			s, err := Open(ctx, path, Options{Readers: 1})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		defer func() { s.Close() }()
		m := &model{docs: make(map[id.Document]*modelDoc)}
		aDoc := rapid.Custom(func(t *rapid.T) id.Document { return id.Document{rapid.Byte().Draw(t, "doc") % 3} })
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				// From few changes, so that many are repeated.
				var b Batch
				for range rapid.IntRange(0, 3).Draw(t, "runs") {
					from, n := rapid.IntRange(0, 150).Draw(t, "change"), rapid.IntRange(0, 70).Draw(t, "changes")
					b.Entries = append(b.Entries, entries(aDoc.Draw(t, "doc"), from, n)...)
				}
				if rapid.Bool().Draw(t, "with heads") {
					b.Heads = map[id.Document][]id.Hash{aDoc.Draw(t, "doc"): {{rapid.Byte().Draw(t, "head")}}}
				}
				rows, err := s.Append(ctx, b)
				if err != nil {
					t.Fatal(err)
				}
				m.append(t, b, rows)
			},
			"fold": func(t *rapid.T) {
				doc := aDoc.Draw(t, "doc")
				m.fold(t, s, doc, rapid.IntRange(0, 100).Draw(t, "rows"), rapid.IntRange(0, 3).Draw(t, "segments"))
			},
			"chunk": func(t *rapid.T) {
				m.chunk(t, s, aDoc.Draw(t, "doc"), rapid.IntRange(0, 1).Draw(t, "kind"))
			},
			"sync state": func(t *rapid.T) {
				doc, remote := aDoc.Draw(t, "doc"), rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "remote")
				state := rapid.SampledFrom([][]byte{nil, {}, {1}, {2, 3}}).Draw(t, "state")
				if err := s.SaveSyncState(ctx, doc, remote, state); err != nil {
					t.Fatal(err)
				}
				m.doc(doc).states[remote] = state
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open()
				m.compare(t, s)
			},
			"read": func(t *rapid.T) { m.compare(t, s) },
			"": func(t *rapid.T) {
				if s.LastRow() != m.last {
					t.Fatalf("last row %d, want %d", s.LastRow(), m.last)
				}
			},
		})
		m.compare(t, s)
	})
}

// append adds a batch to the model and holds the rows against it.
func (m *model) append(t *rapid.T, b Batch, rows []int64) {
	for i, e := range b.Entries {
		d := m.doc(e.Doc)
		if row, ok := d.have[e.Hash]; ok {
			if rows[i] != row {
				t.Fatalf("change %s got row %d, it has %d", e.Hash, rows[i], row)
			}
			continue
		}
		if rows[i] <= m.last {
			t.Fatalf("a new change got row %d after %d", rows[i], m.last)
		}
		m.last = rows[i]
		d.have[e.Hash], d.bodies[m.last], d.rows = m.last, e.Body, append(d.rows, m.last)
		d.changes++
	}
	for doc, heads := range b.Heads {
		m.doc(doc).heads = heads
	}
}

// fold folds the first n rows of the journal, with up to k of the last folding
// segments before them; or segments alone, if there are no rows or n is 0.
func (m *model) fold(t *rapid.T, s *Store, doc id.Document, n, k int) {
	d := m.doc(doc)
	n, k = min(n, len(d.rows)), min(k, len(d.folds))
	f := Fold{Segment: Segment{Doc: doc, Kind: 7, Level: k}}
	var rows []int64
	for _, old := range d.folds[len(d.folds)-k:] {
		rows = append(rows, old.rows...)
		f.Replaces = append(f.Replaces, old.id)
	}
	rows = append(rows, d.rows[:n]...)
	if len(rows) == 0 {
		return
	}
	f.FirstRow, f.LastRow, f.Rows = rows[0], rows[len(rows)-1], int64(len(rows))
	f.Index, f.Body = fmt.Append(nil, len(rows)), fmt.Append(nil, rows)
	segment, err := s.Fold(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	d.folds = append(d.folds[:len(d.folds)-k], modelFold{id: segment, rows: rows})
	gone := d.rows[:n]
	d.rows = d.rows[n:]
	for hash, row := range d.have { // what is folded is not recognised
		if _, found := slices.BinarySearch(gone, row); found {
			delete(d.have, hash)
		}
	}
}

// chunk lays a segment beside all rows.
func (m *model) chunk(t *rapid.T, s *Store, doc id.Document, kind int) {
	d := m.doc(doc)
	var rows []int64
	for _, f := range d.folds {
		rows = append(rows, f.rows...)
	}
	rows = append(rows, d.rows...)
	if len(rows) == 0 {
		return
	}
	segment, err := s.PutChunk(context.Background(), Segment{
		Doc: doc, Kind: kind, FirstRow: rows[0], LastRow: rows[len(rows)-1], Rows: int64(len(rows)),
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.chunks[kind] = segment
}

// compareSegments reads the segments of a document and what is counted of them.
func (m *model) compareSegments(t *rapid.T, s *Store, doc id.Document, d *modelDoc) {
	ctx := context.Background()
	chunks := make(map[int]int64)
	var folds []modelFold
	folded, raw := int64(0), int64(0)
	err := s.Segments(ctx, doc, func(g Segment) error {
		if !g.Folds {
			chunks[g.Kind] = g.ID
			return nil
		}
		want := d.folds[len(folds)]
		folds = append(folds, want)
		index, err1 := s.SegmentIndex(ctx, g.ID)
		body, err2 := s.SegmentBody(ctx, g.ID)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		folded = want.rows[len(want.rows)-1]
		if g.ID != want.id || g.LastRow != folded || string(body) != fmt.Sprint(want.rows) || string(index) != fmt.Sprint(len(want.rows)) {
			return fmt.Errorf("segment %+v has rows %s, want %d", g, body, want.rows)
		}
		row := want.rows[0]
		if err := s.Bodies(ctx, doc, []int64{row}, nil); !errors.Is(err, ErrFolded) {
			return fmt.Errorf("the body of folded row %d: %w", row, err)
		}
		return nil
	})
	if err != nil || len(folds) != len(d.folds) || !maps.Equal(chunks, d.chunks) {
		t.Fatalf("%d of %d folding segments, chunks %v, want %v: %v", len(folds), len(d.folds), chunks, d.chunks, err)
	}
	for _, row := range d.rows {
		raw += int64(len(d.bodies[row]))
	}
	info, err := s.Document(ctx, doc)
	if errors.Is(err, ErrNotFound) && d.changes == 0 {
		return
	}
	if err != nil || info.Changes != d.changes || info.RawChanges != int64(len(d.rows)) || info.RawBytes != raw || info.FoldedRow != folded {
		t.Fatalf("document %+v (%v), want %d changes, %d of them with %d bytes above row %d", info, err, d.changes, len(d.rows), raw, folded)
	}
}

// compare reads everything.
func (m *model) compare(t *rapid.T, s *Store) {
	ctx := context.Background()
	listed := 0
	if err := s.Documents(ctx, func(d DocumentInfo) error { listed++; return nil }); err != nil {
		t.Fatal(err)
	}
	for doc, d := range m.docs {
		if d.changes > 0 {
			listed--
		}
		var rows []int64
		err := s.Entries(ctx, doc, 0, func(row int64, e Entry) error {
			rows = append(rows, row)
			if d.have[e.Hash] != row || !bytes.Equal(d.bodies[row], e.Body) || e.Origin != "peer-1" || e.Doc != doc {
				return fmt.Errorf("row %d differs", row)
			}
			return nil
		})
		if err != nil || !slices.Equal(rows, d.rows) {
			t.Fatalf("rows %d (%v), want %d", rows, err, d.rows)
		}
		half := d.rows[len(d.rows)/2:]
		i := 0
		err = s.Bodies(ctx, doc, half, func(row int64, body []byte) error {
			if row != half[i] || !bytes.Equal(d.bodies[row], body) {
				return fmt.Errorf("body of row %d differs", row)
			}
			i++
			return nil
		})
		if err != nil || i != len(half) {
			t.Fatalf("%d bodies of %d: %v", i, len(half), err)
		}
		m.compareSegments(t, s, doc, d)
		heads, err := s.LoadHeads(ctx, doc)
		if err != nil || !slices.Equal(heads, d.heads) {
			t.Fatalf("heads %v (%v), want %v", heads, err, d.heads)
		}
		for remote, want := range d.states {
			state, err := s.SyncState(ctx, doc, remote)
			if err != nil || !bytes.Equal(state, want) || (state == nil) != (want == nil) {
				t.Fatalf("state of %q is %v (%v), want %v", remote, state, err, want)
			}
		}
	}
	if listed != 0 {
		t.Fatalf("%d documents too many are listed", listed)
	}
}
