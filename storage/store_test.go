package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"syncline/crdt/id"
)

func TestMain(m *testing.M) {
	if runAsChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// openAt opens a store that the test closes.
func openAt(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openTemp(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "store.db"), Options{})
}

// hashOf returns the hash that test changes have by their content.
func hashOf(body []byte) id.Hash { return sha256.Sum256(body) }

// entry returns the n-th change of a test document.
func entry(doc id.Document, n int) Entry {
	body := fmt.Appendf(nil, "body %d of %x, with as many bytes as a change of one edit has, or so", n, doc)
	return Entry{
		Doc: doc, Hash: hashOf(body), Actor: id.Actor("0123456789abcdef"), ActorSeq: uint64(n) + 1, Origin: "peer-1",
		Head: fmt.Appendf(nil, "head %d of the change", n), Body: body,
	}
}

func entries(doc id.Document, from, n int) []Entry {
	es := make([]Entry, n)
	for i := range es {
		es[i] = entry(doc, from+i)
	}
	return es
}

func mustAppend(t testing.TB, s *Store, es ...Entry) []int64 {
	t.Helper()
	rows, err := s.Append(context.Background(), Batch{Entries: es})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// journalOf reads a document's rows, and fails if a head is not its change's.
func journalOf(t testing.TB, s *Store, doc id.Document, after int64) (rows []int64, hashes []id.Hash) {
	t.Helper()
	err := s.Journal(context.Background(), doc, after, func(row int64, h id.Hash, head []byte) error {
		rows, hashes = append(rows, row), append(hashes, h)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, hashes
}

func TestAppendedRowsAreReadBackInOrder(t *testing.T) {
	s := openTemp(t)
	doc, other := id.Document{1}, id.Document{2}
	// More than one piece, with the rows of two documents alternating.
	var es []Entry
	for i := range 2*pieceRows + 10 {
		es = append(es, entry(doc, i), entry(other, i))
	}
	rows := mustAppend(t, s, es...)
	if !slices.IsSorted(rows) || rows[0] != 1 {
		t.Fatalf("rows are not numbered upwards from 1: %d…", rows[:3])
	}
	var want []int64
	for i, e := range es {
		if e.Doc == doc {
			want = append(want, rows[i])
		}
	}
	got, hashes := journalOf(t, s, doc, 0)
	if !slices.Equal(got, want) {
		t.Fatalf("have %d rows, want %d", len(got), len(want))
	}
	i := 0
	err := s.Bodies(context.Background(), doc, got, func(row int64, body []byte) error {
		if row != got[i] || hashOf(body) != hashes[i] {
			return fmt.Errorf("row %d: body or order differs", row)
		}
		i++
		return nil
	})
	if err != nil || i != len(got) {
		t.Fatalf("%d bodies of %d: %v", i, len(got), err)
	}
	if after, _ := journalOf(t, s, doc, got[len(got)-3]); len(after) != 2 {
		t.Fatalf("%d rows after the last but two", len(after))
	}
}

func TestDuplicatesGetTheRowThatIsThere(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	first := mustAppend(t, s, entries(doc, 0, 100)...)
	// Within one batch, across batches, and the same hash in another document.
	es := append(entries(doc, 50, 100), entry(doc, 149), entry(doc, 0))
	es = append(es, es[0])
	es[len(es)-1].Doc = id.Document{2}
	rows := mustAppend(t, s, es...)
	if !slices.Equal(rows[:50], first[50:]) {
		t.Errorf("changes that were there got rows %d, have %d", rows[:50], first[50:])
	}
	if rows[100] != rows[99] || rows[101] != first[0] {
		t.Errorf("repeated in the batch: rows %d", rows[99:])
	}
	if slices.Contains(first, rows[102]) {
		t.Errorf("a hash in another document got the row %d of the first", rows[102])
	}
	d, err := s.Document(context.Background(), doc)
	if err != nil || d.Changes != 150 || d.LastRow != rows[99] {
		t.Errorf("document %+v, %v: want 150 changes up to row %d", d, err, rows[99])
	}
	if again := mustAppend(t, s, es...); !slices.Equal(again, rows) {
		t.Errorf("appended again: rows %d, want %d", again, rows)
	}
	if got := s.Stats().Rows; got != 151 {
		t.Errorf("%d rows counted, want 151", got)
	}
}

func TestBodiesInAnyOrder(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	rows := mustAppend(t, s, entries(doc, 0, 10)...)
	alien := mustAppend(t, s, entry(id.Document{2}, 0))
	var got []int64
	collect := func(row int64, _ []byte) error { got = append(got, row); return nil }
	if err := s.Bodies(context.Background(), doc, []int64{rows[7], rows[2], rows[7], rows[4]}, collect); err != nil {
		t.Fatal(err)
	}
	if want := []int64{rows[2], rows[4], rows[7]}; !slices.Equal(got, want) {
		t.Errorf("rows %d, want %d", got, want)
	}
	for _, missing := range []int64{alien[0], 1 << 40, 0, -1} {
		err := s.Bodies(context.Background(), doc, []int64{rows[1], missing}, func(int64, []byte) error { return nil })
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("row %d of another document or none: %v", missing, err)
		}
	}
	stop := errors.New("stop")
	if err := s.Bodies(context.Background(), doc, rows, func(int64, []byte) error { return stop }); err != stop {
		t.Errorf("the callback's error came back as %v", err)
	}
}

// yield lets other goroutines run.
func yield() { runtime.Gosched() }
