// Package check decides whether a change fits the document that it names: the
// full check that a peer makes before a change of somebody else reaches the
// core. It stands behind chunk, which looks at the change alone, and graph,
// whose cheap check is all that a relay needs, and before the document, whose C
// core stops the process when it is given an operation that its ancestors do
// not allow. It does no I/O.
//
// For each operation of the document it keeps nine bytes, enough to say of any
// reference whether it names an element of that list, or a value under that key.
package check

import (
	"fmt"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// Document is the table of a document's operations. It is not safe for
// concurrent use.
type Document struct {
	g *graph.Graph

	// By node of the graph: where its operations begin in the table, and the
	// counter of the first.
	base, start []uint32

	// By operation.
	obj   []uint32 // the operation that made its object, plus one; 0 is the root
	key   []uint32 // for maps the number of its key, for lists the operation that inserted its element
	class []class

	keys map[string]uint32

	// The change at hand, which Check leaves behind the table for Add.
	pending id.Hash
	from    int // where its operations begin, which is where the table ends

	c        *chunk.Change
	ancestry graph.Ancestry
	bases    []cursor
}

// cursor remembers the change that held the last reference to an actor.
type cursor struct {
	node  int
	first uint64 // counter of its first operation
	n     uint64
	ok    bool
}

// class is what the table knows of an operation's action.
type class uint8

const (
	kindMask class = 3 // the kind of the object it made
	isMake   class = 1 << 2
	isInsert class = 1 << 3
	isValue  class = 1 << 4 // set or make: what others may overwrite
)

// New returns the table of a document without changes. The graph is the
// document's; every change must be added to both, in the same order.
func New(g *graph.Graph) *Document {
	return &Document{g: g, keys: map[string]uint32{}}
}

// Check reports why c cannot stand in the document, as a *graph.RefusedError; its
// deps must have been added. It leaves the document as it was.
func (d *Document) Check(c *chunk.Change) error {
	if err := d.g.Check(c); err != nil {
		return err
	}
	d.drop()
	if err := d.enter(c); err != nil {
		d.drop()
		return &graph.RefusedError{Hash: c.Hash, Reason: err.Error()}
	}
	d.pending = c.Hash
	return nil
}

// Add takes in a change that Check has passed and that was added to the graph.
func (d *Document) Add(c *chunk.Change) {
	if d.pending != c.Hash || d.c == nil {
		d.drop()
		if err := d.enter(c); err != nil {
			panic(fmt.Sprintf("check: change %s was added without being checked: %v", c.Hash, err))
		}
	}
	d.base = append(d.base, uint32(d.from))
	d.start = append(d.start, uint32(c.StartOp))
	d.forget()
}

// Skip stands in for Add where the graph took a change into quarantine: nothing
// that stands can refer to its operations.
func (d *Document) Skip() {
	d.drop()
	d.base = append(d.base, uint32(d.from))
	d.start = append(d.start, 0)
}

// Truncate forgets all changes from node n of the graph on, after the graph has.
func (d *Document) Truncate(n int) {
	d.drop()
	if n >= len(d.base) {
		return
	}
	d.cut(int(d.base[n]))
	d.forget()
	d.base, d.start = d.base[:n], d.start[:n]
}

// Operations is the number of operations in the table.
func (d *Document) Operations() int { return d.from }

// drop forgets what Check left.
func (d *Document) drop() {
	d.cut(d.from)
	d.forget()
}

// cut shortens the table to n operations.
func (d *Document) cut(n int) {
	d.obj, d.key, d.class = d.obj[:n], d.key[:n], d.class[:n]
}

// forget ends the work on a change: what is in the table stays.
func (d *Document) forget() {
	d.pending, d.c, d.from = id.Hash{}, nil, len(d.obj)
}

// enter appends the operations of c to the table, checking each.
func (d *Document) enter(c *chunk.Change) error {
	d.c = c
	d.ancestry = d.g.Ancestors(c.Deps)
	if n := len(c.OtherActors) + 1; cap(d.bases) < n {
		d.bases = make([]cursor, n)
	} else {
		d.bases = d.bases[:n]
		clear(d.bases)
	}
	for ctr, op := range c.Ops() {
		if err := d.enterOp(ctr, op); err != nil {
			return fmt.Errorf("operation %d (%s) %w", ctr, op.Action, err)
		}
	}
	return nil
}

// find returns the place in the table of an operation that c refers to.
func (d *Document) find(r chunk.Ref) (uint32, error) {
	if r.Actor == 0 && r.Ctr >= d.c.StartOp {
		return uint32(d.from) + uint32(r.Ctr-d.c.StartOp), nil
	}
	k := &d.bases[r.Actor]
	if !k.ok || r.Ctr < k.first || r.Ctr-k.first >= k.n {
		node, ok := d.g.Find(d.c.ActorOf(r.Actor), r.Ctr)
		if !ok || !d.ancestry.Has(node) {
			return 0, fmt.Errorf("refers to operation %d of %s, which is not among its ancestors", r.Ctr, d.c.ActorOf(r.Actor))
		}
		end := uint32(d.from)
		if node+1 < len(d.base) {
			end = d.base[node+1]
		}
		*k = cursor{node: node, first: uint64(d.start[node]), n: uint64(end - d.base[node]), ok: true}
	}
	return d.base[k.node] + uint32(r.Ctr-k.first), nil
}
