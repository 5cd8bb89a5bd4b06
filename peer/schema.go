package peer

import (
	"context"
	"fmt"
	"slices"

	"syncline/crdt"
	"syncline/crdt/schema"
)

// A peer that edits a document by Options.Schema leaves the schema's mark in it, after the
// first of its changes, so that those who read by another version can tell; and whoever
// finds a mark of other rules says so. Marks are changes like all others, and nobody's act:
// an undo passes them over.

// SchemaStanding says how the document stands to Options.Schema, by the marks that peers
// have left in it; its Words are for people, "" if all read it alike. It is the zero
// without a schema. A peer logs it as well, when it finds out that others read otherwise.
func (d *Document) SchemaStanding(ctx context.Context) (at schema.Standing, err error) {
	s := d.p.o.Schema
	if s == nil {
		return at, nil
	}
	if at, err = read(ctx, d, func(doc *crdt.Document) (schema.Standing, error) { return doc.Standing(s) }); err != nil {
		return at, fmt.Errorf("look at the schemas of %s: %w", d.doc, err)
	}
	return at, nil
}

// schemas is what a desk knows of the schemas that its document is used with.
type schemas struct {
	marked bool   // ours has left its mark, or may not
	said   string // of others, in the log
}

// marking returns what leaves the schema's mark, nothing if it is there.
func (d *desk) marking(doc *crdt.Document) []*doing {
	if d.p.o.Schema == nil || d.schemas.marked {
		return nil
	}
	ops, err := doc.MarkSchema(d.p.o.Schema)
	if err != nil {
		d.log.Warn("the schema's mark is not left in the document", "err", err)
		return nil
	}
	if len(ops) == 0 {
		d.schemas.marked = true
		return nil
	}
	return []*doing{{claim: newClaim(), ops: ops, marks: true}}
}

// sayOthers logs once that others read the document by other rules.
func (d *desk) sayOthers(doc *crdt.Document) {
	if d.p.o.Schema == nil {
		return
	}
	why, _, err := holds(doc, d.p.o.Schema)
	if err != nil {
		d.log.Warn("the schemas of the document cannot be read", "err", err)
		return
	}
	if why != "" && why != d.schemas.said {
		d.log.Warn("others read the document by other rules", "why", why)
	}
	d.schemas.said = why
}

// marks reports whether the record is of nothing but a schema's mark.
func (r *record) marks() bool {
	return len(r.Steps) > 0 && !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Collection != schema.Reserved })
}
