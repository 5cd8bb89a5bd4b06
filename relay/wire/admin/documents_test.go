package admin

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"syncline/crdt/id"
	"syncline/storage"
)

// What the relay serves and the command line prints, by its names.
func TestTheShapesByTheirNames(t *testing.T) {
	ctx := context.Background()
	s, err := storage.Open(ctx, filepath.Join(t.TempDir(), "store.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	doc, other := id.Document{1}, id.Document{2}
	entries := []storage.Entry{{Doc: doc, Hash: id.Hash{1}, Body: []byte("ab")}, {Doc: doc, Hash: id.Hash{2}, Body: []byte("c")}, {Doc: other, Hash: id.Hash{3}}}
	rows, err := s.Append(ctx, storage.Batch{Entries: entries, Heads: map[id.Document][]id.Hash{doc: {{2}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Fold(ctx, storage.Fold{Segment: storage.Segment{Doc: doc, Kind: 3, Level: 1, FirstRow: rows[0], LastRow: rows[0], Rows: 1}, Index: []byte("i"), Body: []byte("body")})
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.DocumentsAfter(ctx, nil, 1)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	p := PageOf(found, 1)
	created := p.Documents[0].Created.Format("2006-01-02T15:04:05.999999999Z07:00")
	same(t, p, `{"documents":[{"id":"`+doc.String()+`","heads":["0200000000000000000000000000000000000000000000000000000000000000"],`+
		`"changes":2,"bytes":3,"rawChanges":1,"rawBytes":1,"segments":1,"segmentBytes":5,"created":"`+created+`"}],"next":"`+doc.String()+`"}`)
	d, err := Describe(ctx, s, doc)
	if err != nil {
		t.Fatal(err)
	}
	d.Parts[0].Created = p.Documents[0].Created
	same(t, d.Parts, `[{"kind":3,"level":1,"folds":true,"firstRow":1,"lastRow":1,"rows":1,"bytes":4,"indexBytes":1,"created":"`+created+`"}]`)
	if d, err = Describe(ctx, s, other); err != nil {
		t.Fatal(err)
	}
	same(t, d.Parts, `[]`)
	if _, err := Describe(ctx, s, id.Document{3}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a document that is not known: %v", err)
	}
	// The page after the last has no next, and is a list all the same.
	found, err = s.DocumentsAfter(ctx, &other, 1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, PageOf(found, 1), `{"documents":[]}`)
	same(t, Deleted{ID: "x", Changes: 2}, `{"id":"x","changes":2}`)
	same(t, Error{"no"}, `{"error":"no"}`)
}

func same(t *testing.T, v any, want string) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil || string(b) != want {
		t.Errorf("%s (%v)\nwant %s", b, err, want)
	}
}
