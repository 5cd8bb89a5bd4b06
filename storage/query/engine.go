package query

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"syncline/crdt/id"
	"syncline/storage"
)

// Options of New. The zero is usable.
type Options struct {
	Limits Limits
	// Connections is how many statements run at a time; more wait. Each costs up to
	// about 4 MiB of caches. 0: twice the number of CPUs, at least 4.
	Connections int
	// Ready is called before each statement: to bring the tables up to date. nil:
	// they are taken as they are.
	Ready func(context.Context) error
}

// Engine answers queries over a store. Its methods may be called from any goroutine.
type Engine struct {
	// Static after New.
	store *storage.Store
	o     Options
	turns *semaphore.Weighted
	// ctx ends when Close begins.
	ctx    context.Context
	cancel context.CancelFunc

	using sync.WaitGroup // connections in use; Add under mu

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

// New returns an engine. Close it before the store.
func New(store *storage.Store, o Options) *Engine {
	o.Limits = o.Limits.withDefaults()
	if o.Connections <= 0 {
		o.Connections = max(4, 2*runtime.NumCPU())
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	e := &Engine{store: store, o: o, turns: semaphore.NewWeighted(int64(o.Connections))}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// Close ends what is running with ErrClosed and closes the connections. It may be
// called again.
func (e *Engine) Close() error {
	e.mu.Lock()
	idle := e.idle
	e.idle, e.closed = nil, true
	e.mu.Unlock()
	e.cancel()
	e.using.Wait()
	var err error
	for _, c := range idle {
		err = errors.Join(err, c.c.Close())
	}
	return err
}

// acquire waits for a connection and begins a transaction on it.
func (e *Engine) acquire(ctx context.Context) (*conn, error) {
	if err := e.turns.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	c, err := e.take(ctx)
	if err != nil {
		e.turns.Release(1)
		return nil, err
	}
	if err := c.begin(ctx); err != nil {
		e.release(c)
		return nil, err
	}
	return c, nil
}

// take takes an idle connection or opens one, and counts it as in use.
func (e *Engine) take(ctx context.Context) (*conn, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	e.using.Add(1)
	if n := len(e.idle); n > 0 {
		c := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return c, nil
	}
	e.mu.Unlock()
	c, err := openConn(ctx, e.store, e.o.Limits)
	if err != nil {
		e.using.Done()
	}
	return c, err
}

// release gives a connection back. One whose transaction cannot be ended is closed.
func (e *Engine) release(c *conn) {
	err := c.end()
	e.mu.Lock()
	keep := err == nil && !e.closed
	if keep {
		e.idle = append(e.idle, c)
	}
	e.mu.Unlock()
	if !keep {
		c.c.Close()
	}
	e.turns.Release(1)
	e.using.Done()
}

// limit returns a context that also ends when the engine closes or the time is over.
func (e *Engine) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	late := time.AfterFunc(e.o.Limits.Time, func() { end(fmt.Errorf("%w (limit %s)", ErrTime, e.o.Limits.Time)) })
	stop := context.AfterFunc(e.ctx, func() { end(ErrClosed) })
	return ctx, func() {
		late.Stop()
		stop()
		end(nil)
	}
}

// Query runs a statement and returns its rows, which must be closed. They are of one
// moment, and keep the write-ahead log from being emptied until they are closed,
// which Limits.Time bounds.
//
// args are for the parameters (?, ?1, :name with sql.Named): nil, numbers, strings,
// bool as 0 or 1, []byte, time.Time as milliseconds, a document's id as its text.
// Errors: ErrRefused, ErrSQL, ErrTime, ErrClosed, ctx's, or those of storage.
func (e *Engine) Query(ctx context.Context, text string, args ...any) (*Rows, error) {
	s, err := parse(text, e.o.Limits.SQL)
	if err != nil {
		return nil, err
	}
	values, err := arguments(args)
	if err != nil {
		return nil, err
	}
	if err := e.o.Ready(ctx); err != nil {
		return nil, err
	}
	ctx, end := e.limit(ctx)
	r, err := e.query(ctx, s, values)
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		end()
		return nil, err
	}
	r.end = end
	r.watch()
	return r, nil
}

func (e *Engine) query(ctx context.Context, s *statement, args []driver.NamedValue) (*Rows, error) {
	c, err := e.acquire(ctx)
	if err != nil {
		return nil, err
	}
	p, err := c.prepare(ctx, s)
	if err != nil {
		e.release(c)
		return nil, err
	}
	rows, err := c.run(ctx, p, args)
	if err != nil {
		err = errors.Join(err, p.stmt.Close())
		e.release(c)
		return nil, err
	}
	return &Rows{e: e, c: c, ctx: ctx, p: p, rows: rows, columns: rows.Columns(), left: e.o.Limits.Rows}, nil
}

// run starts a statement.
func (c *conn) run(ctx context.Context, p *prepared, args []driver.NamedValue) (driver.Rows, error) {
	if want := p.stmt.NumInput(); want >= 0 && want != len(args) {
		return nil, fmt.Errorf("%w: the statement has %d parameters and %d arguments were given", ErrSQL, want, len(args))
	}
	rows, err := p.stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, c.failed(err)
	}
	return rows, nil
}

// arguments are values as the driver takes them.
func arguments(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		values[i].Ordinal = i + 1
		if named, ok := a.(sql.NamedArg); ok {
			values[i].Name, a = named.Name, named.Value
		}
		switch v := a.(type) {
		case time.Time:
			a = v.UnixMilli()
		case id.Document:
			a = v.String()
		case bool:
			a = int64(0)
			if v {
				a = int64(1)
			}
		}
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return nil, fmt.Errorf("%w: argument %d: %w", ErrSQL, i+1, err)
		}
		values[i].Value = v
	}
	return values, nil
}

// Views lists what can be selected from, by name, those of no schema last.
func (e *Engine) Views(ctx context.Context) ([]View, error) {
	if err := e.o.Ready(ctx); err != nil {
		return nil, err
	}
	c, err := e.acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	defer e.release(c)
	byNumber := map[int64]collection{}
	for _, k := range c.catalog {
		byNumber[k.number] = k
	}
	var all []View
	for _, v := range slices.Collect(maps.Values(c.views)) {
		listed := View{Name: v.name, Search: v.search, Columns: slices.Clone(v.columns)}
		if len(v.numbers) == 1 {
			k := byNumber[v.numbers[0]]
			listed.Collection, listed.Defined = k.name, k.table != nil
		}
		all = append(all, listed)
	}
	slices.SortFunc(all, func(a, b View) int {
		if a.Defined != b.Defined {
			if a.Defined {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return all, nil
}
