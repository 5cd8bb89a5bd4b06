package crdt

import (
	"cmp"
	"fmt"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Undoing is what undoes a change, as far as it still stands.
type Undoing struct {
	// Operations, for Do as one change. None: nothing is left of the change, or all
	// of it is kept.
	Operations []Operation
	// Again is what the operations make that had been there before, in their order:
	// for Revived.Add with the change that they become.
	Again []IDRun
	// Kept are the places at which the change is not undone, because that would undo
	// what others have done since.
	Kept []Kept
}

// Kept is a place at which an undo leaves things as they are.
type Kept struct {
	Path Path // from the root on
	Why  string
}

// Why something is kept.
const (
	keptReplaced = "somebody has put something else there since"
	keptWorked   = "somebody else has worked in it since"
	keptThere    = "somebody has made it again since"
)

// InvertOptions are what Invert has to be told. The zero value is usable.
type InvertOptions struct {
	// Own reports whether an actor's changes are one's own; nil: those of the actor
	// of the change.
	Own func(id.Actor) bool
	// Revived are the undos and redos that came before; nil: none.
	Revived *Revived
}

// Invert works out what undoes a change of the document now. It changes nothing.
// To undo an undo is to redo.
//
// An undo takes back the author's own effect and keeps what others have done
// since, concurrently or later:
//
//   - set: the value before comes back if the field still holds the author's. If
//     others have set it too and lost to the author's, the last of theirs wins now.
//   - unset, and list elements removed: come back if nobody has put something else
//     there.
//   - increment: the opposite increment.
//   - text: the characters that the author has inserted and that are still there go,
//     wherever others have moved them by their own edits; those that he has deleted
//     come back between the neighbours that they had, also if somebody else has
//     deleted them too. Characters come back without marks.
//   - list elements inserted: go, unless somebody else has set one since.
//   - create: the entity goes, unless somebody else has edited it since.
//   - delete: the entity comes back as it was seen at the deletion, unless somebody
//     has made it again. Edits that others made while they did not know of the
//     deletion are not in it.
//
// Something that others have worked in since is never removed for having been made
// by the change: it is kept as a whole and named in Kept. What the author himself has done to
// it later goes with it: changes are best undone in the reverse order. A collection
// that was made for its first entity stays.
//
// The error wraps ErrUnknownHeads if c is no change of the document, ErrInvalid if
// there is a value to bring back that this version cannot write.
func (d *Document) Invert(c *chunk.Change, o InvertOptions) (Undoing, error) {
	u, err := d.invert(c, o)
	if err != nil {
		return Undoing{}, fmt.Errorf("undo change %s: %w", c.Hash, err)
	}
	return u, nil
}

func (d *Document) invert(c *chunk.Change, o InvertOptions) (Undoing, error) {
	after, err := d.At([]id.Hash{c.Hash})
	if err != nil {
		return Undoing{}, err
	}
	if err := d.indexed(); err != nil {
		return Undoing{}, err
	}
	v := inverter{d: d, c: c, own: o.Own, after: after}
	if v.again.revived = o.Revived; o.Revived == nil {
		v.again.revived = &Revived{}
	}
	if v.own == nil {
		v.own = func(a id.Actor) bool { return a == c.Actor }
	}
	if len(c.Deps) > 0 {
		if v.before, err = d.At(c.Deps); err != nil {
			return Undoing{}, err
		}
	}
	all := effectsOf(d.places, c)
	slices.Reverse(all) // what was done last is undone first
	for _, e := range all {
		if err := v.entity(e); err != nil {
			return Undoing{}, err
		}
	}
	v.out.Again = v.again.runs
	return v.out, nil
}

// inverter is Invert at work.
type inverter struct {
	d             *Document
	c             *chunk.Change
	own           func(id.Actor) bool
	before, after *View // before is nil if there was nothing
	others        *foreign
	again         remade
	out           Undoing
	collections   []string // that there are

	collection, id string  // of the entity at hand
	was, did, is   *traced // the entity before and after the change, and now
}

func (v *inverter) do(o Operation) { v.out.Operations = append(v.out.Operations, o) }

func (v *inverter) keep(at Path, why string) {
	v.out.Kept = append(v.out.Kept, Kept{append(Path{v.collection, v.id}, at...), why})
}

// mine is what an operation of the past is today.
func (v *inverter) mine(t *traced) OpID { return v.again.revived.now(t.op) }

// worked reports whether others have worked in a value since the change.
func (v *inverter) worked(t *traced) (bool, error) {
	if v.others == nil {
		since, err := v.d.Since(v.c.Hash)
		if err != nil {
			return false, err
		}
		f := foreignOf(since, func(c *chunk.Change) bool { return v.own(c.Actor) })
		v.others = &f
	}
	return v.others.in(t), nil
}

func (v *inverter) entity(e *effects) (err error) {
	v.collection, v.id, v.was = e.collection, e.entity, nil
	if v.before != nil {
		if v.was, err = v.before.trace(e.collection, e.entity); err != nil {
			return err
		}
	}
	if v.did, err = v.after.trace(e.collection, e.entity); err != nil {
		return err
	}
	if v.is, err = v.d.now().trace(e.collection, e.entity); err != nil {
		return err
	}
	if e.itself {
		return v.whole()
	}
	if v.was == nil || v.did == nil || v.is == nil {
		return nil // all of it is gone
	}
	return v.inner(e.objects)
}

// whole undoes that the entity was made or removed.
func (v *inverter) whole() error {
	switch {
	case v.did == nil && v.was == nil:
		return nil
	case v.did == nil && v.is != nil:
		if v.is.op != v.mine(v.was) {
			v.keep(nil, keptThere)
		}
		return nil
	case v.did == nil:
		return v.create(v.was)
	case v.is == nil:
		return nil
	case v.is.op != v.mine(v.did):
		v.keep(nil, keptReplaced)
		return nil
	}
	worked, err := v.worked(v.is)
	if err != nil {
		return err
	}
	if worked {
		v.keep(nil, keptWorked)
		return nil
	}
	v.do(Delete(v.collection, v.id))
	if n := len(v.is.lost); n > 0 {
		return v.create(&v.is.lost[n-1])
	}
	if v.was != nil && v.was.op != v.did.op {
		return v.create(v.was)
	}
	return nil
}

// create makes the entity again.
func (v *inverter) create(t *traced) error {
	if t.kind != tagMap {
		return fmt.Errorf("%s: %w: not a map", Path{v.collection, v.id}, ErrKind)
	}
	if v.collections == nil {
		var err error
		if v.collections, err = v.d.now().keys(nil); err != nil {
			return err
		}
	}
	if !slices.Contains(v.collections, v.collection) {
		v.collections = append(v.collections, v.collection)
		v.again.add(OpID{})
	}
	fields, err := t.again(&v.again)
	if err != nil {
		return fmt.Errorf("%s: %w", Path{v.collection, v.id}, err)
	}
	v.do(Create(v.collection, v.id, fields.(map[string]any)))
	return nil
}

// found is an object that the change worked in, with where it is now.
type found struct {
	effects *objectEffects
	is      *traced
	at      Path
}

// inner undoes what was done within the entity: what lies deepest first, so that
// the paths to it are still right.
func (v *inverter) inner(objects []*objectEffects) error {
	var all []found
	for _, o := range objects {
		if is, at := v.is.find(v.again.revived.now(o.op), nil); is != nil {
			all = append(all, found{o, is, at})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(len(b.at), len(a.at)) })
	for _, f := range all {
		was, _ := v.was.find(f.effects.op, nil)
		did, _ := v.did.find(f.effects.op, nil)
		if was == nil {
			continue // made by the change, or not to be seen before it
		}
		var err error
		switch {
		case f.is.kind == tagText:
			err = v.text(f, was)
		case f.is.kind == tagList:
			err = v.list(f, was, did)
		case did != nil:
			err = v.fields(f, was, did)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *inverter) fields(f found, was, did *traced) error {
	for _, k := range slices.Backward(f.effects.keys) {
		p := append(f.at[:len(f.at):len(f.at)], k)
		if err := v.field(p, was.at(k), did.at(k), f.is.at(k)); err != nil {
			return fmt.Errorf("%s: %w", append(Path{v.collection, v.id}, p...), err)
		}
	}
	return nil
}

// field undoes what was done to one key of a map.
func (v *inverter) field(p Path, was, did, is *traced) error {
	switch {
	case did == nil && was == nil:
		return nil
	case did == nil && is == nil:
		return v.set(p, was)
	case did == nil:
		if is.op != v.mine(was) {
			v.keep(p, keptThere)
		}
		return nil
	case is == nil:
		return nil
	case is.op != v.mine(did):
		v.keep(p, keptReplaced)
		return nil
	case was != nil && was.op == did.op:
		return v.step(p, was, did, is)
	}
	worked, err := v.worked(is)
	switch {
	case err != nil:
		return err
	case worked:
		v.keep(p, keptWorked)
		return nil
	case len(is.lost) > 0:
		was = &is.lost[len(is.lost)-1]
	case was == nil:
		v.do(Unset(v.collection, v.id, p))
		return nil
	case sameScalar(was, is):
		return nil
	}
	return v.set(p, was)
}

// set puts a value back.
func (v *inverter) set(p Path, was *traced) error {
	value, err := was.again(&v.again)
	if err != nil {
		return err
	}
	v.do(Set(v.collection, v.id, p, value))
	return nil
}

// step takes back what was added to a counter.
func (v *inverter) step(p Path, was, did, is *traced) error {
	a, isCounter := was.scalar.(Counter)
	b, stillCounter := did.scalar.(Counter)
	if _, ok := is.scalar.(Counter); ok && isCounter && stillCounter && a != b {
		v.do(Increment(v.collection, v.id, p, int64(a-b)))
	}
	return nil
}
