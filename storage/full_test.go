package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"syncline/crdt/id"
)

func TestAFullFileFailsTheGroupAndThenWorksAgain(t *testing.T) {
	s := openTemp(t)
	limit := func(pages int) {
		t.Helper()
		err := s.writer.queue.do(&job{ctx: context.Background(), outside: true, run: func(t *tx) error {
			_, err := t.int64(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	doc := id.Document{1}
	had := mustAppend(t, s, entries(doc, 0, 10)...)
	failed := s.Stats().Failed
	limit(1) // as many as there are: SQLite does not go below
	release := hold(t, s)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			e := entry(doc, 100+i)
			e.Body = append(e.Body, make([]byte, 20<<10)...)
			_, errs[i] = s.Append(context.Background(), Batch{Entries: []Entry{e}})
		})
	}
	waiting(s, len(errs))
	release()
	wg.Wait()
	for i, err := range errs {
		if !errors.Is(err, ErrFull) {
			t.Errorf("caller %d of the group: %v", i, err)
		}
	}
	if n := s.Stats().Failed; n != failed+1 {
		t.Errorf("%d failed transactions counted, want 1", n-failed)
	}
	if rows, _ := journalOf(t, s, doc, 0); len(rows) != len(had) {
		t.Errorf("%d rows, want %d", len(rows), len(had))
	}
	limit(1 << 30)
	again := mustAppend(t, s, entries(doc, 0, 20)...)
	if rows, _ := journalOf(t, s, doc, 0); len(rows) != 20 || again[9] != had[9] || again[10] <= had[9] {
		t.Errorf("with space again: %d rows, appended %d", len(rows), again)
	}
}

// fillUp takes the free space of dir's disk and returns what gives it back.
func fillUp(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
	f.Close()
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFullDiskFailsAppendAndThenWorksAgain(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, "size=2m") // or skips
	path := filepath.Join(dir, "store.db")
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if s != nil {
			s.Close()
		}
	}()
	doc := id.Document{1}
	var acknowledged []int64
	stored := 0
	appendUntilFull := func() {
		t.Helper()
		for {
			rows, err := s.Append(context.Background(), Batch{Entries: entries(doc, stored, 50)})
			if errors.Is(err, ErrFull) {
				return
			}
			if err != nil {
				t.Fatalf("full disk: %v, want ErrFull", err)
			}
			acknowledged = append(acknowledged, rows...)
			stored += len(rows)
		}
	}
	for round := range 3 {
		free := fillUp(t, dir)
		appendUntilFull()
		if rows, _ := journalOf(t, s, doc, 0); len(rows) != stored {
			t.Errorf("round %d: %d rows can be read on a full disk, want %d", round, len(rows), stored)
		}
		free()
		rows := mustAppend(t, s, entries(doc, stored, 50)...)
		acknowledged, stored = append(acknowledged, rows...), stored+len(rows)
	}
	// A close and an opening with no space left lose nothing either.
	free := fillUp(t, dir)
	appendUntilFull()
	s.Close()
	if again, err := Open(context.Background(), path, Options{}); err == nil {
		again.Close()
	} else if !errors.Is(err, ErrFull) {
		t.Errorf("Open on a full disk: %v", err)
	}
	free()
	if s, err = Open(context.Background(), path, Options{}); err != nil {
		t.Fatal(err)
	}
	if rows, _ := journalOf(t, s, doc, 0); len(rows) != len(acknowledged) {
		t.Errorf("%d rows, acknowledged %d", len(rows), len(acknowledged))
	}
}

func TestAReadOnlyDiskSaysSo(t *testing.T) {
	dir := t.TempDir()
	remount := mountTmpfs(t, dir, "size=8m")
	s, err := Open(context.Background(), filepath.Join(dir, "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	remount("ro")
	s, err = Open(context.Background(), filepath.Join(dir, "store.db"), Options{})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, ErrReadOnly) {
		t.Errorf("Open on a read-only disk: %v", err)
	}
}
