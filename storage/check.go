package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// checkAlone finds out whether the file's last end was unclean, and if so
// checks it: openings that nobody took back, in a file that nobody has open,
// were left by a process that died or a power failure.
//
// Whether anybody has it open is answered by SQLite's own lock: in WAL mode
// each connection shares the file for as long as it is open, so an exclusive
// one is given only to the first. If others have the file open, they have
// looked already.
func checkAlone(ctx context.Context, path string, o Options) (unclean bool, err error) {
	db := sql.OpenDB(&connector{
		driver: &sqlite3.SQLiteDriver{},
		// The locking mode counts only if it is set before the log is first read.
		dsn: dsn(path, url.Values{"mode": {"rw"}, "_locking_mode": {"EXCLUSIVE"}, "_busy_timeout": {"0"}, "_synchronous": {"FULL"}}),
	})
	db.SetMaxOpenConns(1)
	defer db.Close()
	var left int64
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM openings`).Scan(&left)
	var e sqlite3.Error
	switch {
	case errors.Is(classify(err), ErrBusy):
		return false, nil
	case errors.As(err, &e) && e.Code == sqlite3.ErrError:
		return false, nil // no such table: made by another process this moment; migrate decides
	case err != nil:
		return false, err
	case left == 0:
		return false, nil
	}
	begun := time.Now()
	if err := quickCheck(ctx, db); err != nil {
		return false, err
	}
	o.Log.Info("the last end was not clean; the file was checked and is sound", "path", path, "took", time.Since(begun))
	return true, nil
}

// quickCheck has SQLite check the structure of every page.
func quickCheck(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, `PRAGMA quick_check(5)`)
	if err != nil {
		return fmt.Errorf("check the file: %w", classify(err))
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("check the file: %w", classify(err))
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(found, "; "))
	}
	return nil
}
