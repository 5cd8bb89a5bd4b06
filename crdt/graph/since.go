package graph

import (
	"iter"
	"slices"

	"syncline/crdt/id"
)

// paintBudget is how many nodes Since looks at, beyond what it returns, before it
// goes by clocks instead: about what a clock of a few hundred actors costs.
const paintBudget = 512

// Since lists the published changes that stand and are neither among the given
// ones nor their ancestors, in topological order. Hashes that are not known are
// ignored. It costs time in proportion to the result, and to the number of actors
// if the given changes are far from the heads. A shallow graph may list more.
func (g *Graph) Since(have []id.Hash) []int {
	if slices.Equal(have, g.pubHashes) {
		return nil
	}
	nodes := make([]uint32, 0, len(have))
	for i := range have {
		if n, ok := g.Lookup(have[i]); ok {
			nodes = append(nodes, uint32(n))
		}
	}
	nodes = distinct(nodes)
	if g.shallow != nil {
		return g.shallowSince(nodes)
	}
	if len(nodes) == 0 {
		return g.everything()
	}
	if !g.twins.any(nodes) {
		if out, ok := g.paint(nodes); ok {
			return out
		}
	}
	anc := g.ancestors(nodes)
	if anc.all {
		return nil // all the heads, and unpublished nodes are not in nodes
	}
	var out []int
	for a, chain := range g.chains[:g.pubActors] {
		for _, n := range chain[anc.clock[a]:] {
			if int(n) < g.pub {
				out = append(out, int(n))
			}
		}
	}
	slices.Sort(out)
	return out
}

func (g *Graph) everything() []int {
	out := make([]int, 0, g.pubStand)
	for n := range g.pub {
		if !g.twins.isOut(uint32(n)) {
			out = append(out, n)
		}
	}
	return out
}

// paint walks back from the heads and from have at once and stops when all that
// is left is below have. It gives up when that takes long.
func (g *Graph) paint(have []uint32) ([]int, bool) {
	// Entries are node<<1 | painted, so a painted entry comes before another for
	// the same node.
	heap := g.clocks.heap[:0]
	defer func() { g.clocks.heap = heap[:0] }()
	for _, n := range g.pubHeads {
		heap = append(heap, n<<1)
	}
	for _, n := range have {
		heap = append(heap, n<<1|1)
	}
	heapify(heap)
	bare := len(g.pubHeads) // unpainted entries in the heap
	budget := paintBudget + len(heap)
	var out []int
	last := uint32(noParent)
	for bare > 0 {
		e := heap[0]
		heap = popHeap(heap)
		painted := e & 1
		if painted == 0 {
			bare--
		}
		if e>>1 == last {
			continue
		}
		last = e >> 1
		if painted == 0 {
			out = append(out, int(last))
			budget++
		}
		for _, p := range g.parents.of(last) {
			heap = pushHeap(heap, p<<1|painted)
			if painted == 0 {
				bare++
			}
		}
		if budget--; budget < 0 {
			return nil, false
		}
	}
	slices.Reverse(out)
	return out, true
}

// Parents walks over the nodes that a node depends on.
func (g *Graph) Parents(node int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, p := range g.parents.of(uint32(node)) {
			if !yield(int(p)) {
				return
			}
		}
	}
}

// HeadsWithout returns what the heads would be without the given published
// nodes, ascending. With a node, all that depend on it must be given. It costs
// time in proportion to the graph.
func (g *Graph) HeadsWithout(nodes []int) []id.Hash {
	var gone, child bitset
	gone.words = make([]uint64, g.pub/64+1)
	child.words = make([]uint64, g.pub/64+1)
	for _, n := range nodes {
		gone.set(uint32(n))
	}
	if g.shallow != nil {
		child.set(0) // what it stands for ends in other nodes
	}
	for n := range uint32(g.pub) {
		if !gone.get(n) && !g.twins.isOut(n) {
			for _, p := range g.parents.of(n) {
				child.set(p)
			}
		}
	}
	var out []id.Hash
	for n := range uint32(g.pub) {
		if !gone.get(n) && !child.get(n) && !g.twins.isOut(n) {
			out = append(out, g.hash[n])
		}
	}
	id.SortHashes(out)
	return out
}
