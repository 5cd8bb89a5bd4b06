package graph

import (
	"fmt"
	"math"
	"slices"

	"syncline/crdt/id"
)

// maxNodes is how many changes a document may have: a node and a mark fit 32
// bits. At 80 bytes each that is far past any memory.
const maxNodes = 1 << 30

// MaxGap is how many operation counters a change may leave out above those of its
// ancestors. Honest authors leave out those of concurrent changes that they know
// of, when they edit an earlier version of the document. Counters that are gone
// cannot be used by anyone, and cost receivers memory.
const MaxGap = 1 << 20

// Graph is the hash graph of one document. A change is a *node*, a number that
// never changes while the change is in the graph. Nodes are in topological order,
// which is the order they were added in.
type Graph struct {
	// By node.
	hash    []id.Hash
	parents links
	actor   []uint32
	seq     []uint32
	start   []uint32
	ops     []uint32
	row     []int64
	depth   []uint16 // longest way to a cached clock (clock.go)
	child   bitset   // has a child that stands

	index   index
	actors  []id.Actor
	actorOf map[id.Actor]uint32
	chains  [][]uint32 // by actor: the nodes that stand, seq 1 first

	heads  []uint32 // of all that stand, unordered
	clocks clocks
	objs   objects

	// The published part: nodes below pub.
	pub       int
	pubHeads  []uint32
	pubHashes []id.Hash // of pubHeads, ascending
	pubActors int
	pubStand  int // how many published nodes stand
	pubOver   int // length of parents.over

	shallow *shallow // nil if all of the document is here

	staged  []uint64 // objects made by unpublished nodes that stand
	twins   twins
	checked struct { // the ancestry that Check computed last, for Add
		hash  id.Hash
		nodes int
		anc   Ancestry
	}
	scratch []uint32
}

// New returns the graph of an empty document.
func New() *Graph {
	return &Graph{index: newIndex(), actorOf: map[id.Actor]uint32{}, objs: newObjects(), clocks: newClocks(), twins: newTwins()}
}

// Len is the number of published changes that stand.
func (g *Graph) Len() int { return g.pubStand }

// Nodes is the number of published nodes, quarantined ones included. They are
// numbered from 0.
func (g *Graph) Nodes() int { return g.pub }

// Bytes is about what the graph takes in memory.
func (g *Graph) Bytes() int64 {
	const perNode = 32 + 4 + 4 + 4 + 4 + 4 + 8 + 2 + 4 // its row of each array, and its place in its chain
	n := int64(cap(g.hash))*perNode + 4*int64(len(g.index.slots)) + 8*int64(len(g.objs.slots))
	return n + 4*int64(cap(g.parents.over)) + 4*int64(g.clocks.spent) + 128*int64(len(g.actors))
}

// Unpublished is the number of changes that were added and not yet published.
func (g *Graph) Unpublished() int { return len(g.hash) - g.pub }

// Heads lists the published changes that nothing published depends on,
// ascending. It must not be modified.
func (g *Graph) Heads() []id.Hash { return g.pubHashes }

// Has reports whether the change is published and stands.
func (g *Graph) Has(h id.Hash) bool {
	n, ok := g.Lookup(h)
	return ok && !g.twins.isOut(uint32(n))
}

// Knows reports whether the change is published, in quarantine or not. What is
// known is not asked for.
func (g *Graph) Knows(h id.Hash) bool {
	_, ok := g.Lookup(h)
	return ok
}

// Contains reports whether the change was added at all, published or not.
func (g *Graph) Contains(h id.Hash) bool {
	_, ok := g.index.find(g.hash, &h)
	return ok
}

// Lookup returns the node of a published change.
func (g *Graph) Lookup(h id.Hash) (node int, ok bool) {
	n, ok := g.index.find(g.hash, &h)
	return int(n), ok && int(n) < g.pub
}

// Missing lists those of the given hashes that are not known, in the order given.
func (g *Graph) Missing(hashes []id.Hash) (out []id.Hash) {
	for _, h := range hashes {
		if !g.Knows(h) {
			out = append(out, h)
		}
	}
	return out
}

// Hash returns the hash of a node.
func (g *Graph) Hash(node int) id.Hash { return g.hash[node] }

// Row returns the journal row of a published node's body.
func (g *Graph) Row(node int) int64 { return g.row[node] }

// Seq returns the number of a node's change among those of its actor.
func (g *Graph) Seq(node int) uint64 { return uint64(g.seq[node]) }

// Meta returns what the graph keeps of a node, without Makes.
func (g *Graph) Meta(node int) Meta {
	n := uint32(node)
	m := Meta{Hash: g.hash[n], Actor: g.actors[g.actor[n]], Seq: uint64(g.seq[n]), StartOp: uint64(g.start[n]), NumOps: uint64(g.ops[n]), Row: g.row[n]}
	for _, p := range g.parents.of(n) {
		m.Deps = append(m.Deps, g.hash[p])
	}
	id.SortHashes(m.Deps)
	return m
}

// Find returns the node that holds operation ctr of an actor, among the changes
// that stand, unpublished ones included.
func (g *Graph) Find(actor id.Actor, ctr uint64) (node int, ok bool) {
	a, ok := g.actorOf[actor]
	if !ok {
		return 0, false
	}
	n, ok := g.find(a, ctr)
	return int(n), ok
}

func (g *Graph) find(a uint32, ctr uint64) (uint32, bool) {
	chain := g.chains[a]
	lo, hi := 0, len(chain)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if uint64(g.start[chain[mid]]) <= ctr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0, false
	}
	n := chain[lo-1]
	return n, ctr-uint64(g.start[n]) < uint64(g.ops[n])
}

// Add takes in a change, unpublished: it may be depended on at once and is
// visible after Publish. The error is ErrKnown, a *MissingError if deps are not
// there, or a *RefusedError if the change cannot follow its deps.
//
// Twins are no error. See Publish for how they come out.
func (g *Graph) Add(m Meta) error {
	if g.Contains(m.Hash) {
		return ErrKnown
	}
	deps, err := g.resolve(m.Hash, m.Deps)
	if err != nil {
		return err
	}
	out, err := g.admit(&m, deps)
	if err != nil {
		return err
	}
	g.insert(&m, deps, out)
	return nil
}

// resolve finds the nodes of deps. The result is valid until the next call.
func (g *Graph) resolve(h id.Hash, deps []id.Hash) ([]uint32, error) {
	nodes := g.scratch[:0]
	var missing []id.Hash
	for i := range deps {
		if i > 0 && deps[i-1].Compare(deps[i]) >= 0 {
			return nil, refused(h, "its dependencies are not in ascending order, or one is named twice")
		}
		if n, ok := g.index.find(g.hash, &deps[i]); ok {
			nodes = append(nodes, n)
		} else {
			missing = append(missing, deps[i])
		}
	}
	g.scratch = nodes
	if len(missing) > 0 {
		return nil, &MissingError{Hash: h, Missing: missing}
	}
	return nodes, nil
}

// admit applies the rules that every change must keep, which depend on nothing
// but the change and its ancestors. It reports whether the change descends from
// one in quarantine.
func (g *Graph) admit(m *Meta, deps []uint32) (out bool, err error) {
	switch {
	case m.Seq == 0 || m.Seq > math.MaxUint32:
		return false, refused(m.Hash, "its sequence number %d is not between 1 and %d", m.Seq, uint64(math.MaxUint32))
	case m.StartOp == 0 || m.StartOp > math.MaxUint32 || m.NumOps > math.MaxUint32-m.StartOp:
		return false, refused(m.Hash, "its operation counters (%d from %d) do not fit 32 bits", m.NumOps, m.StartOp)
	case len(g.hash) >= maxNodes || !g.parents.room(len(deps)):
		return false, refused(m.Hash, "the document has %d changes, and there is no room for more", len(g.hash))
	}
	top := uint64(0) // the largest counter among the ancestors: each is above its own
	for _, d := range deps {
		top = max(top, uint64(g.start[d])+uint64(g.ops[d])-1)
		out = out || g.twins.isOut(d)
	}
	if m.StartOp <= top {
		return false, refused(m.Hash, "its first operation is %d, and its dependencies reach %d", m.StartOp, top)
	}
	if m.StartOp > top+1+MaxGap {
		return false, refused(m.Hash, "its first operation is %d, and its dependencies reach only %d", m.StartOp, top)
	}
	if m.NumOps == 0 && m.StartOp != top+1 {
		// A saved document does not tell where a change without operations starts.
		return false, refused(m.Hash, "it has no operations and starts at %d, and its dependencies reach %d", m.StartOp, top)
	}
	a, known := g.actorOf[m.Actor]
	if !known {
		if len(g.actors) >= maxActors {
			return false, refused(m.Hash, "the document has %d actors, and there is no room for more", len(g.actors))
		}
		a = math.MaxUint32
	}
	if before := g.seqBefore(m, a, deps, out); before != m.Seq-1 {
		return false, refused(m.Hash, "it is change %d of actor %s, whose last change among its ancestors is %d", m.Seq, m.Actor, before)
	}
	return out, nil
}

// seqBefore returns the largest sequence number that the change's actor has among
// the change's ancestors.
func (g *Graph) seqBefore(m *Meta, a uint32, deps []uint32, out bool) uint64 {
	if a == math.MaxUint32 {
		return 0
	}
	if !out {
		chain := g.chains[a]
		if len(chain) == 0 {
			return 0
		}
		// The usual case: the actor's last change is a dependency.
		for _, d := range deps {
			if d == chain[len(chain)-1] {
				return uint64(len(chain))
			}
		}
	}
	if g.checked.hash == m.Hash && g.checked.nodes == len(g.hash) {
		return uint64(g.checked.anc.seqOf(a))
	}
	anc := g.ancestors(deps)
	return uint64(anc.seqOf(a))
}

// insert appends a change that was admitted.
func (g *Graph) insert(m *Meta, deps []uint32, out bool) {
	a, ok := g.actorOf[m.Actor]
	if !ok {
		a = uint32(len(g.actors))
		g.actors = append(g.actors, m.Actor)
		g.actorOf[m.Actor] = a
		g.chains = append(g.chains, nil)
	}
	n := uint32(len(g.hash))
	g.hash = append(g.hash, m.Hash)
	g.parents.add(deps)
	g.actor = append(g.actor, a)
	g.seq = append(g.seq, uint32(m.Seq))
	g.start = append(g.start, uint32(m.StartOp))
	g.ops = append(g.ops, uint32(m.NumOps))
	g.row = append(g.row, m.Row)
	g.depth = append(g.depth, 0)
	g.index.add(g.hash, n)
	if g.contest(n, out) {
		g.twins.out[n] = &evidence{makes: slices.Clone(m.Makes)}
		return
	}
	g.chains[a] = append(g.chains[a], n)
	for _, k := range m.Makes {
		key := objectID(a, uint32(k.Counter))
		g.objs.add(key, k.Kind)
		g.staged = append(g.staged, key)
	}
	g.advance(n, deps)
	g.noteDepth(n, deps)
}

// advance replaces deps among the heads by their child n.
func (g *Graph) advance(n uint32, deps []uint32) {
	fresh := 0
	for _, d := range deps {
		if !g.child.get(d) {
			g.child.set(d)
			fresh++
		}
	}
	if fresh > 0 {
		g.heads = slices.DeleteFunc(g.heads, func(h uint32) bool { return g.child.get(h) })
	}
	g.heads = append(g.heads, n)
}

// Publish makes everything that was added visible. rows are the journal rows of
// the unpublished changes in the order they were added; nil keeps the rows they
// came with.
//
// The answer says which changes twins have put in quarantine or taken out of it,
// those just published included. It is empty unless a document has twins.
func (g *Graph) Publish(rows []int64) Verdict {
	if rows != nil {
		if len(rows) != g.Unpublished() {
			panic(fmt.Sprintf("graph: Publish has %d rows for %d changes", len(rows), g.Unpublished()))
		}
		copy(g.row[g.pub:], rows)
	}
	v := g.settle()
	g.pub = len(g.hash)
	g.pubActors = len(g.actors)
	g.pubOver = len(g.parents.over)
	g.pubStand = g.pub - len(g.twins.out)
	g.staged = g.staged[:0]
	g.showHeads()
	return v
}

// showHeads makes the present heads the published ones.
func (g *Graph) showHeads() {
	g.pubHeads = append(g.pubHeads[:0], g.heads...)
	g.pubHashes = make([]id.Hash, len(g.pubHeads)) // callers keep the old ones
	for i, n := range g.pubHeads {
		g.pubHashes[i] = g.hash[n]
	}
	id.SortHashes(g.pubHashes)
}

// Truncate forgets the unpublished changes, at a cost in proportion to them and
// to the number of heads.
func (g *Graph) Truncate() {
	if g.Unpublished() == 0 {
		return
	}
	g.checked.hash = id.Hash{}
	for n := uint32(len(g.hash)); n > uint32(g.pub); {
		n--
		g.index.remove(g.hash, n)
		if g.twins.isOut(n) {
			delete(g.twins.out, n)
			continue
		}
		a := g.actor[n]
		g.chains[a] = g.chains[a][:len(g.chains[a])-1]
		g.clocks.drop(n)
	}
	for _, key := range g.staged {
		g.objs.remove(key)
	}
	g.staged = g.staged[:0]
	g.twins.truncate(uint32(g.pub))
	for _, a := range g.actors[g.pubActors:] {
		delete(g.actorOf, a)
	}
	g.actors = g.actors[:g.pubActors]
	g.chains = g.chains[:g.pubActors]
	g.hash = g.hash[:g.pub]
	g.parents.first = g.parents.first[:g.pub]
	g.parents.over = g.parents.over[:g.pubOver]
	g.actor = g.actor[:g.pub]
	g.seq = g.seq[:g.pub]
	g.start = g.start[:g.pub]
	g.ops = g.ops[:g.pub]
	g.row = g.row[:g.pub]
	g.depth = g.depth[:g.pub]
	g.child.truncate(uint32(g.pub))
	for _, h := range g.pubHeads {
		g.child.clear(h) // of the published, only heads can have got a first child
	}
	g.heads = append(g.heads[:0], g.pubHeads...)
}
