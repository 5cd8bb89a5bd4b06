package crdt

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
	"syncline/crdt/value"
)

// Difference says how something differs between two points of a history.
type Difference string

// The differences.
const (
	Added   Difference = "added"
	Removed Difference = "removed"
	Changed Difference = "changed"
)

// EntityDiff is an entity that differs.
type EntityDiff struct {
	Collection, ID string
	Difference     Difference
	Fields         []FieldDiff // in the order of their paths; of an entity that is no map one, without a path
}

// FieldDiff is a field that differs, or what lies deeper in it: maps are compared
// key by key, lists as a whole.
type FieldDiff struct {
	Path       Path // from the entity on
	Difference Difference
	From, To   any          // nil where it was or is not there; a string is a text, a Scalar an immutable one
	Splices    []TextSplice // of a text that has changed: what makes To of From, in order
}

// Diff lists what differs between two points of the document's history, in the order
// of collections and ids. Without heads a point is the beginning, and the two need not
// lie on one line. It reads the entities that changes between the two have touched, and of a past with
// many of them a copy of the document as it was.
func (d *Document) Diff(from, to []id.Hash) ([]EntityDiff, error) {
	out, err := d.diff(from, to)
	if err != nil {
		return nil, fmt.Errorf("compare two points of the history: %w", err)
	}
	return out, nil
}

func (d *Document) diff(from, to []id.Hash) ([]EntityDiff, error) {
	touched, err := d.between(from, to)
	if err != nil || touched.Empty() {
		return nil, err
	}
	was, err := d.entities(from, touched)
	if err != nil {
		return nil, err
	}
	is, err := d.entities(to, touched)
	if err != nil {
		return nil, err
	}
	var out []EntityDiff
	for at, w := range was {
		if e, differs := diffEntity(at, w, is[at]); differs {
			out = append(out, e)
		}
	}
	for at, e := range is {
		if _, there := was[at]; there {
			continue
		}
		if e, differs := diffEntity(at, Entity{}, e); differs {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b EntityDiff) int {
		return cmp.Or(cmp.Compare(a.Collection, b.Collection), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// between tells which entities are touched by the changes that one of two points
// has and the other has not.
func (d *Document) between(from, to []id.Hash) (dirty.Set, error) {
	past, err := d.Since(from...)
	if err != nil {
		return dirty.Set{}, err
	}
	present, err := d.Since(to...)
	if err != nil {
		return dirty.Set{}, err
	}
	only := func(a, b []*chunk.Change) (out []*chunk.Change) {
		other := make(map[id.Hash]struct{}, len(b))
		for _, c := range b {
			other[c.Hash] = struct{}{}
		}
		for _, c := range a {
			if _, both := other[c.Hash]; !both {
				out = append(out, c)
			}
		}
		return out
	}
	return d.Touched(append(only(past, present), only(present, past)...))
}

// entityAt names an entity.
type entityAt struct{ collection, id string }

// entities reads what a set names, as it was at heads.
func (d *Document) entities(heads []id.Hash, s dirty.Set) (map[entityAt]Entity, error) {
	all := map[entityAt]Entity{}
	if len(heads) == 0 {
		return all, nil
	}
	v, err := d.At(heads)
	if err != nil {
		return nil, err
	}
	if slices.Equal(heads, d.heads) {
		v = d.now()
	}
	sel := SelectionOf(s)
	if s.All {
		if sel.Collections, err = v.Collections(); err != nil {
			return nil, err
		}
	}
	err = v.selected(sel, decoder{scalars: true}, func(e Entity) error {
		if e.Present {
			all[entityAt{e.Collection, e.ID}] = e
		}
		return nil
	})
	return all, err
}

func diffEntity(at entityAt, was, is Entity) (EntityDiff, bool) {
	e := EntityDiff{Collection: at.collection, ID: at.id, Difference: Changed}
	a, wasMap := was.Value.(map[string]any)
	b, isMap := is.Value.(map[string]any)
	switch {
	case !was.Present:
		e.Difference = Added
	case !is.Present:
		e.Difference = Removed
	}
	if was.Present && !wasMap || is.Present && !isMap {
		if f, differs := diffValue(nil, was.Value, was.Present, is.Value, is.Present); differs {
			e.Fields = append(e.Fields, f...)
		}
	} else {
		e.Fields = diffMap(nil, a, b)
	}
	return e, e.Difference != Changed || len(e.Fields) > 0
}

func diffMap(at Path, was, is map[string]any) (out []FieldDiff) {
	keys := map[string]struct{}{}
	for k := range was {
		keys[k] = struct{}{}
	}
	for k := range is {
		keys[k] = struct{}{}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		a, had := was[k]
		b, has := is[k]
		f, _ := diffValue(append(at[:len(at):len(at)], k), a, had, b, has)
		out = append(out, f...)
	}
	return out
}

func diffValue(at Path, was any, had bool, is any, has bool) (out []FieldDiff, differs bool) {
	f := FieldDiff{Path: at, Difference: Changed, From: was, To: is}
	a, wasMap := was.(map[string]any)
	b, isMap := is.(map[string]any)
	switch {
	case !had:
		f.Difference = Added
	case !has:
		f.Difference = Removed
	case wasMap && isMap && len(at) > 0:
		out = diffMap(at, a, b)
		return out, len(out) > 0
	case sameValue(was, is):
		return nil, false
	}
	from, wasText := was.(string)
	to, isText := is.(string)
	if wasText && isText {
		f.Splices = splicesOf(from, to)
	}
	return []FieldDiff{f}, true
}

// sameValue reports whether two values are equal, their types included.
func sameValue(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && maps.EqualFunc(x, y, sameValue)
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, sameValue)
	case Unknown:
		y, ok := b.(Unknown)
		return ok && x.Type == y.Type && string(x.Raw) == string(y.Raw)
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b) && value.Compare(a, b) == 0
}
