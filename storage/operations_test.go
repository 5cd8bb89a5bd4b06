package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"syncline/crdt/id"
)

func done(doc id.Document, n int) Entry {
	e := entry(doc, n)
	e.Operation, e.Time = fmt.Appendf(nil, "operation %d", n), time.UnixMilli(1_700_000_000_123+int64(n))
	return e
}

func operationsOf(t *testing.T, s *Store, doc id.Document, after int64) (all []Operation) {
	t.Helper()
	err := s.Operations(context.Background(), doc, after, func(o Operation) error { all = append(all, o); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAnOperationIsKeptWithItsChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	ctx := context.Background()
	doc, other := id.Document{1}, id.Document{2}
	theirs := mustAppend(t, s, entries(doc, 0, 3)...)
	ours := mustAppend(t, s, done(doc, 3), entry(doc, 4), done(other, 0), done(doc, 5))

	check := func() {
		t.Helper()
		got := operationsOf(t, s, doc, 0)
		if len(got) != 2 || got[0].Row != ours[0] || got[1].Row != ours[3] {
			t.Fatalf("operations %+v, want rows %d and %d", got, ours[0], ours[3])
		}
		if rest := operationsOf(t, s, doc, ours[0]); len(rest) != 1 || rest[0].Row != ours[3] {
			t.Errorf("after row %d: %+v", ours[0], rest)
		}
		want := done(doc, 5)
		o, err := s.Operation(ctx, ours[3])
		if err != nil || o.Doc != doc || o.Hash != want.Hash || !o.Time.Equal(want.Time) || string(o.Record) != "operation 5" {
			t.Errorf("operation %+v, %v", o, err)
		}
		for _, row := range []int64{0, theirs[0], ours[1], ours[3] + 1} {
			if _, err := s.Operation(ctx, row); !errors.Is(err, ErrNotFound) {
				t.Errorf("operation %d: %v", row, err)
			}
		}
	}
	check()
	// A change that is there already was made already.
	again := done(doc, 3)
	again.Operation = []byte("another")
	taken := entries(doc, 0, 1)
	taken[0].Operation = []byte("not ours")
	mustAppend(t, s, again, taken[0])
	check()
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: theirs[0], LastRow: ours[0], Rows: 4}})
	check()
	s.Close()
	s = openAt(t, path, Options{})
	check()
}

// What goes wrong with a batch goes wrong with its operations, too.
func TestAnOperationIsNotKeptWithoutItsChange(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	mustAppend(t, s, done(doc, 0))
	wrong := errors.New("wrong")
	fail := &job{ctx: ctx, size: 1, run: func(t *tx) error {
		_, err := t.append(&Batch{Entries: []Entry{done(doc, 1)}})
		return errors.Join(err, wrong)
	}}
	if err := s.writer.queue.do(fail); !errors.Is(err, wrong) {
		t.Fatal(err)
	}
	if got := operationsOf(t, s, doc, 0); len(got) != 1 {
		t.Errorf("%d operations, want 1", len(got))
	}
	large := entry(doc, 1)
	large.Operation = make([]byte, MaxBody+1)
	if _, err := s.Append(ctx, Batch{Entries: []Entry{large}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("an operation too large to be stored: %v", err)
	}
}

func TestOperationsAreReadInPieces(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	var es []Entry
	for i := range pieceRows + 5 {
		es = append(es, done(doc, i))
	}
	rows := mustAppend(t, s, es...)
	var got []int64
	for _, o := range operationsOf(t, s, doc, 0) {
		got = append(got, o.Row)
	}
	if !slices.Equal(got, rows) {
		t.Errorf("%d operations of %d", len(got), len(rows))
	}
}

func TestOperationsAreNotRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	mustAppend(t, s, done(id.Document{1}, 0))
	s.Close()
	db := sqlite(t, path)
	defer db.Close()
	for _, q := range []string{`UPDATE operations SET record = x''`, `DELETE FROM operations`} {
		if _, err := db.Exec(q); err == nil {
			t.Errorf("%s succeeds", q)
		}
	}
}

// TestAFileOfSchemaThreeIsBroughtUp makes a file as it was before there were
// operations.
func TestAFileOfSchemaThreeIsBroughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	sqlite(t, path, migrations()[0], migrations()[1], migrations()[2],
		`PRAGMA application_id = 1400458350`, `PRAGMA user_version = 3`,
		`INSERT INTO documents (id, doc, changes, bytes, last_row, created_ms) VALUES (1, x'01000000000000000000000000000000', 1, 1, 1, 5)`,
		`INSERT INTO journal VALUES (1, 1, randomblob(32), x'00', 1, '', 5, x'', x'aa')`).Close()
	s := openAt(t, path, Options{})
	doc := id.Document{1}
	if got := operationsOf(t, s, doc, 0); len(got) != 0 {
		t.Errorf("operations %+v", got)
	}
	rows := mustAppend(t, s, done(doc, 0))
	if got := operationsOf(t, s, doc, 0); len(got) != 1 || got[0].Row != rows[0] {
		t.Errorf("operations %+v, want one of row %d", got, rows[0])
	}
}

func TestUndelivered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	ctx := context.Background()
	a, b := id.Document{1}, id.Document{2}
	set := func(doc id.Document, remote, record string) {
		t.Helper()
		var r []byte
		if record != "" {
			r = []byte(record)
		}
		if err := s.SetUndelivered(ctx, doc, remote, r); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		var got []string
		err := s.Undelivered(ctx, func(u Undelivered) error {
			if u.Time.IsZero() {
				t.Error("no time")
			}
			got = append(got, fmt.Sprint(u.Doc[0], u.Remote, string(u.Record)))
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q (%v), want %q", got, err, want)
		}
	}
	want()
	set(a, "x", "")
	want()
	set(a, "y", "1")
	set(b, "x", "2")
	set(a, "x", "3")
	set(a, "y", "4")
	want("1x3", "1y4", "2x2")
	s.Close()
	s = openAt(t, path, Options{})
	set(a, "x", "")
	want("1y4", "2x2")
}

func TestValuesByPrefix(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	for _, k := range []string{"remote b", "remote a", "remot", "remote%", "peer a", "remote "} {
		if err := s.SetValue(ctx, k, []byte("<"+k+">")); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (got []string) {
		err := s.Values(ctx, "remote ", func(rest string, value []byte) error {
			got = append(got, rest+string(value))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got, want := list(), []string{"<remote >", "a<remote a>", "b<remote b>"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := errors.Join(s.DeleteValue(ctx, "remote a"), s.DeleteValue(ctx, "remote a")); err != nil {
		t.Error(err)
	}
	if got, want := list(), []string{"<remote >", "b<remote b>"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := errors.Join(s.SetPassing(ctx, "remote c", []byte("1")), s.SetPassing(ctx, "remote c", []byte("2"))); err != nil {
		t.Error(err)
	}
	if got, want := list(), []string{"<remote >", "b<remote b>", "c2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := s.SetPassing(ctx, keyStorageID, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("the storage id: %v", err)
	}
	if err := s.DeleteValue(ctx, keyStorageID); !errors.Is(err, ErrInvalid) {
		t.Errorf("the storage id: %v", err)
	}
}

func TestSyncStatesOfADocument(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	for remote, d := range map[string]id.Document{"b": doc, "a": doc, "c": {2}} {
		if err := s.SaveSyncState(ctx, d, remote, []byte(remote)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	err := s.SyncStates(ctx, doc, func(remote string, state []byte) error {
		got = append(got, remote+string(state))
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"aa", "bb"}) {
		t.Errorf("%q, %v", got, err)
	}
}
