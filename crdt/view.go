package crdt

import (
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/id"
)

// View reads a document as it was at earlier heads. It is valid as long as the
// document is open, whatever else is done to that.
//
// A read of the whole document or of a collection costs as much as opening the
// document as it was, in time and for that time in memory; other reads cost a
// walk over the history for each map, list and text that is read.
type View struct {
	d     *Document
	heads []id.Hash // none: as it is
}

// At returns the view at the given heads. The error wraps ErrUnknownHeads if
// one of them is no change of the document.
func (d *Document) At(heads []id.Hash) (*View, error) {
	switch {
	case d.core == nil:
		return nil, d.why
	case len(heads) == 0:
		return nil, fmt.Errorf("view: %w: no heads given", ErrUnknownHeads)
	case !d.core.knows(heads):
		return nil, fmt.Errorf("view: %w", ErrUnknownHeads)
	}
	return &View{d: d, heads: slices.Clone(heads)}, nil
}

func (d *Document) now() *View { return &View{d: d} }

// Value returns the whole document.
func (d *Document) Value() (map[string]any, error) { return d.now().Value() }

// Collection returns a collection's entities by their ids. A collection that
// is not there has none.
func (d *Document) Collection(name string) (map[string]any, error) { return d.now().Collection(name) }

// Entity returns an entity's fields. The error wraps ErrNotFound if it is not
// there, ErrKind if what is there is no map.
func (d *Document) Entity(collection, id string) (map[string]any, error) {
	return d.now().Entity(collection, id)
}

// Get returns the value of a field, or of what lies deeper in it: string keys
// and int indexes.
func (d *Document) Get(collection, id, field string, deeper ...any) (any, error) {
	return d.now().Get(collection, id, field, deeper...)
}

// Conflicts returns all values that a field, or what lies deeper in it, has
// been given by concurrent changes. The last one is what Get returns.
func (d *Document) Conflicts(collection, id, field string, deeper ...any) ([]Conflict, error) {
	return d.now().Conflicts(collection, id, field, deeper...)
}

// JSON returns the whole document as AppendJSON writes it.
func (d *Document) JSON() ([]byte, error) { return d.now().JSON() }

// Value is Document.Value as it was.
func (v *View) Value() (map[string]any, error) {
	value, err := v.read(nil)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	return value.(map[string]any), nil
}

// Collection is Document.Collection as it was.
func (v *View) Collection(name string) (map[string]any, error) {
	m, err := v.readMap(Path{name})
	if errors.Is(err, ErrNotFound) {
		return map[string]any{}, nil
	}
	return m, err
}

// Entity is Document.Entity as it was.
func (v *View) Entity(collection, id string) (map[string]any, error) {
	return v.readMap(Path{collection, id})
}

// Get is Document.Get as it was.
func (v *View) Get(collection, id, field string, deeper ...any) (any, error) {
	return v.read(append(Path{collection, id, field}, deeper...))
}

// Conflicts is Document.Conflicts as it was.
func (v *View) Conflicts(collection, id, field string, deeper ...any) ([]Conflict, error) {
	return call(v, (*core).conflicts, append(Path{collection, id, field}, deeper...), (*decoder).conflicts)
}

// JSON is Document.JSON as it was.
func (v *View) JSON() ([]byte, error) {
	m, err := v.Value()
	if err != nil {
		return nil, err
	}
	return AppendJSON(nil, m), nil
}

func (v *View) read(p Path) (any, error) { return call(v, (*core).read, p, (*decoder).value) }

func (v *View) readMap(p Path) (map[string]any, error) {
	value, err := v.read(p)
	if err != nil {
		return nil, err
	}
	m, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: %w: not a map", p, ErrKind)
	}
	return m, nil
}

// use calls f with the view, or with one of a copy of the document as it was if
// much is to be read: for each object that is read as it was, the core walks the
// history. And it does not find an element of a list as it was, by its index, if
// the list has become shorter than that.
func (v *View) use(much bool, f func(*View) error) error {
	switch {
	case v.d.core == nil:
		return v.d.why
	case len(v.heads) == 0 || !much:
		return f(v)
	}
	copied, out := v.d.core.fork(v.heads)
	defer out.free()
	if err := out.err(nil); err != nil {
		return err
	}
	defer copied.close()
	return f(&View{d: &Document{core: copied}})
}

// forkBelow is for paths how short a read of the past reads from a copy of the
// document, and forkAbove for how many entities of a collection.
const (
	forkBelow = 2
	forkAbove = 64
)

// call reads at a path and decodes what the core writes.
func call[T any](v *View, f func(*core, []byte, []id.Hash) outcome, p Path, decode func(*decoder) T) (t T, err error) {
	if err := checkSteps(p); err != nil {
		return t, err
	}
	var e encoder
	e.path(p)
	much := len(p) < forkBelow || slices.ContainsFunc(p, func(s any) bool { _, isIndex := s.(int); return isIndex })
	err = v.use(much, func(v *View) error {
		out := f(v.d.core, e.b, v.heads)
		defer out.free()
		if err := out.err(p); err != nil {
			return err
		}
		t = decode(&decoder{b: out.data})
		return nil
	})
	return t, err
}
