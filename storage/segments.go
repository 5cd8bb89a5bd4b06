package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// Segment is a compacted chunk and the rows that it stands for. One that folds
// stands in their place: they are gone from the journal. Any other lies beside
// them.
type Segment struct {
	ID        int64 // given by Fold and PutChunk, never again
	Doc       id.Document
	Kind      int // the chunk's type, opaque here
	Level     int // how often it was compacted, opaque here
	Folds     bool
	FirstRow  int64
	LastRow   int64
	Rows      int64     // how many rows it stands for
	RowSet    []byte    // nil: all of the document's in [FirstRow, LastRow]; else which, in the compactor's encoding
	Created   time.Time // kept in milliseconds; zero: the time of the transaction
	IndexSize int64     // of the index, in bytes; given by Segments
	Size      int64     // of the body, in bytes; given by Segments
}

// Segments calls fn with the segments of a document, by first row, without
// their indexes and bodies. An error of fn ends the scan and is returned as it
// is. All that fn is told of was so at one moment; a segment may be replaced
// before it is read.
func (s *Store) Segments(ctx context.Context, doc id.Document, fn func(Segment) error) error {
	// All at once: a document has few segments, and compaction keeps it so.
	var found []Segment
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		g := Segment{Doc: doc}
		var ms int64
		err := r.Scan(&g.ID, &g.Kind, &g.Level, &g.Folds, &g.FirstRow, &g.LastRow, &g.Rows, &ms, &g.RowSet, &g.IndexSize, &g.Size)
		g.Created = time.UnixMilli(ms)
		found = append(found, g)
		return true, err
	}, `SELECT id, kind, level, folds, first_row, last_row, rows, created_ms, row_set, length(part_index), length(body) FROM segments
		WHERE document = `+numberOf+` ORDER BY first_row, id`, doc[:])
	if err != nil {
		return fmt.Errorf("read the segments of %s: %w", doc, err)
	}
	for _, g := range found {
		if err := fn(g); err != nil {
			return err
		}
	}
	return nil
}

// SegmentIndex returns the index of a segment, without reading its body;
// ErrNotFound if there is no such segment, as when it was replaced.
func (s *Store) SegmentIndex(ctx context.Context, segment int64) ([]byte, error) {
	var index []byte
	if err := s.row(ctx, []any{&index}, `SELECT part_index FROM segments WHERE id = ?`, segment); err != nil {
		return nil, fmt.Errorf("read the index of segment %d: %w", segment, err)
	}
	return index, nil
}

// SegmentBody returns the body of a segment; ErrNotFound if there is no such
// segment, as when it was replaced.
func (s *Store) SegmentBody(ctx context.Context, segment int64) ([]byte, error) {
	var body []byte
	if err := s.row(ctx, []any{&body}, `SELECT body FROM segments WHERE id = ?`, segment); err != nil {
		return nil, fmt.Errorf("read segment %d: %w", segment, err)
	}
	return body, nil
}

// PutChunk keeps a segment beside its rows, in place of those of the same kind
// that lay beside rows of the document before, and returns its id. It must
// begin and end with rows of the document, folded or not, and without a RowSet
// stand for all between them: ErrInvalid otherwise. Other errors as Append's;
// ErrNotFound if the document is not known.
func (s *Store) PutChunk(ctx context.Context, g Segment, index, body []byte) (segment int64, err error) {
	g.Folds = false
	err = errors.Join(checkBytes("row set", g.RowSet), checkBytes("index", index), checkBytes("body", body))
	if err == nil {
		err = s.write(ctx, entryOverhead+int64(len(g.RowSet)+len(index)+len(body)), func(t *tx) error {
			segment, err = t.putChunk(&g, index, body)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("put a chunk of %s: %w", g.Doc, err)
	}
	return segment, nil
}

func (t *tx) putChunk(g *Segment, index, body []byte) (int64, error) {
	n, err := t.known(g.Doc)
	if err != nil {
		return 0, err
	}
	at, err := t.span(n, g.FirstRow, g.LastRow)
	if err != nil {
		return 0, err
	}
	switch {
	case at.first > g.FirstRow || at.last < g.LastRow || g.RowSet == nil && !at.is(g):
		return 0, fmt.Errorf("%w: rows %d to %d are not the document's", ErrInvalid, g.FirstRow, g.LastRow)
	case g.Rows < 1 || g.Rows > at.rows || g.RowSet == nil && g.Rows != at.rows:
		return 0, fmt.Errorf("%w: it stands for %d of %d rows", ErrInvalid, g.Rows, at.rows)
	}
	if err := t.exec(`DELETE FROM segments WHERE document = ? AND folds = 0 AND kind = ?`, n, g.Kind); err != nil {
		return 0, err
	}
	return t.segment(n, g, index, body)
}

// segment stores a segment whose rows were checked.
func (t *tx) segment(document int64, g *Segment, index, body []byte) (int64, error) {
	ms := t.now.UnixMilli()
	if !g.Created.IsZero() {
		ms = g.Created.UnixMilli()
	}
	var set any // a nil []byte in an any would be stored as an empty blob, not as NULL
	if g.RowSet != nil {
		set = g.RowSet
	}
	r, err := t.result(`INSERT INTO segments (document, kind, level, folds, first_row, last_row, rows, created_ms, row_set, part_index, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		document, g.Kind, g.Level, g.Folds, g.FirstRow, g.LastRow, g.Rows, ms, set, blob(index), blob(body))
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// span is what there is of a document's rows in a range: in the journal, and
// in folding segments that reach into it, which may also reach out of it.
type span struct {
	first, last, rows int64   // of both
	raw, rawBytes     int64   // of the journal
	folds             []int64 // ids of the segments, ascending
}

// is says whether the range of g begins and ends as the span does, so that no
// segment lies half in it.
func (sp *span) is(g *Segment) bool {
	return sp.rows > 0 && sp.first == g.FirstRow && sp.last == g.LastRow
}

func (t *tx) span(document, first, last int64) (span, error) {
	var sp span
	err := t.row([]any{&sp.raw, &sp.rawBytes, &sp.first, &sp.last},
		`SELECT count(*), coalesce(sum(length(body)), 0), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM journal
		WHERE document = ? AND seq BETWEEN ? AND ?`, document, first, last)
	if err != nil {
		return sp, fmt.Errorf("count rows: %w", err)
	}
	sp.rows = sp.raw
	err = t.all(func(r *sql.Rows) error {
		var id, from, to, rows int64
		if err := r.Scan(&id, &from, &to, &rows); err != nil {
			return err
		}
		if sp.rows == 0 {
			sp.first, sp.last = from, to
		}
		sp.first, sp.last = min(sp.first, from), max(sp.last, to)
		sp.rows += rows
		sp.folds = append(sp.folds, id)
		return nil
	}, `SELECT id, first_row, last_row, rows FROM segments
		WHERE document = ? AND folds = 1 AND last_row >= ? AND first_row <= ? ORDER BY id`, document, first, last)
	if err != nil {
		return sp, fmt.Errorf("find folded rows: %w", err)
	}
	return sp, nil
}
