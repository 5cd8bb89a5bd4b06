package storage

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"syncline/crdt/id"
)

func marksOf(t *testing.T, s *Store, doc id.Document) (rows []int64, states []MarkState) {
	t.Helper()
	marks, err := s.Applying(context.Background(), doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		rows, states = append(rows, m.Row), append(states, m.State)
	}
	return rows, states
}

func TestMarksLastFromTheAppendToTheEndOfTheApplication(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	es := entries(doc, 0, 70) // as many as take statements of several sizes
	for i := range es {
		es[i].Applying = i%2 == 0
	}
	rows := mustAppend(t, s, es...)
	var marked []int64
	for i := range rows {
		if i%2 == 0 {
			marked = append(marked, rows[i])
		}
	}
	if got, _ := marksOf(t, s, doc); !slices.Equal(got, marked) {
		t.Fatalf("marks %v, want %v", got, marked)
	}
	// What is there already is not marked.
	for i := range es {
		es[i].Applying = true
	}
	mustAppend(t, s, es...)
	if got, _ := marksOf(t, s, doc); !slices.Equal(got, marked) {
		t.Errorf("marks after the same again %v, want %v", got, marked)
	}
	if err := s.BeginApplying(ctx, rows[:10]); err != nil {
		t.Fatal(err)
	}
	if _, states := marksOf(t, s, doc); states[0] != MarkOurs || states[4] != MarkOurs || states[5] != MarkWaiting {
		t.Errorf("states %v", states)
	}
	if left, err := s.Interrupted(ctx); err != nil || len(left) > 0 {
		t.Errorf("interrupted: %v, %v", left, err)
	}
	if err := s.EndApplying(ctx, rows[:10]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(ctx, Batch{Applied: rows[10:20]}); err != nil {
		t.Fatal(err)
	}
	if got, _ := marksOf(t, s, doc); !slices.Equal(got, marked[10:]) {
		t.Errorf("marks %v, want %v", got, marked[10:])
	}
}

func TestAWriterSyncsAgainAfterAMark(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	e := entry(id.Document{1}, 0)
	e.Applying = true
	rows := mustAppend(t, s, e)
	if err := s.BeginApplying(ctx, rows); err != nil {
		t.Fatal(err)
	}
	err := s.writer.queue.do(&job{ctx: ctx, outside: true, run: func(tx *tx) error {
		n, err := tx.int64("PRAGMA synchronous")
		if err == nil && n != 2 {
			t.Errorf("synchronous = %d, want FULL", n)
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMarksTellWhoHasBegun(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "store.db")
	doc := id.Document{1}
	open := func() *Store {
		t.Helper()
		s, err := Open(ctx, path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	a, b := open(), open()
	es := entries(doc, 0, 2)
	es[0].Applying, es[1].Applying = true, true
	rows := mustAppend(t, a, es...)
	if err := a.BeginApplying(ctx, rows[:1]); err != nil {
		t.Fatal(err)
	}
	if _, states := marksOf(t, b, doc); !slices.Equal(states, []MarkState{MarkElsewhere, MarkWaiting}) {
		t.Errorf("the other store sees %v", states)
	}
	// All or nothing: the second row is free, the first is not.
	if err := b.BeginApplying(ctx, rows); !errors.Is(err, ErrApplying) {
		t.Errorf("begun twice: %v", err)
	}
	if _, states := marksOf(t, b, doc); states[1] != MarkWaiting {
		t.Errorf("states after a refused beginning: %v", states)
	}
	// A clean end accuses nobody.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, states := marksOf(t, b, doc); states[0] != MarkWaiting {
		t.Errorf("states after a clean end: %v", states)
	}
	// A store that is gone without one has left an attempt behind.
	if err := b.BeginApplying(ctx, rows); err != nil {
		t.Fatal(err)
	}
	err := b.write(ctx, 0, func(t *tx) error { return t.exec(`DELETE FROM openings WHERE id = ?`, b.opening) })
	if err != nil {
		t.Fatal(err)
	}
	c := open()
	left, err := c.Interrupted(ctx)
	if err != nil || len(left) != 2 || left[0].State != MarkInterrupted || left[0].By != b.opening || left[0].Hash != es[0].Hash || left[0].Doc != doc {
		t.Fatalf("interrupted %+v, %v", left, err)
	}
	if err := c.ResetApplying(ctx, rows); err != nil {
		t.Fatal(err)
	}
	if left, err := c.Interrupted(ctx); err != nil || len(left) > 0 {
		t.Errorf("interrupted after a reset: %v, %v", left, err)
	}
}

func TestADocumentWithoutChangesIsKnown(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	if err := s.AddDocument(ctx, id.Document{7}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddDocument(ctx, id.Document{7}); err != nil {
		t.Errorf("added again: %v", err)
	}
	mustAppend(t, s, entries(id.Document{8}, 0, 1)...)
	count := func(list func(context.Context, func(DocumentInfo) error) error) (n int) {
		if err := list(ctx, func(DocumentInfo) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if known, with := count(s.KnownDocuments), count(s.Documents); known != 2 || with != 1 {
		t.Errorf("%d known, %d with changes", known, with)
	}
}
