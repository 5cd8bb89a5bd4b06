package storage

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"
)

// writer owns the one connection that writes. All its fields belong to the
// goroutine that runs it, except where said.
type writer struct {
	path    string
	db      *sql.DB // one connection, held as conn
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt // prepared on conn
	inserts map[int]string       // statements by the number of rows
	now     func() time.Time
	log     *slog.Logger

	// last is the highest row known to be committed, by whomever.
	last int64
	// version is conn's data_version at the last look; 0 before the first.
	version int64
	// elsewhere is told of committed rows (after, through] of other stores.
	elsewhere func(after, through int64)

	opening     int64                 // the store's own
	generation  int64                 // of the tables that projections are for
	projections map[string]*projected // by collection: those that were written to
	// tablesChanged is told when rows of tables have changed, or may have elsewhere.
	tablesChanged func()

	queue *queue
	stats writerStats // read by anyone
}

type writerStats struct {
	lastRow, commits, failed, batches, rows, bytes atomic.Int64
}

// run commits until the queue is closed and empty.
func (w *writer) run() {
	for w.queue.wait() {
		w.commit(w.queue.take())
		w.queue.done()
	}
}

// commit runs the jobs of a group in one transaction and tells each its result.
func (w *writer) commit(group []*job) {
	started := group[:0]
	for _, j := range group {
		if j.start() {
			started = append(started, j)
		}
	}
	if len(started) == 0 {
		return
	}
	if len(started) == 1 && started[0].outside {
		started[0].done <- classify(started[0].run(&tx{w: w}))
		return
	}
	results := make([]error, len(started))
	err := w.transact(started, results)
	if failsGroup(err) {
		w.stats.failed.Add(1)
	}
	for i, j := range started {
		if err != nil {
			results[i] = err
		} else if results[i] == nil {
			w.stats.batches.Add(1)
		}
		j.done <- results[i]
	}
}

// transact gives each job its own error in results, or returns the one error
// that undid them all.
func (w *writer) transact(jobs []*job, results []error) (err error) {
	t := &tx{w: w, now: w.now()}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		w.recoverConn(err)
		return err
	}
	defer func() {
		if err != nil {
			w.forgetProjections()
			w.rollback()
		}
	}()
	if err := w.look(t); err != nil {
		return err
	}
	t.next = w.last + 1
	if len(jobs) == 1 {
		// The transaction is its savepoint.
		if err := classify(jobs[0].run(t)); err != nil {
			return err
		}
	} else if err := t.each(jobs, results); err != nil {
		return err
	}
	if err := t.exec("COMMIT"); err != nil {
		return err
	}
	w.setLast(t.next - 1)
	w.stats.commits.Add(1)
	w.stats.rows.Add(t.rows)
	w.stats.bytes.Add(t.bytes)
	if t.tables {
		w.tablesChanged()
	}
	return nil
}

// each runs the jobs one after another, each behind a savepoint. A job's own
// failure is undone and put into results; one of the file is returned.
func (t *tx) each(jobs []*job, results []error) error {
	for i, j := range jobs {
		before := *t
		if err := t.exec("SAVEPOINT batch"); err != nil {
			return err
		}
		jobErr := classify(j.run(t))
		if jobErr != nil {
			if failsGroup(jobErr) {
				return jobErr
			}
			if err := t.exec("ROLLBACK TO batch"); err != nil {
				return fmt.Errorf("undo a batch after %q: %w", jobErr, err)
			}
			*t = before
		}
		if err := t.exec("RELEASE batch"); err != nil {
			return err
		}
		results[i] = jobErr
	}
	return nil
}

// look compares the highest row with the last known one. Since only this
// writer and other stores append, and this writer accounts for all of its own,
// what lies between came from elsewhere.
func (w *writer) look(t *tx) error {
	seq, err := t.int64(`SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0)`)
	if err != nil {
		return fmt.Errorf("read the last row: %w", err)
	}
	if seq > w.last {
		after := w.last
		w.setLast(seq)
		w.elsewhere(after, seq)
	}
	return nil
}

// poll looks only if another connection has committed since the last poll.
func (w *writer) poll(t *tx) error {
	// data_version moves with commits of other connections, not with ours.
	version, err := t.int64(`PRAGMA data_version`)
	if err != nil {
		return fmt.Errorf("read data_version: %w", err)
	}
	if version == w.version {
		return nil
	}
	if err := w.look(t); err != nil {
		return err
	}
	w.version = version
	w.tablesChanged()
	return nil
}

func (w *writer) setLast(row int64) {
	w.last = row
	w.stats.lastRow.Store(row)
}

// rollback ends a failed transaction. SQLite has already ended it after some
// errors (disk full, I/O), and says so; only a connection that is then still
// inside a transaction is given up.
func (w *writer) rollback() {
	_, err := w.conn.ExecContext(context.Background(), "ROLLBACK")
	if err != nil {
		w.recoverConn(err)
	}
}

// recoverConn replaces the connection if it cannot begin a transaction.
func (w *writer) recoverConn(cause error) {
	idle := false
	err := w.conn.Raw(func(c any) error {
		idle = c.(*sqlite3.SQLiteConn).AutoCommit()
		if !idle {
			return driver.ErrBadConn // makes the pool drop it
		}
		return nil
	})
	if idle && err == nil {
		return
	}
	w.log.Warn("replacing the writer's connection", "path", w.path, "err", cause)
	w.drop()
}

// drop gives up the connection; connect makes the next.
func (w *writer) drop() {
	for _, s := range w.stmts {
		s.Close()
	}
	w.stmts = nil
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
	w.version = 0
}

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	w.conn, w.stmts = conn, make(map[string]*sql.Stmt)
	return nil
}

// tx is the open transaction as a job sees it. Its statements are not
// interruptible on purpose: a batch that has begun ends with its true result.
type tx struct {
	w    *writer
	now  time.Time
	next int64 // the next row's number

	rows, bytes int64 // appended so far
	tables      bool  // rows of tables have changed
	args        []any // of projectRow, used again
}

// once runs a statement that is not kept.
func (t *tx) once(query string) error {
	if err := t.w.connect(context.Background()); err != nil {
		return err
	}
	_, err := t.w.conn.ExecContext(context.Background(), query)
	return classify(err)
}

// prepared returns the statement of a query, which must be one of a fixed set.
func (t *tx) prepared(query string) (*sql.Stmt, error) {
	if err := t.w.connect(context.Background()); err != nil {
		return nil, err
	}
	if s := t.w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, classify(err)
	}
	t.w.stmts[query] = s
	return s, nil
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.result(query, args...)
	return err
}

func (t *tx) result(query string, args ...any) (sql.Result, error) {
	s, err := t.prepared(query)
	if err != nil {
		return nil, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	return r, classify(err)
}

// row reads one row. No row is ErrNotFound.
func (t *tx) row(dest []any, query string, args ...any) error {
	s, err := t.prepared(query)
	if err != nil {
		return err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return classify(err)
}

// bytesOf reads one byte string. No row is ErrNotFound.
func (t *tx) bytesOf(query string, args ...any) (b []byte, err error) {
	err = t.row([]any{&b}, query, args...)
	return b, err
}

// int64 reads one number. No row is ErrNotFound.
func (t *tx) int64(query string, args ...any) (n int64, err error) {
	err = t.row([]any{&n}, query, args...)
	return n, err
}

// all hands every row to scan.
func (t *tx) all(scan func(*sql.Rows) error, query string, args ...any) error {
	s, err := t.prepared(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return classify(rows.Err())
}
