package crdt

import (
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
)

// MergedEntity is an entity as an app's rules read it.
type MergedEntity struct {
	Collection string
	ID         string
	Present    bool
	// Value is as the rules choose it, with the schema's defaults for what is absent;
	// a map[string]any, unless others have put something else there.
	Value any
	// Contested are the places where there is more than one value, or one that was
	// written more than once, in the order of Value; those inside what was not chosen
	// are not among them.
	Contested []MergedPlace
	// Violations are where what the core shows, before any rule, is not as the schema
	// has it.
	Violations schema.Violations
}

// MergedPlace is a place that concurrent changes have given several values, and what
// became of them.
type MergedPlace struct {
	Contested
	Rule   merge.Rule
	Result merge.Result
}

// Unsettled reports whether there is a conflict in the entity that is left for a person.
func (m MergedEntity) Unsettled() bool {
	return slices.ContainsFunc(m.Contested, func(p MergedPlace) bool { return !p.Result.Settled })
}

// Merged reads one entity by the rules. The error wraps ErrNotFound if it is not there.
func (d *Document) Merged(r Rules, collection, id string) (MergedEntity, error) {
	return d.now().Merged(r, collection, id)
}

// Merged is Document.Merged as it was.
func (v *View) Merged(r Rules, collection, id string) (m MergedEntity, err error) {
	one := Selection{Entities: map[string][]string{collection: {id}}}
	err = v.SelectMerged(r, one, func(e MergedEntity) error {
		m = e
		return nil
	})
	if err == nil && !m.Present {
		err = fmt.Errorf("%s: %w", Path{collection, id}, ErrNotFound)
	}
	return m, err
}

// SelectMerged is Select by the rules; it reads conflicts whether the selection says so
// or not.
//
// What is chosen of a place is chosen before what that place lies in. Inside a map or
// list that the core does not show, the core's own choices stand.
//
// An entity that several have made at once is one place: the one with the largest
// operation id is read, whole, and the choice is left for a person. Its fields are not
// merged one by one with those of the others, since a later edit reaches only the one
// that is read: a value that a rule had taken from another would stand against whatever
// is written in its place.
func (d *Document) SelectMerged(r Rules, s Selection, fn func(MergedEntity) error) error {
	return d.now().SelectMerged(r, s, fn)
}

// SelectMerged is Document.SelectMerged as it was.
func (v *View) SelectMerged(r Rules, s Selection, fn func(MergedEntity) error) error {
	s.Conflicts = true
	return v.Select(s, func(e Entity) error {
		m, err := v.d.Merge(r, e)
		if err != nil {
			return err
		}
		return fn(m)
	})
}

// Merge reads an entity, that Select has read with its conflicts, by the rules. It
// takes over e.Value and what is in it.
func (d *Document) Merge(r Rules, e Entity) (MergedEntity, error) {
	m := MergedEntity{Collection: e.Collection, ID: e.ID, Present: e.Present, Value: e.Value}
	if !e.Present {
		return m, nil
	}
	if r.Schema != nil {
		m.Violations = r.Schema.CheckEntity(e.Collection, e.ID, e.Value)
	}
	// A place comes before those inside it.
	var err error
	m.Contested = make([]MergedPlace, len(e.Contested))
	for i, c := range slices.Backward(e.Contested) {
		if m.Contested[i], err = d.mergePlace(r, &m, c); err != nil {
			return MergedEntity{}, err
		}
	}
	m.Contested = shown(m.Contested)
	if r.Schema != nil {
		m.Value = r.Schema.Complete(e.Collection, m.Value)
	}
	return m, nil
}

// mergePlace lets the rules choose at one place of an entity, and puts the choice there.
func (d *Document) mergePlace(r Rules, m *MergedEntity, c Contested) (MergedPlace, error) {
	f := r.field(m.Collection, c.Path)
	set := make([]merge.Candidate, len(c.Values))
	for i, v := range c.Values {
		set[i] = merge.Candidate{ID: v.ID, Value: v.Value}
	}
	set[len(set)-1].Value = valueAt(m.Value, c.Path)
	if f.Rule().UsesTime() {
		for i := range set {
			var err error
			if set[i].Time, err = d.timeOf(set[i].ID); err != nil {
				return MergedPlace{}, err
			}
		}
	}
	p := MergedPlace{Contested: c, Rule: f.Rule(), Result: f.Choose(r.Functions, set)}
	return p, put(&m.Value, c.Path, p.Result.Value)
}

// shown leaves out the places inside values that were not chosen.
func shown(places []MergedPlace) (all []MergedPlace) {
	var hidden []Path
	for _, p := range places {
		inside := func(out Path) bool { return len(p.Path) > len(out) && slices.Equal(p.Path[:len(out)], out) }
		if slices.ContainsFunc(hidden, inside) {
			continue
		}
		all = append(all, p)
		if !p.keepsInside() {
			hidden = append(hidden, p.Path)
		}
	}
	return all
}

// keepsInside reports whether the paths inside the core's choice lead to the same
// in what was chosen. A union has all that the core's choice has, where it was.
func (p MergedPlace) keepsInside() bool {
	core := p.Values[len(p.Values)-1]
	return value.Equal(p.Result.Value, core.Value) ||
		p.Rule.Name == merge.Union && slices.Contains(p.Result.From, core.ID)
}

// valueAt returns what is at a path in a value that the core has written.
func valueAt(v any, p Path) any {
	for _, s := range p {
		switch s := s.(type) {
		case string:
			v = v.(map[string]any)[s]
		case int:
			v = v.([]any)[s]
		}
	}
	return v
}

var errPlace = errors.New("a conflict at a place that the entity does not have")

// put replaces what is at a path.
func put(v *any, p Path, to any) error {
	if len(p) == 0 {
		*v = to
		return nil
	}
	last := len(p) - 1
	switch in := valueAt(*v, p[:last]).(type) {
	case map[string]any:
		in[p[last].(string)] = to
	case []any:
		in[p[last].(int)] = to
	default:
		return fmt.Errorf("%s: %w", p, errPlace)
	}
	return nil
}
