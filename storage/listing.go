package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// DocumentStat is DocumentInfo with what the document's segments take, for those
// who look after a store.
type DocumentStat struct {
	DocumentInfo
	Segments     int64
	SegmentBytes int64 // of their bodies and indexes
}

// statColumns are in the order of scanStat.
const statColumns = documentColumns + `,
	(SELECT count(*) FROM segments WHERE document = documents.id),
	(SELECT coalesce(sum(length(part_index) + length(body)), 0) FROM segments WHERE document = documents.id)`

func scanStat(scan func(...any) error) (d DocumentStat, err error) {
	d.DocumentInfo, err = scanDocument(func(dest ...any) error { return scan(append(dest, &d.Segments, &d.SegmentBytes)...) })
	return d, err
}

// DocumentsAfter returns up to limit documents in the order of their ids, those
// above after, or from the first on if it is nil; those that have no changes are
// among them. A list that is read so, page by page, is right about what did not
// come or go meanwhile, and needs nothing kept open between pages.
func (s *Store) DocumentsAfter(ctx context.Context, after *id.Document, limit int) ([]DocumentStat, error) {
	from := []byte{} // below every id
	if after != nil {
		from = after[:]
	}
	var page []DocumentStat
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		d, err := scanStat(r.Scan)
		page = append(page, d)
		return true, err
	}, `SELECT `+statColumns+` FROM documents WHERE doc > ? AND deleting = 0 ORDER BY doc LIMIT ?`, from, limit)
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", err)
	}
	return page, nil
}

// DocumentStat returns one document; ErrNotFound if it is not known.
func (s *Store) DocumentStat(ctx context.Context, doc id.Document) (DocumentStat, error) {
	var d DocumentStat
	err := s.read(ctx, func(ctx context.Context) (err error) {
		d, err = scanStat(s.readers.QueryRowContext(ctx, `SELECT `+statColumns+` FROM documents WHERE doc = ? AND deleting = 0`, doc[:]).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return DocumentStat{}, fmt.Errorf("read document %s: %w", doc, err)
	}
	return d, nil
}
