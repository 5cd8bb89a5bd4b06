package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// Operation is the record of something that was done in this store, kept with the
// change that it became, in one transaction (Entry.Operation).
type Operation struct {
	Doc    id.Document
	Row    int64 // of the change: the numbers ascend over all documents, with gaps
	Hash   id.Hash
	Time   time.Time // that of the entry, in milliseconds
	Record []byte    // the caller's own
}

// note keeps the operation of an entry that got the row.
func (t *tx) note(document, row int64, e *Entry) error {
	ms := t.now.UnixMilli()
	if !e.Time.IsZero() {
		ms = e.Time.UnixMilli()
	}
	err := t.exec(`INSERT INTO operations (row, document, hash, time_ms, record) VALUES (?, ?, ?, ?, ?)`,
		row, document, e.Hash[:], ms, e.Operation)
	if err != nil {
		return fmt.Errorf("note the operation of change %s: %w", e.Hash, err)
	}
	return nil
}

// Operation returns the operation whose change has a row; ErrNotFound if there is
// none: the row was made by somebody else.
func (s *Store) Operation(ctx context.Context, row int64) (Operation, error) {
	o := Operation{Row: row}
	var doc, hash []byte
	var ms int64
	err := s.row(ctx, []any{&doc, &hash, &ms, &o.Record}, `SELECT d.doc, o.hash, o.time_ms, o.record
		FROM operations AS o JOIN documents AS d ON d.id = o.document WHERE o.row = ? AND d.deleting = 0`, row)
	if err != nil {
		return Operation{}, fmt.Errorf("read operation %d: %w", row, err)
	}
	o.Doc, o.Hash, o.Time = id.Document(doc), id.Hash(hash), time.UnixMilli(ms)
	return o, nil
}

// Operations calls fn with each operation on a document above a row, ascending. An
// error of fn ends the scan and is returned as it is. The record is fn's to keep.
func (s *Store) Operations(ctx context.Context, doc id.Document, after int64, fn func(Operation) error) error {
	for {
		var piece []Operation
		size := 0
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			o := Operation{Doc: doc}
			var hash []byte
			var ms int64
			if err := r.Scan(&o.Row, &hash, &ms, &o.Record); err != nil {
				return false, err
			}
			o.Hash, o.Time = id.Hash(hash), time.UnixMilli(ms)
			after = o.Row
			piece = append(piece, o)
			size += len(o.Record)
			return size < pieceBytes, nil
		}, `SELECT row, hash, time_ms, record FROM operations
			WHERE document = `+numberOf+` AND row > ? ORDER BY row LIMIT ?`, doc[:], after, pieceRows)
		if err != nil {
			return fmt.Errorf("read the operations of %s: %w", doc, err)
		}
		if len(piece) == 0 {
			return nil
		}
		for _, o := range piece {
			if err := fn(o); err != nil {
				return err
			}
		}
	}
}
