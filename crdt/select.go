package crdt

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/dirty"
)

// Selection says what Select reads.
type Selection struct {
	// Collections are read whole.
	Collections []string
	// Entities by collection: their ids.
	Entities map[string][]string
	// Conflicts also reads the values that have lost to concurrent ones. In entities
	// that may have any, it costs one more look of the core for each key; those are
	// all, until Touched was asked, and of the past.
	Conflicts bool
}

// SelectionOf is the selection of all that a set names. A set of everything is to
// be read by collections: see View.Collections.
func SelectionOf(s dirty.Set) Selection {
	var sel Selection
	sel.Collections = slices.Sorted(maps.Keys(s.Collections))
	for c, e := range s.Each() {
		if _, whole := s.Collections[c]; whole {
			continue
		}
		if sel.Entities == nil {
			sel.Entities = map[string][]string{}
		}
		sel.Entities[c] = append(sel.Entities[c], e)
	}
	return sel
}

// Entity is an entity as Select reads it.
type Entity struct {
	Collection string
	ID         string
	Present    bool
	Value      any         // its fields, a map[string]any, unless others have put something else there
	Contested  []Contested // where there are several values, if they were asked for
}

// Contested is a place that concurrent changes have given several values.
type Contested struct {
	Path   Path       // from the entity on; empty for the entity itself
	Values []Conflict // ascending; the last one is what Value has there
}

// selectBytes is how much Select takes out of the core at once, give or take an
// entity, and selectNames how many names it passes in.
const (
	selectBytes = 4 << 20
	selectNames = 1 << 14
)

// Collections lists the names under which the document has maps, ascending: its
// collections.
func (d *Document) Collections() ([]string, error) { return d.now().Collections() }

// Collections is Document.Collections as it was.
func (v *View) Collections() ([]string, error) {
	var names []string
	err := v.use(true, func(v *View) error {
		all, err := v.keys(nil)
		for _, name := range all {
			if _, mapErr := v.keys(Path{name}); mapErr == nil {
				names = append(names, name)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list collections: %w", err)
	}
	return names, nil
}

func (v *View) keys(p Path) ([]string, error) { return call(v, (*core).keys, p, (*decoder).names) }

// Select reads entities and calls fn with each, in the order of their collections
// and ids; those that were asked for by id and are not there included. It takes
// what was selected out of the core in few calls, a few megabytes each. An error of
// fn ends it and is returned as it is.
func (d *Document) Select(s Selection, fn func(Entity) error) error { return d.now().Select(s, fn) }

// Select is Document.Select as it was.
func (v *View) Select(s Selection, fn func(Entity) error) error {
	return v.selected(s, decoder{contests: s.Conflicts}, fn)
}

func (v *View) selected(s Selection, d decoder, fn func(Entity) error) error {
	many := len(s.Collections) > 0 || s.Conflicts
	for _, ids := range s.Entities {
		many = many || len(ids) > forkAbove
	}
	return v.use(many, func(v *View) error {
		names := slices.AppendSeq(slices.Clone(s.Collections), maps.Keys(s.Entities))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			ids := slices.Sorted(slices.Values(s.Entities[name]))
			if slices.Contains(s.Collections, name) {
				var err error
				if ids, err = v.idsOf(name, ids); err != nil {
					return err
				}
			}
			if err := v.each(name, slices.Compact(ids), &d, fn); err != nil {
				return err
			}
		}
		return nil
	})
}

// idsOf lists what a collection has, and the ids given.
func (v *View) idsOf(collection string, more []string) ([]string, error) {
	ids, err := v.keys(Path{collection})
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrKind) {
		return nil, fmt.Errorf("read collection %s: %w", collection, err)
	}
	ids = append(ids, more...)
	slices.Sort(ids)
	return ids, nil
}

// each reads entities of one collection.
func (v *View) each(collection string, ids []string, d *decoder, fn func(Entity) error) error {
	var e encoder
	for len(ids) > 0 {
		e.b = e.b[:0]
		for _, id := range ids[:min(len(ids), selectNames)] {
			e.string(collection)
			e.string(id)
			e.u8(v.how(d, collection, id))
		}
		n, err := v.some(collection, ids, e.b, d, fn)
		if err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// how says whether the core is to look for conflicts in an entity. Where there is
// an index of the document as it is, few can have any.
func (v *View) how(d *decoder, collection, entity string) byte {
	if !d.contests || len(v.heads) == 0 && v.d.places != nil && !v.d.places.Contested(collection, entity) {
		return 0
	}
	return selectAll
}

// some passes on those entities that one call of the core brings.
func (v *View) some(collection string, ids []string, places []byte, d *decoder, fn func(Entity) error) (int, error) {
	if v.d.core == nil {
		return 0, v.d.why
	}
	out := v.d.core.choose(places, v.heads, selectBytes)
	defer out.free()
	if err := out.err(nil); err != nil {
		return 0, fmt.Errorf("read collection %s: %w", collection, err)
	}
	d.b = out.data
	for i := range int(out.n) {
		entity := Entity{Collection: collection, ID: ids[i]}
		entity.Value, entity.Present, entity.Contested = d.entity()
		if err := fn(entity); err != nil {
			return 0, err
		}
	}
	return int(out.n), nil
}
