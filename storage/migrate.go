package storage

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the scripts in order: the n-th takes a file from schema
// n-1 to n. They are named with their number, which a test holds.
func migrations() []string {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // embedded
	}
	var scripts []string
	for _, e := range entries { // sorted by name
		b, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			panic(err)
		}
		scripts = append(scripts, string(b))
	}
	return scripts
}

// migrate brings the file to the newest schema in one transaction, so that a
// file is at one schema or another and never between.
func migrate(ctx context.Context, conn *sql.Conn, log *slog.Logger) (err error) {
	exec := func(q string) error {
		_, err := conn.ExecContext(ctx, q)
		return classify(err)
	}
	number := func(q string) (n int64, err error) {
		err = conn.QueryRowContext(ctx, q).Scan(&n)
		return n, classify(err)
	}
	if err := exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("lock the file: %w", err)
	}
	defer func() {
		if err != nil {
			// ctx may be what ended it.
			conn.ExecContext(context.Background(), "ROLLBACK")
		}
	}()
	app, err1 := number("PRAGMA application_id")
	version, err2 := number("PRAGMA user_version")
	tables, err3 := number("SELECT count(*) FROM sqlite_schema")
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	if err := identify(app, version, tables); err != nil {
		return err
	}
	scripts := migrations()
	if app == applicationID && version == int64(len(scripts)) {
		return exec("ROLLBACK")
	}
	for n := version; n < int64(len(scripts)); n++ {
		if err := exec(scripts[n]); err != nil {
			return fmt.Errorf("migration %d: %w", n+1, err)
		}
	}
	if err := exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	if err := exec(fmt.Sprintf("PRAGMA user_version = %d", len(scripts))); err != nil {
		return err
	}
	if err := exec("COMMIT"); err != nil {
		return err
	}
	log.Info("schema brought up to date", "from", version, "to", len(scripts))
	return nil
}
