package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// Segment is a compacted chunk and the rows of the journal that it stands for.
// The rows stay; the segment lies beside them.
type Segment struct {
	ID       int64 // given by AddSegment
	Doc      id.Document
	Kind     int // the chunk's type, opaque here
	Level    int // how often it was compacted, opaque here
	FirstRow int64
	LastRow  int64
	Rows     int64     // how many rows it stands for
	RowSet   []byte    // nil: all of the document's in [FirstRow, LastRow]; else which, in the compactor's encoding
	Created  time.Time // kept in milliseconds; zero: the time of the transaction
	Size     int64     // of the body, in bytes; given by Segments
}

// AddSegment keeps a segment with its body and returns its id. Its first and
// last row must be in the journal of its document, and without a RowSet it must
// stand for all between them: ErrInvalid otherwise. Other errors as Append's.
func (s *Store) AddSegment(ctx context.Context, g Segment, body []byte) (segment int64, err error) {
	err = errors.Join(checkBytes("row set", g.RowSet), checkBytes("body", body))
	if err == nil {
		err = s.write(ctx, entryOverhead+int64(len(g.RowSet)+len(body)), func(t *tx) error {
			segment, err = t.segment(&g, body)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("add a segment of %s: %w", g.Doc, err)
	}
	return segment, nil
}

func (t *tx) segment(g *Segment, body []byte) (int64, error) {
	n, err := t.int64(`SELECT id FROM documents WHERE doc = ?`, g.Doc[:])
	if err != nil {
		return 0, err
	}
	ends, err := t.int64(`SELECT count(*) FROM journal WHERE seq IN (?, ?) AND document = ?`, g.FirstRow, g.LastRow, n)
	if err != nil {
		return 0, err
	}
	want := int64(2)
	if g.FirstRow == g.LastRow {
		want = 1
	}
	if ends != want || g.FirstRow > g.LastRow {
		return 0, fmt.Errorf("%w: rows %d to %d are not the document's", ErrInvalid, g.FirstRow, g.LastRow)
	}
	all, err := t.int64(`SELECT count(*) FROM journal WHERE document = ? AND seq BETWEEN ? AND ?`, n, g.FirstRow, g.LastRow)
	if err != nil {
		return 0, err
	}
	if g.Rows < 1 || g.Rows > all || g.RowSet == nil && g.Rows != all {
		return 0, fmt.Errorf("%w: it stands for %d of %d rows", ErrInvalid, g.Rows, all)
	}
	ms := t.now.UnixMilli()
	if !g.Created.IsZero() {
		ms = g.Created.UnixMilli()
	}
	var set any // a nil []byte in an any would be stored as an empty blob, not as NULL
	if g.RowSet != nil {
		set = g.RowSet
	}
	r, err := t.result(`INSERT INTO segments (document, kind, level, first_row, last_row, rows, created_ms, row_set, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, n, g.Kind, g.Level, g.FirstRow, g.LastRow, g.Rows, ms, set, blob(body))
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// Segments calls fn with the segments of a document, by first row, without
// their bodies. An error of fn ends the scan and is returned as it is.
func (s *Store) Segments(ctx context.Context, doc id.Document, fn func(Segment) error) error {
	// All at once: a document has few segments, and compaction keeps it so.
	var found []Segment
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		g := Segment{Doc: doc}
		var ms int64
		err := r.Scan(&g.ID, &g.Kind, &g.Level, &g.FirstRow, &g.LastRow, &g.Rows, &ms, &g.RowSet, &g.Size)
		g.Created = time.UnixMilli(ms)
		found = append(found, g)
		return true, err
	}, `SELECT id, kind, level, first_row, last_row, rows, created_ms, row_set, length(body) FROM segments
		WHERE document = (SELECT id FROM documents WHERE doc = ?) ORDER BY first_row, id`, doc[:])
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

// SegmentBody returns the body of a segment; ErrNotFound if there is none.
func (s *Store) SegmentBody(ctx context.Context, segment int64) ([]byte, error) {
	var body []byte
	if err := s.row(ctx, []any{&body}, `SELECT body FROM segments WHERE id = ?`, segment); err != nil {
		return nil, fmt.Errorf("read segment %d: %w", segment, err)
	}
	return body, nil
}
