package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// backupPages is how many pages a backup copies at a time: a mebibyte, after
// which it looks whether it is still wanted and tells how far it is.
const backupPages = 256

// Backup writes a copy of the store to a new file, as it was at one moment,
// while this store and others go on writing. progress, if not nil, is told of
// bytes done of all that are to be copied; the check that follows is not in
// them. The copy has the same storage id, is checked, whole and on the disk when
// Backup returns, and is one file until it is opened.
//
// A file that is there is never overwritten (fs.ErrExist). With any error
// nothing of the copy is left; a kill may leave a file named as the copy with
// ".partial-" and digits at its end. Errors: ErrFull, ErrReadOnly, ErrIO,
// ErrDamaged, ErrClosed, those of the file system, or ctx's.
//
// Pages are copied as they are, under one read transaction, not written anew by
// VACUUM INTO: that costs a fraction of the time, in steps that can be told of
// and ended, and brings a page that is damaged to the check instead of building
// something sound around it. The transaction keeps the write-ahead log from
// being emptied: it grows by what is written during the copy.
func (s *Store) Backup(ctx context.Context, path string, progress func(done, total int64)) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	err := s.read(ctx, func(ctx context.Context) error { return s.backup(ctx, path, progress) })
	if err != nil {
		return fmt.Errorf("back up %s to %s: %w", s.path, path, err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string, progress func(done, total int64)) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	// Said before the work, and held at its end.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*")
	if err != nil {
		return err
	}
	partial := f.Name()
	defer func() {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			if rerr := os.Remove(partial + suffix); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
	}()
	if err := f.Close(); err != nil {
		return err
	}
	if err := s.copyPages(ctx, partial, progress); err != nil {
		return err
	}
	if err := finishCopy(ctx, partial); err != nil {
		return err
	}
	if err := syncFile(partial); err != nil {
		return err
	}
	return putInPlace(partial, path)
}

// putInPlace gives a file the name that it is to have, unless it is taken.
func putInPlace(partial, path string) error {
	// A link, unlike a rename, does not replace what has come there meanwhile.
	err := os.Link(partial, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: look, and then rename.
		if _, err := os.Lstat(path); err == nil {
			return fs.ErrExist
		}
		err = os.Rename(partial, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fs.ErrExist
	}
	if err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// copyPages copies all pages to an empty file.
func (s *Store) copyPages(ctx context.Context, partial string, progress func(done, total int64)) (err error) {
	// Of its own, so that it takes no connection from those who read.
	from := pool(s.path, s.o.Busy, 1, "query_only = ON")
	defer from.Close()
	// Nobody reads the copy before it is synced as a whole.
	to := sql.OpenDB(&connector{
		driver: &sqlite3.SQLiteDriver{},
		dsn:    dsn(partial, url.Values{"mode": {"rw"}, "_locking_mode": {"EXCLUSIVE"}, "_journal_mode": {"OFF"}, "_synchronous": {"OFF"}}),
	})
	defer func() { err = errors.Join(err, classify(to.Close())) }()
	source, err := from.Conn(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := to.Conn(ctx)
	if err != nil {
		return err
	}
	defer target.Close()

	// The moment that is copied lasts as long as this transaction. Without it
	// SQLite would begin again after each commit of others.
	if _, err := source.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer source.ExecContext(context.Background(), "ROLLBACK")
	var page int64
	if err := source.QueryRowContext(ctx, `SELECT page_size FROM pragma_page_size, (SELECT count(*) FROM sqlite_schema)`).Scan(&page); err != nil {
		return err
	}
	return target.Raw(func(t any) error {
		return source.Raw(func(f any) error {
			b, err := t.(*sqlite3.SQLiteConn).Backup("main", f.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			return errors.Join(step(ctx, b, page, progress), b.Finish())
		})
	})
}

// step runs a backup to its end.
func step(ctx context.Context, b *sqlite3.SQLiteBackup, page int64, progress func(done, total int64)) error {
	for before := -1; ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		done, err := b.Step(backupPages)
		if err != nil {
			return err
		}
		left, total := b.Remaining(), b.PageCount()
		progress(int64(total-left)*page, int64(total)*page)
		if done {
			return nil
		}
		if left == before {
			return ErrBusy // the driver passes over that answer
		}
		before = left
	}
}

// finishCopy makes a copy a store that nobody has open, and checks it.
func finishCopy(ctx context.Context, partial string) (err error) {
	db := pool(partial, 0, 1, "locking_mode = EXCLUSIVE")
	defer func() { err = errors.Join(err, classify(db.Close())) }()
	for _, q := range []string{
		// Its log would be a second file.
		`PRAGMA journal_mode = DELETE`,
		// What is open here is not open there, and what was being applied at the
		// moment of the copy ended no process.
		`UPDATE applying SET begun_by = 0 WHERE begun_by IN (SELECT id FROM openings)`,
		`DELETE FROM openings`,
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("finish the copy: %w", err)
		}
	}
	return quickCheck(ctx, db)
}

// syncFile has the disk keep what was written to a file.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
