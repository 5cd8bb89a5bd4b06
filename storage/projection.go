package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"syncline/crdt/id"
)

// Projection is what changes of one document did to its rows. It is stored with
// them (Batch.Projections), or after them (Project).
//
// Several processes may project one document, each with what it knows. So a
// projection says how far it goes, and is kept only if it then leaves nothing out:
// if the rows show the document up to Base, and what the journal has above that is
// what the projection knows. Otherwise the document falls behind, and whoever knows
// all brings it up (Behind).
type Projection struct {
	Doc id.Document
	// Generation is that of the definition by which the rows were made.
	Generation int64
	// Base is how far the tables show the document, a row of the journal.
	Base int64
	// Changes counts the rows of the journal above Base that the rows show; those
	// of the batch itself are not counted.
	Changes int64
	// Through, if not 0, is the row of the journal up to which everything is shown;
	// Changes is not used then.
	Through int64
	// Anew deletes the rows that the document had. It needs Through.
	Anew bool
	// More says that other parts follow, the first of which has Anew: their Base is
	// 0, which is where the document stands until the last one. If that does not
	// come, the next who finds the document behind takes it anew.
	More bool
	// Clear names collections of which the document's rows are deleted first.
	Clear []string
	Rows  []EntityRow

	// Kept is set when the transaction is over: the rows are in the tables.
	Kept bool
}

// EntityRow is an entity as it is now, or that it is gone.
type EntityRow struct {
	Collection string
	Entity     string
	Gone       bool
	// Values are those of the columns of a defined table, in its order: nil, int64,
	// float64, string, []byte or bool.
	Values []any
	// JSON is all that has no column, "" if nothing: in a collection without a
	// definition all of the entity.
	JSON      string
	Conflict  bool
	Violation string
}

// rowOverhead is about what a row costs beside its values, in bytes.
const rowOverhead = 100

// size is about the number of bytes that it stores.
func (p *Projection) size() (n int64) {
	for i := range p.Rows {
		n += p.Rows[i].Size()
	}
	return n
}

// Size is about the number of bytes that the row takes.
func (r *EntityRow) Size() int64 {
	n := rowOverhead + int64(len(r.Entity)+len(r.JSON)+9*len(r.Values))
	for _, v := range r.Values {
		switch v := v.(type) {
		case string:
			n += int64(len(v))
		case []byte:
			n += int64(len(v))
		}
	}
	return n
}

// Project stores projections of changes that are in the journal, and takes away the
// marks of rows that are now through their documents (Entry.Applying). It costs no
// fsync: should the machine lose it, the documents are behind and their marks are
// there. Errors as Append's.
func (s *Store) Project(ctx context.Context, applied []int64, ps ...*Projection) error {
	err := s.unsynced(ctx, applied, func(t *tx, list string) error {
		if len(applied) > 0 {
			if err := t.exec(`DELETE FROM applying WHERE row IN (SELECT value FROM json_each(?))`, list); err != nil {
				return err
			}
		}
		for _, p := range ps {
			if err := t.projectAlone(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("project %d documents: %w", len(ps), err)
	}
	return nil
}

// projectAlone stores a projection that comes after its changes.
func (t *tx) projectAlone(p *Projection) error {
	p.Kept = false
	n, err := t.known(p.Doc)
	if errors.Is(err, ErrNotFound) {
		return nil // it was deleted
	}
	if err != nil {
		return err
	}
	through, err := t.project(n, p, 0)
	if err != nil || !p.Kept || p.More {
		return err
	}
	return t.exec(`UPDATE documents SET projected_row = ? WHERE id = ?`, through, n)
}

// project puts rows into the tables if they leave nothing out, and returns up to
// which row of the journal the document is shown then. last is the last row that
// this transaction has appended to it, 0 if none; documents still says what was
// there before.
func (t *tx) project(document int64, p *Projection, last int64) (through int64, err error) {
	p.Kept = false
	var generation, base, before, builder int64
	err = t.row([]any{&generation, &base, &before, &builder},
		`SELECT generation, projected_row, last_row, projecting FROM projecting, documents WHERE id = ?`, document)
	if err != nil {
		return 0, fmt.Errorf("look how far document %s is projected: %w", p.Doc, err)
	}
	through = max(before, last)
	switch {
	case generation != p.Generation || base != p.Base:
		return 0, nil
	case p.Anew || builder != 0:
		if !p.Anew && builder != t.w.opening {
			return 0, nil // somebody else makes the rows anew
		}
	case p.Through > 0:
	case p.Changes == 0 && before == base:
	default:
		n, err := t.int64(`SELECT count(*) FROM journal WHERE document = ? AND seq > ? AND seq <= ?`, document, base, before)
		if err != nil {
			return 0, fmt.Errorf("look what document %s has beyond its rows: %w", p.Doc, err)
		}
		if n != p.Changes {
			return 0, nil
		}
	}
	if p.Through > 0 {
		through = p.Through
	}
	if err := t.projectRows(p); err != nil {
		return 0, fmt.Errorf("project document %s: %w", p.Doc, err)
	}
	if p.Anew || builder != 0 && !p.More {
		builder = 0
		if p.More {
			builder = t.w.opening
		}
		if err := t.exec(`UPDATE documents SET projected_row = 0, projecting = ? WHERE id = ?`, builder, document); err != nil {
			return 0, err
		}
	}
	p.Kept = true
	return through, nil
}

// projectRows writes the rows and moves the versions of the collections in which
// something has changed.
func (t *tx) projectRows(p *Projection) error {
	doc := p.Doc.String()
	moved := map[int64]struct{}{}
	if t.w.generation != p.Generation || len(t.w.projections) > maxRemembered {
		t.w.forgetProjections()
		t.w.generation = p.Generation
	}
	if p.Anew {
		if err := t.deleteRows(doc, moved); err != nil {
			return err
		}
	}
	for _, name := range p.Clear {
		if err := t.clear(name, doc, moved); err != nil {
			return fmt.Errorf("clear collection %q: %w", name, err)
		}
	}
	for i := range p.Rows {
		r := &p.Rows[i]
		c, err := t.collection(r.Collection, !r.Gone)
		if err != nil {
			return fmt.Errorf("collection %q: %w", r.Collection, err)
		}
		if c == nil {
			continue // what is gone was never there
		}
		changed, err := t.projectRow(c, doc, r)
		if err != nil {
			return fmt.Errorf("entity %s/%s: %w", r.Collection, r.Entity, err)
		}
		if changed {
			moved[c.number] = struct{}{}
		}
	}
	for number := range moved {
		if err := t.exec(`UPDATE projections SET version = version + 1 WHERE id = ?`, number); err != nil {
			return err
		}
		t.tables = true
	}
	return nil
}

// projectRow writes one row and reports whether that changed anything.
func (t *tx) projectRow(c *projected, doc string, r *EntityRow) (changed bool, err error) {
	query, args := c.remove, t.args[:0]
	switch {
	case r.Gone && c.table == nil:
		args = append(args, c.number, doc, r.Entity)
	case r.Gone:
		args = append(args, doc, r.Entity)
	case c.table == nil:
		query, args = c.put, append(args, c.number, doc, r.Entity, r.JSON, r.Conflict)
	case len(r.Values) != len(c.table.Columns):
		return false, fmt.Errorf("%w: %d values for %d columns", ErrInvalid, len(r.Values), len(c.table.Columns))
	default:
		query, args = c.put, r.appendTo(append(args, doc, r.Entity))
	}
	t.args = args
	result, err := t.result(query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// appendTo appends what a defined table has of the row, in the order of Table.written.
func (r *EntityRow) appendTo(args []any) []any {
	args = append(args, r.Values...)
	return append(args, orNull(r.JSON), r.Conflict, orNull(r.Violation))
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// deleteRows takes all rows of a document away, and notes where there were any.
func (t *tx) deleteRows(doc string, moved map[int64]struct{}) error {
	var names []string
	err := t.all(func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		names = append(names, name)
		return err
	}, `SELECT collection FROM projections WHERE definition IS NOT NULL
		OR EXISTS (SELECT 1 FROM entities WHERE collection = projections.id AND _doc = ?)`, doc)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.clear(name, doc, moved); err != nil {
			return fmt.Errorf("delete rows of %q: %w", name, err)
		}
	}
	return nil
}

// clear takes the rows of a document in one collection away.
func (t *tx) clear(name, doc string, moved map[int64]struct{}) error {
	c, err := t.collection(name, false)
	if err != nil || c == nil {
		return err
	}
	args := []any{doc}
	if c.table == nil {
		args = []any{c.number, doc}
	}
	result, err := t.result(c.removeAll, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if n > 0 {
		moved[c.number] = struct{}{}
	}
	return err
}

// projected is a collection as the writer knows it.
type projected struct {
	number int64
	table  *Table // nil: its rows are in entities

	// The statements, which for entities begin with the number.
	put, remove, removeAll string
}

// collection returns a collection; one that is not known is made known, or is nil.
func (t *tx) collection(name string, add bool) (*projected, error) {
	if c := t.w.projections[name]; c != nil {
		return c, nil
	}
	c := new(projected)
	var text sql.NullString
	err := t.row([]any{&c.number, &text}, `SELECT id, definition FROM projections WHERE collection = ?`, name)
	switch {
	case errors.Is(err, ErrNotFound) && !add:
		return nil, nil
	case errors.Is(err, ErrNotFound):
		result, err := t.result(`INSERT INTO projections (collection) VALUES (?)`, name)
		if err != nil {
			return nil, err
		}
		if c.number, err = result.LastInsertId(); err != nil {
			return nil, err
		}
		// Not remembered: it may be undone with its batch.
		t.tables = true
		c.entities()
		return c, nil
	case err != nil:
		return nil, err
	}
	if text.Valid {
		c.table = new(Table)
		if err := json.Unmarshal([]byte(text.String), c.table); err != nil {
			return nil, err
		}
		c.own()
	} else {
		c.entities()
	}
	t.w.projections[name] = c
	return c, nil
}

// maxRemembered bounds the collections that a writer remembers.
const maxRemembered = 4096

// entities sets the statements of a collection without a table.
func (c *projected) entities() {
	c.put = `INSERT INTO entities (collection, _doc, _id, _json, _conflict) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (collection, _doc, _id) DO UPDATE SET _json = excluded._json, _conflict = excluded._conflict
		WHERE _json IS NOT excluded._json OR _conflict IS NOT excluded._conflict`
	c.remove = `DELETE FROM entities WHERE collection = ? AND _doc = ? AND _id = ?`
	c.removeAll = `DELETE FROM entities WHERE collection = ? AND _doc = ?`
}

// own sets the statements of a table. A row that is as it was is not written, so that
// nobody is told of it.
func (c *projected) own() {
	name := projectionTable(c.number)
	columns := c.table.written()
	set := make([]string, len(columns))
	fresh := make([]string, len(columns))
	for i, k := range columns {
		fresh[i] = "excluded." + k
		set[i] = k + " = " + fresh[i]
	}
	list := strings.Join(columns, ", ")
	c.put = fmt.Sprintf(`INSERT INTO %s (_doc, _id, %s) VALUES (?, ?%s) ON CONFLICT (_doc, _id) DO UPDATE SET %s WHERE (%s) IS NOT (%s)`,
		name, list, strings.Repeat(", ?", len(columns)), strings.Join(set, ", "), list, strings.Join(fresh, ", "))
	c.remove = fmt.Sprintf(`DELETE FROM %s WHERE _doc = ? AND _id = ?`, name)
	c.removeAll = fmt.Sprintf(`DELETE FROM %s WHERE _doc = ?`, name)
}

// forgetProjections forgets what is remembered of the tables: they are others now, or
// a transaction that made a collection known was undone.
func (w *writer) forgetProjections() {
	for _, c := range w.projections {
		if c.table == nil {
			continue // statements that all such collections share
		}
		for _, query := range []string{c.put, c.remove, c.removeAll} {
			if s := w.stmts[query]; s != nil {
				s.Close()
				delete(w.stmts, query)
			}
		}
	}
	w.projections = make(map[string]*projected)
}
