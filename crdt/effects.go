package crdt

import (
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
)

// effects is what a change did to one entity, by the objects that were there before
// it. What it did within objects that it made itself is part of those.
type effects struct {
	collection, entity string
	itself             bool // it made, replaced or removed the entity
	objects            []*objectEffects
}

// objectEffects is what a change did to one map, list or text.
type objectEffects struct {
	op       OpID // of the object
	keys     []string
	elements []*elementEffect // in the order of their first operation
	byID     map[OpID]*elementEffect
}

// elementEffect is what a change did to one element of a list or text.
type elementEffect struct {
	inserted bool
	last     OpID   // what it was set by last; zero if it was not
	before   []OpID // what was there before, unless inserted
	deleted  bool
	stepped  bool // a counter in it was incremented
}

// effectsOf takes a change apart. The index must know its objects. Entities come in
// the order of their first operation; what lies in no entity is left out.
func effectsOf(x *dirty.Index, c *chunk.Change) (all []*effects) {
	type name struct{ collection, entity string }
	byName := map[name]*effects{}
	of := func(collection, entity string) *effects {
		e := byName[name{collection, entity}]
		if e == nil {
			e = &effects{collection: collection, entity: entity}
			byName[name{collection, entity}] = e
			all = append(all, e)
		}
		return e
	}
	var last chunk.Ref
	var in *objectEffects
	for ctr, op := range c.Ops() {
		if op.Obj.Ctr == 0 {
			continue
		}
		if op.Obj != last || in == nil {
			last, in = op.Obj, nil
			collection, entity, inside, ok := x.Place(c, op.Obj)
			switch {
			case !ok || !inside && op.IsElem:
				continue
			case !inside:
				of(collection, op.Key).itself = true
				continue
			case op.Obj.Actor == 0 && op.Obj.Ctr >= c.StartOp:
				continue // its own
			}
			in = of(collection, entity).object(OpID{Counter: op.Obj.Ctr, Actor: c.ActorOf(op.Obj.Actor)})
		}
		in.add(c, ctr, op)
	}
	return all
}

func (e *effects) object(op OpID) *objectEffects {
	for _, o := range e.objects {
		if o.op == op {
			return o
		}
	}
	o := &objectEffects{op: op, byID: map[OpID]*elementEffect{}}
	e.objects = append(e.objects, o)
	return o
}

func (o *objectEffects) add(c *chunk.Change, ctr uint64, op *chunk.Op) {
	if !op.IsElem {
		if !slices.Contains(o.keys, op.Key) {
			o.keys = append(o.keys, op.Key)
		}
		return
	}
	own := OpID{Counter: ctr, Actor: c.Actor}
	if op.Insert {
		e := &elementEffect{inserted: true, last: own}
		o.byID[own] = e
		o.elements = append(o.elements, e)
		return
	}
	id := OpID{Counter: op.Elem.Ctr, Actor: c.ActorOf(op.Elem.Actor)}
	e := o.byID[id]
	if e == nil {
		e = &elementEffect{}
		for _, p := range op.Pred {
			e.before = append(e.before, OpID{Counter: p.Ctr, Actor: c.ActorOf(p.Actor)})
		}
		o.byID[id] = e
		o.elements = append(o.elements, e)
	}
	switch op.Action {
	case chunk.Delete:
		e.deleted = true
	case chunk.Increment:
		e.stepped = true
	default:
		e.last = own
	}
}

// foreign is what others have done since a change.
type foreign struct {
	objects map[OpID]struct{} // that they worked in
	stepped map[OpID]struct{} // counters that they incremented
}

func foreignOf(changes []*chunk.Change, own func(*chunk.Change) bool) foreign {
	f := foreign{map[OpID]struct{}{}, map[OpID]struct{}{}}
	for _, c := range changes {
		if own(c) {
			continue
		}
		for _, op := range c.Ops() {
			f.objects[OpID{Counter: op.Obj.Ctr, Actor: c.ActorOf(op.Obj.Actor)}] = struct{}{}
			if op.Action != chunk.Increment {
				continue
			}
			for _, p := range op.Pred {
				f.stepped[OpID{Counter: p.Ctr, Actor: c.ActorOf(p.Actor)}] = struct{}{}
			}
		}
	}
	return f
}

// in reports whether others have worked in a value.
func (f foreign) in(t *traced) bool {
	return !t.each(func(t *traced) bool {
		_, worked := f.objects[t.op]
		_, stepped := f.stepped[t.op]
		return !worked && !stepped
	})
}
