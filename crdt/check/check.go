// Package check decides whether a change fits the document that it names: the
// full check, which relay and peer make before they take in a change of somebody
// else. It stands behind chunk, which looks at the change alone, and graph, which
// knows what its ancestors are and what objects they made, and before the journal.
//
// An operation may name an element of a list and operations that it overwrites.
// That they are there is for the graph to say; here the changes that hold them are
// read, to see that the element belongs to that list, and that what is overwritten
// are values under the same key. A change that breaks this ends the process of the
// C core, makes the JavaScript one panic, or makes a document that does not load
// once it is saved. The package does no I/O of its own: bodies come from a Source.
package check

import (
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
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
	bytes int                 // of their changes
	added []int               // nodes that were not published when they were added
	last  *operations         // of the change that Check passed last
}

// keepOperations is how many operations stay in memory from one call of Settle
// to the next: people type where they typed before.
const keepOperations = 2048

// keepBytes is how many bytes of changes do: an operation may hold a whole picture.
const keepBytes = 256 << 10

// New returns the checker of a document whose bodies src has, by their rows in
// the graph.
func New(g *graph.Graph, src Source) *Checker {
	return &Checker{g: g, src: src, held: map[int]*operations{}}
}

// Check reports why c cannot stand in the document. Its deps must have been
// added. Errors are those of graph.Check, and ErrSource.
func (k *Checker) Check(c *chunk.Change) error {
	if err := k.g.Check(c); err != nil {
		return err
	}
	ancestry := k.g.Checked(c)
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
	node := k.g.Nodes() + k.g.Unpublished() - 1
	k.hold(node, own)
	k.added = append(k.added, node)
	k.last = nil
}

// Settle says that the graph has published what was added, or truncated it.
func (k *Checker) Settle() {
	for _, node := range k.added {
		if o := k.held[node]; o != nil && node >= k.g.Nodes() {
			delete(k.held, node)
			k.count -= len(o.list)
			k.bytes -= len(o.c.Raw())
		}
	}
	k.added = k.added[:0]
	if k.count > keepOperations || k.bytes > keepBytes {
		clear(k.held)
		k.count, k.bytes = 0, 0
	}
}

// operationCost is about what an operation takes in memory beside its change's bytes.
const operationCost = 48

// Bytes is about what the checker keeps in memory of changes.
func (k *Checker) Bytes() int { return k.bytes + operationCost*k.count }

func (k *Checker) hold(node int, o *operations) {
	k.held[node] = o
	k.count += len(o.list)
	k.bytes += len(o.c.Raw())
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
