package query

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
)

// Result is all rows of a query at one moment.
type Result struct {
	Columns []string
	Rows    [][]any // nil, int64, float64, string and []byte
}

// Live yields the result of a statement now, and each time it has become another,
// until ctx ends or the statement fails, which is then the error of the last pair.
//
// The statement runs again only after a transaction has changed a row of a collection
// that it reads, in this process or, while somebody watches the store, in another;
// and a result that is as before is not yielded. It does not run while the loop's
// body does: what changes meanwhile is in one result, the newest. Functions of the
// time or of chance are no reason to run again.
func (e *Engine) Live(ctx context.Context, text string, args ...any) iter.Seq2[*Result, error] {
	return func(yield func(*Result, error) bool) {
		if err := e.live(ctx, text, args, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (e *Engine) live(ctx context.Context, text string, args []any, yield func(*Result, error) bool) error {
	s, err := parse(text, e.o.Limits.SQL)
	if err != nil {
		return err
	}
	values, err := arguments(args)
	if err != nil {
		return err
	}
	l := &listener{e: e, statement: s, args: values}
	for {
		// First the bell, then the look: what comes between is looked at twice.
		changed := e.store.TablesChanged()
		result, err := l.look(ctx)
		if err != nil {
			return err
		}
		if result != nil && !yield(result, nil) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.ctx.Done():
			return ErrClosed
		}
	}
}

// listener is one Live.
type listener struct {
	e         *Engine
	statement *statement
	args      []driver.NamedValue

	seen  string   // the versions of what the statement reads, at the last look
	reads []string // the queries that give them
	last  [sha256.Size]byte
	some  bool // there was a result
	runs  int  // how often the statement ran
}

// look runs the statement if something that it reads has changed. It returns nil if
// the result is as before.
func (l *listener) look(ctx context.Context) (_ *Result, err error) {
	if err := l.e.o.Ready(ctx); err != nil {
		return nil, err
	}
	ctx, end := l.e.limit(ctx)
	defer end()
	defer func() {
		if err != nil {
			err = cmp.Or(context.Cause(ctx), err)
		}
	}()
	c, err := l.e.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer l.e.release(c)
	if l.some {
		if seen, err := c.versions(ctx, l.reads); err != nil || seen == l.seen {
			return nil, err
		}
	}
	p, err := c.prepare(ctx, l.statement)
	if err != nil {
		return nil, err
	}
	defer p.stmt.Close()
	result, err := c.collect(ctx, p, l.args, l.e.o.Limits)
	if err != nil {
		return nil, err
	}
	l.runs++
	l.reads = c.dependencies(p, l.statement)
	if l.seen, err = c.versions(ctx, l.reads); err != nil {
		return nil, err
	}
	if sum := result.sum(); !l.some || sum != l.last {
		l.last, l.some = sum, true
		return result, nil
	}
	return nil, nil
}

// dependencies are queries for the versions of what a statement reads. Collections
// without a definition share a table: which of them are read is told from the names
// in the statement, without which none can be, and which may be too many.
func (c *conn) dependencies(p *prepared, s *statement) []string {
	numbers := maps.Clone(p.reads.tables)
	all := false
	if p.reads.entities {
		all = s.names["entities"] || s.names[viewEntities]
		for name, v := range c.views {
			if s.names[name] && len(v.numbers) == 1 {
				numbers[v.numbers[0]] = true
			}
		}
	}
	var queries []string
	if all {
		queries = append(queries, `SELECT coalesce(sum(version), 0), count(*) FROM main.projections WHERE definition IS NULL`)
	}
	list := make([]string, 0, len(numbers))
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		list = append(list, fmt.Sprint(n))
	}
	if len(list) > 0 {
		queries = append(queries, `SELECT id, version FROM main.projections WHERE id IN (`+strings.Join(list, ",")+`) ORDER BY id`)
	}
	return queries
}

// versions says what is there now of what a statement reads. Without queries it never
// changes but with the tables as a whole.
func (c *conn) versions(ctx context.Context, queries []string) (string, error) {
	before := c.phase
	c.phase = ours
	defer func() { c.phase = before }()
	seen := fmt.Sprint(c.state.generation)
	for _, q := range queries {
		err := c.each(ctx, q, func(v []driver.Value) error {
			seen += fmt.Sprint(" ", v[0], ":", v[1])
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return seen, nil
}

// collect runs a statement to its end.
func (c *conn) collect(ctx context.Context, p *prepared, args []driver.NamedValue, l Limits) (_ *Result, err error) {
	rows, err := c.run(ctx, p, args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	r := &Result{Columns: slices.Clone(rows.Columns())}
	values := make([]driver.Value, len(r.Columns))
	for size := 0; ; {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, c.failed(err)
		}
		row := make([]any, len(values))
		for i, v := range values {
			row[i] = v
			size += 16
			switch v := v.(type) {
			case string:
				size += len(v)
			case []byte:
				size += len(v)
			}
		}
		if len(r.Rows) == l.Live || size > l.Result {
			return nil, fmt.Errorf("%w (limit %d rows and %d bytes)", ErrTooMany, l.Live, l.Result)
		}
		r.Rows = append(r.Rows, row)
	}
}

// sum tells results apart: by columns, rows, and the types and bytes of values.
func (r *Result) sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	var b []byte
	put := func(kind byte, n uint64, s string) {
		b = append(b[:0], kind)
		b = binary.LittleEndian.AppendUint64(b, n)
		h.Write(append(b, s...))
	}
	put('c', uint64(len(r.Columns)), "")
	for _, c := range r.Columns {
		put('s', uint64(len(c)), c)
	}
	for _, row := range r.Rows {
		for _, v := range row {
			switch v := v.(type) {
			case int64:
				put('i', uint64(v), "")
			case float64:
				put('f', math.Float64bits(v), "")
			case string:
				put('s', uint64(len(v)), v)
			case []byte:
				put('b', uint64(len(v)), string(v))
			default:
				put('n', 0, "")
			}
		}
	}
	h.Sum(sum[:0])
	return sum
}
