package peer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// again works out what the changes that twins have put out are replaced by, and
// stages what is not there yet. It is part of a replica and as pure.
type again struct {
	r   *replica
	dev device

	// What the last pass has found, good for as long as what was out then is out.
	out     []int // the nodes that are out, ascending
	seen    int   // nodes that there were after it
	stands  map[int]*standIn
	byActor map[id.Actor][]span // of out, by their first operations

	said map[id.Hash]struct{} // of what it was said that it is open

	// Of the present pass.
	rivals map[id.Hash]id.Hash // by twin that is out: the one that stands
	reach  reach
	issued int // changes that were staged
	left   int // operations of theirs that were left out
	bytes  int // of what is staged
}

// standIn is what a node that is out is replaced by.
type standIn struct {
	deps []int // what others depend on in its place
	// moves and then say where its operations are: moved, and moved on with what
	// they were moved to. There are none if moves is nil.
	moves *chunk.Moves
	then  *standIn
	hash  id.Hash // of the change that has them, zero if there is none
	left  int     // operations that were left out
	// open: it was issued again by a copy of this device that knows the original,
	// which we do not. What builds on it is for the one who does.
	open bool
}

func (s *standIn) find(ctr uint64) (chunk.OpID, bool) {
	if s.moves == nil {
		return chunk.OpID{}, false
	}
	to, ok := s.moves.Find(ctr)
	if ok && s.then != nil {
		return s.then.find(to.Ctr)
	}
	return to, ok
}

// span is where the operations of a node are.
type span struct {
	node       int
	start, end uint64
}

// reach is the nodes that are out among the ancestors of one. Runs of changes, each
// on the one before, are the rule, and cost one step each.
type reach struct {
	of    int
	nodes map[int]struct{}
}

// A pass stages at most so much before that is stored.
const (
	againChanges = 512
	againBytes   = 8 << 20
)

// errStaged says that a pass has staged enough, or needs what it staged stored.
var errStaged = errors.New("to be stored first")

func newAgain(r *replica, dev device) *again {
	return &again{r: r, dev: dev, said: map[id.Hash]struct{}{}}
}

// step goes on with a pass. It reports more if what it has staged has to be stored
// before the rest; it begins anew then, and finds what it did done.
func (a *again) step() (more bool, err error) {
	a.bytes = 0
	a.refresh()
	// What is staged may come to be out, and it was taken to stand.
	defer func() { a.seen = a.r.graph.Nodes() + a.r.graph.Unpublished() }()
	for _, n := range a.out {
		if _, err := a.resolve(n); errors.Is(err, errStaged) {
			return true, nil
		} else if err != nil {
			return false, err
		}
	}
	return false, nil
}

// forget throws away what was found: the graph has been altered.
func (a *again) forget() { a.out, a.seen, a.stands, a.byActor = nil, 0, nil, nil }

// refresh looks at what is out now, and keeps what was found if all that was out
// still is, and nothing else that was there.
func (a *again) refresh() {
	g := a.r.graph
	out := make([]int, 0, g.Nodes()-g.Len())
	for n := range g.Nodes() {
		if !g.Has(g.Hash(n)) {
			out = append(out, n)
		}
	}
	known := len(a.out)
	if a.stands == nil || len(out) < known || !slices.Equal(a.out, out[:known]) || len(out) > known && out[known] < a.seen {
		known = 0
		a.stands, a.byActor = map[int]*standIn{}, map[id.Actor][]span{}
	}
	for _, n := range out[known:] {
		m := g.Meta(n)
		list := a.byActor[m.Actor]
		i, _ := slices.BinarySearchFunc(list, m.StartOp, func(s span, ctr uint64) int { return cmp.Compare(s.start, ctr) })
		a.byActor[m.Actor] = slices.Insert(list, i, span{n, m.StartOp, m.StartOp + m.NumOps})
	}
	maps.DeleteFunc(a.stands, func(_ int, s *standIn) bool { return s.open }) // the original may have come
	a.out = out
	a.rivals = map[id.Hash]id.Hash{}
	for _, t := range g.Twins() {
		for _, h := range t.Hashes {
			if t.Stands >= 0 && h != t.Hashes[t.Stands] {
				a.rivals[h] = t.Hashes[t.Stands]
			}
		}
	}
	a.reach = reach{of: -1}
}

// resolve finds what node n, which is out, is replaced by, and stages it if it is
// ours to issue again and has not been.
func (a *again) resolve(n int) (*standIn, error) {
	if s := a.stands[n]; s != nil {
		return s, nil
	}
	g := a.r.graph
	s := &standIn{}
	first := true // no dep is out
	for p := range g.Parents(n) {
		if g.Has(g.Hash(p)) {
			s.deps = append(s.deps, p)
			continue
		}
		first = false
		in, err := a.resolve(p)
		if err != nil {
			return nil, err
		}
		s.deps = append(s.deps, in.deps...)
		s.open = s.open || in.open
	}
	if first {
		if w, ok := g.Lookup(a.rivals[g.Hash(n)]); ok {
			s.deps = append(s.deps, w)
		}
	}
	m := g.Meta(n)
	if a.dev.wrote(m.Actor) && !s.open {
		var err error
		if original, ok := a.dev.isAgain(m); ok && !first {
			err = a.follow(s, m, original)
		} else {
			err = a.issue(s, n, m)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, said := a.said[m.Hash]; s.open && !said && a.dev.wrote(m.Actor) {
		a.said[m.Hash] = struct{}{}
		a.r.do(say{text: "change not issued again: it builds on one that another copy of this device issued again, whose original is not here", hash: m.Hash})
	}
	s.deps = a.tops(s.deps)
	a.stands[n] = s
	return s, nil
}

// follow makes s what a change is replaced by that was issued again itself and is
// out for a dep: the original, or what that is now issued again as.
func (a *again) follow(s *standIn, m graph.Meta, original []byte) error {
	g := a.r.graph
	for n := range g.Nodes() {
		h := g.Hash(n)
		if string(h[:againNode]) != string(original) {
			continue
		}
		o := g.Meta(n)
		if !a.dev.wrote(o.Actor) {
			continue
		}
		if o.NumOps == m.NumOps { // else some were left out, and which is not known
			moves := chunk.Shift(m.StartOp, m.NumOps, o.Actor, o.StartOp)
			s.moves, s.hash = &moves, h
		}
		if g.Has(h) {
			s.deps = append(s.deps, n)
			return nil
		}
		in, err := a.resolve(n)
		if err != nil {
			return err
		}
		s.deps = append(s.deps, in.deps...)
		s.then, s.hash, s.open = in, in.hash, in.open
		return nil
	}
	s.open = true
	return nil
}

// issue makes s what node n is issued again as.
func (a *again) issue(s *standIn, n int, m graph.Meta) error {
	g := a.r.graph
	c, err := a.change(n)
	if err != nil {
		return err
	}
	h := chunk.Header{Seq: 1, StartOp: 1}
	for _, d := range a.tops(s.deps) {
		dep := g.Meta(d)
		h.Deps = append(h.Deps, dep.Hash)
		h.StartOp = max(h.StartOp, dep.StartOp+dep.NumOps)
	}
	id.SortHashes(h.Deps)
	h.Actor = a.dev.actorFor(m.Hash, h.Deps)
	a.follows(n)
	moved, moves, err := c.Transplant(h, a.find)
	if err != nil {
		a.r.do(say{text: "change not issued again", hash: m.Hash, err: err})
		return nil
	}
	node, published := g.Lookup(moved.Hash)
	switch {
	case published && !g.Has(moved.Hash):
		// Somebody made a twin of it, which stands.
		then, err := a.resolve(node)
		if err != nil {
			return err
		}
		s.deps, s.moves, s.then, s.hash, s.left, s.open = then.deps, &moves, then, then.hash, moves.Left(), then.open
		return nil
	case published:
	case g.Contains(moved.Hash):
		return errStaged
	case a.r.orphans.Refused(moved.Hash):
		return nil // it was reported
	case g.Unpublished() >= againChanges || a.bytes >= againBytes:
		return errStaged
	default:
		node = g.Nodes() + g.Unpublished()
		a.r.intake.Take(moved, graph.Sender{Name: originLocal})
		if !g.Contains(moved.Hash) {
			return nil // it was reported
		}
		a.r.keep(moved.Hash, kept{ops: newRecord(moved, nil)})
		a.issued, a.left, a.bytes = a.issued+1, a.left+moves.Left(), a.bytes+len(moved.Raw())
		if moves.Left() > 0 {
			a.r.do(say{text: "operations could not be issued again: what they work on is not in the document any more", hash: m.Hash,
				err: fmt.Errorf("%d of %d operations", moves.Left(), m.NumOps)})
		}
	}
	s.deps, s.moves, s.hash, s.left = []int{node}, &moves, moved.Hash, moves.Left()
	return nil
}

// change reads the change of a node.
func (a *again) change(n int) (c *chunk.Change, err error) {
	g := a.r.graph
	readErr := a.r.bodies.Bodies([]int64{g.Row(n)}, func(body []byte) bool {
		c, err = chunk.ParseChange(slices.Clone(body))
		return true
	})
	if err = errors.Join(readErr, err); err == nil && c == nil {
		err = errors.New("it is not there")
	}
	if err != nil {
		return nil, fmt.Errorf("read change %s: %w", g.Hash(n), err)
	}
	return c, nil
}

// tops leaves out what other nodes of the list descend from, so that the list stays
// short however much of others' editing lies between.
func (a *again) tops(nodes []int) []int {
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	if len(nodes) < 2 {
		return nodes
	}
	var kept []int
	var below []graph.Ancestry
	for _, n := range slices.Backward(nodes) {
		if slices.ContainsFunc(below, func(b graph.Ancestry) bool { return b.Has(n) }) {
			continue
		}
		kept = append(kept, n)
		below = append(below, a.r.graph.Ancestors([]id.Hash{a.r.graph.Hash(n)}))
	}
	slices.Reverse(kept)
	return kept
}

// follows makes reach that of node n.
func (a *again) follows(n int) {
	g := a.r.graph
	parents := slices.Collect(g.Parents(n))
	if len(parents) == 1 && parents[0] == a.reach.of {
		a.reach.nodes[parents[0]] = struct{}{}
		a.reach.of = n
		return
	}
	a.reach = reach{of: n, nodes: map[int]struct{}{}}
	for todo := parents; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, seen := a.reach.nodes[n]; seen || g.Has(g.Hash(n)) {
			continue
		}
		a.reach.nodes[n] = struct{}{}
		todo = slices.AppendSeq(todo, g.Parents(n))
	}
}

// find says what an operation that the node of reach refers to is called now.
func (a *again) find(op chunk.OpID) (chunk.OpID, bool) {
	list := a.byActor[op.Actor]
	i, _ := slices.BinarySearchFunc(list, op.Ctr+1, func(s span, ctr uint64) int { return cmp.Compare(s.start, ctr) })
	for _, s := range slices.Backward(list[:i]) {
		if _, ok := a.reach.nodes[s.node]; ok && op.Ctr < s.end {
			return a.stands[s.node].find(op.Ctr)
		}
	}
	return op, true // of a change that stands
}

// done returns how many changes were issued, and how many operations of theirs left
// out, since it was last asked.
func (a *again) done() (changes, left int) {
	changes, left = a.issued, a.left
	a.issued, a.left = 0, 0
	return changes, left
}

// standsFor returns what has the operations of a change that is out, as the last
// pass has found it.
func (a *again) standsFor(h id.Hash) (s standIn, ok bool) {
	n, ok := a.r.graph.Lookup(h)
	if !ok || a.stands[n] == nil {
		return s, false
	}
	return *a.stands[n], true
}
