package crdt

import (
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/dirty"
	"syncline/crdt/id"
)

// Restore works out what makes an entity again what it was at some point of the
// history. It changes nothing; the operations are for Do, as one change, and none are
// needed if it is that already. A text is spliced and a counter is stepped, so that
// what others do to them meanwhile is kept; other fields are set, and those that
// were not there are unset.
//
// The error wraps ErrNotFound if the entity was not there then, ErrUnknownHeads as
// that of At.
func (d *Document) Restore(heads []id.Hash, collection, entity string) ([]Operation, error) {
	ops, err := d.restore(heads, collection, entity)
	if err != nil {
		return nil, fmt.Errorf("restore %s: %w", Path{collection, entity}, err)
	}
	return ops, nil
}

func (d *Document) restore(heads []id.Hash, collection, entity string) ([]Operation, error) {
	at := entityAt{collection, entity}
	var one dirty.Set
	one.Entities = map[string]map[string]struct{}{collection: {entity: {}}}
	if _, err := d.At(heads); err != nil {
		return nil, err
	}
	was, err := d.entities(heads, one)
	if err != nil {
		return nil, err
	}
	is, err := d.entities(d.heads, one)
	if err != nil {
		return nil, err
	}
	then, wasMap := was[at].Value.(map[string]any)
	now, isMap := is[at].Value.(map[string]any)
	switch {
	case !was[at].Present:
		return nil, fmt.Errorf("%w: it was not there then", ErrNotFound)
	case !wasMap || is[at].Present && !isMap:
		return nil, fmt.Errorf("%w: not a map", ErrKind)
	case !is[at].Present:
		return []Operation{Create(collection, entity, then)}, nil
	}
	var ops []Operation
	for _, k := range slices.Sorted(maps.Keys(now)) {
		if _, had := then[k]; !had {
			ops = append(ops, Unset(collection, entity, k))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(then)) {
		v, has := now[k]
		ops = append(ops, restoreField(collection, entity, k, then[k], v, has)...)
	}
	return ops, nil
}

func restoreField(collection, entity, field string, was, is any, there bool) (ops []Operation) {
	switch from := is.(type) {
	case string:
		if to, isText := was.(string); isText {
			for _, s := range splicesOf(from, to) {
				ops = append(ops, Splice(collection, entity, field, s.Pos, s.Del, s.Text))
			}
			return ops
		}
	case Counter:
		if to, isCounter := was.(Counter); isCounter {
			if to == from {
				return nil
			}
			return []Operation{Increment(collection, entity, field, int64(to-from))}
		}
	}
	if there && sameValue(was, is) {
		return nil
	}
	return []Operation{Set(collection, entity, field, was)}
}
