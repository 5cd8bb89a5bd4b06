package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/graph"
	"syncline/storage"
)

// The way of a document's entities into the tables. What we do ourselves is shown by
// rows in the transaction of its change; what others did, by rows in the one that takes
// its marks away, after the core has it. Only entities that changes have touched are
// read again.
//
// A desk knows up to which row of the journal the tables show its document, and
// projects what comes after. If it does not know, or another process has been there,
// the document falls behind and is brought up from the journal (catchUp): at the
// start, before a query, and when the desk finds out.

// Bounds of one transaction with rows.
const (
	// maxRowsTogether is how many rows go with the changes that they show; a document
	// in which more was touched is projected anew, in parts.
	maxRowsTogether = 1 << 17
	// partRows and partBytes bound a part of a document that is projected anew.
	partRows  = 2048
	partBytes = 4 << 20
)

// errManyRows says that more was touched than goes into one transaction.
var errManyRows = errors.New("too many rows for one transaction")

// showing is what a desk knows of how the tables show its document.
type showing struct {
	known bool  // the rest is so
	base  int64 // they show it up to this row of the journal
	loose int64 // rows above that are in the replica
	dirty dirty.Set
	asked bool // the desk is to catch up

	next *storage.Projection // goes with the next batch
}

// locate finds out how far the tables show the document, if they show all of it.
func (d *desk) locate(t *tables) {
	lag, err := t.store.Lag(d.p.io, d.doc)
	if errors.Is(err, storage.ErrNotFound) {
		err = nil // it comes to be with its first change
	}
	if err == nil && lag.Projected == lag.LastRow && lag.LastRow == d.lastRow {
		d.shown = showing{known: true, base: lag.LastRow}
		return
	}
	d.lost(err)
}

// located returns the tables if the desk knows how far they show the document; it is
// called before something is stored.
func (d *desk) located() *tables {
	t := d.p.tables.Load()
	if t != nil && !d.shown.known && !d.shown.asked {
		d.locate(t)
	}
	if !d.shown.known {
		return nil
	}
	return t
}

// lost notes that the tables are behind, or may be.
func (d *desk) lost(err error) {
	if err != nil && d.p.io.Err() == nil {
		d.log.Warn("the tables do not show the document as it is", "err", err)
	}
	asked := d.shown.asked
	d.shown = showing{asked: true}
	if !asked {
		d.put(parcel{in: look{}})
	}
}

// touch notes what changes, that the core has, have touched.
func (d *desk) touch(doc *crdt.Document, changes []*chunk.Change) error {
	touched, err := doc.Touched(changes)
	if err == nil {
		d.shown.dirty.Merge(touched)
	}
	return err
}

// projectOwn prepares the rows for changes of ours, which go with them.
func (d *desk) projectOwn(doc *crdt.Document, changes []*chunk.Change) {
	t := d.located()
	if t == nil {
		return
	}
	err := d.touch(doc, changes)
	if err == nil {
		d.shown.next, err = d.projection(t, doc)
	}
	if err != nil {
		d.lost(err)
	}
}

// projection is what was touched, as it is now.
func (d *desk) projection(t *tables, doc *crdt.Document) (*storage.Projection, error) {
	p := &storage.Projection{Doc: d.doc, Generation: t.generation, Base: d.shown.base, Changes: d.shown.loose}
	return p, t.fill(p, doc, &d.shown.dirty, d.forked())
}

// line is how much of a graph is one line of changes, without any that are concurrent, but
// for foundings (crdt.Founding) and what else has one operation and depends on nothing:
// that works on the root.
type line struct {
	g     *graph.Graph
	nodes int
	end   int // the last node of the line, and one; 0: there is none yet
	forks bool
}

// forked reports whether there may be concurrent changes: a second head, or what an actor
// begins with, which may have been issued again (package dirty). Without, no field has
// several values, and the core need not look for them: half of what reading an entity costs.
func (d *desk) forked() bool {
	if d.line.g != d.r.graph {
		d.line = line{g: d.r.graph}
	}
	l := &d.line
	for ; !l.forks && l.nodes < l.g.Nodes(); l.nodes++ {
		parents := slices.Collect(l.g.Parents(l.nodes))
		if len(parents) == 0 && l.g.Meta(l.nodes).NumOps == 1 {
			continue
		}
		// What else a change names is an ancestor of the one before, or a founding.
		l.forks = l.end > 0 && (l.g.Seq(l.nodes) == 1 || !slices.Contains(parents, l.end-1))
		l.end = l.nodes + 1
	}
	return l.forks
}

// fill reads the rows of a projection. forked says that there may be conflicts.
func (t *tables) fill(p *storage.Projection, doc *crdt.Document, set *dirty.Set, forked bool) error {
	if set.All || set.Len() > maxRowsTogether {
		return errManyRows
	}
	sel := crdt.SelectionOf(*set)
	sel.Collections = slices.DeleteFunc(sel.Collections, hidden)
	p.Clear = sel.Collections
	sel.Conflicts = forked
	return t.each(doc, sel, func(row storage.EntityRow) error {
		if hidden(row.Collection) {
			return nil
		}
		if len(p.Rows) == maxRowsTogether {
			return errManyRows
		}
		p.Rows = append(p.Rows, row)
		return nil
	})
}

// each reads entities as rows.
func (t *tables) each(doc *crdt.Document, sel crdt.Selection, fn func(storage.EntityRow) error) error {
	return doc.Select(sel, func(e crdt.Entity) error {
		m, err := doc.Merge(t.rules, e)
		if err != nil {
			return err
		}
		return fn(t.row(&m))
	})
}

// stored notes that a batch of so many changes is in the journal.
func (d *desk) stored(p *storage.Projection, rows []int64) {
	switch {
	case !d.shown.known:
	case p == nil:
		d.shown.loose += int64(len(rows))
	case p.Kept:
		d.shown = showing{known: true, base: slices.Max(rows)}
	default:
		d.lost(nil) // another process has been there
	}
}

// endApplying takes the marks of changes away that the core has, of which it is told
// last if no more of them come. With the last go the rows that show them.
func (d *desk) endApplying(ctx context.Context, doc *crdt.Document, rows []int64, changes []*chunk.Change, last bool) error {
	t := d.p.tables.Load()
	if t == nil || !d.shown.known {
		return d.p.store.EndApplying(ctx, rows)
	}
	err := d.touch(doc, changes)
	if err == nil && !last {
		return d.p.store.EndApplying(ctx, rows)
	}
	var p *storage.Projection
	if err == nil {
		p, err = d.projection(t, doc)
	}
	if err == nil {
		if err = t.store.Project(ctx, rows, p); err == nil && p.Kept {
			d.shown = showing{known: true, base: d.journaled}
			return nil
		}
	} else if endErr := d.p.store.EndApplying(ctx, rows); endErr != nil {
		return endErr
	}
	d.lost(err)
	return err
}

// remake notes that the document has become another, not only more.
func (d *desk) remake() {
	d.schemas = schemas{}
	if d.p.tables.Load() != nil {
		d.remade = true
		d.lost(nil)
	}
}

// lookElsewhere takes in what another process has stored, and brings the tables up if
// there are any.
func (d *desk) lookElsewhere() error {
	if d.p.tables.Load() == nil {
		d.readElsewhere()
		return nil
	}
	return d.catchUp(d.p.io)
}

// maxCatches is how often a desk tries to bring the tables up while another process
// does as well.
const maxCatches = 3

// catchUp brings the tables up to what the journal has of the document. Nothing may be
// staged.
func (d *desk) catchUp(ctx context.Context) error {
	d.shown = showing{}
	t := d.p.tables.Load()
	if t == nil {
		return nil
	}
	for range maxCatches {
		d.readElsewhere()
		lag, err := t.store.Lag(ctx, d.doc)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if lag.Generation != t.generation {
			return d.p.checkTables(ctx, lag.Generation)
		}
		if lag.LastRow != d.lastRow {
			continue // it came between, or could not be read
		}
		if lag.Projected != lag.LastRow || d.remade {
			kept, err := d.bringUp(ctx, t, lag)
			if err != nil {
				return fmt.Errorf("project document %s: %w", d.doc, err)
			}
			if !kept {
				continue
			}
		}
		d.remade = false
		d.shown = showing{known: true, base: d.lastRow}
		return nil
	}
	return fmt.Errorf("project document %s: %w", d.doc, errNotKept)
}

// bringUp projects what the tables lack, with all that the replica has.
func (d *desk) bringUp(ctx context.Context, t *tables, lag storage.Lag) (kept bool, err error) {
	lease, err := d.p.cache.Acquire(ctx, d.doc)
	if err != nil {
		return false, err
	}
	defer lease.Release()
	doc := lease.Document()
	var newer []int
	for _, n := range standingNodes(d.r.graph) {
		if d.r.graph.Row(n) > lag.Projected {
			newer = append(newer, n)
		}
	}
	if lag.Projected == 0 || d.remade || d.overturned(lag.Projected) || len(newer) > d.r.graph.Len()/2 {
		return d.projectAnew(ctx, t, doc, lag)
	}
	var set dirty.Set
	err = d.changes(ctx, newer, func(_ int, c *chunk.Change) error {
		touched, err := doc.Touched([]*chunk.Change{c})
		set.Merge(touched)
		return err
	})
	if err != nil {
		return false, err
	}
	p := &storage.Projection{Doc: d.doc, Generation: t.generation, Base: lag.Projected, Through: d.lastRow}
	if err := t.fill(p, doc, &set, d.forked()); errors.Is(err, errManyRows) {
		return d.projectAnew(ctx, t, doc, lag)
	} else if err != nil {
		return false, err
	}
	err = t.store.Project(ctx, nil, p)
	return p.Kept, err
}

// overturned reports whether a twin has come after a row of the journal: changes up to
// that row may not stand any more, and what they did is in no newer one.
func (d *desk) overturned(row int64) bool {
	return slices.ContainsFunc(d.r.graph.Twins(), func(t graph.Twin) bool { return slices.Max(t.Rows) > row })
}

// errNotKept ends a projection of which another process has taken over the rest.
var errNotKept = errors.New("another process keeps changing it; it is tried again when that stops")

// projectAnew makes all rows of the document again, in parts. Until the last the
// document counts as not shown at all, so that queries wait for it.
func (d *desk) projectAnew(ctx context.Context, t *tables, doc *crdt.Document, lag storage.Lag) (kept bool, err error) {
	names, err := doc.Collections()
	if err != nil {
		return false, err
	}
	names = slices.DeleteFunc(names, hidden)
	p := &storage.Projection{Doc: d.doc, Generation: t.generation, Base: lag.Projected, Through: d.lastRow, Anew: true}
	flush := func() error {
		if err := t.store.Project(ctx, nil, p); err != nil {
			return err
		}
		if !p.Kept {
			return errNotKept
		}
		p.Anew, p.Base, p.Rows = false, 0, p.Rows[:0]
		return nil
	}
	var size int64
	err = t.each(doc, crdt.Selection{Collections: names, Conflicts: d.forked()}, func(row storage.EntityRow) error {
		if len(p.Rows) == partRows || size > partBytes {
			size, p.More = 0, true
			if err := flush(); err != nil {
				return err
			}
		}
		size += row.Size()
		p.Rows = append(p.Rows, row)
		return nil
	})
	if err == nil {
		p.More = false
		err = flush()
	}
	if errors.Is(err, errNotKept) {
		return false, nil
	}
	return err == nil, err
}
