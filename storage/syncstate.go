package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// SyncState returns what SaveSyncState last saved for a document and a remote
// end, or nil.
func (s *Store) SyncState(ctx context.Context, doc id.Document, remote string) ([]byte, error) {
	var state []byte
	err := s.row(ctx, []any{&state}, `SELECT state FROM sync_states
		WHERE document = `+numberOf+` AND remote = ?`, doc[:], remote)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("load the sync state of %s: %w", doc, err)
	}
	return state, nil
}

// SyncStates calls fn with each state that is kept for a document. An error of fn
// ends the scan and is returned as it is.
func (s *Store) SyncStates(ctx context.Context, doc id.Document, fn func(remote string, state []byte) error) error {
	type kept struct {
		remote string
		state  []byte
	}
	var all []kept
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var k kept
		err := r.Scan(&k.remote, &k.state)
		all = append(all, k)
		return true, err
	}, `SELECT remote, state FROM sync_states WHERE document = `+numberOf+` ORDER BY remote`, doc[:])
	if err != nil {
		return fmt.Errorf("load the sync states of %s: %w", doc, err)
	}
	for _, k := range all {
		if err := fn(k.remote, k.state); err != nil {
			return err
		}
	}
	return nil
}

// SaveSyncState keeps what is known of a remote end's copy of a document; nil
// forgets it. The remote is its storage id. Durable when it returns; errors as
// Append's.
func (s *Store) SaveSyncState(ctx context.Context, doc id.Document, remote string, state []byte) error {
	err := errors.Join(checkName("remote", remote), checkBytes("sync state", state))
	if err == nil {
		err = s.write(ctx, entryOverhead+int64(len(state)), func(t *tx) error {
			n, err := t.document(doc)
			if err != nil {
				return err
			}
			if state == nil {
				return t.exec(`DELETE FROM sync_states WHERE document = ? AND remote = ?`, n, remote)
			}
			return t.exec(`INSERT INTO sync_states (document, remote, time_ms, state) VALUES (?, ?, ?, ?)
				ON CONFLICT (document, remote) DO UPDATE SET time_ms = excluded.time_ms, state = excluded.state`,
				n, remote, t.now.UnixMilli(), state)
		})
	}
	if err != nil {
		return fmt.Errorf("save the sync state of %s: %w", doc, err)
	}
	return nil
}
