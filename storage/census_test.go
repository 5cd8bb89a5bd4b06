package storage

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"syncline/crdt/id"
)

// TestAllSyncStatesAreEachOnce, over pieces that are cut by rows, and by bytes in the
// middle of a document.
func TestAllSyncStatesAreEachOnce(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	want := map[string]int{}
	var all sync.WaitGroup
	save := func(doc id.Document, remote string, size int) {
		want[doc.String()+" "+remote] = size
		all.Go(func() {
			if err := s.SaveSyncState(ctx, doc, remote, make([]byte, size)); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range pieceRows/3 + 100 {
		for _, remote := range []string{"b", "a", "c"} {
			save(id.Document{byte(i), byte(i >> 8), 1}, remote, 10)
		}
	}
	for i := range 3 {
		save(id.Document{2}, fmt.Sprint(i), pieceBytes/2+1)
	}
	all.Wait()
	got := map[string]int{}
	err := s.AllSyncStates(ctx, func(doc id.Document, remote string, state []byte) error {
		if _, twice := got[doc.String()+" "+remote]; twice {
			t.Errorf("%s %s twice", doc, remote)
		}
		got[doc.String()+" "+remote] = len(state)
		return nil
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%d states of %d, %v", len(got), len(want), err)
	}
}

func TestQuarantinedDocuments(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	if err := s.AddDocument(ctx, id.Document{1}); err != nil {
		t.Fatal(err)
	}
	for i := range byte(2) {
		if err := s.Quarantine(ctx, Evidence{Doc: id.Document{2}, Hash: id.Hash{i}, Reason: "twin", Body: []byte{}}); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := s.QuarantinedDocuments(ctx)
	if err != nil || len(docs) != 1 || !docs[id.Document{2}] {
		t.Errorf("%v, %v", docs, err)
	}
}
