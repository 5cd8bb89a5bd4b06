package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Rows are the rows of a query. They are for one goroutine, and must be closed; they
// close themselves at their end, with an error, and when their time is over.
type Rows struct {
	e       *Engine
	ctx     context.Context
	columns []string
	end     context.CancelFunc

	values []driver.Value // the present row

	mu   sync.Mutex // so that an end of ctx can close them
	c    *conn      // nil once closed
	p    *prepared
	rows driver.Rows
	left int
	err  error
}

// watch closes the rows when their context ends, whoever forgot to.
func (r *Rows) watch() {
	stop := context.AfterFunc(r.ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.finish(context.Cause(r.ctx))
	})
	end := r.end
	r.end = func() {
		stop()
		end()
	}
}

// Columns returns the names of the columns.
func (r *Rows) Columns() []string { return r.columns }

// Next goes to the next row. It returns false at the end, and with an error: see Err.
func (r *Rows) Next() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.c == nil {
		return false
	}
	r.values = nil
	values := make([]driver.Value, len(r.columns))
	err := r.rows.Next(values)
	switch {
	case errors.Is(err, io.EOF):
		r.finish(nil)
		return false
	case err != nil:
		if cause := context.Cause(r.ctx); cause != nil {
			err = cause
		}
		r.finish(r.c.failed(err))
		return false
	case r.left == 0:
		r.finish(fmt.Errorf("%w (limit %d)", ErrTooMany, r.e.o.Limits.Rows))
		return false
	}
	r.left--
	r.values = values
	return true
}

// Values returns the present row: nil, int64, float64, string and []byte. It is the
// caller's to keep.
func (r *Rows) Values() []any {
	values := make([]any, len(r.values))
	for i, v := range r.values {
		values[i] = v
	}
	return values
}

// Scan copies the present row into pointers: *any, *string, *[]byte, *int64, *int,
// *float64, *bool, *time.Time (of milliseconds) or a sql.Scanner, such as *sql.Null.
func (r *Rows) Scan(dest ...any) error {
	if len(dest) != len(r.values) {
		return fmt.Errorf("scan: the row has %d columns, not %d", len(r.values), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, r.values[i]); err != nil {
			return fmt.Errorf("scan column %q: %w", r.columns[i], err)
		}
	}
	return nil
}

func assign(dest any, v driver.Value) error {
	ok := true
	switch d := dest.(type) {
	case *any:
		*d = v
	case *string:
		*d, ok = v.(string)
	case *[]byte:
		*d, ok = v.([]byte)
	case *int64:
		*d, ok = v.(int64)
	case *int:
		var n int64
		n, ok = v.(int64)
		*d = int(n)
	case *float64:
		if n, whole := v.(int64); whole {
			v = float64(n)
		}
		*d, ok = v.(float64)
	case *bool:
		var n int64
		n, ok = v.(int64)
		*d = n != 0
	case *time.Time:
		var n int64
		n, ok = v.(int64)
		*d = time.UnixMilli(n).UTC()
	case sql.Scanner:
		return d.Scan(v)
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("a value of type %T does not go into a %T", v, dest)
	}
	return nil
}

// Err says why Next returned false: nil at the end of the rows.
func (r *Rows) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close lets go of the rows. It may be called again.
func (r *Rows) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finish(nil)
	return nil
}

// finish gives the connection back. r.mu is held.
func (r *Rows) finish(err error) {
	if r.c == nil {
		return
	}
	r.err = errors.Join(err, r.rows.Close(), r.p.stmt.Close())
	r.e.release(r.c)
	r.c = nil
	r.end()
}
