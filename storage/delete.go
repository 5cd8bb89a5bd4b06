package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// DeleteDocument takes a document out of the store, with its changes, operations,
// segments, evidence and sync states, and returns how many changes it had. ErrNotFound if
// it is not known; other errors as Append's.
//
// It is not one transaction, which for a long history would keep every other
// writer waiting, but many small ones. With the first the document is gone for
// all who read, and an append to it fails with ErrDeleting until the last; then
// it may be made again, as a new one. An end of ctx, an error or a kill in
// between leaves it on its way out: the next DeleteDocument or Open goes on.
//
// Nobody may be using the document, in this process or another that has the
// file open, and the store cannot tell: one that still has it in memory
// finds rows missing, and what it appends later lacks what came before. Watch
// does not tell of a deletion, and DocumentsBetween no longer names the document.
// The file gets no smaller; what comes next takes the space.
func (s *Store) DeleteDocument(ctx context.Context, doc id.Document) (changes int64, err error) {
	var n int64
	err = s.write(ctx, entryOverhead, func(t *tx) error {
		// One that somebody has begun to delete is taken over.
		if err := t.row([]any{&n, &changes}, `SELECT id, changes FROM documents WHERE doc = ?`, doc[:]); err != nil {
			return err
		}
		if err := t.unproject(n, doc); err != nil {
			return err
		}
		return t.exec(`UPDATE documents SET deleting = ? WHERE id = ?`, s.opening, n)
	})
	if err == nil {
		err = s.remove(ctx, n)
	}
	if err != nil {
		return 0, fmt.Errorf("delete document %s: %w", doc, err)
	}
	return changes, nil
}

// removals take the parts of a document, those first that others refer to
// last. Each statement takes so much at most that a transaction is short: rows
// of the journal cost most by their entry in the index of hashes, segments and
// evidence by their bytes.
var removals = []string{
	`DELETE FROM applying WHERE row IN (SELECT row FROM applying WHERE document = ? LIMIT 4096)`,
	`DELETE FROM operations WHERE row IN (SELECT row FROM operations WHERE document = ? LIMIT 4096)`,
	`DELETE FROM undelivered WHERE (document, remote) IN (SELECT document, remote FROM undelivered WHERE document = ? LIMIT 1024)`,
	`DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE document = ? LIMIT 1024)`,
	`DELETE FROM segments WHERE id = (SELECT id FROM segments WHERE document = ? LIMIT 1)`,
	`DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE document = ? LIMIT 64)`,
	`DELETE FROM withdrawn WHERE id IN (SELECT id FROM withdrawn WHERE document = ? LIMIT 64)`,
	`DELETE FROM sync_states WHERE (document, remote) IN (SELECT document, remote FROM sync_states WHERE document = ? LIMIT 1024)`,
	`DELETE FROM documents WHERE id = ?`,
}

// remove deletes what there is of a document that is marked as being deleted.
func (s *Store) remove(ctx context.Context, document int64) error {
	for _, statement := range removals {
		for more := true; more; {
			// A size above any group's: each is a transaction by itself, between
			// which those of others go.
			err := s.write(ctx, s.o.GroupBytes+1, func(t *tx) error {
				deleting, err := t.int64(`SELECT deleting FROM documents WHERE id = ?`, document)
				switch {
				case errors.Is(err, ErrNotFound) || err == nil && deleting == 0:
					more = false // others are through with it, and may have made it again
					return nil
				case err != nil:
					return err
				case deleting != s.opening:
					return ErrDeleting // another process has taken it over
				}
				r, err := t.result(statement, document)
				if err != nil {
					return err
				}
				n, err := r.RowsAffected()
				more = n > 0
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// resumeDeletions goes on with what processes were deleting that are no more.
func (s *Store) resumeDeletions(ctx context.Context) error {
	var docs []id.Document
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var doc []byte
		if err := r.Scan(&doc); err != nil {
			return false, err
		}
		docs = append(docs, id.Document(doc))
		return true, nil
	}, `SELECT doc FROM documents WHERE deleting <> 0 AND deleting NOT IN (SELECT id FROM openings)`)
	if err != nil {
		return fmt.Errorf("look for documents to delete: %w", err)
	}
	for _, doc := range docs {
		n, err := s.DeleteDocument(ctx, doc)
		if errors.Is(err, ErrNotFound) {
			continue // another process was quicker
		}
		if err != nil {
			return err
		}
		s.o.Log.Info("deleted what a deletion had left", "doc", doc.String(), "changes", n)
	}
	return nil
}
