package check

import (
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// operations are those of one change.
type operations struct {
	c     *chunk.Change
	list  []operation
	preds []chunk.Ref // of all, one after the other
}

// operation is what others may refer to.
type operation struct {
	key                string
	objActor, objCtr   uint32
	elemActor, elemCtr uint32
	firstPred          uint32
	isElem, insert     bool
	value              bool // set or make: what others may overwrite
	action             chunk.Action
}

func decode(c *chunk.Change) *operations {
	o := newOperations(c)
	for _, op := range c.Ops() {
		o.add(op)
	}
	return o
}

func newOperations(c *chunk.Change) *operations {
	return &operations{c: c, list: make([]operation, 0, c.NumOps)}
}

func (o *operations) add(op *chunk.Op) {
	_, makes := op.Action.Makes()
	o.list = append(o.list, operation{
		key: op.Key, objActor: op.Obj.Actor, objCtr: uint32(op.Obj.Ctr), elemActor: op.Elem.Actor, elemCtr: uint32(op.Elem.Ctr),
		firstPred: uint32(len(o.preds)), isElem: op.IsElem, insert: op.Insert, value: makes || op.Action == chunk.Set, action: op.Action,
	})
	o.preds = append(o.preds, op.Pred...)
}

// holds reports whether a reference of the change is to its own operations.
func (o *operations) holds(r chunk.Ref) bool { return r.Actor == 0 && r.Ctr >= o.c.StartOp }

// predsOf lists the predecessors of operation i.
func (o *operations) predsOf(i uint64) []chunk.Ref {
	if i+1 < uint64(len(o.list)) {
		return o.preds[o.list[i].firstPred:o.list[i+1].firstPred]
	}
	return o.preds[o.list[i].firstPred:]
}

// place names an operation across changes. Within one set of ancestors an actor
// uses a counter once.
type place struct {
	actor id.Actor
	ctr   uint32
}

func (o *operations) at(actor, ctr uint32) place {
	if ctr == 0 {
		return place{}
	}
	return place{o.c.ActorOf(actor), ctr}
}

// object is the object that operation i works on.
func (o *operations) object(i uint64) place { return o.at(o.list[i].objActor, o.list[i].objCtr) }

// element is the list element that operation i sets or made.
func (o *operations) element(i uint64) place {
	if o.list[i].insert {
		return place{o.c.Actor, uint32(o.c.StartOp + i)}
	}
	return o.at(o.list[i].elemActor, o.list[i].elemCtr)
}
