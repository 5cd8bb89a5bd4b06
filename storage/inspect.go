package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Inspection looks at a file, sound or not. It changes nothing, makes no use of what
// Open relies on, and may go on while others use the file. Its methods are for one
// goroutine.
//
// What is read is what the file says: a column that is not what it should be is told
// as such (Look), and a page that cannot be read ends one call and no other.
type Inspection struct {
	path    string
	db      *sql.DB // nil in an inspection of a Mending
	conn    *sql.Conn
	version int64
	known   knownTables
}

// Inspect opens a file for inspection. Errors: ErrForeign; ErrNewer; ErrDamaged if not
// even the header and the schema can be read; ErrBusy while another holds the file
// alone; fs.ErrNotExist.
func Inspect(ctx context.Context, path string) (*Inspection, error) {
	i, err := startInspection(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", path, err)
	}
	return i, nil
}

func startInspection(ctx context.Context, path string) (*Inspection, error) {
	o := Options{}.withDefaults()
	known, err := inspect(ctx, path, o)
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, fmt.Errorf("%w: it is empty", ErrForeign)
	}
	i := &Inspection{path: path, db: sql.OpenDB(&connector{
		driver: &sqlite3.SQLiteDriver{},
		dsn:    dsn(path, url.Values{"mode": {"ro"}, "_query_only": {"1"}, "_busy_timeout": {strconv.FormatInt(o.Busy.Milliseconds(), 10)}}),
	})}
	if i.conn, err = i.db.Conn(ctx); err == nil {
		err = i.number(ctx, &i.version, `PRAGMA user_version`)
	}
	if err != nil {
		i.Close()
		return nil, classify(err)
	}
	return i, nil
}

// Close ends the inspection. It may be called again.
func (i *Inspection) Close() error {
	if i.db == nil {
		return nil
	}
	if i.conn != nil {
		i.conn.Close()
	}
	return i.db.Close()
}

// Path is the file's.
func (i *Inspection) Path() string { return i.path }

// Openings is how many stores have the file open, as the file says: one whose process
// died counts until the file is next opened.
func (i *Inspection) Openings(ctx context.Context) (n int64, err error) {
	return n, i.number(ctx, &n, `SELECT count(*) FROM openings`)
}

// Value returns what is kept under a key; ErrNotFound if nothing is.
func (i *Inspection) Value(ctx context.Context, key string) (value []byte, err error) {
	err = i.conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return value, classify(err)
}

// FaultKind is what SQLite finds wrong with a file.
type FaultKind int

const (
	// FaultPage: a page, or a row in it, is not as it should be.
	FaultPage FaultKind = iota
	// FaultIndex: an index and its table disagree. Mending.Reindex makes it anew.
	FaultIndex
	// FaultReference: a row names another that is not there.
	FaultReference
	// FaultSchema: a table, an index or a trigger is missing, or is another than it
	// should be. Mending.RestoreSchema puts indexes and triggers right.
	FaultSchema
)

// FileFault is one of them.
type FileFault struct {
	Kind FaultKind
	Name string // of the index, the table with the reference, or what is missing
	Row  int64  // of a reference
	Text string // as SQLite has it
	Code string // of FaultSchema: what would make it; "" if there is nothing to make
}

// maxFileFaults bounds what SQLite is asked to list: a page that is gone may be
// followed by a line for each row of the file.
const maxFileFaults = 100

// Check has SQLite look at all pages, indexes and references of the file, and
// compares its schema. quick leaves out what indexes say, which takes most of the
// time. It reads the whole file, at about the speed of the disk.
func (i *Inspection) Check(ctx context.Context, quick bool, fn func(FileFault) error) error {
	if err := i.checkSchema(ctx, fn); err != nil {
		return err
	}
	if err := i.checkPages(ctx, quick, fn); err != nil {
		return err
	}
	return i.checkReferences(ctx, fn)
}

func (i *Inspection) checkPages(ctx context.Context, quick bool, fn func(FileFault) error) error {
	pragma := "integrity_check"
	if quick {
		pragma = "quick_check"
	}
	var lines []string
	err := i.rows(ctx, func(r *sql.Rows) error {
		var line string
		err := r.Scan(&line)
		lines = append(lines, strings.Split(line, "\n")...)
		return err
	}, fmt.Sprintf("PRAGMA %s(%d)", pragma, maxFileFaults))
	if err != nil {
		lines = append(lines, err.Error())
	}
	indexes := map[string]bool{}
	for _, line := range lines {
		f := FileFault{Kind: FaultPage, Text: line}
		if _, name, ok := strings.Cut(line, "missing from index "); ok {
			f.Kind, f.Name = FaultIndex, name
		} else if name, ok := strings.CutPrefix(line, "wrong # of entries in index "); ok {
			f.Kind, f.Name = FaultIndex, name
		} else if name, ok := strings.CutPrefix(line, "non-unique entry in index "); ok {
			f.Kind, f.Name = FaultIndex, name
		} else if name, ok := strings.CutPrefix(line, "malformed inverted index for FTS4 table main."); ok {
			f.Kind, f.Name = FaultIndex, name
		} else if rest, ok := strings.CutPrefix(line, "unable to validate the inverted index for FTS4 table main."); ok {
			f.Kind = FaultIndex // its table is not there, or is another
			f.Name, _, _ = strings.Cut(rest, ":")
		}
		if line == "ok" || f.Kind == FaultIndex && indexes[f.Name] {
			continue // once for each index
		}
		indexes[f.Name] = true
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

func (i *Inspection) checkReferences(ctx context.Context, fn func(FileFault) error) error {
	var found []FileFault
	err := i.rows(ctx, func(r *sql.Rows) error {
		f := FileFault{Kind: FaultReference}
		var row sql.NullInt64
		var parent string
		var key int64
		err := r.Scan(&f.Name, &row, &parent, &key)
		f.Row, f.Text = row.Int64, fmt.Sprintf("a row of %s belongs to a row of %s that is not there", f.Name, parent)
		found = append(found, f)
		if err == nil && len(found) == maxFileFaults {
			err = errEnough
		}
		return err
	}, `PRAGMA foreign_key_check`)
	if err != nil && !errors.Is(err, errEnough) {
		found = append(found, FileFault{Kind: FaultPage, Text: err.Error()})
	}
	for _, f := range found {
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// checkSchema compares what the file has with what the migrations make.
func (i *Inspection) checkSchema(ctx context.Context, fn func(FileFault) error) error {
	want, err := schemaOf(i.version)
	if err != nil {
		return err
	}
	have := map[string]string{}
	err = i.rows(ctx, func(r *sql.Rows) error { return scanSchema(r, have) }, schemaQuery)
	if err != nil {
		return fn(FileFault{Kind: FaultPage, Text: "the schema cannot be read: " + err.Error()})
	}
	for _, w := range want {
		f := FileFault{Kind: FaultSchema, Name: w.name, Code: w.code}
		switch code, ok := have[w.name]; {
		case !ok:
			f.Text = "it is missing in the file"
		case code != w.code:
			f.Text = "it is another than it should be"
		}
		if f.Text != "" {
			if err := fn(f); err != nil {
				return err
			}
		}
		delete(have, w.name)
	}
	return nil
}

// object is a part of a schema.
type object struct{ name, code string }

const schemaQuery = `SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid`

func scanSchema(r *sql.Rows, into map[string]string) error {
	var name, code string
	err := r.Scan(&name, &code)
	into[name] = code
	return err
}

// schemaOf lists what the first migrations make, in their order.
func schemaOf(version int64) ([]object, error) {
	db := sql.OpenDB(&connector{driver: &sqlite3.SQLiteDriver{}, dsn: "file::memory:"})
	db.SetMaxOpenConns(1)
	defer db.Close()
	for _, script := range migrations()[:version] {
		if _, err := db.Exec(script); err != nil {
			return nil, err
		}
	}
	rows, err := db.Query(schemaQuery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []object
	for rows.Next() {
		var o object
		if err := rows.Scan(&o.name, &o.code); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// rows runs a query and hands over each row.
func (i *Inspection) rows(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := i.conn.QueryContext(ctx, query, args...)
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

func (i *Inspection) number(ctx context.Context, n *int64, query string, args ...any) error {
	return classify(i.conn.QueryRowContext(ctx, query, args...).Scan(n))
}

// InspectedDocument is what the table of documents says of one.
type InspectedDocument struct {
	DocumentInfo
	Number   int64  // its number within the file
	Deleting bool   // it is on its way out
	Fault    string // what of it cannot be read; then only Number is sure
}

// Documents calls fn with each document, by number. An error of fn ends the scan and
// is returned as it is; ErrDamaged ends it where a page cannot be read.
func (i *Inspection) Documents(ctx context.Context, fn func(InspectedDocument) error) error {
	after := int64(0)
	for {
		var piece []InspectedDocument
		err := i.rows(ctx, func(r *sql.Rows) error {
			var v [11]any
			if err := r.Scan(pointers(v[:])...); err != nil {
				return err
			}
			d := inspected(v[:])
			piece, after = append(piece, d), d.Number
			return nil
		}, `SELECT `+documentColumns+`, deleting, id FROM documents WHERE id > ? ORDER BY id LIMIT ?`, after, pieceRows)
		for _, d := range piece {
			if err := fn(d); err != nil {
				return err
			}
		}
		if err != nil {
			return fmt.Errorf("list documents: %w", err)
		}
		if len(piece) < pieceRows {
			return nil
		}
	}
}

func inspected(v []any) (d InspectedDocument) {
	c := columns{values: v}
	doc, heads := c.bytes(0, "doc"), c.bytes(1, "heads")
	d.Changes, d.Bytes, d.LastRow = c.int(2, "changes"), c.int(3, "bytes"), c.int(4, "last_row")
	d.Created = time.UnixMilli(c.int(5, "created_ms"))
	d.RawChanges, d.RawBytes, d.FoldedRow = c.int(6, "raw_changes"), c.int(7, "raw_bytes"), c.int(8, "folded_row")
	d.Deleting, d.Number = c.int(9, "deleting") != 0, c.int(10, "id")
	if len(doc) != len(d.Doc) {
		c.fault("doc")
	} else {
		copy(d.Doc[:], doc)
	}
	if len(heads)%32 != 0 {
		c.fault("heads")
	} else {
		d.Heads = splitHashes(heads)
	}
	d.Fault = c.faults()
	return d
}

// columns reads the columns of a row that may hold anything.
type columns struct {
	values []any
	bad    []string
}

func (c *columns) fault(name string) { c.bad = append(c.bad, name) }

func (c *columns) faults() string { return strings.Join(c.bad, ", ") }

func (c *columns) int(n int, name string) int64 {
	v, ok := c.values[n].(int64)
	if !ok {
		c.fault(name)
	}
	return v
}

// bytes is a copy, so that it outlives the row.
func (c *columns) bytes(n int, name string) []byte {
	switch v := c.values[n].(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	c.fault(name)
	return nil
}

func pointers(v []any) []any {
	p := make([]any, len(v))
	for i := range v {
		p[i] = &v[i]
	}
	return p
}
