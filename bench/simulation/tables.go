package simulation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/value"
	"syncline/peer"
	"syncline/storage/query"
)

// tables: what a query would see is the same everywhere, and what the documents hold.
// These are equal by now, so that one of them is walked.
func (w *world) tables() {
	for i, doc := range w.docs {
		walked := w.devices[i%len(w.devices)]
		held, err := walked.holds(doc)
		if err != nil {
			w.fail("%s: document %x: %v", walked.name, doc[:2], err)
			return
		}
		for _, d := range w.devices {
			rows, err := d.rows(doc)
			if err == nil {
				err = different(rows, held, "the tables", "the document")
			}
			if err != nil {
				w.fail("%s: rows of document %x: %v", d.name, doc[:2], err)
				return
			}
		}
		w.note("%x has rows %q", doc[:2], held)
	}
}

// different says in what two lists differ.
func different(a, b []string, aName, bName string) error {
	for i := range max(len(a), len(b)) {
		at := func(list []string) string {
			if i < len(list) {
				return list[i]
			}
			return "nothing more"
		}
		if at(a) != at(b) {
			return fmt.Errorf("%s have %s, and %s has %s", aName, at(a), bName, at(b))
		}
	}
	return nil
}

// rows lists what the tables of a device show of a document.
func (d *device) rows(doc id.Document) (rows []string, err error) {
	err = errors.New("it died")
	d.do(func() { err = d.p.Show(ctx) })
	if err == nil {
		rows, err = d.disk.rows(doc)
	}
	return rows, err
}

// holds lists what a document holds, read without what makes rows of it.
func (d *device) holds(doc id.Document) (held []string, err error) {
	err = errors.New("it died")
	d.do(func() {
		var open *peer.Document
		if open, err = d.p.OpenDocument(ctx, doc); err == nil {
			err = open.Read(ctx, func(c *crdt.Document) (err error) {
				held, err = entities(c)
				return err
			})
		}
	})
	return held, err
}

// entities lists all that a document holds.
func entities(c *crdt.Document) (all []string, err error) {
	root, err := c.Value()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(root)) {
		collection, ok := root[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("collection %q is a %T", name, root[name])
		}
		for _, entity := range slices.Sorted(maps.Keys(collection)) {
			m, err := c.Merged(crdt.Rules{}, name, entity)
			if err != nil {
				return nil, err
			}
			all = append(all, line(name, entity, string(value.AppendJSON(nil, collection[entity])), m.Unsettled()))
		}
	}
	return all, nil
}

// line is a row for people.
func line(collection, entity, json string, conflict bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s %s", collection, entity, json)
	if conflict {
		b.WriteString(" in conflict")
	}
	return b.String()
}

func (d modelDisk) rows(doc id.Document) (all []string, err error) {
	for _, r := range d.Rows(doc) {
		all = append(all, line(r.Collection, r.Entity, r.JSON, r.Conflict))
	}
	return all, nil
}

// rows asks as an app does.
func (d *fileDisk) rows(doc id.Document) (all []string, err error) {
	e := query.New(d.opened, query.Options{})
	defer func() { err = errors.Join(err, e.Close()) }()
	r, err := e.Query(ctx, `SELECT _collection, _id, _json, _conflict FROM _entities WHERE _doc = ? ORDER BY 1, 2`, doc)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Next() {
		var collection, entity, json string
		var conflict bool
		if err := r.Scan(&collection, &entity, &json, &conflict); err != nil {
			return nil, err
		}
		all = append(all, line(collection, entity, json, conflict))
	}
	return all, r.Err()
}
