package storage

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// applicationID marks a Syncline store in the header of the file: "SyLn".
const applicationID = 0x53794c6e

// Open opens the store at path, or makes one if there is no file or an empty
// one; the directory must exist. A file whose last end was not clean is
// checked first, which reads all of it. Errors: ErrForeign, ErrNewer,
// ErrDamaged, ErrBusy, ErrReadOnly, ErrFull, ErrIO.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s, err := open(ctx, path, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, classify(err))
	}
	return s, nil
}

func open(ctx context.Context, path string, o Options) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	known, err := inspect(ctx, path, o)
	if err != nil {
		return nil, err
	}
	unclean := false
	if known {
		if unclean, err = checkAlone(ctx, path, o); err != nil {
			return nil, err
		}
	}

	s := &Store{path: path, o: o, closed: make(chan struct{})}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.writer = &writer{
		path:      path,
		db:        pool(path, o.Busy, 1, cacheSize(o.CacheBytes)),
		inserts:   insertStatements(),
		now:       o.Now,
		log:       o.Log,
		elsewhere: s.watchers.tell,

		tablesChanged: s.tables.ring,
		queue:         newQueue(o.GroupBytes),
	}
	s.readers = pool(path, o.Busy, o.Readers, "query_only = ON")
	defer func() {
		if err != nil {
			s.stop()
			s.readers.Close()
			s.writer.drop()
			s.writer.db.Close()
		}
	}()
	if err := s.writer.connect(ctx); err != nil {
		return nil, err
	}
	if err := startWAL(ctx, s.writer.conn, o.Busy); err != nil {
		return nil, err
	}
	if err := migrate(ctx, s.writer.conn, o.Log); err != nil {
		return nil, err
	}
	if err := s.begin(unclean); err != nil {
		return nil, err
	}
	s.wrote.Go(s.writer.run)
	if err := s.resumeDeletions(ctx); err != nil {
		// On a full disk, say. What is to go is hidden, and all else works.
		o.Log.Warn("documents wait to be deleted; the next start tries again", "path", path, "err", err)
	}
	return s, nil
}

// inspect looks at an existing file and says whether it is a store. It writes
// nothing to the file or its log, so that another program's is left as it is.
//
// It goes through SQLite: were the file opened and closed in any other way,
// the operating system would take this process's locks on it away.
func inspect(ctx context.Context, path string, o Options) (known bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return false, fmt.Errorf("make its directory first: %w", err)
		}
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%w: it is not a regular file", ErrForeign)
	case info.Size() == 0:
		return false, nil
	case info.Size() < 512:
		// SQLite takes a file of one byte for an empty one.
		return false, fmt.Errorf("%w: its %d bytes are too few for a database", ErrForeign, info.Size())
	}
	if log, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) || err == nil && log.Size() == 0 {
		// Nothing but the file: no lock and no shared memory are needed. Should
		// a log come into being at this moment, what is seen may be torn.
		known, err := look(ctx, path, url.Values{"mode": {"ro"}, "immutable": {"1"}})
		if !errors.Is(err, ErrDamaged) {
			return known, err
		}
	}
	// Without its log the file may be half of a checkpoint.
	busy := strconv.FormatInt(o.Busy.Milliseconds(), 10)
	return look(ctx, path, url.Values{"mode": {"ro"}, "_busy_timeout": {busy}})
}

// look reads what identifies a file over a connection of its own.
func look(ctx context.Context, path string, params url.Values) (known bool, err error) {
	db := sql.OpenDB(&connector{driver: &sqlite3.SQLiteDriver{}, dsn: dsn(path, params)})
	db.SetMaxOpenConns(1)
	defer db.Close()
	var app, version, tables int64
	err = db.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&app, &version, &tables)
	if err != nil {
		return false, classify(err)
	}
	return app == applicationID, identify(app, version, tables)
}

// identify refuses a file by the numbers in its header.
func identify(app, version, tables int64) error {
	switch {
	case app == 0 && version == 0 && tables == 0:
		return nil // made, but not yet ours
	case app != applicationID:
		return fmt.Errorf("%w (application id %#x, want %#x)", ErrForeign, app, applicationID)
	case version > int64(len(migrations())):
		return fmt.Errorf("%w (schema %d, this program knows %d)", ErrNewer, version, len(migrations()))
	}
	return nil
}

// startWAL puts a new file in WAL mode. SQLite does not wait by itself when two
// processes do this at once.
func startWAL(ctx context.Context, conn *sql.Conn, patience time.Duration) error {
	until := time.Now().Add(patience)
	for {
		var mode string
		err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		switch {
		case err == nil && strings.EqualFold(mode, "wal"):
			return nil
		case err == nil:
			return fmt.Errorf("the journal mode stays %q; the file must be on a local disk", mode)
		case !errors.Is(classify(err), ErrBusy) || time.Now().After(until):
			return fmt.Errorf("start the write-ahead log: %w", classify(err))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// begin notes the opening, reads or makes the storage id, and finds the last
// row. stale says that openings of dead processes are to be forgotten.
func (s *Store) begin(stale bool) error {
	w := s.writer
	results := make([]error, 1)
	err := w.transact([]*job{{run: func(t *tx) error {
		if stale {
			if err := t.exec(`DELETE FROM openings`); err != nil {
				return fmt.Errorf("forget unclean ends: %w", err)
			}
		}
		r, err := t.result(`INSERT INTO openings (opened_ms) VALUES (?)`, t.now.UnixMilli())
		if err != nil {
			return fmt.Errorf("note the opening: %w", err)
		}
		if s.opening, err = r.LastInsertId(); err != nil {
			return err
		}
		w.opening = s.opening
		if err := t.exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, keyStorageID, []byte(newUUID())); err != nil {
			return fmt.Errorf("make the storage id: %w", err)
		}
		id, err := t.bytesOf(`SELECT value FROM meta WHERE key = ?`, keyStorageID)
		if err != nil {
			return fmt.Errorf("read the storage id: %w", err)
		}
		s.id = string(id)
		return nil
	}}}, results)
	if err := errors.Join(err, results[0]); err != nil {
		return err
	}
	return w.poll(&tx{w: w})
}

// forgetOpening makes the end a clean one. If it fails, the next Open checks
// the file, no more.
func (s *Store) forgetOpening() {
	t := &tx{w: s.writer}
	// What was being applied at a clean end did not end the process.
	err := t.exec(`UPDATE applying SET begun_by = 0 WHERE begun_by = ?`, s.opening)
	if err == nil {
		err = t.exec(`DELETE FROM openings WHERE id = ?`, s.opening)
	}
	if err != nil {
		s.o.Log.Warn("the next start will check the file, because this end could not be noted", "path", s.path, "err", err)
	}
}

// Others returns how many other stores have the file open, in this process or
// another. One whose process was killed counts until the file is next opened
// by one alone.
func (s *Store) Others(ctx context.Context) (n int64, err error) {
	if err := s.row(ctx, []any{&n}, `SELECT count(*) FROM openings WHERE id <> ?`, s.opening); err != nil {
		return 0, fmt.Errorf("look who has %s open: %w", s.path, err)
	}
	return n, nil
}

// newUUID returns a random (version 4) UUID, the form that automerge-repo gives
// its storage ids.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
