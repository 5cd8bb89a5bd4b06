package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"syncline/crdt/id"
)

// Shown is what the tables show of the document of a Look: its rows, to be held
// against what they should be. It takes no memory for them.
type Shown struct {
	// Definition is what the tables were made by.
	Definition

	l      *Look
	doc    string
	tables []*shownTable
}

// shownTable has the rows of one collection, or, without a table, of all that have
// none of their own.
type shownTable struct {
	number  int64
	table   *Table
	compare *sql.Stmt
}

// ErrTables: a table is not as it was defined.
var ErrTables = errors.New("the tables are not as they were defined")

// shownSince is the schema that has tables.
const shownSince = 6

// Shown calls fn with what the tables show of the document, if they show all that the
// journal has of it, as far as the file says. An error of fn is returned as it is.
func (l *Look) Shown(fn func(*Shown) error) error {
	if l.i.version < shownSince {
		return nil
	}
	s := &Shown{l: l, doc: l.Doc.String()}
	var projected int64
	err := l.i.conn.QueryRowContext(l.ctx, `SELECT projected_row, generation, definition FROM documents, projecting WHERE id = ?`, l.Number).
		Scan(&projected, &s.Generation, &s.Source)
	if err != nil {
		return l.failed("look how far the tables show it", classify(err))
	}
	if s.Generation == 0 || projected < l.LastRow || projected <= 0 {
		return nil
	}
	defer s.close()
	if err := s.open(); err != nil {
		return l.failed("read what the tables were made by", err)
	}
	return fn(s)
}

// open finds the tables out, once for all documents of an inspection.
func (s *Shown) open() error {
	k := &s.l.i.known
	if k.generation != s.Generation {
		numbers, tables, err := s.l.i.asDefined(s.l.ctx)
		if err != nil {
			return err
		}
		*k = knownTables{s.Generation, numbers, tables}
	}
	s.Tables, s.tables = k.tables, []*shownTable{{}}
	for i := range k.tables {
		s.tables = append(s.tables, &shownTable{number: k.numbers[i], table: &k.tables[i]})
	}
	return nil
}

// knownTables are the tables of a definition.
type knownTables struct {
	generation int64 // 0: none
	numbers    []int64
	tables     []Table
}

// defined lists the tables of collections that have their own.
func (i *Inspection) defined(ctx context.Context) (numbers []int64, tables []Table, err error) {
	err = i.rows(ctx, func(r *sql.Rows) error {
		var n int64
		var t Table
		var text string
		err := r.Scan(&n, &t.Collection, &text)
		if err == nil {
			if err := json.Unmarshal([]byte(text), &t); err != nil {
				return fmt.Errorf("%w: collection %q: %w", ErrTables, t.Collection, err)
			}
		}
		numbers, tables = append(numbers, n), append(tables, t)
		return err
	}, `SELECT id, collection, definition FROM projections WHERE definition IS NOT NULL ORDER BY id`)
	return numbers, tables, err
}

// asDefined is defined of tables that are there as they were defined. SQLite would
// read a column that is not there as a text, and a row cannot be written beside a
// full-text index that has gone.
func (i *Inspection) asDefined(ctx context.Context) (numbers []int64, tables []Table, err error) {
	numbers, tables, err = i.defined(ctx)
	for k := range tables {
		t := &tables[k]
		has, err := i.names(ctx, `SELECT name FROM pragma_table_info(?) ORDER BY cid`, projectionTable(numbers[k]))
		if err != nil {
			return nil, nil, err
		}
		switch want := t.columnNames(); {
		case len(has) == 0:
			return nil, nil, fmt.Errorf("%w: there is no table of %q", ErrTables, t.Collection)
		case !slices.Equal(has, want):
			return nil, nil, fmt.Errorf("%w: the table of %q has the columns %q, not %q", ErrTables, t.Collection, has, want)
		case len(t.searched()) == 0:
			continue
		}
		search := searchTable(numbers[k])
		has, err = i.names(ctx, `SELECT substr(name, length(?1) + 1) FROM sqlite_schema WHERE name = ?1 OR tbl_name = ?2 AND type = 'trigger' AND substr(name, 1, length(?1)) = ?1 ORDER BY 1`, search, projectionTable(numbers[k]))
		if err != nil {
			return nil, nil, err
		}
		if want := []string{"", "_deleted", "_inserted", "_updated", "_updating"}; !slices.Equal(has, want) {
			return nil, nil, fmt.Errorf("%w: the full-text index of %q is not whole", ErrTables, t.Collection)
		}
	}
	return numbers, tables, err
}

// names are what a query selects.
func (i *Inspection) names(ctx context.Context, query string, args ...any) (names []string, err error) {
	err = i.rows(ctx, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		names = append(names, name)
		return err
	}, query, args...)
	return names, err
}

func (s *Shown) close() {
	for _, t := range s.tables {
		if t.compare != nil {
			t.compare.Close()
		}
	}
}

// of returns where the rows of a collection are.
func (s *Shown) of(collection string) *shownTable {
	for _, t := range s.tables[1:] {
		if t.table.Collection == collection {
			return t
		}
	}
	return s.tables[0]
}

// from names the table and says which rows of it are the document's.
func (t *shownTable) from() string {
	if t.table == nil {
		return `entities LEFT JOIN projections ON projections.id = entities.collection WHERE _doc = ?`
	}
	return projectionTable(t.number) + ` WHERE _doc = ?`
}

// Agrees reports whether the tables have a row of the entity, and whether it is this
// one. Errors: ErrTables, ErrDamaged, and those of the disk.
func (s *Shown) Agrees(row *EntityRow) (there, same bool, err error) {
	t := s.of(row.Collection)
	if t.compare == nil {
		columns, where := []string{ColumnJSON, ColumnConflict}, ` AND projections.collection = ? AND _id = ?`
		if t.table != nil {
			columns, where = t.table.written(), ` AND _id = ?`
		}
		query := fmt.Sprintf(`SELECT (%s) IS (?%s) FROM %s%s`, strings.Join(columns, ", "), strings.Repeat(", ?", len(columns)-1), t.from(), where)
		if t.compare, err = s.l.i.conn.PrepareContext(s.l.ctx, query); err != nil {
			return false, false, s.failed(err)
		}
	}
	var args []any
	if t.table == nil {
		args = append(args, row.JSON, row.Conflict, s.doc, row.Collection, row.Entity)
	} else {
		args = append(row.appendTo(args), s.doc, row.Entity)
	}
	err = t.compare.QueryRowContext(s.l.ctx, args...).Scan(&same)
	if errors.Is(err, sql.ErrNoRows) {
		return false, false, nil
	}
	return err == nil, same, s.failed(err)
}

// Count returns how many rows of the document there are. Errors as Agrees'.
func (s *Shown) Count() (n int64, err error) {
	for _, t := range s.tables {
		var some int64
		if err := s.l.i.number(s.l.ctx, &some, `SELECT count(*) FROM `+t.from(), s.doc); err != nil {
			return 0, s.failed(err)
		}
		n += some
	}
	return n, nil
}

// Each calls fn with the entities of which there are rows. An error of fn ends it and
// is returned as it is; else errors as Agrees'.
func (s *Shown) Each(fn func(collection, entity string) error) error {
	for _, t := range s.tables {
		columns := "coalesce(projections.collection, ''), _id"
		if t.table != nil {
			columns = "'', _id"
		}
		err := s.l.i.rows(s.l.ctx, func(r *sql.Rows) error {
			var collection, entity string
			if err := r.Scan(&collection, &entity); err != nil {
				return err
			}
			if t.table != nil {
				collection = t.table.Collection
			}
			return fn(collection, entity)
		}, `SELECT `+columns+` FROM `+t.from(), s.doc)
		if err != nil {
			return s.failed(err)
		}
	}
	return nil
}

func (s *Shown) failed(err error) error {
	return s.l.failed("read its rows in the tables", tablesError(err))
}

// tablesError names what SQLite says about a table or a column that is not there.
func tablesError(err error) error {
	if e, ok := errors.AsType[sqlite3.Error](err); ok && e.Code == sqlite3.ErrError {
		return fmt.Errorf("%w: %w", ErrTables, err)
	}
	return classify(err)
}

// ShownNowhere calls fn with what names a document in the tables that the file does not
// have. An error of fn ends it and is returned as it is; else errors as Shown.Agrees'.
func (i *Inspection) ShownNowhere(ctx context.Context, fn func(doc string) error) error {
	if i.version < shownSince {
		return nil
	}
	if _, err := i.conn.ExecContext(ctx, `SAVEPOINT shown`); err != nil {
		return classify(err)
	}
	defer i.conn.ExecContext(context.WithoutCancel(ctx), `RELEASE shown`)
	numbers, _, err := i.asDefined(ctx)
	if err != nil {
		return err
	}
	tables := []string{"entities"}
	for _, n := range numbers {
		tables = append(tables, projectionTable(n))
	}
	for _, table := range tables {
		err := i.rows(ctx, func(r *sql.Rows) error {
			var name string
			if err := r.Scan(&name); err != nil {
				return err
			}
			var known bool
			if doc, err := id.ParseDocument(name); err == nil {
				if err := i.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM documents WHERE doc = ?)`, doc[:]).Scan(&known); err != nil {
					return classify(err)
				}
			}
			if known {
				return nil
			}
			return fn(name)
		}, `SELECT DISTINCT _doc FROM `+table)
		if err != nil {
			return tablesError(err)
		}
	}
	return nil
}

// Unshow has the tables count as showing nothing of a document, so that whoever keeps
// them makes its rows anew; and deletes those that are where they would not be found.
func (m *Mending) Unshow(ctx context.Context, document int64, doc id.Document) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error {
		err := exec(`DELETE FROM entities WHERE _doc = ? AND collection NOT IN (SELECT id FROM projections WHERE definition IS NULL)`, doc.String())
		if err != nil {
			return err
		}
		return exec(`UPDATE documents SET projected_row = 0, projecting = 0 WHERE id = ? AND projected_row > 0`, document)
	})
	if err != nil {
		return fmt.Errorf("have the rows of document %s made anew: %w", doc, err)
	}
	return nil
}

// DropShown deletes the rows that tables have of a document, which is named as there.
func (m *Mending) DropShown(ctx context.Context, doc string) error {
	numbers, _, err := m.Inspection().defined(ctx)
	if err == nil {
		err = m.transact(ctx, func(exec func(string, ...any) error) error {
			if err := exec(`DELETE FROM entities WHERE _doc = ?`, doc); err != nil {
				return err
			}
			for _, n := range numbers {
				if err := exec(`DELETE FROM `+projectionTable(n)+` WHERE _doc = ?`, doc); err != nil {
					return err
				}
			}
			return exec(`UPDATE projections SET version = version + 1`)
		})
	}
	if err != nil {
		return fmt.Errorf("delete the rows of %q: %w", doc, err)
	}
	return nil
}

// RemakeTables makes all tables again as they were defined, empty: whoever keeps them
// makes the rows of every document anew. ErrTables if that cannot be read any more.
func (m *Mending) RemakeTables(ctx context.Context) error {
	numbers, tables, err := m.Inspection().defined(ctx)
	if err == nil {
		err = m.transact(ctx, func(exec func(string, ...any) error) error {
			queries := []string{`DELETE FROM entities`, allBehind, `UPDATE projections SET version = version + 1`, `UPDATE projecting SET generation = generation + 1`}
			for i, n := range numbers {
				queries = append(append(queries, dropTables(n)...), tables[i].statements(n)...)
			}
			for _, q := range queries {
				if err := exec(q); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("make the tables again: %w", err)
	}
	return nil
}
