package check

import (
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// ErrSource is what the error of Check wraps when a body could not be read: it
// says nothing about the change.
var ErrSource = errors.New("changes that it refers to could not be read")

// Source gives the bodies of changes, as package session's.
type Source interface {
	// Bodies calls yield with the change chunk of each row, in the order of rows.
	Bodies(rows []int64, yield func(body []byte) bool) error
}

// Checker makes the full check for one document. It keeps nothing of the
// document: it reads the changes that hold the operations that a change refers
// to, so that a check costs what the change does. It is not safe for concurrent
// use.
type Checker struct {
	g   *graph.Graph
	src Source

	held  map[int]*operations // by node: operations that were read, or are not published
	count int                 // operations in held
	last  *operations         // of the change that Check passed last
}

// keepOperations is how many operations stay in memory from one call of Settle
// to the next: people type where they typed before.
const keepOperations = 2048

// NewChecker returns the checker of a document whose bodies src has, by their rows in
// the graph.
func NewChecker(g *graph.Graph, src Source) *Checker {
	return &Checker{g: g, src: src, held: map[int]*operations{}}
}

// Check reports why c cannot stand in the document. Its deps must have been
// added. Errors are those of graph.Check, and ErrSource.
func (k *Checker) Check(c *chunk.Change) error {
	if err := k.g.Check(c); err != nil {
		return err
	}
	ancestry := k.g.Ancestors(c.Deps)
	own, needed := k.survey(c, ancestry)
	if err := k.read(needed); err != nil {
		return err
	}
	v := view{Checker: k, c: c, own: own, ancestry: ancestry}
	for i := range own.list {
		if err := v.check(uint64(i)); err != nil {
			return &graph.RefusedError{Hash: c.Hash, Reason: fmt.Sprintf("operation %d %v", c.StartOp+uint64(i), err)}
		}
	}
	k.last = own
	return nil
}

// Added says that a change was added to the graph: what is checked before it is
// published can refer to it.
func (k *Checker) Added(c *chunk.Change) {
	own := k.last
	if own == nil || own.c != c {
		own = decode(c)
	}
	k.hold(k.g.Nodes()+k.g.Unpublished()-1, own)
	k.last = nil
}

// Settle says that the graph has published what was added, or truncated it.
func (k *Checker) Settle() {
	if k.count > keepOperations {
		clear(k.held)
		k.count = 0
		return
	}
	for node, o := range k.held {
		if node >= k.g.Nodes() {
			delete(k.held, node)
			k.count -= len(o.list)
		}
	}
}

func (k *Checker) hold(node int, o *operations) {
	k.held[node] = o
	k.count += len(o.list)
}

// survey decodes the operations of c and lists the nodes they refer to that are
// not held.
func (k *Checker) survey(c *chunk.Change, ancestry graph.Ancestry) (own *operations, needed []int) {
	own = newOperations(c)
	var last chunk.Ref
	need := func(r chunk.Ref) {
		if r.Ctr == 0 || own.holds(r) || r == last {
			return
		}
		last = r
		node, ok := ancestry.Find(c.ActorOf(r.Actor), r.Ctr)
		if ok && k.held[node] == nil && (len(needed) == 0 || needed[len(needed)-1] != node) {
			needed = append(needed, node)
		}
	}
	for _, op := range c.Ops() {
		own.add(op)
		need(op.Elem)
		for _, p := range op.Pred {
			need(p)
		}
	}
	slices.Sort(needed)
	return own, slices.Compact(needed)
}

// read decodes the changes of published nodes.
func (k *Checker) read(nodes []int) error {
	if len(nodes) == 0 {
		return nil
	}
	rows := make([]int64, len(nodes))
	for i, n := range nodes {
		rows[i] = k.g.Row(n)
	}
	i := 0
	var parseErr error
	err := k.src.Bodies(rows, func(body []byte) bool {
		var c *chunk.Change
		if c, parseErr = chunk.ParseChange(slices.Clone(body)); parseErr != nil {
			return false
		}
		k.hold(nodes[i], decode(c))
		i++
		return true
	})
	if err = errors.Join(err, parseErr); err == nil && i < len(nodes) {
		err = fmt.Errorf("%d of %d are not there", len(nodes)-i, len(nodes))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	return nil
}

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

// view is a change with what it can refer to.
type view struct {
	*Checker
	c        *chunk.Change
	own      *operations
	ancestry graph.Ancestry

	ref chunk.Ref // the last one found, and where
	in  *operations
}

// find returns the operation that the change refers to.
func (v *view) find(r chunk.Ref) (in *operations, i uint64, err error) {
	switch {
	case v.own.holds(r):
		return v.own, r.Ctr - v.c.StartOp, nil
	case v.in != nil && r.Actor == v.ref.Actor && r.Ctr-v.in.c.StartOp < uint64(len(v.in.list)):
		return v.in, r.Ctr - v.in.c.StartOp, nil
	}
	node, ok := v.ancestry.Find(v.c.ActorOf(r.Actor), r.Ctr)
	if !ok || v.held[node] == nil {
		return nil, 0, fmt.Errorf("refers to operation %d, which is not among its ancestors", r.Ctr)
	}
	v.ref, v.in = r, v.held[node]
	return v.in, r.Ctr - v.in.c.StartOp, nil
}

// check checks operation i of the change: that the element it names is one of its
// list, and that what it overwrites are values under its own key.
func (v *view) check(i uint64) error {
	op := &v.own.list[i]
	if op.isElem && op.elemCtr > 0 {
		in, j, err := v.find(chunk.Ref{Actor: op.elemActor, Ctr: uint64(op.elemCtr)})
		if err != nil {
			return err
		}
		if !in.list[j].insert || in.object(j) != v.own.object(i) {
			return fmt.Errorf("(%s) names operation %d as an element of its list, which it is not", op.action, op.elemCtr)
		}
	}
	for _, p := range v.own.predsOf(i) {
		in, j, err := v.find(p)
		if err != nil {
			return err
		}
		if !v.sameKey(i, in, j) {
			return fmt.Errorf("(%s) overwrites operation %d, which stands under another key", op.action, p.Ctr)
		}
		if !in.list[j].value {
			return fmt.Errorf("(%s) overwrites operation %d, which is no value", op.action, p.Ctr)
		}
	}
	return nil
}

// sameKey reports whether operation i of the change and operation j of another
// work on the same key of the same object.
func (v *view) sameKey(i uint64, in *operations, j uint64) bool {
	a, b := &v.own.list[i], &in.list[j]
	if a.isElem != b.isElem || v.own.object(i) != in.object(j) {
		return false
	}
	if a.isElem {
		return v.own.element(i) == in.element(j)
	}
	return a.key == b.key
}
