package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// DocumentInfo is what the store knows of a document without reading its journal.
type DocumentInfo struct {
	Doc     id.Document
	Heads   []id.Hash // see LoadHeads
	Changes int64     // rows that were appended
	Bytes   int64     // of their bodies
	LastRow int64     // the highest of them
	Created time.Time // when the store first heard of it

	RawChanges int64 // of Changes: rows that are in the journal, not folded
	RawBytes   int64 // of their bodies
	FoldedRow  int64 // the highest row that is folded; those in the journal are all above it
}

// documentColumns are in the order of scanDocument.
const documentColumns = `doc, heads, changes, bytes, last_row, created_ms, raw_changes, raw_bytes, folded_row`

// numberOf is the number of the document that the parameter names. One that is
// being deleted is, to those who read, no longer there.
const numberOf = `(SELECT id FROM documents WHERE doc = ? AND deleting = 0)`

func scanDocument(scan func(...any) error) (DocumentInfo, error) {
	var d DocumentInfo
	var doc, heads []byte
	var ms int64
	if err := scan(&doc, &heads, &d.Changes, &d.Bytes, &d.LastRow, &ms, &d.RawChanges, &d.RawBytes, &d.FoldedRow); err != nil {
		return d, err
	}
	d.Doc, d.Heads, d.Created = id.Document(doc), splitHashes(heads), time.UnixMilli(ms)
	return d, nil
}

// AddDocument makes a document known that has no changes yet. Durable when it
// returns; errors as Append's.
func (s *Store) AddDocument(ctx context.Context, doc id.Document) error {
	err := s.write(ctx, entryOverhead, func(t *tx) error {
		_, err := t.document(doc)
		return err
	})
	if err != nil {
		return fmt.Errorf("add document %s: %w", doc, err)
	}
	return nil
}

// Documents calls fn with each document that has changes, in the
// order in which the store first heard of them. An error of fn ends the scan
// and is returned as it is.
func (s *Store) Documents(ctx context.Context, fn func(DocumentInfo) error) error {
	return s.documents(ctx, 1, fn)
}

// KnownDocuments is Documents with those that have no changes.
func (s *Store) KnownDocuments(ctx context.Context, fn func(DocumentInfo) error) error {
	return s.documents(ctx, 0, fn)
}

func (s *Store) documents(ctx context.Context, changes int64, fn func(DocumentInfo) error) error {
	after := int64(0)
	for {
		var piece []DocumentInfo
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			d, err := scanDocument(func(dest ...any) error { return r.Scan(append(dest, &after)...) })
			piece = append(piece, d)
			return true, err
		}, `SELECT `+documentColumns+`, id FROM documents WHERE id > ? AND changes >= ? AND deleting = 0 ORDER BY id LIMIT ?`, after, changes, pieceRows)
		if err != nil {
			return fmt.Errorf("list documents: %w", err)
		}
		for _, d := range piece {
			if err := fn(d); err != nil {
				return err
			}
		}
		if len(piece) < pieceRows {
			return nil
		}
	}
}

// Document returns what the store knows of one document; ErrNotFound if it has
// never heard of it.
func (s *Store) Document(ctx context.Context, doc id.Document) (DocumentInfo, error) {
	var d DocumentInfo
	err := s.read(ctx, func(ctx context.Context) (err error) {
		d, err = scanDocument(s.readers.QueryRowContext(ctx, `SELECT `+documentColumns+` FROM documents WHERE doc = ? AND deleting = 0`, doc[:]).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return DocumentInfo{}, fmt.Errorf("read document %s: %w", doc, err)
	}
	return d, nil
}

// LoadHeads returns the heads of a document, sorted, as the last Append that
// named them left them; none if the document is not known. Where several
// processes append to one document they are only what the last one knew, and
// the journal is the truth.
func (s *Store) LoadHeads(ctx context.Context, doc id.Document) ([]id.Hash, error) {
	var heads []byte
	err := s.row(ctx, []any{&heads}, `SELECT heads FROM documents WHERE doc = ? AND deleting = 0`, doc[:])
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("load heads of %s: %w", doc, err)
	}
	return splitHashes(heads), nil
}

// DocumentsBetween returns the documents with rows in (after, through], in the
// order of their first such row: whom to wake when Watch tells of the range. Of
// rows that were folded since, it knows only between which they lie, and may
// name a document that has none in the range.
func (s *Store) DocumentsBetween(ctx context.Context, after, through int64) ([]id.Document, error) {
	var docs []id.Document
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var doc sql.RawBytes
		if err := r.Scan(&doc); err != nil {
			return false, err
		}
		docs = append(docs, id.Document(doc))
		return true, nil
	}, `SELECT d.doc FROM (
			SELECT document, min(row) AS first FROM (
				SELECT document, seq AS row FROM journal WHERE seq > ?1 AND seq <= ?2
				UNION ALL
				SELECT document, max(first_row, ?1 + 1) FROM segments WHERE folds = 1 AND last_row > ?1 AND first_row <= ?2)
			GROUP BY document) AS j
		JOIN documents AS d ON d.id = j.document WHERE d.deleting = 0 ORDER BY j.first, d.id`, after, through)
	if err != nil {
		return nil, fmt.Errorf("find the documents of rows %d to %d: %w", after+1, through, err)
	}
	return docs, nil
}
