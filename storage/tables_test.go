package storage

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"syncline/crdt/id"
)

func TestHeadsAreKeptSorted(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc, other := id.Document{1}, id.Document{2}
	if heads, err := s.LoadHeads(ctx, doc); err != nil || len(heads) != 0 {
		t.Errorf("heads of an unknown document: %v, %v", heads, err)
	}
	if _, err := s.Document(ctx, doc); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown document: %v", err)
	}
	given := []id.Hash{{3}, {1}, {2}}
	_, err := s.Append(ctx, Batch{Entries: entries(doc, 0, 1), Heads: map[id.Document][]id.Hash{doc: given, other: {{9}}}})
	if err != nil {
		t.Fatal(err)
	}
	heads, err := s.LoadHeads(ctx, doc)
	if err != nil || !slices.Equal(heads, []id.Hash{{1}, {2}, {3}}) {
		t.Errorf("heads %v, %v", heads, err)
	}
	if given[0] != (id.Hash{3}) {
		t.Error("the caller's heads were sorted under its hands")
	}
	mustAppend(t, s, entries(doc, 1, 1)...)
	if again, _ := s.LoadHeads(ctx, doc); !slices.Equal(again, heads) {
		t.Errorf("a batch that names no heads changed them to %v", again)
	}
	// A document without changes is not listed.
	var listed []id.Document
	err = s.Documents(ctx, func(d DocumentInfo) error {
		listed = append(listed, d.Doc)
		if d.Changes != 2 || d.LastRow != 2 || d.Bytes == 0 || d.Created.IsZero() {
			t.Errorf("document %+v", d)
		}
		return nil
	})
	if err != nil || !slices.Equal(listed, []id.Document{doc}) {
		t.Errorf("documents %v, %v", listed, err)
	}
}

func TestManyDocumentsAreListedInPieces(t *testing.T) {
	s := openTemp(t)
	var es []Entry
	for i := range pieceRows + 5 {
		es = append(es, entry(id.Document{byte(i), byte(i >> 8)}, 0))
	}
	mustAppend(t, s, es...)
	i := 0
	err := s.Documents(context.Background(), func(d DocumentInfo) error {
		if d.Doc != es[i].Doc {
			t.Fatalf("document %d is %x", i, d.Doc)
		}
		i++
		return nil
	})
	if err != nil || i != len(es) {
		t.Errorf("%d documents of %d: %v", i, len(es), err)
	}
}

func TestSyncStates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	ctx := context.Background()
	doc := id.Document{1}
	want := func(remote string, state []byte) {
		t.Helper()
		got, err := s.SyncState(ctx, doc, remote)
		if err != nil || !bytes.Equal(got, state) || (got == nil) != (state == nil) {
			t.Errorf("state of %q is %v (%v), want %v", remote, got, err, state)
		}
	}
	save := func(remote string, state []byte) {
		t.Helper()
		if err := s.SaveSyncState(ctx, doc, remote, state); err != nil {
			t.Fatal(err)
		}
	}
	want("a", nil)
	save("a", nil)
	save("a", []byte{1})
	save("b", []byte{2})
	save("a", []byte{3})
	want("a", []byte{3})
	want("b", []byte{2})
	if got, err := s.SyncState(ctx, id.Document{2}, "a"); got != nil || err != nil {
		t.Errorf("state of another document: %v, %v", got, err)
	}
	s.Close()
	s = openAt(t, path, Options{})
	want("a", []byte{3})
	save("a", nil)
	save("b", []byte{})
	want("a", nil)
	want("b", []byte{})
}

func TestQuarantineKeepsTheFirstEvidence(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	at := time.UnixMilli(1_700_000_000_123)
	first := Evidence{Doc: doc, Hash: id.Hash{2}, Reason: "twin", Origin: "peer-1", Time: at, Body: []byte("loser")}
	second := Evidence{Doc: doc, Hash: id.Hash{1}, Reason: "descendant", Time: at, Body: []byte{}}
	again := first
	again.Reason = "another reason"
	if _, err := s.Append(ctx, Batch{Entries: entries(doc, 0, 1), Quarantine: []Evidence{first, second}}); err != nil {
		t.Fatal(err)
	}
	for _, e := range []Evidence{again, {Doc: id.Document{2}, Hash: id.Hash{2}, Reason: "other"}} {
		if err := s.Quarantine(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	var got []Evidence
	if err := s.Quarantined(ctx, doc, func(e Evidence) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []Evidence{first, second}; !reflect.DeepEqual(got, want) {
		t.Errorf("evidence %+v, want %+v", got, want)
	}
}

func TestValues(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	if _, err := s.Value(ctx, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such key: %v", err)
	}
	for _, v := range []string{"one", "two"} {
		if got, err := s.InitValue(ctx, "k", []byte(v)); err != nil || string(got) != "one" {
			t.Errorf("first value %q, %v", got, err)
		}
	}
	if err := s.SetValue(ctx, "k", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Value(ctx, "k"); err != nil || len(got) != 0 {
		t.Errorf("value %q, %v", got, err)
	}
}

// A callback may take its time and use the store, even with one connection.
func TestCallbacksHoldNoConnection(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "store.db"), Options{Readers: 1})
	doc := id.Document{1}
	mustAppend(t, s, entries(doc, 0, 2)...)
	n := 0
	err := s.Journal(context.Background(), doc, 0, func(row int64, _ id.Hash, _ []byte) error {
		n++
		_, err := s.LoadHeads(context.Background(), doc)
		return errors.Join(err, s.Bodies(context.Background(), doc, []int64{row}, func(int64, []byte) error { return nil }))
	})
	if err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestReadsEndWithTheirContext(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	rows := mustAppend(t, s, entries(doc, 0, 2*pieceRows)...)
	ctx, cancel := context.WithCancel(context.Background())
	err := s.Journal(ctx, doc, 0, func(int64, id.Hash, []byte) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Journal: %v", err)
	}
	if err := s.Bodies(ctx, doc, rows, func(int64, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Bodies: %v", err)
	}
}
