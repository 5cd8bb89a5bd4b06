package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/schema"
	"syncline/peer/doctor"
	"syncline/storage"
)

// auditTables holds what the tables show of a document against what it holds, one
// entity after the other. Tables that are behind are left alone: whoever keeps them
// brings them up. Errors: storage.ErrTables.
func auditTables(d *doctor.Document, chunks [][]byte, found func(doctor.Finding)) error {
	return d.Shown(func(s *storage.Shown) error {
		t, exact, err := readTables(s.Definition)
		if err != nil {
			found(doctor.Finding{Kind: doctor.Projection, What: err.Error(),
				Why: "open the file with the app, which makes all tables anew by its schema; the documents are not concerned"})
			return nil
		}
		if t == nil {
			return nil
		}
		core, err := crdt.Load(crdt.MintActor(nil, d.Doc), chunks...)
		if err != nil {
			return err
		}
		defer core.Close()
		c := tablesAudit{t: t, exact: exact, shown: s, core: core}
		if err := c.run(); err != nil || c.agrees() {
			return err
		}
		number, doc := d.Number, d.Doc
		found(doctor.Finding{Kind: doctor.Projection, What: "the tables do not show what the document holds: " + c.String(),
			Mend: "make its rows anew", Open: true,
			Repair: func(ctx context.Context, m *storage.Mending) error { return m.Unshow(ctx, number, doc) }})
		return nil
	})
}

// readTables returns the tables as who made them would have them; nil if they will be
// made anew before they are next used. exact: rules that need functions of an app show
// here what they show there.
func readTables(def storage.Definition) (t *tables, exact bool, err error) {
	var source tablesSource
	if err := json.Unmarshal(def.Source, &source); err != nil {
		return nil, false, fmt.Errorf("what the tables were made by cannot be read: %w", err)
	}
	if source.Version != tablesVersion {
		return nil, false, nil
	}
	var rules crdt.Rules
	if source.Schema != nil {
		if rules.Schema, err = schema.Parse(source.Schema); err != nil {
			return nil, false, fmt.Errorf("the schema of the tables cannot be read: %w", err)
		}
	}
	own, err := sourceOf(rules)
	return newTables(nil, def, rules), bytes.Equal(own, def.Source), err
}

// tablesAudit holds the tables against a document.
type tablesAudit struct {
	t     *tables
	exact bool
	shown *storage.Shown
	core  *crdt.Document

	other, missing, stray differing
}

// differing counts entities, and names some.
type differing struct {
	n     int64
	names []string
}

// namedEntities is how many entities a person is told of.
const namedEntities = 3

func (d *differing) add(collection, entity string) {
	if d.n++; len(d.names) < namedEntities {
		d.names = append(d.names, collection+"/"+entity)
	}
}

func (c *tablesAudit) run() error {
	names, err := c.core.Collections()
	if err != nil {
		return err
	}
	var rows int64
	err = c.core.Select(crdt.Selection{Collections: names, Conflicts: true}, func(e crdt.Entity) error {
		if hidden(e.Collection) {
			return nil
		}
		contested := len(e.Contested) > 0
		m, err := c.core.Merge(c.t.rules, e)
		if err != nil {
			return err
		}
		row := c.t.row(&m)
		there, same, err := c.shown.Agrees(&row)
		switch {
		case err != nil:
			return err
		case !there:
			c.missing.add(row.Collection, row.Entity)
			return nil
		case !same && (c.exact || !contested):
			c.other.add(row.Collection, row.Entity)
		}
		rows++
		return nil
	})
	if err != nil {
		return err
	}
	n, err := c.shown.Count()
	if err != nil || n == rows {
		return err
	}
	return c.strays(n - rows)
}

// errNamed ends a search for names when there are enough.
var errNamed = errors.New("enough of them are named")

// strays names rows of what the document does not hold.
func (c *tablesAudit) strays(n int64) error {
	err := c.shown.Each(func(collection, entity string) error {
		e := crdt.Selection{Entities: map[string][]string{collection: {entity}}}
		there := false
		err := c.core.Select(e, func(e crdt.Entity) error {
			there = e.Present && !hidden(collection)
			return nil
		})
		if err != nil || there {
			return err
		}
		if c.stray.add(collection, entity); c.stray.n == min(n, namedEntities) {
			return errNamed
		}
		return nil
	})
	c.stray.n = n
	if errors.Is(err, errNamed) {
		return nil
	}
	return err
}

func (c *tablesAudit) agrees() bool { return c.other.n+c.missing.n+c.stray.n == 0 }

// String says in what they differ.
func (c *tablesAudit) String() string {
	var list []string
	for _, d := range []struct {
		differing
		one, many string
	}{
		{c.other, "a row says something else", "rows say something else"},
		{c.missing, "an entity has no row", "entities have no row"},
		{c.stray, "a row is of nothing in it", "rows are of nothing in it"},
	} {
		text := d.one
		if d.n == 0 {
			continue
		}
		if d.n > 1 {
			text = fmt.Sprintf("%d %s", d.n, d.many)
		}
		if len(d.names) > 0 {
			text += " (" + strings.Join(d.names, ", ")
			if int64(len(d.names)) < d.n {
				text += " …"
			}
			text += ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// showAnew makes the rows of documents of which the tables show nothing, if there are
// tables, and this peer can keep them.
func (p *Peer) showAnew(ctx context.Context, docs []id.Document) error {
	d, err := p.store.Definition(ctx)
	if err != nil || d.Generation == 0 {
		return err
	}
	if err := p.startTables(ctx); err != nil || p.tables.Load() == nil {
		return err
	}
	for _, doc := range docs {
		lag, err := p.store.Lag(ctx, doc)
		if err == nil && lag.Projected == 0 {
			err = p.ask(ctx, doc, func(d *desk) error { return d.catchUp(ctx) })
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}
