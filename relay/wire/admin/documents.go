package admin

import (
	"context"
	"time"

	"syncline/crdt/id"
	"syncline/storage"
)

// Path is that of the list; a document's is Path/ID.
const Path = "/admin/documents"

// Limits of a page, in documents.
const (
	DefaultLimit = 100  // where the request names none
	MaxLimit     = 1000 // what a greater one is taken for: about half a megabyte
)

// Page is a part of the documents, in the order of their ids' bytes.
type Page struct {
	Documents []Document `json:"documents"`
	// Next is what to ask for after; empty if this was the last page.
	Next string `json:"next,omitempty"`
}

// Document is one document as the store counts it.
type Document struct {
	ID           string    `json:"id"`
	Heads        []string  `json:"heads"` // hex, ascending
	Changes      int64     `json:"changes"`
	Bytes        int64     `json:"bytes"`        // of all changes
	RawChanges   int64     `json:"rawChanges"`   // those not folded into segments
	RawBytes     int64     `json:"rawBytes"`     // of those
	Segments     int64     `json:"segments"`     // what compaction made
	SegmentBytes int64     `json:"segmentBytes"` // of those, with their indexes
	Created      time.Time `json:"created"`      // when the relay first heard of it, UTC
}

// Detail is a document with each of its segments.
type Detail struct {
	Document
	Parts []Segment `json:"parts"` // by first row
}

// Segment is what compaction made of some rows of a document.
type Segment struct {
	Kind       int       `json:"kind"`  // the chunk's type: 0 is a document, others as bundles are numbered
	Level      int       `json:"level"` // how often it was compacted
	Folds      bool      `json:"folds"` // it stands in place of its rows, not beside them
	FirstRow   int64     `json:"firstRow"`
	LastRow    int64     `json:"lastRow"`
	Rows       int64     `json:"rows"`
	Bytes      int64     `json:"bytes"`
	IndexBytes int64     `json:"indexBytes"`
	Created    time.Time `json:"created"` // UTC
}

// Deleted says what is gone.
type Deleted struct {
	ID      string `json:"id"`
	Changes int64  `json:"changes"`
}

// Error is why a request was refused, in one line for people.
type Error struct {
	Error string `json:"error"`
}

// PageOf makes a page of what Store.DocumentsAfter returned for limit.
func PageOf(found []storage.DocumentStat, limit int) Page {
	p := Page{Documents: make([]Document, len(found))}
	for i := range found {
		p.Documents[i] = DocumentOf(&found[i])
	}
	if len(found) > 0 && len(found) == limit {
		p.Next = p.Documents[len(found)-1].ID
	}
	return p
}

// DocumentOf is a document as the store has it.
func DocumentOf(d *storage.DocumentStat) Document {
	heads := make([]string, len(d.Heads))
	for i, h := range d.Heads {
		heads[i] = h.String()
	}
	return Document{
		ID: d.Doc.String(), Heads: heads, Changes: d.Changes, Bytes: d.Bytes, RawChanges: d.RawChanges, RawBytes: d.RawBytes,
		Segments: d.Segments, SegmentBytes: d.SegmentBytes, Created: d.Created.UTC(),
	}
}

// Describe reads a document with its segments; storage.ErrNotFound if it is not
// known.
func Describe(ctx context.Context, s *storage.Store, doc id.Document) (Detail, error) {
	found, err := s.DocumentStat(ctx, doc)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Document: DocumentOf(&found), Parts: []Segment{}}
	err = s.Segments(ctx, doc, func(g storage.Segment) error {
		d.Parts = append(d.Parts, Segment{
			Kind: g.Kind, Level: g.Level, Folds: g.Folds, FirstRow: g.FirstRow, LastRow: g.LastRow, Rows: g.Rows,
			Bytes: g.Size, IndexBytes: g.IndexSize, Created: g.Created.UTC(),
		})
		return nil
	})
	return d, err
}
