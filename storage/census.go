package storage

import (
	"context"
	"database/sql"
	"fmt"

	"syncline/crdt/id"
)

// What is asked of all documents at once, so that a reading of a store with many of
// them is a few queries and not some for each.

// AllSyncStates calls fn with each state that is kept, by document and then by remote.
// An error of fn ends the scan and is returned as it is.
func (s *Store) AllSyncStates(ctx context.Context, fn func(doc id.Document, remote string, state []byte) error) error {
	type kept struct {
		doc    id.Document
		remote string
		state  []byte
	}
	after, remote := int64(0), ""
	for {
		var piece []kept
		size, cut := 0, false
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			var k kept
			var doc []byte
			if err := r.Scan(&after, &doc, &k.remote, &k.state); err != nil {
				return false, err
			}
			k.doc, remote = id.Document(doc), k.remote
			piece = append(piece, k)
			size += len(k.state)
			cut = size >= pieceBytes
			return !cut, nil
		}, `SELECT d.id, d.doc, s.remote, s.state FROM sync_states s JOIN documents d ON d.id = s.document
			WHERE (s.document, s.remote) > (?, ?) ORDER BY s.document, s.remote LIMIT ?`, after, remote, pieceRows)
		if err != nil {
			return fmt.Errorf("load the sync states: %w", err)
		}
		for _, k := range piece {
			if err := fn(k.doc, k.remote, k.state); err != nil {
				return err
			}
		}
		if len(piece) < pieceRows && !cut {
			return nil
		}
	}
}

// QuarantinedDocuments are those that have changes in quarantine.
func (s *Store) QuarantinedDocuments(ctx context.Context) (map[id.Document]bool, error) {
	docs := map[id.Document]bool{}
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var doc []byte
		if err := r.Scan(&doc); err != nil {
			return false, err
		}
		docs[id.Document(doc)] = true
		return true, nil
	}, `SELECT doc FROM documents WHERE id IN (SELECT document FROM quarantine)`)
	if err != nil {
		return nil, fmt.Errorf("list what is in quarantine: %w", err)
	}
	return docs, nil
}
