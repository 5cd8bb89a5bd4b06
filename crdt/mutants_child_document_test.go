package crdt_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// judgeDocument lets our own document work on changes that have passed: apply, look
// at it as it is and as it was, at all conflicting values, edit, save, load.
func judgeDocument(in []byte) ([]byte, error) {
	changes, err := chunk.ParseChunks(in)
	if err != nil {
		return nil, err
	}
	d, err := crdt.Open("judge", changes)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	heads := flat(d.Heads())
	value, err := d.Value()
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(changes); i += 1 + len(changes)/4 {
		v, err := d.At([]id.Hash{changes[i].Hash})
		if err != nil {
			return nil, err
		}
		if _, err := v.JSON(); err != nil {
			return nil, err
		}
	}
	var paths []crdt.Path
	pathsIn(&paths, nil, value)
	for _, p := range paths {
		collection, entity, field, ok := addressed(p)
		if !ok {
			continue
		}
		if _, err := d.Conflicts(collection, entity, field[0].(string), field[1:]...); err != nil && !errors.Is(err, crdt.ErrInvalid) {
			return nil, fmt.Errorf("conflicts at %v: %w", p, err)
		}
	}
	if err := doSomething(d, paths); err != nil {
		return nil, err
	}
	before, err := d.JSON()
	if err != nil {
		return nil, err
	}
	saved, err := d.Save()
	if err != nil {
		return nil, err
	}
	again, err := crdt.Load("judge2", saved)
	if err != nil {
		return nil, fmt.Errorf("saved document does not load: %w", err)
	}
	defer again.Close()
	after, err := again.JSON()
	if err != nil {
		return nil, err
	}
	if string(before) != string(after) {
		return nil, errors.New("saved document loads to other content")
	}
	return heads, nil
}

// doSomething edits wherever an operation reaches. That an operation does not fit
// what is there is no damage.
func doSomething(d *crdt.Document, paths []crdt.Path) error {
	for i, p := range paths {
		collection, entity, field, ok := addressed(p)
		if !ok {
			continue
		}
		op := []crdt.Operation{
			crdt.Update(collection, entity, map[string]any{"new": int64(i)}),
			crdt.Set(collection, entity, field, "x"),
			crdt.ListInsert(collection, entity, field, 0, true),
			crdt.Splice(collection, entity, field, 0, 1, "s"),
			crdt.Increment(collection, entity, field, 2),
			crdt.Delete(collection, entity),
		}[i%6]
		if _, err := d.Do(time.Unix(1, 0), op); errors.Is(err, crdt.ErrBroken) {
			return fmt.Errorf("%v at %v: %w", op.Verb, p, err)
		}
	}
	return nil
}

// addressed reads a path the way that operations name places.
func addressed(p crdt.Path) (collection, entity string, field crdt.Path, ok bool) {
	if len(p) < 3 {
		return "", "", nil, false
	}
	collection, ok1 := p[0].(string)
	entity, ok2 := p[1].(string)
	_, ok3 := p[2].(string)
	return collection, entity, p[2:], ok1 && ok2 && ok3
}

// pathsIn lists the places in a value, at most a hundred.
func pathsIn(paths *[]crdt.Path, at crdt.Path, v any) {
	if len(*paths) >= 100 {
		return
	}
	if len(at) > 0 {
		*paths = append(*paths, at)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			pathsIn(paths, append(at[:len(at):len(at)], k), v[k])
		}
	case []any:
		for i, e := range v {
			pathsIn(paths, append(at[:len(at):len(at)], i), e)
		}
	}
}
