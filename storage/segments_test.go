package storage

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"syncline/crdt/id"
)

func segmentsOf(t testing.TB, s *Store, doc id.Document) (all []Segment) {
	t.Helper()
	if err := s.Segments(context.Background(), doc, func(g Segment) error { all = append(all, g); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestChunksLieBesideTheirRows(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc, other := id.Document{1}, id.Document{2}
	rows := mustAppend(t, s, entry(doc, 0), entry(other, 0), entry(doc, 1), entry(doc, 2))
	at := time.UnixMilli(1_700_000_000_123)
	whole := Segment{Doc: doc, Kind: 3, Level: 1, FirstRow: rows[0], LastRow: rows[3], Rows: 3, Created: at}
	some := Segment{Doc: doc, Level: 2, FirstRow: rows[2], LastRow: rows[3], Rows: 1, RowSet: []byte{}, Created: at}
	theirs := Segment{Doc: other, Kind: 3, FirstRow: rows[1], LastRow: rows[1], Rows: 1, Created: at}
	put := func(g *Segment, index, body string) {
		t.Helper()
		var err error
		if g.ID, err = s.PutChunk(ctx, *g, []byte(index), []byte(body)); err != nil {
			t.Fatal(err)
		}
		g.IndexSize, g.Size = int64(len(index)), int64(len(body))
	}
	put(&theirs, "", "theirs")
	put(&some, "index", "some")
	put(&whole, "", "first")
	first := whole.ID
	put(&whole, "w", "whole") // in the place of the first
	if got, want := segmentsOf(t, s, doc), []Segment{whole, some}; !reflect.DeepEqual(got, want) {
		t.Errorf("segments %+v, want %+v", got, want)
	}
	if got, want := segmentsOf(t, s, other), []Segment{theirs}; !reflect.DeepEqual(got, want) {
		t.Errorf("segments of the other %+v, want %+v", got, want)
	}
	if body, err := s.SegmentBody(ctx, whole.ID); err != nil || string(body) != "whole" {
		t.Errorf("body %q, %v", body, err)
	}
	if index, err := s.SegmentIndex(ctx, some.ID); err != nil || string(index) != "index" {
		t.Errorf("index %q, %v", index, err)
	}
	if _, err := s.SegmentBody(ctx, first); !errors.Is(err, ErrNotFound) {
		t.Errorf("the body of a chunk that was replaced: %v", err)
	}
	if _, err := s.SegmentIndex(ctx, first); !errors.Is(err, ErrNotFound) {
		t.Errorf("the index of a chunk that was replaced: %v", err)
	}
	if got, _ := journalOf(t, s, doc, 0); len(got) != 3 {
		t.Errorf("%d rows beside the chunks, want 3", len(got))
	}
}

func TestChunksThatAreRefused(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	r := mustAppend(t, s, entry(doc, 0), entry(doc, 1), entry(doc, 2), entry(id.Document{2}, 0), entry(doc, 3))
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[0], LastRow: r[1], Rows: 2}})
	if _, err := s.PutChunk(ctx, Segment{Doc: doc, FirstRow: r[0], LastRow: r[4], Rows: 4}, nil, nil); err != nil {
		t.Errorf("of folded rows and others: %v", err)
	}
	if _, err := s.PutChunk(ctx, Segment{Doc: doc, FirstRow: r[1], LastRow: r[2], Rows: 2, RowSet: []byte{1}}, nil, nil); err != nil {
		t.Errorf("that begins within folded rows: %v", err)
	}
	before := segmentsOf(t, s, doc)
	for name, g := range map[string]Segment{
		"another's row":                  {FirstRow: r[0], LastRow: r[3], Rows: 3, RowSet: []byte{1}},
		"reversed":                       {FirstRow: r[2], LastRow: r[0], Rows: 1, RowSet: []byte{1}},
		"beyond the end":                 {FirstRow: r[0], LastRow: 99, Rows: 4},
		"too few":                        {FirstRow: r[0], LastRow: r[4], Rows: 3},
		"too many":                       {FirstRow: r[0], LastRow: r[4], Rows: 5, RowSet: []byte{1}},
		"none":                           {FirstRow: r[0], LastRow: r[4], RowSet: []byte{1}},
		"all, beginning in a folded run": {FirstRow: r[1], LastRow: r[4], Rows: 3},
	} {
		g.Doc = doc
		if _, err := s.PutChunk(ctx, g, nil, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.PutChunk(ctx, Segment{Doc: id.Document{3}}, nil, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown document: %v", err)
	}
	if after := segmentsOf(t, s, doc); !reflect.DeepEqual(after, before) {
		t.Errorf("refused chunks left %+v, before %+v", after, before)
	}
}
