package storage

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// Reader opens a connection of the caller's own that can only read, for what others
// have written as SQL (package query). It is to be closed before the store. Sorting
// goes to temporary files here, so that a query cannot take all memory.
func (s *Store) Reader(ctx context.Context) (*sqlite3.SQLiteConn, error) {
	set := append([]string{fmt.Sprintf("busy_timeout = %d", s.o.Busy.Milliseconds())}, pragmas...)
	set = append(set, "temp_store = FILE", "query_only = ON")
	c, err := (&sqlite3.SQLiteDriver{}).Open(dsn(s.path, url.Values{"mode": {"ro"}}))
	if err != nil {
		return nil, fmt.Errorf("open %s to read: %w", s.path, classify(err))
	}
	conn := c.(*sqlite3.SQLiteConn)
	for _, p := range set {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+p, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("set pragma %s: %w", p, classify(err)), conn.Close())
		}
	}
	return conn, nil
}
