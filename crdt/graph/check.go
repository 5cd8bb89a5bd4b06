package graph

import (
	"cmp"
	"slices"

	"syncline/crdt/chunk"
)

// Check decides whether a change that is well formed alone fits this document,
// as far as that can be told without the document's content: the rules of Add;
// every object it works on was made by an ancestor, or earlier in the change, and
// is of the kind that the key asks for; and every operation that it names (object,
// element, predecessor) lies among the operations of an ancestor, or earlier in
// the change. Its deps must be there, published or not. What those operations are
// is for package check, which begins with this.
//
// The cost grows with the change, not with the document. The answer depends on
// the change and its ancestors alone, so that all replicas agree. The errors are
// those of Add.
func (g *Graph) Check(c *chunk.Change) error {
	if g.Contains(c.Hash) {
		return ErrKnown
	}
	deps, err := g.resolve(c.Hash, c.Deps)
	if err != nil {
		return err
	}
	g.checked.anc = g.ancestors(deps)
	g.checked.hash, g.checked.nodes = c.Hash, len(g.hash)
	m := MetaOf(c)
	if _, err := g.admit(&m, deps); err != nil {
		return err
	}
	k := checker{g: g, c: c, anc: g.checked.anc, actors: make([]int32, len(c.OtherActors)+1)}
	for i := range k.actors {
		k.actors[i] = -1
		if a, ok := g.actorOf[c.ActorOf(uint32(i))]; ok {
			k.actors[i] = int32(a)
		}
	}
	k.gather()
	for ctr, op := range c.Ops() {
		if what := k.op(ctr, op); what != "" {
			return refused(c.Hash, "operation %d (%s): %s", ctr, op.Action, what)
		}
	}
	return nil
}

// Checked returns the ancestry of a change that Check passed last.
func (g *Graph) Checked(c *chunk.Change) Ancestry {
	if g.checked.hash == c.Hash && g.checked.nodes == len(g.hash) {
		return g.checked.anc
	}
	return g.Ancestors(c.Deps)
}

type checker struct {
	g      *Graph
	c      *chunk.Change
	anc    Ancestry
	actors []int32            // the change's actors in the graph, -1 for one that is not there
	out    map[int32][]uint32 // by actor: quarantined ancestors

	ref  chunk.Ref // the last one resolved outside the change, and how
	last place
}

// place says where an operation id was found.
type place uint8

const (
	nowhere place = iota
	inMap
	inSequence
	plain // an operation that creates no object
)

// gather lists quarantined ancestors by actor. There are none but below twins.
func (k *checker) gather() {
	if len(k.anc.out) == 0 {
		return
	}
	k.out = map[int32][]uint32{}
	for n := range k.anc.out {
		a := int32(k.g.actor[n])
		k.out[a] = append(k.out[a], n)
	}
	for _, nodes := range k.out {
		slices.SortFunc(nodes, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(k.g.start[a], k.g.start[b]), k.g.hash[a].Compare(k.g.hash[b]))
		})
	}
}

// op says what is wrong with an operation, if anything.
func (k *checker) op(ctr uint64, op *chunk.Op) string {
	if op.Obj.Ctr == 0 {
		if op.IsElem {
			return "it names an element of the root, which is a map"
		}
	} else {
		switch p := k.object(ctr, op.Obj); {
		case p == nowhere:
			return "no ancestor holds the operation that its object is named by"
		case p == plain:
			return "the operation that its object is named by creates no object"
		case p == inMap && op.IsElem:
			return "it names an element of a map"
		case p == inSequence && !op.IsElem:
			return "it names a key of a list"
		}
	}
	if op.IsElem && op.Elem.Ctr != 0 && !k.reaches(ctr, op.Elem) {
		return "no ancestor holds the element that it names"
	}
	for _, p := range op.Pred {
		if !k.reaches(ctr, p) {
			return "no ancestor holds an operation that it overwrites"
		}
	}
	return ""
}

// object resolves the object of operation ctr. Runs of operations on one object
// are the rule, so the last answer is kept.
func (k *checker) object(ctr uint64, r chunk.Ref) place {
	if r == k.ref && k.last != nowhere {
		return k.last
	}
	if k.own(r) {
		return k.ownObject(ctr, r)
	}
	k.ref, k.last = r, k.resolve(r, true)
	return k.last
}

// reaches reports whether operation ctr may name operation r.
func (k *checker) reaches(ctr uint64, r chunk.Ref) bool {
	if k.own(r) {
		return r.Ctr < ctr
	}
	return r.Ctr < ctr && k.resolve(r, false) != nowhere
}

// own reports whether r is within the operations of the change itself.
func (k *checker) own(r chunk.Ref) bool {
	return r.Actor == 0 && r.Ctr >= k.c.StartOp
}

func (k *checker) ownObject(ctr uint64, r chunk.Ref) place {
	if r.Ctr >= ctr {
		return nowhere
	}
	return placeIn(k.c.Makes(), r.Ctr)
}

// placeIn looks for an object among what a change makes.
func placeIn(makes []chunk.Make, ctr uint64) place {
	i, ok := slices.BinarySearchFunc(makes, ctr, func(m chunk.Make, ctr uint64) int { return cmp.Compare(m.Counter, ctr) })
	if !ok {
		return plain
	}
	return placeOf(makes[i].Kind)
}

func placeOf(k chunk.Kind) place {
	if k.Sequence() {
		return inSequence
	}
	return inMap
}

// resolve finds an operation of an ancestor, and if asked the object it made.
func (k *checker) resolve(r chunk.Ref, object bool) place {
	a := k.actors[r.Actor]
	if a < 0 {
		return nowhere
	}
	if nodes := k.out[a]; len(nodes) > 0 {
		i, _ := slices.BinarySearchFunc(nodes, r.Ctr+1, func(n uint32, ctr uint64) int { return cmp.Compare(uint64(k.g.start[n]), ctr) })
		if i > 0 && r.Ctr-uint64(k.g.start[nodes[i-1]]) < uint64(k.g.ops[nodes[i-1]]) {
			return placeIn(k.g.twins.out[nodes[i-1]].makes, r.Ctr)
		}
	}
	n, ok := k.g.find(uint32(a), r.Ctr)
	if !ok || !k.anc.Has(int(n)) {
		return nowhere
	}
	if object {
		if kind, ok := k.g.objs.get(objectID(uint32(a), uint32(r.Ctr))); ok {
			return placeOf(kind)
		}
	}
	return plain
}
