package storage

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
)

// closedStore makes a file with a document of n rows, and closes it.
func closedStore(t *testing.T, n int) (path string, doc id.Document, rows []int64) {
	t.Helper()
	path, doc = filepath.Join(t.TempDir(), "store.db"), id.Document{1}
	s := openAt(t, path, Options{})
	es := entries(doc, 0, n)
	es[0].Operation = []byte("record")
	es[1].Applying = true
	rows = mustAppend(t, s, es...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, doc, rows
}

func mending(t *testing.T, path string) *Mending {
	t.Helper()
	m, err := Mend(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// faults lists what Check finds, in words.
func faults(t *testing.T, path string) (all []FileFault) {
	t.Helper()
	i, err := Inspect(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if err := i.Check(context.Background(), false, func(f FileFault) error {
		all = append(all, f)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAWithdrawnRowMayComeAgain(t *testing.T) {
	path, doc, rows := closedStore(t, 3)
	ctx := context.Background()
	m := mending(t, path)
	if err := m.Withdraw(ctx, rows[1], "row"); err != nil {
		t.Fatal(err)
	}
	if err := m.Withdraw(ctx, rows[1], "row"); !errors.Is(err, ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	var withdrawn []int64
	err := m.Inspection().Document(ctx, 1, func(l *Look) error {
		if l.Changes != 2 || l.RawChanges != 2 || l.LastRow != rows[2] {
			t.Errorf("noted are %+v", l.DocumentInfo)
		}
		return l.Withdrawn(func(row int64, hash []byte, reason string, _ time.Time) error {
			withdrawn = append(withdrawn, row)
			if want := entry(doc, 1).Hash; string(hash) != string(want[:]) || reason != "row" {
				t.Errorf("kept is %x for %q", hash, reason)
			}
			return nil
		})
	})
	if err != nil || !slices.Equal(withdrawn, rows[1:2]) {
		t.Errorf("withdrawn are %v, %v", withdrawn, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, Options{})
	if got, _ := journalOf(t, s, doc, 0); len(got) != 2 {
		t.Errorf("the journal has %v", got)
	}
	if marks, err := s.Applying(ctx, doc); err != nil || len(marks) != 0 {
		t.Errorf("marks %v, %v", marks, err)
	}
	if again := mustAppend(t, s, entry(doc, 1)); again[0] <= rows[2] {
		t.Errorf("it came again as row %d, the last was %d", again[0], rows[2])
	}
	for _, q := range []string{`DELETE FROM journal`, `DELETE FROM operations`, `UPDATE journal SET seq = seq + 9`} {
		db := sqlite(t, path)
		if _, err := db.Exec(q); err == nil {
			t.Errorf("%s is not refused any more", q)
		}
		db.Close()
	}
}

func TestARowIsRestated(t *testing.T) {
	path, doc, rows := closedStore(t, 3)
	ctx := context.Background()
	m := mending(t, path)
	for i := range rows {
		e := entry(doc, 10+i)
		if err := m.Restate(ctx, rows[i], e, "head"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Restate(ctx, 99, entry(doc, 5), "head"); err == nil {
		t.Error("a row that is not there was restated")
	}
	if err := m.SetOperation(ctx, 1, Operation{Row: rows[0], Hash: id.Hash{9}, Record: []byte("another")}, "record"); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, Options{})
	n := 0
	err := s.Entries(ctx, doc, 0, func(row int64, e Entry) error {
		if want := entry(doc, 10+n); row != rows[n] || e.Hash != want.Hash || string(e.Body) != string(want.Body) || e.Actor != want.Actor {
			t.Errorf("row %d is %+v", row, e)
		}
		n++
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
	marks, err := s.Applying(ctx, doc)
	if err != nil || len(marks) != 1 || marks[0].Row != rows[1] {
		t.Errorf("marks %+v, %v", marks, err)
	}
	if o, err := s.Operation(ctx, rows[0]); err != nil || string(o.Record) != "another" {
		t.Errorf("operation %+v, %v", o, err)
	}
}

func TestMendingNeedsTheFileForItself(t *testing.T) {
	path, doc, _ := closedStore(t, 2)
	ctx := context.Background()
	s := openAt(t, path, Options{})
	if _, err := Mend(ctx, path); !errors.Is(err, ErrBusy) {
		t.Errorf("while it is open: %v", err)
	}
	i, err := Inspect(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if n, err := i.Openings(ctx); err != nil || n != 1 {
		t.Errorf("%d openings, %v", n, err)
	}
	err = i.Document(ctx, 1, func(l *Look) error {
		mustAppend(t, s, entry(doc, 7)) // the look goes on at its moment
		n := 0
		return errors.Join(l.Rows(0, MaxBody, func(Row) error { n++; return nil }), func() error {
			if n != 2 {
				t.Errorf("%d rows, want the 2 of before", n)
			}
			return nil
		}())
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.conn.ExecContext(ctx, `DELETE FROM meta`); err == nil {
		t.Error("an inspection can write")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	i.Close()
	m := mending(t, path)
	if _, err := Open(ctx, path, Options{Busy: time.Millisecond}); !errors.Is(err, ErrBusy) {
		t.Errorf("opened while it is mended: %v", err)
	}
	m.Close()
	openAt(t, path, Options{})
}

func TestFilesThatAreNotInspected(t *testing.T) {
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer.db")
	openAt(t, newer, Options{}).Close()
	sqlite(t, newer, "PRAGMA user_version = 99").Close()
	foreign := filepath.Join(dir, "foreign.db")
	sqlite(t, foreign, "CREATE TABLE diary (dear TEXT)").Close()
	for path, want := range map[string]error{newer: ErrNewer, foreign: ErrForeign} {
		before := snapshot(t, dir)
		if _, err := Inspect(context.Background(), path); !errors.Is(err, want) {
			t.Errorf("inspect: %v, want %v", err, want)
		}
		if _, err := Mend(context.Background(), path); !errors.Is(err, want) {
			t.Errorf("mend: %v, want %v", err, want)
		}
		if after := snapshot(t, dir); after[filepath.Base(path)] != before[filepath.Base(path)] {
			t.Error("it was touched")
		}
	}
}

func TestTheSchemaIsComparedAndRestored(t *testing.T) {
	path, _, _ := closedStore(t, 2)
	if got := faults(t, path); len(got) > 0 {
		t.Fatalf("a sound file has %+v", got)
	}
	sqlite(t, path, `DROP TRIGGER journal_is_never_updated`, `DROP INDEX segments_document`,
		`DROP TRIGGER segments_are_never_updated`, `CREATE TRIGGER segments_are_never_updated BEFORE UPDATE ON segments BEGIN SELECT 1; END`,
		`DROP TABLE withdrawn`).Close()
	m := mending(t, path)
	restored := 0
	for _, f := range faultsOf(t, m) {
		err := m.RestoreSchema(context.Background(), f)
		if table := strings.HasPrefix(f.Name, "table "); table != errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", f.Name, err)
		}
		if err == nil {
			restored++
		}
	}
	m.Close()
	// The index of the table that is gone cannot be made, and is not counted.
	if got := faults(t, path); restored != 3 || len(got) != 2 {
		t.Errorf("%d restored, left are %+v", restored, got)
	}
}

func faultsOf(t *testing.T, m *Mending) (all []FileFault) {
	t.Helper()
	err := m.Inspection().Check(context.Background(), true, func(f FileFault) error {
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSweepGoesOverAllDocuments(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	gone := id.Document{9}
	mustAppend(t, s, entries(gone, 0, 2)...)
	var want []int64
	for i := range 10 {
		want = append(want, mustAppend(t, s, entry(id.Document{byte(i % 3)}, i))...)
	}
	if _, err := s.DeleteDocument(ctx, gone); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for after := int64(0); ; {
		last, err := s.Sweep(ctx, after, 4, func(row int64, e Entry) error {
			if i := len(got); e.Hash != entry(e.Doc, i).Hash || e.Doc != (id.Document{byte(i % 3)}) {
				t.Errorf("row %d is %+v", row, e)
			}
			got = append(got, row)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if last == after {
			break
		}
		after = last
	}
	if !slices.Equal(got, want) {
		t.Errorf("swept %v, want %v", got, want)
	}
}
