package graph

import "syncline/crdt/id"

// HeadsOf returns the heads, ascending, of those published nodes for which in is
// true and of all their ancestors. It costs time in proportion to the graph, and calls in for each
// node that stands and is no ancestor of one that was in already.
func (g *Graph) HeadsOf(in func(node int) bool) []id.Hash {
	var below bitset // ancestors of what is in
	var out []id.Hash
	for n := uint32(g.pub); n > 0; {
		n--
		if g.twins.isOut(n) {
			continue
		}
		ancestor := below.get(n)
		if !ancestor && !in(int(n)) {
			continue
		}
		if !ancestor {
			out = append(out, g.hash[n])
		}
		for _, p := range g.parents.of(n) {
			below.set(p)
		}
	}
	id.SortHashes(out)
	return out
}
