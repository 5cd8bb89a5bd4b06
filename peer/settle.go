package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/schema"
)

var (
	// ErrNoConflict: the conflict is settled, or has other values by now.
	ErrNoConflict = errors.New("there is no such conflict any more: it was settled, or has got another value; list the conflicts again")
	// ErrNoChoice: the choice is none of what a conflict can be settled to.
	ErrNoChoice = errors.New("not a choice for this conflict")
	// ErrOtherSchema: the document is used with another version of the schema, or with
	// other versions of its functions.
	ErrOtherSchema = errors.New("the document is not settled by this schema")
)

// Choice says what a conflict is settled to: exactly one of its fields is set.
type Choice struct {
	Operation crdt.OpID // the value that this operation wrote
	Merged    bool      // as the rule reads it
	Value     any       // another value, as for crdt.Set; not null
}

// Settle writes what somebody has chosen for a conflict, as one change of ours: in place of
// the values that the conflict was listed with, and of no others. Who has chosen otherwise
// at the same time makes a new conflict with it. Of a text, list or map it writes a copy:
// what others were adding to the values meanwhile is not in it.
//
// The error wraps ErrNoConflict if it is another conflict by now, ErrNoChoice, or is as
// that of Do; a Value that Options.Schema refuses is a *crdt.OperationError.
func (d *Document) Settle(ctx context.Context, c Conflict, to Choice) (Receipt, error) {
	in := &doing{claim: newClaim()}
	in.plan = func(desk *desk, doc *crdt.Document, in *doing) error {
		m, p, err := desk.conflict(doc, c)
		if err != nil {
			return err
		}
		v, err := to.of(p)
		if err != nil {
			return err
		}
		if in.ops, err = settleOps(m, p, v); err != nil {
			return err
		}
		if to.Value != nil {
			return desk.p.o.rules().Check(in.ops...)
		}
		return nil
	}
	r, err := d.submit(ctx, in)
	if err != nil {
		return r, fmt.Errorf("settle %s of %s: %w", c.Place(), d.doc, err)
	}
	d.p.tally.byPerson.Add(1)
	return r, nil
}

// conflict reads a conflict as it is now.
func (d *desk) conflict(doc *crdt.Document, c Conflict) (m crdt.MergedEntity, p crdt.MergedPlace, err error) {
	if m, err = doc.Merged(d.p.o.rules(), c.Collection, c.Entity); errors.Is(err, crdt.ErrNotFound) {
		return m, p, ErrNoConflict
	}
	if err != nil {
		return m, p, err
	}
	i := slices.IndexFunc(m.Contested, func(p crdt.MergedPlace) bool {
		return p.Result.Conflict && conflictID(d.doc, m, p) == c.ID
	})
	if i < 0 {
		return m, p, ErrNoConflict
	}
	return m, m.Contested[i], nil
}

// of is the value that is chosen.
func (c Choice) of(p crdt.MergedPlace) (any, error) {
	byOperation := c.Operation != crdt.OpID{}
	switch {
	case c.Merged && c.Value == nil && !byOperation:
		return p.Result.Value, nil
	case c.Value != nil && !c.Merged && !byOperation:
		return c.Value, nil
	case !byOperation || c.Merged || c.Value != nil:
		return nil, fmt.Errorf("%w: name one operation, or what the rule reads, or one value", ErrNoChoice)
	}
	for _, v := range p.Values {
		if v.ID == c.Operation {
			return v.Value, nil
		}
	}
	return nil, fmt.Errorf("%w: operation %s wrote none of its values", ErrNoChoice, c.Operation)
}

// settleOps write a value in place of all that a place has.
func settleOps(m crdt.MergedEntity, p crdt.MergedPlace, v any) ([]crdt.Operation, error) {
	if len(p.Path) == 0 {
		fields, isMap := v.(map[string]any)
		if !isMap {
			return nil, fmt.Errorf("%w: an entity is a map of fields", ErrNoChoice)
		}
		return []crdt.Operation{crdt.Delete(m.Collection, m.ID), crdt.Create(m.Collection, m.ID, fields)}, nil
	}
	return []crdt.Operation{crdt.Set(m.Collection, m.ID, p.Path, v)}, nil
}

// retiring is what a settlement by the rules takes away.
type retiring struct {
	places  []crdt.Retirement
	written []*chunk.Change
}

// settles reports whether the record is of a settlement by the rules.
func (r *record) settles() bool {
	return len(r.Steps) > 0 && r.Steps[0].Verb == crdt.VerbSettle
}

// maxSettled is how many places one change settles at most: each takes a few dozen
// bytes in it, and readers see a change as a whole.
const maxSettled = 1000

// SettleDeclared settles by Options.Schema those of the conflicts that are Due, and are
// still as they were listed, as one change; at most 1,000, and no two of which one lies
// in the other. What that does to readers and to others who do the same is said at
// crdt.MergedPlace.Losers: nothing. It returns the conflicts that were settled; the
// error is crdt.ErrNoChange if there are none.
//
// It wraps ErrOtherSchema unless the document bears the mark of this version of the schema
// (MarkSchema), of no newer one and of no other schema, and names no other versions of
// functions.
func (d *Document) SettleDeclared(ctx context.Context, conflicts []Conflict) (settled []Conflict, r Receipt, err error) {
	in := &doing{claim: newClaim()}
	in.plan = func(desk *desk, doc *crdt.Document, in *doing) error {
		if err := desk.maySettle(doc); err != nil {
			return err
		}
		in.away = &retiring{}
		var losers []crdt.OpID
		for _, c := range conflicts[:min(len(conflicts), maxSettled)] {
			m, p, err := desk.conflict(doc, c)
			if errors.Is(err, ErrNoConflict) || err == nil && (len(p.Losers()) == 0 || within(m, p)) {
				continue
			}
			if err != nil {
				return err
			}
			settled = append(settled, c)
			away := crdt.Retirement{Collection: m.Collection, ID: m.ID, Path: p.Path, Losers: p.Losers()}
			in.away.places = append(in.away.places, away)
			in.ops = append(in.ops, away.Operation())
			losers = append(losers, away.Losers...)
		}
		if len(losers) == 0 {
			return crdt.ErrNoChange
		}
		in.away.written, err = desk.written(losers)
		return err
	}
	if r, err = d.submit(ctx, in); err != nil {
		return nil, r, fmt.Errorf("settle conflicts of %s: %w", d.doc, err)
	}
	d.p.tally.byRule.Add(int64(len(settled)))
	return settled, r, nil
}

// within reports whether a place lies in another one that has several values: which of
// those stands comes first.
func within(m crdt.MergedEntity, p crdt.MergedPlace) bool {
	return slices.ContainsFunc(m.Contested, func(o crdt.MergedPlace) bool {
		return o.Result.Conflict && len(o.Path) < len(p.Path) && slices.Equal(o.Path, p.Path[:len(o.Path)])
	})
}

// maySettle says why a document is not to be settled by the schema.
func (d *desk) maySettle(doc *crdt.Document) error {
	rules := d.p.o.rules()
	if rules.Schema == nil {
		return fmt.Errorf("%w: there is none", ErrOtherSchema)
	}
	held, at, err := holds(doc, rules.Schema)
	switch {
	case err != nil:
		return err
	case held != "":
		return fmt.Errorf("%w: %s", ErrOtherSchema, held)
	case at.Relation != schema.Same || !at.Marked:
		return fmt.Errorf("%w: it does not bear its mark yet", ErrOtherSchema)
	}
	return nil
}

// holds says why a document is not settled by a schema, for people: "" if it is, or will
// be once it bears the schema's mark. Two schemas may call different values of one
// field the losers, and settlements by both would leave none.
func holds(doc *crdt.Document, s *schema.Schema) (why string, at schema.Standing, err error) {
	if at, err = doc.Standing(s); err != nil {
		return "", at, err
	}
	marks, err := doc.Collection(schema.Reserved)
	if err != nil {
		return "", at, err
	}
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		if name != s.Mark().Entity && strings.HasPrefix(name, "schema:") {
			return fmt.Sprintf("it is used with another schema as well, %.80q", strings.TrimPrefix(name, "schema:")), at, nil
		}
	}
	if at.Relation == schema.Newer || at.Relation == schema.Differs || len(at.Functions) > 0 {
		why = at.Words()
	}
	return why, at, nil
}

// written returns the changes of operations.
func (d *desk) written(ops []crdt.OpID) (changes []*chunk.Change, err error) {
	var nodes []int
	for _, o := range ops {
		n, ok := d.r.graph.Find(o.Actor, o.Counter)
		if !ok {
			return nil, fmt.Errorf("operation %s is in no change", o)
		}
		nodes = append(nodes, n)
	}
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	err = d.changes(d.p.io, nodes, func(_ int, c *chunk.Change) error {
		changes = append(changes, c)
		return nil
	})
	return changes, err
}

// MarkSchema writes the mark of Options.Schema into the document, so that others can
// tell by which rules it is read. The error is crdt.ErrNoChange if it is there, or a
// newer version's is.
func (d *Document) MarkSchema(ctx context.Context) (Receipt, error) {
	in := &doing{claim: newClaim()}
	in.plan = func(desk *desk, doc *crdt.Document, in *doing) (err error) {
		if desk.p.o.Schema == nil {
			return crdt.ErrNoChange
		}
		in.ops, err = doc.MarkSchema(desk.p.o.Schema)
		if err == nil && len(in.ops) == 0 {
			err = crdt.ErrNoChange
		}
		return err
	}
	r, err := d.submit(ctx, in)
	if err != nil {
		return r, fmt.Errorf("mark the schema in %s: %w", d.doc, err)
	}
	return r, nil
}
