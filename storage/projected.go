package storage

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"syncline/crdt/id"
)

// Lag is how far the tables show a document.
type Lag struct {
	Doc       id.Document
	Projected int64 // up to this row of the journal; 0: not at all; -1: there are no tables
	LastRow   int64 // the highest row of the document

	Generation int64 // of the tables
}

// Behind lists documents whose rows do not show all that the journal has of them, at
// most limit of them, and the generation of the tables.
func (s *Store) Behind(ctx context.Context, limit int) (generation int64, all []Lag, err error) {
	err = s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var doc []byte
		var projected, last sql.NullInt64
		if err := r.Scan(&generation, &doc, &projected, &last); err != nil {
			return false, err
		}
		if doc != nil {
			all = append(all, Lag{Doc: id.Document(doc), Projected: projected.Int64, LastRow: last.Int64, Generation: generation})
		}
		return true, nil
	}, `SELECT generation, doc, projected_row, last_row FROM projecting LEFT JOIN documents INDEXED BY documents_behind
		ON projected_row >= 0 AND projected_row < last_row AND deleting = 0 LIMIT ?`, limit)
	if err != nil {
		return 0, nil, fmt.Errorf("look which documents are behind in the tables: %w", err)
	}
	return generation, all, nil
}

// Lag returns how far the tables show one document; ErrNotFound if it is not known.
func (s *Store) Lag(ctx context.Context, doc id.Document) (Lag, error) {
	l := Lag{Doc: doc}
	err := s.row(ctx, []any{&l.Projected, &l.LastRow, &l.Generation},
		`SELECT projected_row, last_row, generation FROM documents, projecting WHERE doc = ? AND deleting = 0`, doc[:])
	if err != nil {
		return l, fmt.Errorf("look how far document %s is projected: %w", doc, err)
	}
	return l, nil
}

// TablesChanged returns a channel that is closed when next rows of tables have changed
// here, or may have changed in another process, for which somebody has to Watch. Take
// it before reading what may change.
func (s *Store) TablesChanged() <-chan struct{} { return s.tables.channel() }

// unproject takes the rows of a document that is being deleted out of the tables.
func (t *tx) unproject(document int64, doc id.Document) error {
	n, err := t.int64(`SELECT projected_row FROM documents WHERE id = ?`, document)
	if err != nil || n < 0 {
		return err
	}
	generation, err := t.int64(`SELECT generation FROM projecting`)
	if err != nil {
		return err
	}
	return t.projectRows(&Projection{Doc: doc, Generation: generation, Anew: true})
}

// bell wakes all who wait for something to happen.
type bell struct {
	mu   sync.Mutex
	next chan struct{} // nil while nobody waits
}

func (b *bell) channel() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
