package dirty

import (
	"strings"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Index knows where each object of a document lies: in which collection, and in
// which entity of it. It takes about forty bytes for an object, and the name of
// each entity. The zero value is the index of an empty document. It is not safe
// for concurrent use.
type Index struct {
	actors  map[id.Actor]uint32
	objects map[uint64]uint32 // operation that made it: its place
	places  []place

	seqs      []uint64 // by actor: the number of its last change
	heads     map[id.Hash]struct{}
	foundings map[id.Hash]struct{} // see Contested
	contested Set                  // see Contested
}

// place is where objects lie. Two concurrent changes that make the same entity
// make two places of one name.
type place struct {
	collection string
	entity     string
	depth      depth
}

// depth is what lies at a place.
type depth uint8

const (
	theCollection depth = iota
	anEntity            // or something in it
	aMember             // of a list that stands where a collection should be
)

// nowhere is the place of an object that was never added.
const nowhere = -1

// Add learns the objects that a change has made. The changes that it depends on
// come first. One that was added already changes nothing.
func (x *Index) Add(c *chunk.Change) {
	k := keys{x: x, c: c}
	k.of(chunk.Ref{})
	author := &x.seqs[k.actors[0]-1]
	if c.Seq <= *author {
		return
	}
	*author = c.Seq
	if len(c.Makes()) > 0 {
		for ctr, op := range c.Ops() {
			if _, makes := op.Action.Makes(); makes {
				x.learn(&k, ctr, op)
			}
		}
	}
	if founds(c) {
		if x.foundings == nil {
			x.foundings = map[id.Hash]struct{}{}
		}
		x.foundings[c.Hash] = struct{}{}
		return
	}
	builds := false
	for _, dep := range c.Deps {
		_, founding := x.foundings[dep]
		builds = builds || !founding
		delete(x.heads, dep)
	}
	if len(x.heads) > 0 || c.Seq == 1 && builds {
		x.Touch(&x.contested, c)
	}
	if x.heads == nil {
		x.heads = map[id.Hash]struct{}{}
	}
	x.heads[c.Hash] = struct{}{}
}

// founds reports whether all that a change does, which depends on nothing, is one operation
// on the root. A collection's founding is one.
func founds(c *chunk.Change) bool {
	if len(c.Deps) > 0 || c.NumOps != 1 {
		return false
	}
	for _, op := range c.Ops() {
		return op.Obj.Ctr == 0
	}
	return false
}

// Contested reports whether there may be a place in an entity, or the entity itself, to which
// concurrent changes have given several values. That takes two changes of which the
// one that was added later does not know of the other: it leaves a head beside it. Or it
// is a change that twins had put out and that was issued again: that has what it did as
// it was, beside the values of the twin, and names the twin among its deps. It is its
// actor's first, and cannot be told from others that are.
//
// A change of one operation on the root that depends on nothing is neither. Such
// are the foundings of collections, which are concurrent with all that was there before.
func (x *Index) Contested(collection, entity string) bool {
	return x.contested.Has(collection, entity)
}

func (x *Index) learn(k *keys, ctr uint64, op *chunk.Op) {
	made := k.of(chunk.Ref{Ctr: ctr})
	if _, known := x.objects[made]; known {
		return
	}
	var at place
	switch in := x.find(k, op.Obj); {
	case op.Obj.Ctr == 0:
		at = place{collection: strings.Clone(op.Key)} // a key shares the memory of its change
	case in == nowhere:
		return
	case x.places[in].depth != theCollection:
		x.put(made, uint32(in))
		return
	case op.IsElem:
		at = place{x.places[in].collection, "", aMember}
	default:
		at = place{x.places[in].collection, strings.Clone(op.Key), anEntity}
	}
	x.places = append(x.places, at)
	x.put(made, uint32(len(x.places)-1))
}

func (x *Index) put(made uint64, place uint32) {
	if x.objects == nil {
		x.objects = map[uint64]uint32{}
	}
	x.objects[made] = place
}

// find returns the number of an object's place.
func (x *Index) find(k *keys, obj chunk.Ref) int {
	if p, ok := x.objects[k.of(obj)]; ok {
		return int(p)
	}
	return nowhere
}

// Touch adds to the set what a change touches. The change must have been added.
func (x *Index) Touch(s *Set, c *chunk.Change) {
	k := keys{x: x, c: c}
	last, in := chunk.Ref{}, nowhere
	told := false // that the entity of the operation before is touched
	for _, op := range c.Ops() {
		if op.Obj.Ctr == 0 {
			s.addCollection(op.Key)
			continue
		}
		if op.Obj != last {
			last, in, told = op.Obj, x.find(&k, op.Obj), false
		}
		switch {
		case in == nowhere:
			s.All = true
		case told:
		case x.places[in].depth == anEntity:
			s.addEntity(x.places[in].collection, x.places[in].entity)
			told = true
		case x.places[in].depth == aMember || op.IsElem:
			s.addCollection(x.places[in].collection)
		default:
			s.addEntity(x.places[in].collection, op.Key)
		}
	}
}

// Place returns where an object of a change lies: in a collection, and in which
// entity of it. entity is "" for the collection itself, which inside tells from an
// entity of that name; ok is false for an object that was never added, for the root,
// and for what lies in a list that stands where a collection should be.
func (x *Index) Place(c *chunk.Change, obj chunk.Ref) (collection, entity string, inside, ok bool) {
	in := x.find(&keys{x: x, c: c}, obj)
	if in == nowhere || x.places[in].depth == aMember {
		return "", "", false, false
	}
	p := x.places[in]
	return p.collection, p.entity, p.depth == anEntity, true
}

// keys turns the references of a change into keys of an index.
type keys struct {
	x      *Index
	c      *chunk.Change
	actors []uint32 // by the change's index, one more than the index's number; 0: not looked up
}

func (k *keys) of(r chunk.Ref) uint64 {
	if k.actors == nil {
		k.actors = make([]uint32, 1+len(k.c.OtherActors))
	}
	n := k.actors[r.Actor]
	if n == 0 {
		n = k.x.number(k.c.ActorOf(r.Actor)) + 1
		k.actors[r.Actor] = n
	}
	return uint64(n)<<32 | r.Ctr // counters stay below chunk.MaxCounter
}

func (x *Index) number(a id.Actor) uint32 {
	n, ok := x.actors[a]
	if !ok {
		if x.actors == nil {
			x.actors = map[id.Actor]uint32{}
		}
		n = uint32(len(x.actors))
		x.actors[a] = n
		x.seqs = append(x.seqs, 0)
	}
	return n
}
