package storage

import (
	"path/filepath"
	"testing"

	"syncline/crdt/id"
)

func TestSizeCountsDocuments(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range byte(3) {
		if err := s.AddDocument(t.Context(), id.Document{i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n.Documents != 3 || n.Segments != 0 || n.Bytes < 4096 {
		t.Errorf("a store of three documents has %+v", n)
	}
}
