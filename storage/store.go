package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// Store is an open file. Its methods may be called from any goroutine.
type Store struct {
	// Static after Open.
	path    string
	o       Options
	id      string
	opening int64 // our row in openings
	readers *sql.DB
	writer  *writer
	stop    context.CancelFunc // ends stopped
	stopped context.Context    // ends when Close begins

	wrote sync.WaitGroup // the writer's goroutine
	reads sync.WaitGroup // reads that hold a connection; Add under mu

	watchers watchers
	tables   bell // rings when rows of tables have changed

	mu       sync.Mutex
	closing  bool
	closed   chan struct{} // closed when closeErr is set
	closeErr error
}

// StorageID names the data: random, made with the file, and stable as long as
// the data is. A copy of the file has the same.
func (s *Store) StorageID() string { return s.id }

// Path returns the absolute path of the file.
func (s *Store) Path() string { return s.path }

// LastRow returns the highest row of the journal that this store knows to be
// durable, over all documents; 0 in an empty journal.
func (s *Store) LastRow() int64 { return s.writer.stats.lastRow.Load() }

// Stats counts what a store did since Open.
type Stats struct {
	Commits int64 // transactions committed
	Failed  int64 // transactions undone by an error of the file
	Batches int64 // calls that the committed transactions carried
	Rows    int64 // rows appended to the journal
	Bytes   int64 // bytes of heads and bodies in them
}

// Stats returns the counts of now.
func (s *Store) Stats() Stats {
	c := &s.writer.stats
	return Stats{
		Commits: c.commits.Load(),
		Failed:  c.failed.Load(),
		Batches: c.batches.Load(),
		Rows:    c.rows.Load(),
		Bytes:   c.bytes.Load(),
	}
}

// Close stores what waits to be stored, ends reads and Watch calls with
// ErrClosed, and closes the file. It waits for all that but not for callbacks
// that are running; it may be called again, and returns the same.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		<-s.closed
		return s.closeErr
	}
	s.closing = true
	s.mu.Unlock()

	s.stop()
	s.writer.queue.close()
	s.wrote.Wait()
	s.reads.Wait()
	// The connections of readers go first: the last one to close empties the
	// log into the file, and a reader is not allowed to write.
	err := s.readers.Close()
	s.forgetOpening()
	s.writer.drop()
	err = errors.Join(err, s.writer.db.Close())
	if err != nil {
		s.closeErr = fmt.Errorf("close %s: %w", s.path, classify(err))
	}
	close(s.closed)
	return s.closeErr
}

// write has the writer run fn inside a transaction, where size is about the
// number of bytes it stores.
func (s *Store) write(ctx context.Context, size int64, fn func(*tx) error) error {
	return s.writer.queue.do(&job{ctx: ctx, size: size, run: fn})
}

// read runs fn with a context that also ends when the store closes. fn must
// let go of its connection before it returns.
func (s *Store) read(ctx context.Context, fn func(context.Context) error) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrClosed
	}
	s.reads.Add(1)
	s.mu.Unlock()
	defer s.reads.Done()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.stopped, func() { cancel(ErrClosed) })()
	err := fn(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return classify(err)
}
