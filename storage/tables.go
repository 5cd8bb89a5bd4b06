package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Projections are tables that show the entities of documents as rows, in the same
// file, so that a change and the rows that it leads to are stored together. What a
// row says is the caller's: storage is given values and knows tables (projection.go).
//
// A collection that SetTables has defined has a table with a column for each field.
// All others share the table entities, with an entity as JSON, so that a collection
// that turns up in somebody's document changes no schema. Rows are read through
// package query.

// Columns that every table has beside those of its fields.
const (
	ColumnDocument  = "_doc"       // the document's id as text
	ColumnEntity    = "_id"        // the entity's id
	ColumnExtra     = "_extra"     // JSON of what has no column of its own; NULL if all has
	ColumnJSON      = "_json"      // without a definition: the entity as JSON
	ColumnConflict  = "_conflict"  // 1 if concurrent changes have left several values
	ColumnViolation = "_violation" // in what the entity departs from its definition; NULL if in nothing

	columnRow = "_row"
)

// Limits of definitions.
const (
	// MaxTables bounds the tables of a definition: each costs every connection
	// when it is opened.
	MaxTables = 1000
	// MaxColumns bounds the fields of a table; SQLite allows 2,000 columns.
	MaxColumns = 1000
)

// ErrDefinition: tables cannot be made as they are defined.
var ErrDefinition = errors.New("tables cannot be defined so")

// Table defines the table of a collection.
type Table struct {
	Collection string   `json:"collection"`
	Columns    []Column `json:"columns"`
	Search     Search   `json:"search,omitzero"` // if a column is searched
}

// Column is a field of a table.
type Column struct {
	Field string `json:"field"`
	// Name is by which SQL knows it; see VisibleNames. SetTables fills it in.
	Name string `json:"name"`
	// Type is for people: columns hold values of any type, each as it is.
	Type string `json:"type,omitempty"`
	// Search puts the column into the table's full-text index.
	Search bool `json:"search,omitempty"`
}

// Search says how text is cut into the words of a full-text index (SQLite's
// unicode61). The zero: at what is no letter or digit, without regard to case and
// diacritics.
type Search struct {
	KeepDiacritics bool   `json:"keepDiacritics,omitempty"`
	TokenChars     string `json:"tokenChars,omitempty"` // also in words
	Separators     string `json:"separators,omitempty"` // also between words
}

// Definition is what the tables of a store are made by.
type Definition struct {
	// Generation counts the definitions that the file has had; 0 if it has none,
	// and then nothing is projected.
	Generation int64
	// Source is the caller's own.
	Source []byte
	Tables []Table
}

// Definition returns what the tables are made by.
func (s *Store) Definition(ctx context.Context) (d Definition, err error) {
	err = s.row(ctx, []any{&d.Generation, &d.Source}, `SELECT generation, definition FROM projecting`)
	if err == nil {
		err = s.piece(ctx, func(r *sql.Rows) (bool, error) {
			var text string
			if err := r.Scan(&text); err != nil {
				return false, err
			}
			var t Table
			err := json.Unmarshal([]byte(text), &t)
			d.Tables = append(d.Tables, t)
			return true, err
		}, `SELECT definition FROM projections WHERE definition IS NOT NULL ORDER BY id`)
	}
	if err != nil {
		return Definition{}, fmt.Errorf("read the definition of the tables: %w", err)
	}
	return d, nil
}

// SetTables makes empty tables in place of those there are, and returns what they
// are made by. Every document is behind then (Behind), until it is projected again;
// what other processes still bring for the tables of before is not kept
// (Projection.Kept). One transaction, durable when it returns. Errors: ErrDefinition,
// and those of Append.
func (s *Store) SetTables(ctx context.Context, source []byte, tables []Table) (d Definition, err error) {
	d = Definition{Source: source, Tables: slices.Clone(tables)}
	if err := nameColumns(d.Tables); err != nil {
		return Definition{}, fmt.Errorf("set tables: %w", err)
	}
	// Above any group's size: a transaction by itself.
	err = s.write(ctx, s.o.GroupBytes+1, func(t *tx) error { return t.setTables(&d) })
	if err != nil {
		return Definition{}, fmt.Errorf("set tables: %w", err)
	}
	return d, nil
}

// nameColumns checks tables and names their columns.
func nameColumns(tables []Table) error {
	if len(tables) > MaxTables {
		return fmt.Errorf("%w: %d collections, at most %d", ErrDefinition, len(tables), MaxTables)
	}
	seen := map[string]bool{}
	for i := range tables {
		t := &tables[i]
		if seen[t.Collection] {
			return fmt.Errorf("%w: collection %q twice", ErrDefinition, t.Collection)
		}
		seen[t.Collection] = true
		if len(t.Columns) > MaxColumns {
			return fmt.Errorf("%w: collection %q has %d fields, at most %d", ErrDefinition, t.Collection, len(t.Columns), MaxColumns)
		}
		t.Columns = slices.Clone(t.Columns)
		fields := make([]string, len(t.Columns))
		for k, c := range t.Columns {
			if slices.Contains(fields[:k], c.Field) {
				return fmt.Errorf("%w: field %q of %q twice", ErrDefinition, c.Field, t.Collection)
			}
			fields[k] = c.Field
		}
		names := VisibleNames(fields, columnRow, ColumnDocument, ColumnEntity, ColumnExtra, ColumnConflict, ColumnViolation)
		for k := range t.Columns {
			c := &t.Columns[k]
			c.Name = names[k]
			switch {
			case c.Name == "":
				return fmt.Errorf("%w: no name is left for field %q of %q; rename it", ErrDefinition, c.Field, t.Collection)
			case c.Search && strings.Contains(c.Name, "="):
				// The index would take it for one of its options.
				return fmt.Errorf("%w: field %q of %q cannot be searched: its name has a =", ErrDefinition, c.Field, t.Collection)
			}
		}
	}
	return nil
}

// setTables drops what there is and makes what is defined.
func (t *tx) setTables(d *Definition) error {
	defined, err := t.definedTables()
	if err != nil {
		return err
	}
	for _, n := range defined {
		for _, q := range dropTables(n) {
			if err := t.once(q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
	}
	t.w.forgetProjections()
	for _, q := range []string{`DELETE FROM entities`, `DELETE FROM projections`, allBehind} {
		if err := t.exec(q); err != nil {
			return err
		}
	}
	if err := t.exec(`UPDATE projecting SET generation = generation + 1, definition = ?`, blob(d.Source)); err != nil {
		return err
	}
	if d.Generation, err = t.int64(`SELECT generation FROM projecting`); err != nil {
		return err
	}
	for i := range d.Tables {
		if err := t.makeTable(int64(i)+1, &d.Tables[i]); err != nil {
			return fmt.Errorf("make the table of %q: %w", d.Tables[i].Collection, err)
		}
	}
	t.tables = true
	return nil
}

// allBehind has the tables count as showing nothing of any document.
const allBehind = `UPDATE documents SET projected_row = 0, projecting = 0`

// dropTables drops the n-th table.
func dropTables(n int64) []string {
	return []string{`DROP TABLE IF EXISTS ` + searchTable(n), `DROP TABLE IF EXISTS ` + projectionTable(n)}
}

// definedTables lists the numbers of the collections with tables of their own.
func (t *tx) definedTables() (numbers []int64, err error) {
	err = t.all(func(r *sql.Rows) error {
		var n int64
		err := r.Scan(&n)
		numbers = append(numbers, n)
		return err
	}, `SELECT id FROM projections WHERE definition IS NOT NULL`)
	return numbers, err
}

// makeTable makes the n-th table, with its full-text index. Columns have no type, so
// that a value is stored as it came, whatever the definition says.
func (t *tx) makeTable(n int64, table *Table) error {
	text, err := json.Marshal(table)
	if err != nil {
		return err
	}
	if err := t.exec(`INSERT INTO projections (id, collection, definition) VALUES (?, ?, ?)`, n, table.Collection, string(text)); err != nil {
		return err
	}
	for _, q := range table.statements(n) {
		if err := t.once(q); err != nil {
			return err
		}
	}
	return nil
}

// statements make the n-th table.
func (t *Table) statements(n int64) []string {
	var columns strings.Builder
	for _, c := range t.Columns {
		columns.WriteString(QuoteName(c.Name) + ", ")
	}
	statements := []string{fmt.Sprintf(`CREATE TABLE %s (_row INTEGER PRIMARY KEY, _doc TEXT NOT NULL, _id TEXT NOT NULL, %s
		_extra TEXT, _conflict INTEGER NOT NULL, _violation TEXT, UNIQUE (_doc, _id))`, projectionTable(n), columns.String())}
	if names := t.searched(); len(names) > 0 {
		statements = append(statements, searchStatements(n, names, t.Search)...)
	}
	return statements
}

// columnNames are the names of all columns, in order.
func (t *Table) columnNames() []string {
	names := []string{columnRow, ColumnDocument, ColumnEntity}
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return append(names, ColumnExtra, ColumnConflict, ColumnViolation)
}

// searched lists the columns of the full-text index.
func (t *Table) searched() (names []string) {
	for _, c := range t.Columns {
		if c.Search {
			names = append(names, QuoteName(c.Name))
		}
	}
	return names
}

// written lists the columns in which an entity is shown, quoted.
func (t *Table) written() []string {
	names := make([]string, 0, len(t.Columns)+3)
	for _, c := range t.Columns {
		names = append(names, QuoteName(c.Name))
	}
	return append(names, ColumnExtra, ColumnConflict, ColumnViolation)
}

// searchStatements make a full-text index that has the words alone: the texts are
// read from the table. Triggers keep it, so that whoever writes a row cannot leave
// the index behind; the old words go before the old text does.
func searchStatements(n int64, names []string, o Search) []string {
	table, search := projectionTable(n), searchTable(n)
	changed := make([]string, len(names))
	fresh := make([]string, len(names))
	for i, name := range names {
		changed[i] = fmt.Sprintf("OLD.%s IS NOT NEW.%[1]s", name)
		fresh[i] = "NEW." + name
	}
	when := strings.Join(changed, " OR ")
	forget := fmt.Sprintf(`DELETE FROM %s WHERE docid = OLD._row;`, search)
	enter := fmt.Sprintf(`INSERT INTO %s (docid, %s) VALUES (NEW._row, %s);`, search, strings.Join(names, ", "), strings.Join(fresh, ", "))
	return []string{
		fmt.Sprintf(`CREATE VIRTUAL TABLE %s USING fts4(content=%q, %s, %s)`, search, table, strings.Join(names, ", "), o.tokenizer()),
		fmt.Sprintf(`CREATE TRIGGER %s_inserted AFTER INSERT ON %s BEGIN %s END`, search, table, enter),
		fmt.Sprintf(`CREATE TRIGGER %s_deleted BEFORE DELETE ON %s BEGIN %s END`, search, table, forget),
		fmt.Sprintf(`CREATE TRIGGER %s_updating BEFORE UPDATE ON %s WHEN %s BEGIN %s END`, search, table, when, forget),
		fmt.Sprintf(`CREATE TRIGGER %s_updated AFTER UPDATE ON %s WHEN %s BEGIN %s END`, search, table, when, enter),
	}
}

func (o Search) tokenizer() string {
	diacritics := 2 // also of letters that have several
	if o.KeepDiacritics {
		diacritics = 0
	}
	s := fmt.Sprintf(`tokenize=unicode61 "remove_diacritics=%d"`, diacritics)
	if o.TokenChars != "" {
		s += " " + QuoteName("tokenchars="+o.TokenChars)
	}
	if o.Separators != "" {
		s += " " + QuoteName("separators="+o.Separators)
	}
	return s
}

// projectionTable and searchTable name the tables of a collection in the file.
func projectionTable(n int64) string { return fmt.Sprintf("projection_%d", n) }
func searchTable(n int64) string     { return fmt.Sprintf("%s%d", searchPrefix, n) }

const searchPrefix = "search_"
