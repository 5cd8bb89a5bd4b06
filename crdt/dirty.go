package crdt

import (
	"fmt"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
)

// Since lists the document's changes that are neither among the given ones nor
// their ancestors, dependencies first; all without any. The error wraps
// ErrUnknownHeads if one of those given is no change of the document.
func (d *Document) Since(heads ...id.Hash) ([]*chunk.Change, error) {
	if d.core == nil {
		return nil, fmt.Errorf("list changes: %w", d.why)
	}
	if slices.Equal(heads, d.heads) {
		return nil, nil
	}
	out := d.core.changes(heads)
	defer out.free()
	if err := out.err(nil); err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	if len(out.data) == 0 {
		return nil, nil
	}
	changes, err := chunk.ParseChunks(slices.Clone(out.data))
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	return changes, nil
}

// Dirty tells which entities may differ between the document as it was at the
// given heads and as it is: what a projection reads anew with Select. Who has the
// changes in between at hand asks Touched. The error is that of Since.
func (d *Document) Dirty(since ...id.Hash) (dirty.Set, error) {
	changes, err := d.Since(since...)
	if err != nil {
		return dirty.Set{}, err
	}
	return d.Touched(changes)
}

// Touched tells which entities changes of the document have touched. The changes
// must be in the document. The first call goes over the whole history; from then on
// an index is kept, and a call costs what the changes do.
func (d *Document) Touched(changes []*chunk.Change) (dirty.Set, error) {
	var s dirty.Set
	if d.core == nil {
		return s, fmt.Errorf("look for touched entities: %w", d.why)
	}
	if err := d.indexed(); err != nil {
		return s, err
	}
	for _, c := range changes {
		d.places.Touch(&s, c)
	}
	return s, nil
}

// indexed makes the index of places, unless it is there.
func (d *Document) indexed() error {
	if d.places != nil {
		return nil
	}
	all, err := d.Since()
	if err != nil {
		return err
	}
	d.places = &dirty.Index{}
	for _, c := range all {
		d.places.Add(c)
	}
	return nil
}

// learn has the index of places follow changes that came in, if there is one.
func (d *Document) learn(changes ...*chunk.Change) {
	if d.places == nil {
		return
	}
	for _, c := range changes {
		d.places.Add(c)
	}
}
