package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"syncline/crdt/id"
)

// countdown is a context that ends after it was asked so many times.
type countdown struct {
	context.Context
	left atomic.Int64
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// furnished makes a document with some of everything, and another beside it.
func furnished(t *testing.T, s *Store) (doc, other id.Document) {
	t.Helper()
	ctx := context.Background()
	doc, other = id.Document{1}, id.Document{2}
	es := entries(doc, 0, 2500)
	es[2400].Applying = true
	for i := range es[2000:] {
		es[2000+i].Operation = []byte("operation")
	}
	evidence := []Evidence{{Doc: doc, Hash: es[2300].Hash, Reason: "twin"}, {Doc: other, Hash: id.Hash{1}, Reason: "twin"}}
	heads := map[id.Document][]id.Hash{doc: {es[2499].Hash}, other: {{1}}}
	r, err := s.Append(ctx, Batch{Entries: es, Heads: heads, Quarantine: evidence})
	if err != nil {
		t.Fatal(err)
	}
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[0], LastRow: r[99], Rows: 100}, Body: []byte("body")})
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[100], LastRow: r[149], Rows: 50}})
	theirs := mustAppend(t, s, entries(other, 0, 3)...)
	mustFold(t, s, Fold{Segment: Segment{Doc: other, FirstRow: theirs[0], LastRow: theirs[1], Rows: 2}})
	for _, d := range []id.Document{doc, other} {
		if err := errors.Join(s.SaveSyncState(ctx, d, "remote", []byte{1}), s.SetUndelivered(ctx, d, "remote", []byte{1})); err != nil {
			t.Fatal(err)
		}
	}
	err = s.write(ctx, 0, func(t *tx) error {
		return t.exec(`INSERT INTO withdrawn (source, document, row, hash, actor, origin, reason, time_ms, head, body)
			SELECT 'journal', document, max(seq), hash, actor, origin, 'rot', 0, head, body FROM journal GROUP BY document`)
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc, other
}

// leftOf counts the rows of all tables that belong to no document but those kept.
func leftOf(t *testing.T, s *Store, keep id.Document) (left int) {
	t.Helper()
	err := s.readers.QueryRow(`WITH k AS (SELECT id FROM documents WHERE doc = ?)
		SELECT (SELECT count(*) FROM documents WHERE id NOT IN k) + (SELECT count(*) FROM journal WHERE document NOT IN k)
			+ (SELECT count(*) FROM segments WHERE document NOT IN k) + (SELECT count(*) FROM applying WHERE document NOT IN k)
			+ (SELECT count(*) FROM operations WHERE document NOT IN k) + (SELECT count(*) FROM undelivered WHERE document NOT IN k)
			+ (SELECT count(*) FROM quarantine WHERE document NOT IN k) + (SELECT count(*) FROM sync_states WHERE document NOT IN k)
			+ (SELECT count(*) FROM withdrawn WHERE document NOT IN k)`,
		keep[:]).Scan(&left)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// untouched looks at the document beside the one that is deleted.
func untouched(t *testing.T, s *Store, other id.Document) {
	t.Helper()
	d := mustDocument(t, s, other)
	rows, _ := journalOf(t, s, other, 0)
	state, err := s.SyncState(context.Background(), other, "remote")
	if d.Changes != 3 || len(d.Heads) != 1 || len(rows) != 1 || len(segmentsOf(t, s, other)) != 1 || len(state) != 1 || err != nil {
		t.Errorf("the other document is %+v with %d rows and state %v (%v)", d, len(rows), state, err)
	}
}

func TestADeletedDocumentIsGoneAndMayBeMadeAgain(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc, other := furnished(t, s)
	last := s.LastRow()
	n, err := s.DeleteDocument(ctx, doc)
	if err != nil || n != 2500 {
		t.Fatalf("%d changes, %v", n, err)
	}
	if left := leftOf(t, s, other); left != 0 {
		t.Errorf("%d rows are left", left)
	}
	untouched(t, s, other)
	if _, err := s.DeleteDocument(ctx, doc); !errors.Is(err, ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	rows := mustAppend(t, s, entries(doc, 0, 2)...)
	if rows[0] <= last {
		t.Errorf("row %d, before were %d", rows[0], last)
	}
	if d := mustDocument(t, s, doc); d.Changes != 2 || d.RawChanges != 2 || d.FoldedRow != 0 || len(d.Heads) != 0 {
		t.Errorf("made again it is %+v", d)
	}
}

// TestADeletionThatWasCutOff ends a deletion after each of its steps in turn:
// the document is hidden from the first on, and the next Open of the file as it
// then is goes on with it.
func TestADeletionThatWasCutOff(t *testing.T) {
	path := filepath.Join(memoryDir(t), "store.db")
	s := openAt(t, path, Options{})
	doc, other := furnished(t, s)
	steps := 0
	for ; ; steps++ {
		// A job asks twice, and some of what went before is asked for again.
		ctx := &countdown{Context: context.Background()}
		ctx.left.Store(int64(4 + 2*steps))
		_, err := s.DeleteDocument(ctx, doc)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("step %d: %v", steps, err)
		}
		hidden(t, s, doc)
		untouched(t, s, other)

		// As a kill would leave it: with its log, and the opening not taken back.
		at := fmt.Sprint(path, "-", steps)
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(path + suffix)
			if err == nil {
				err = os.WriteFile(at+suffix, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		next := openAt(t, at, Options{})
		if left := leftOf(t, next, other); left != 0 {
			t.Errorf("step %d: %d rows are left after the next start", steps, left)
		}
		untouched(t, next, other)
		mustAppend(t, next, entry(doc, 0))
	}
	if left := leftOf(t, s, other); left != 0 || steps < 5 {
		t.Errorf("%d rows are left after %d steps", left, steps)
	}
}

// hidden looks for a document that is being deleted in every way there is.
func hidden(t *testing.T, s *Store, doc id.Document) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.Append(ctx, Batch{Entries: entries(doc, 9000, 1)}); !errors.Is(err, ErrDeleting) {
		t.Errorf("append: %v", err)
	}
	if err := s.SaveSyncState(ctx, doc, "remote", nil); !errors.Is(err, ErrDeleting) {
		t.Errorf("sync state: %v", err)
	}
	_, foldErr := s.Fold(ctx, Fold{Segment: Segment{Doc: doc, FirstRow: 1, LastRow: 1, Rows: 1}})
	_, documentErr := s.Document(ctx, doc)
	_, statErr := s.DocumentStat(ctx, doc)
	bodiesErr := s.Bodies(ctx, doc, []int64{2490}, func(int64, []byte) error { return nil })
	for i, err := range []error{foldErr, documentErr, statErr, bodiesErr} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("look %d: %v", i, err)
		}
	}
	var listed []id.Document
	list := func(d DocumentInfo) error { listed = append(listed, d.Doc); return nil }
	heads, err1 := s.LoadHeads(ctx, doc)
	marks, err2 := s.Applying(ctx, doc)
	state, err3 := s.SyncState(ctx, doc, "remote")
	page, err4 := s.DocumentsAfter(ctx, nil, 100)
	foldable, err5 := s.Foldable(ctx, 1, 0, 100)
	between, err6 := s.DocumentsBetween(ctx, 0, s.LastRow())
	err := errors.Join(err1, err2, err3, err4, err5, err6, s.Documents(ctx, list), s.KnownDocuments(ctx, list),
		s.Quarantined(ctx, doc, func(Evidence) error { return errors.New("there is evidence") }),
		s.Entries(ctx, doc, 0, func(int64, Entry) error { return errors.New("there are entries") }))
	for _, d := range page {
		listed = append(listed, d.Doc)
	}
	for _, d := range foldable {
		listed = append(listed, d.Doc)
	}
	rows, _ := journalOf(t, s, doc, 0)
	if err != nil || len(heads)+len(marks)+len(state)+len(rows)+len(segmentsOf(t, s, doc)) > 0 || slices.Contains(append(listed, between...), doc) {
		t.Errorf("seen: heads %v, marks %v, state %v, %d rows, documents %x: %v", heads, marks, state, len(rows), listed, err)
	}
}

// While a long document is deleted, the appends of others go between its steps: the
// writer is held between any two of them, until everybody waits for it.
func TestADeletionLetsOthersWrite(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	mustAppend(t, s, entries(doc, 0, 5000)...)
	release := hold(t, s)
	done := make(chan error, 1)
	go func() {
		_, err := s.DeleteDocument(ctx, doc)
		done <- err
	}()
	for n := range 5 {
		waiting(s, 1) // the deletion's next step
		appended, refused, held := make(chan error, 1), make(chan error, 1), make(chan func(), 1)
		go func() {
			_, err := s.Append(ctx, Batch{Entries: entries(id.Document{2}, n, 1)})
			appended <- err
		}()
		go func() {
			_, err := s.Append(ctx, Batch{Entries: entries(doc, 0, 1)})
			refused <- err
		}()
		waiting(s, 3)
		go func() { held <- hold(t, s) }()
		waiting(s, 4)
		release()
		release = <-held
		if err := <-appended; err != nil {
			t.Errorf("after %d steps: %v", n, err)
		}
		if err := <-refused; !errors.Is(err, ErrDeleting) {
			t.Errorf("after %d steps, to the document itself: %v", n, err)
		}
	}
	waiting(s, 1) // it is not over
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
