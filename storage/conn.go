package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"time"

	"github.com/mattn/go-sqlite3"
)

// pragmas are set on every connection, whichever pool opens it. They belong to
// the connection, not to the file: SQLite forgets them with it, and this
// build's default in WAL mode is synchronous=NORMAL, which loses acknowledged
// rows when the power fails.
var pragmas = []string{
	"synchronous = FULL",
	// Where fsync does not reach the platter (macOS), ask for what does.
	"fullfsync = ON",
	"checkpoint_fullfsync = ON",
	"foreign_keys = ON",
	// So that REPLACE cannot get past the journal's triggers.
	"recursive_triggers = ON",
	// Functions and tables named in a prepared hostile file are not trusted.
	"trusted_schema = OFF",
	"cell_size_check = ON",
	// Sorting never needs a second place with free space.
	"temp_store = MEMORY",
	// The log is cut back to this many bytes when it starts anew, so that one
	// bulk upload does not hold its size for ever.
	"journal_size_limit = 16777216",
}

// cacheSize is how a connection is told of its cache, in KiB.
func cacheSize(bytes int64) string { return fmt.Sprintf("cache_size = -%d", max(bytes>>10, 64)) }

// connector opens connections of one kind. It stands in for a name registered
// with database/sql, which would be global.
type connector struct {
	driver *sqlite3.SQLiteDriver
	dsn    string
}

func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c *connector) Driver() driver.Driver                        { return c.driver }

// pool returns a pool of at most n connections, all with pragmas and extra.
func pool(path string, busy time.Duration, n int, extra ...string) *sql.DB {
	set := append([]string{fmt.Sprintf("busy_timeout = %d", busy.Milliseconds())}, pragmas...)
	set = append(set, extra...)
	db := sql.OpenDB(&connector{
		dsn:    dsn(path, url.Values{"_stmt_cache_size": {"32"}}),
		driver: &sqlite3.SQLiteDriver{ConnectHook: setPragmas(set)},
	})
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

func setPragmas(set []string) func(*sqlite3.SQLiteConn) error {
	return func(c *sqlite3.SQLiteConn) error {
		for _, p := range set {
			if _, err := c.Exec("PRAGMA "+p, nil); err != nil {
				return fmt.Errorf("set pragma %s: %w", p, classify(err))
			}
		}
		return nil
	}
}

// dsn names path as a URI, so that no character of it is taken for a parameter.
func dsn(path string, params url.Values) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: path}
	s := u.String()
	if len(params) > 0 {
		s += "?" + params.Encode()
	}
	return s
}
