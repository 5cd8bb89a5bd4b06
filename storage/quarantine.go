package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// Evidence is a change that is kept out of its document and why: a loser among
// twins, a descendant of one, or a change that a check refused.
type Evidence struct {
	Doc    id.Document
	Hash   id.Hash
	Reason string
	Origin string    // which end it came from, as the caller names it
	Time   time.Time // kept in milliseconds; zero: the time of the transaction
	Body   []byte    // the change; may be empty if the journal has it
}

func (e *Evidence) check() (size int64, err error) {
	if err := errors.Join(checkName("reason", e.Reason), checkName("origin", e.Origin), checkBytes("body", e.Body)); err != nil {
		return 0, fmt.Errorf("evidence %s: %w", e.Hash, err)
	}
	return entryOverhead + int64(len(e.Body)), nil
}

// Quarantine keeps evidence, or leaves what is already there for the same
// document and hash. Durable when it returns; errors as Append's. How much a
// remote end may cause to be kept is for the caller to limit.
func (s *Store) Quarantine(ctx context.Context, e Evidence) error {
	_, err := s.Append(ctx, Batch{Quarantine: []Evidence{e}})
	if err != nil {
		return fmt.Errorf("quarantine %s: %w", e.Hash, err)
	}
	return nil
}

func (t *tx) quarantine(e *Evidence) error {
	n, err := t.document(e.Doc)
	if err != nil {
		return err
	}
	ms := t.now.UnixMilli()
	if !e.Time.IsZero() {
		ms = e.Time.UnixMilli()
	}
	err = t.exec(`INSERT INTO quarantine (document, hash, reason, origin, time_ms, body) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (document, hash) DO NOTHING`, n, e.Hash[:], e.Reason, e.Origin, ms, blob(e.Body))
	if err != nil {
		return fmt.Errorf("quarantine %s: %w", e.Hash, err)
	}
	return nil
}

// Quarantined calls fn with the evidence kept for a document, oldest first. An
// error of fn ends the scan and is returned as it is. The body is fn's to keep.
func (s *Store) Quarantined(ctx context.Context, doc id.Document, fn func(Evidence) error) error {
	after := int64(0)
	for {
		var piece []Evidence
		size := 0
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			e := Evidence{Doc: doc}
			var hash []byte
			var ms int64
			if err := r.Scan(&after, &hash, &e.Reason, &e.Origin, &ms, &e.Body); err != nil {
				return false, err
			}
			e.Hash, e.Time = id.Hash(hash), time.UnixMilli(ms)
			piece = append(piece, e)
			size += len(e.Body)
			return size < pieceBytes, nil
		}, `SELECT id, hash, reason, origin, time_ms, body FROM quarantine
			WHERE document = `+numberOf+` AND id > ? ORDER BY id LIMIT ?`, doc[:], after, pieceRows)
		if err != nil {
			return fmt.Errorf("read the quarantine of %s: %w", doc, err)
		}
		if len(piece) == 0 {
			return nil
		}
		for _, e := range piece {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}
