package storage

import (
	"context"
	"database/sql"
	"errors"
)

// A piece of a long read is fetched before its callbacks run. It ends at
// whichever limit comes first; a single larger row is a piece by itself.
const (
	pieceRows  = 4096
	pieceBytes = 4 << 20
)

// piece runs a query and hands each row to scan until scan wants no more.
func (s *Store) piece(ctx context.Context, scan func(*sql.Rows) (more bool, err error), query string, args ...any) error {
	return s.read(ctx, func(ctx context.Context) error {
		rows, err := s.readers.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if more, err := scan(rows); err != nil || !more {
				return err
			}
		}
		return rows.Err()
	})
}

// row runs a query for one row. No row is ErrNotFound.
func (s *Store) row(ctx context.Context, dest []any, query string, args ...any) error {
	return s.read(ctx, func(ctx context.Context) error {
		err := s.readers.QueryRowContext(ctx, query, args...).Scan(dest...)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		return err
	})
}

// arena collects byte strings of a piece in one allocation that the next
// piece uses again.
type arena struct {
	b    []byte
	ends []int
}

func (a *arena) reset() { a.b, a.ends = a.b[:0], a.ends[:0] }

func (a *arena) add(b []byte) {
	a.b = append(a.b, b...)
	a.ends = append(a.ends, len(a.b))
}

func (a *arena) at(i int) []byte {
	begin := 0
	if i > 0 {
		begin = a.ends[i-1]
	}
	end := a.ends[i]
	return a.b[begin:end:end]
}

// full says whether a piece that holds so much is to be handed over.
func (a *arena) full() bool { return len(a.ends) >= pieceRows || len(a.b) >= pieceBytes }
