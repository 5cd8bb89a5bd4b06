package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// Undelivered is a document that a remote is sent no more of, and why, in the
// caller's words.
type Undelivered struct {
	Doc    id.Document
	Remote string // as the caller names it
	Time   time.Time
	Record []byte
}

// SetUndelivered notes that a remote is sent no more of a document; nil forgets
// it. Durable when it returns; errors as Append's.
func (s *Store) SetUndelivered(ctx context.Context, doc id.Document, remote string, record []byte) error {
	err := errors.Join(checkName("remote", remote), checkBytes("record", record))
	if err == nil {
		err = s.write(ctx, entryOverhead+int64(len(record)), func(t *tx) error {
			if record == nil {
				return t.exec(`DELETE FROM undelivered WHERE document = `+numberOf+` AND remote = ?`, doc[:], remote)
			}
			n, err := t.document(doc)
			if err != nil {
				return err
			}
			return t.exec(`INSERT INTO undelivered (document, remote, time_ms, record) VALUES (?, ?, ?, ?)
				ON CONFLICT (document, remote) DO UPDATE SET time_ms = excluded.time_ms, record = excluded.record`,
				n, remote, t.now.UnixMilli(), record)
		})
	}
	if err != nil {
		return fmt.Errorf("note what of %s is not delivered: %w", doc, err)
	}
	return nil
}

// Undelivered calls fn with all that is noted, by document and remote. An error of
// fn ends the scan and is returned as it is. The record is fn's to keep.
func (s *Store) Undelivered(ctx context.Context, fn func(Undelivered) error) error {
	number, remote := int64(0), ""
	for {
		var piece []Undelivered
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			var u Undelivered
			var doc []byte
			var ms int64
			if err := r.Scan(&number, &doc, &u.Remote, &ms, &u.Record); err != nil {
				return false, err
			}
			u.Doc, u.Time = id.Document(doc), time.UnixMilli(ms)
			remote = u.Remote
			piece = append(piece, u)
			return true, nil
		}, `SELECT u.document, d.doc, u.remote, u.time_ms, u.record FROM undelivered AS u JOIN documents AS d ON d.id = u.document
			WHERE (u.document, u.remote) > (?, ?) AND d.deleting = 0 ORDER BY u.document, u.remote LIMIT ?`, number, remote, pieceRows)
		if err != nil {
			return fmt.Errorf("read what is not delivered: %w", err)
		}
		if len(piece) == 0 {
			return nil
		}
		for _, u := range piece {
			if err := fn(u); err != nil {
				return err
			}
		}
	}
}
