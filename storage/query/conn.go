package query

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mattn/go-sqlite3"

	"syncline/storage"
)

// maxViews bounds the collections without a definition that have a view of their own:
// each costs a connection a moment, and whoever writes a document can make them up.
// Those beyond, in the order of their names, are in _entities alone.
const maxViews = 1000

// maxPattern bounds the patterns of LIKE and GLOB, in bytes: some take time that grows
// with a power of their length, in which nothing can stop them.
const maxPattern = 256

// viewEntities is the view of all collections without a definition.
const viewEntities = "_entities"

// conn is a connection, used by one statement at a time.
type conn struct {
	c     *sqlite3.SQLiteConn
	phase phase

	state   state
	catalog []collection
	views   map[string]*view // by folded name
	tables  map[string]bool  // all there are in the file, folded
	own     map[string]int64 // projection_N and search_N, and their N

	// Of the statement that is being prepared.
	denied string
	reads  reads
}

// state is what the views of a connection were made by.
type state struct{ schema, generation, last int64 }

// collection is one that has rows, as the file has it.
type collection struct {
	number int64
	name   string
	table  *storage.Table // nil: not defined
}

// view is one that the connection has.
type view struct {
	name, sql string
	numbers   []int64 // of the collections in it; nil: all that have no definition
	columns   []ViewColumn
	search    bool
}

// reads are what a statement reads.
type reads struct {
	tables   map[int64]bool // collections with a definition
	entities bool           // some without
}

func openConn(ctx context.Context, store *storage.Store, l Limits) (*conn, error) {
	raw, err := store.Reader(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{c: raw, views: map[string]*view{}}
	for limit, value := range map[int]int{
		sqlite3.SQLITE_LIMIT_LENGTH:              l.Value,
		sqlite3.SQLITE_LIMIT_SQL_LENGTH:          l.SQL,
		sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: maxPattern,
		sqlite3.SQLITE_LIMIT_WORKER_THREADS:      0,
		sqlite3.SQLITE_LIMIT_COMPOUND_SELECT:     100,
		sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          200,
		sqlite3.SQLITE_LIMIT_FUNCTION_ARG:        100,
	} {
		raw.SetLimit(limit, value)
	}
	// VACUUM needs to attach; so nothing of a statement may.
	raw.SetLimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
	raw.RegisterAuthorizer(c.authorize)
	return c, nil
}

// begin starts a transaction and brings the views up to what the file has in it.
func (c *conn) begin(ctx context.Context) error {
	c.phase = ours
	if err := c.exec(ctx, `BEGIN`); err != nil {
		return err
	}
	err := c.refresh(ctx)
	if err != nil {
		err = errors.Join(err, c.exec(context.WithoutCancel(ctx), `ROLLBACK`))
	}
	return err
}

// end ends the transaction. It is committed because of the views that it may have made.
func (c *conn) end() error {
	c.phase = ours
	if c.c.AutoCommit() {
		return nil
	}
	return c.exec(context.Background(), `COMMIT`)
}

func (c *conn) refresh(ctx context.Context) error {
	var now state
	err := c.each(ctx, `SELECT generation, (SELECT coalesce(max(id), 0) FROM projections) FROM projecting`, func(v []driver.Value) error {
		now.generation, now.last = v[0].(int64), v[1].(int64)
		return nil
	})
	if err == nil {
		err = c.each(ctx, `PRAGMA main.schema_version`, func(v []driver.Value) error {
			now.schema = v[0].(int64)
			return nil
		})
	}
	if err != nil || now == c.state {
		return err
	}
	if err := c.readTables(ctx); err != nil {
		return err
	}
	if err := c.readCatalog(ctx); err != nil {
		return err
	}
	if err := c.setViews(ctx, viewsOf(c.catalog)); err != nil {
		return err
	}
	c.state = now
	return nil
}

// readTables reads which tables the file has, so that none but those of collections
// can be named.
func (c *conn) readTables(ctx context.Context) error {
	c.tables, c.own = map[string]bool{}, map[string]int64{}
	return c.each(ctx, `SELECT name FROM main.sqlite_schema`, func(v []driver.Value) error {
		c.tables[storage.FoldName(v[0].(string))] = true
		return nil
	})
}

// readCatalog reads the collections: those with a definition, and as many of the
// others as have views.
func (c *conn) readCatalog(ctx context.Context) error {
	c.catalog = nil
	err := c.each(ctx, `SELECT id, collection, definition FROM projections WHERE definition IS NOT NULL ORDER BY id`, func(v []driver.Value) error {
		k := collection{number: v[0].(int64), name: v[1].(string), table: new(storage.Table)}
		c.catalog = append(c.catalog, k)
		c.own[fmt.Sprintf("projection_%d", k.number)] = k.number
		c.own[fmt.Sprintf("search_%d", k.number)] = k.number
		return json.Unmarshal([]byte(v[2].(string)), k.table)
	})
	if err != nil {
		return err
	}
	return c.each(ctx, `SELECT id, collection FROM projections WHERE definition IS NULL ORDER BY collection LIMIT `+fmt.Sprint(maxViews), func(v []driver.Value) error {
		c.catalog = append(c.catalog, collection{number: v[0].(int64), name: v[1].(string)})
		return nil
	})
}

// setViews makes the views that are wanted and drops the others.
func (c *conn) setViews(ctx context.Context, wanted map[string]*view) error {
	var statements []string
	for _, name := range slices.Sorted(maps.Keys(c.views)) {
		if w := wanted[name]; w == nil || w.sql != c.views[name].sql {
			statements = append(statements, `DROP VIEW temp.`+storage.QuoteName(c.views[name].name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if v := c.views[name]; v == nil || v.sql != wanted[name].sql {
			statements = append(statements, `CREATE TEMP VIEW `+storage.QuoteName(wanted[name].name)+` AS `+wanted[name].sql)
		}
	}
	if len(statements) == 0 {
		c.views = wanted
		return nil
	}
	// Those of temp are written to as well as query_only is concerned.
	statements = append(append([]string{`PRAGMA query_only = OFF`}, statements...), `PRAGMA query_only = ON`)
	for _, q := range statements {
		if err := c.exec(ctx, q); err != nil {
			return err // the transaction, which is rolled back, has the views in it
		}
	}
	c.views = wanted
	return nil
}

// prepared is a statement that may run.
type prepared struct {
	stmt  *sqlite3.SQLiteStmt
	reads reads
}

// prepare has SQLite, and its authorizer, look at a statement.
func (c *conn) prepare(ctx context.Context, s *statement) (*prepared, error) {
	c.phase, c.denied, c.reads = preparing, "", reads{tables: map[int64]bool{}}
	stmt, err := c.c.PrepareContext(ctx, s.text)
	c.phase = running
	if err != nil {
		return nil, c.failed(err)
	}
	p := &prepared{stmt: stmt.(*sqlite3.SQLiteStmt), reads: c.reads}
	if !p.stmt.Readonly() {
		return nil, errors.Join(fmt.Errorf("%w: the statement does not only read", ErrRefused), p.stmt.Close())
	}
	return p, nil
}

// failed says why a statement could not be prepared or run.
func (c *conn) failed(err error) error {
	if c.denied != "" {
		return fmt.Errorf("%w: %s", ErrRefused, c.denied)
	}
	if e, ok := errors.AsType[sqlite3.Error](err); ok {
		switch e.Code {
		case sqlite3.ErrAuth:
			return fmt.Errorf("%w: %s", ErrRefused, e.Error())
		case sqlite3.ErrTooBig:
			return fmt.Errorf("%w: a value or the statement is too long; select less of it, with substr for example", ErrSQL)
		case sqlite3.ErrError, sqlite3.ErrConstraint, sqlite3.ErrMismatch, sqlite3.ErrRange, sqlite3.ErrReadonly:
			return fmt.Errorf("%w: %s", ErrSQL, e.Error())
		}
	}
	return err
}

// exec runs a statement of ours.
func (c *conn) exec(ctx context.Context, query string) error {
	_, err := c.c.ExecContext(ctx, query, nil)
	if err != nil {
		return fmt.Errorf("prepare to query: %w", err)
	}
	return nil
}

// each runs a query of ours and hands its rows to fn.
func (c *conn) each(ctx context.Context, query string, fn func([]driver.Value) error) (err error) {
	rows, err := c.c.QueryContext(ctx, query, nil)
	if err != nil {
		return fmt.Errorf("look at the tables: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at the tables: %w", err)
		}
		if err := fn(values); err != nil {
			return err
		}
	}
}
