package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/id"
	"syncline/storage"
)

// tables are what is kept so that rows can show documents.
type tables struct {
	generation int64
	source     []byte
	defined    []storage.Table
}

// cell is where a row stands within its document.
type cell struct{ collection, entity string }

// shown is how far, and as what, the tables show a document.
type shown struct {
	through int64 // -1: there are no tables
	builder int64 // the opening that makes the rows anew, part by part
	rows    map[cell]storage.EntityRow
}

func (s shown) clone() shown {
	s.rows = maps.Clone(s.rows)
	return s
}

// Definition is storage.Store's.
func (s *Store) Definition(ctx context.Context) (storage.Definition, error) {
	if err := s.ok(ctx); err != nil {
		return storage.Definition{}, err
	}
	t := &s.d.tables
	return storage.Definition{Generation: t.generation, Source: t.source, Tables: slices.Clone(t.defined)}, nil
}

// SetTables is storage.Store's, for tables that can be made.
func (s *Store) SetTables(ctx context.Context, source []byte, all []storage.Table) (storage.Definition, error) {
	if err := s.ok(ctx); err != nil {
		return storage.Definition{}, err
	}
	all = slices.Clone(all)
	for i := range all {
		all[i].Columns = slices.Clone(all[i].Columns)
		fields := make([]string, len(all[i].Columns))
		for k, c := range all[i].Columns {
			fields[k] = c.Field
		}
		taken := []string{"_row", storage.ColumnDocument, storage.ColumnEntity, storage.ColumnExtra, storage.ColumnConflict, storage.ColumnViolation}
		for k, name := range storage.VisibleNames(fields, taken...) {
			all[i].Columns[k].Name = name
		}
	}
	s.d.tables = tables{generation: s.d.tables.generation + 1, source: append([]byte{}, source...), defined: all}
	for _, doc := range s.d.docs {
		doc.shown = shown{rows: map[cell]storage.EntityRow{}}
	}
	return s.Definition(ctx)
}

// Project is storage.Store's.
func (s *Store) Project(ctx context.Context, applied []int64, ps ...*storage.Projection) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	if err := s.d.fit(ps); err != nil {
		return err
	}
	s.d.applied(applied)
	for _, p := range ps {
		p.Kept = false
		if doc := s.d.byDoc[p.Doc]; doc != nil {
			s.project(doc, p, doc.info.LastRow)
		}
	}
	return nil
}

// fit refuses rows that do not have a value for each column.
func (d *Disk) fit(ps []*storage.Projection) error {
	for _, p := range ps {
		for i := range p.Rows {
			r := &p.Rows[i]
			k := slices.IndexFunc(d.tables.defined, func(t storage.Table) bool { return t.Collection == r.Collection })
			if k >= 0 && !r.Gone && p.Generation == d.tables.generation && len(r.Values) != len(d.tables.defined[k].Columns) {
				return fmt.Errorf("entity %s/%s: %w: %d values", r.Collection, r.Entity, storage.ErrInvalid, len(r.Values))
			}
		}
	}
	return nil
}

// project keeps a projection if it leaves nothing out. before is the last row that the
// document had before the transaction.
func (s *Store) project(doc *document, p *storage.Projection, before int64) {
	p.Kept = false
	n := &doc.shown
	switch {
	case s.d.tables.generation != p.Generation || n.through != p.Base:
		return
	case p.Anew || n.builder != 0:
		if !p.Anew && n.builder != s.opening {
			return
		}
	case p.Through > 0:
	case doc.between(p.Base, before) != p.Changes:
		return
	}
	if p.Anew {
		clear(n.rows)
	}
	for at := range n.rows {
		if slices.Contains(p.Clear, at.collection) {
			delete(n.rows, at)
		}
	}
	for _, r := range p.Rows {
		at := cell{r.Collection, r.Entity}
		if r.Gone {
			delete(n.rows, at)
		} else {
			r.Values = slices.Clone(r.Values)
			n.rows[at] = r
		}
	}
	p.Kept = true
	if p.More {
		if p.Anew {
			n.through, n.builder = 0, s.opening
		}
		return
	}
	n.builder = 0
	if n.through = p.Through; p.Through == 0 {
		n.through = doc.info.LastRow
	}
}

// between counts the rows of the journal above one, up to another.
func (doc *document) between(after, through int64) (n int64) {
	for _, row := range doc.rows {
		if row > after && row <= through {
			n++
		}
	}
	return n
}

// Lag is storage.Store's.
func (s *Store) Lag(ctx context.Context, doc id.Document) (storage.Lag, error) {
	if err := s.ok(ctx); err != nil {
		return storage.Lag{}, err
	}
	d := s.d.byDoc[doc]
	if d == nil {
		return storage.Lag{Doc: doc}, fmt.Errorf("look how far document %s is projected: %w", doc, storage.ErrNotFound)
	}
	return s.d.lag(d), nil
}

func (d *Disk) lag(doc *document) storage.Lag {
	return storage.Lag{Doc: doc.info.Doc, Projected: doc.shown.through, LastRow: doc.info.LastRow, Generation: d.tables.generation}
}

// Behind is storage.Store's.
func (s *Store) Behind(ctx context.Context, limit int) (generation int64, all []storage.Lag, err error) {
	if err := s.ok(ctx); err != nil {
		return 0, nil, err
	}
	for _, doc := range s.d.docs {
		if n := doc.shown.through; n >= 0 && n < doc.info.LastRow && len(all) < limit {
			all = append(all, s.d.lag(doc))
		}
	}
	return s.d.tables.generation, all, nil
}

// Rows lists what the tables show of a document, by collection and entity.
func (d *Disk) Rows(doc id.Document) (all []storage.EntityRow) {
	known := d.byDoc[doc]
	if known == nil {
		return nil
	}
	for _, r := range known.shown.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b storage.EntityRow) int {
		return cmp.Or(cmp.Compare(a.Collection, b.Collection), cmp.Compare(a.Entity, b.Entity))
	})
	return all
}
