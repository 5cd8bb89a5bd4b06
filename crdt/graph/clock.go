package graph

import (
	"math"
	"slices"

	"syncline/crdt/id"
)

// Which changes are ancestors of which is answered by vector clocks: as the
// changes of one actor that stand follow each other, the ancestors of a node are,
// for each actor, all of its changes up to some sequence number. A clock is
// computed by walking back to nodes whose clock is cached.
//
// Clocks are cached where the walk would get long, as far as a budget goes that
// grows by one entry a node: memory stays in proportion to the nodes whatever the
// number of actors, and whoever makes a document with many actors spaces the
// cached clocks out for himself.

const (
	// clockDepth is how long a walk may get before a clock is worth caching: the
	// walk then costs about what copying a small clock does.
	clockDepth = 16
	// clockFloor lets small documents with many actors cache a few clocks.
	clockFloor = 4096
)

type clocks struct {
	at    map[uint32][]uint32 // node to clock, its own change included
	spent int                 // entries in them

	heap []uint32 // scratch of walk
	full []uint32 // scratch of walk
}

func newClocks() clocks { return clocks{at: map[uint32][]uint32{}} }

func (c *clocks) drop(n uint32) {
	if k, ok := c.at[n]; ok {
		c.spent -= len(k)
		delete(c.at, n)
	}
}

// noteDepth records how far node n is from a cached clock, or caches one there.
func (g *Graph) noteDepth(n uint32, deps []uint32) {
	d := uint16(0)
	for _, p := range deps {
		d = max(d, g.depth[p])
	}
	if d < math.MaxUint16 {
		d++
	}
	if d >= clockDepth && g.clocks.spent+len(g.actors) <= len(g.hash)+clockFloor {
		k := g.walk([]uint32{n})
		g.clocks.at[n] = k
		g.clocks.spent += len(k)
		d = 0
	}
	g.depth[n] = d
}

// Ancestry answers whether a change is among the ancestors of some others, or one
// of those. It is valid until the graph changes.
type Ancestry struct {
	g     *Graph
	limit uint32 // if all: every node below it that stands
	all   bool
	clock []uint32            // by actor: the last sequence number
	out   map[uint32]struct{} // ancestors in quarantine
	tops  map[uint32]uint32   // by actor: the last sequence number among out
}

// Ancestors returns the ancestry of the given changes, themselves included;
// hashes that the graph does not contain are ignored. If they are all the heads
// it costs nothing.
func (g *Graph) Ancestors(deps []id.Hash) Ancestry {
	if slices.Equal(deps, g.pubHashes) {
		return Ancestry{g: g, all: true, limit: uint32(g.pub)}
	}
	nodes := make([]uint32, 0, len(deps))
	for i := range deps {
		if n, ok := g.index.find(g.hash, &deps[i]); ok {
			nodes = append(nodes, n)
		}
	}
	return g.ancestors(distinct(nodes))
}

func distinct(nodes []uint32) []uint32 {
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// ancestors is Ancestors of distinct nodes.
func (g *Graph) ancestors(nodes []uint32) Ancestry {
	if len(nodes) == len(g.heads) && !slices.ContainsFunc(nodes, func(n uint32) bool { return g.child.get(n) || g.twins.isOut(n) }) {
		// Distinct, standing and childless: all the heads.
		return Ancestry{g: g, all: true, limit: uint32(len(g.hash))}
	}
	anc := Ancestry{g: g}
	if g.twins.any(nodes) {
		nodes = anc.collect(nodes)
	}
	anc.clock = g.walk(nodes)
	return anc
}

// collect gathers the quarantined ancestors of nodes, and returns those through
// which the rest is reached.
func (a *Ancestry) collect(nodes []uint32) (stand []uint32) {
	a.out, a.tops = map[uint32]struct{}{}, map[uint32]uint32{}
	todo := slices.Clone(nodes)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !a.g.twins.isOut(n) {
			stand = append(stand, n)
			continue
		}
		if _, seen := a.out[n]; seen {
			continue
		}
		a.out[n] = struct{}{}
		a.tops[a.g.actor[n]] = max(a.tops[a.g.actor[n]], a.g.seq[n])
		todo = append(todo, a.g.parents.of(n)...)
	}
	return stand
}

// Has reports whether the node is among the ancestors.
func (a Ancestry) Has(node int) bool {
	n := uint32(node)
	if a.g.twins.isOut(n) {
		_, ok := a.out[n]
		return ok
	}
	if a.all {
		return n < a.limit
	}
	i := a.g.actor[n]
	return int(i) < len(a.clock) && a.g.seq[n] <= a.clock[i]
}

// Find returns the ancestor that holds operation ctr of an actor.
func (a Ancestry) Find(actor id.Actor, ctr uint64) (node int, ok bool) {
	index, ok := a.g.actorOf[actor]
	if !ok {
		return 0, false
	}
	for n := range a.out {
		if a.g.actor[n] == index && ctr-uint64(a.g.start[n]) < uint64(a.g.ops[n]) {
			return int(n), true
		}
	}
	n, ok := a.g.find(index, ctr)
	return int(n), ok && a.Has(int(n))
}

// seqOf returns the last sequence number that the actor has among the ancestors.
func (a *Ancestry) seqOf(actor uint32) uint32 {
	top := a.tops[actor]
	switch {
	case a.all:
		chain := a.g.chains[actor]
		for len(chain) > 0 && chain[len(chain)-1] >= a.limit {
			chain = chain[:len(chain)-1]
		}
		return uint32(len(chain))
	case int(actor) < len(a.clock):
		return max(top, a.clock[actor])
	}
	return top
}

// walk computes the clock of nodes that stand.
func (g *Graph) walk(nodes []uint32) []uint32 {
	clock := make([]uint32, len(g.actors))
	if len(nodes) == 0 {
		return clock
	}
	// full is the part of the clock that comes from cached clocks: the ancestors
	// of what it covers are covered too. A node that is merely in clock was
	// visited, and its parents may still be waiting.
	full := g.clocks.full[:0]
	full = append(full, clock...)
	heap := append(g.clocks.heap[:0], nodes...)
	if len(heap) > 1 {
		heapify(heap)
	}
	last := uint32(noParent)
	for len(heap) > 0 {
		n := heap[0]
		heap = popHeap(heap)
		if n == last {
			continue
		}
		last = n
		a := g.actor[n]
		if g.seq[n] <= full[a] {
			continue
		}
		if k, ok := g.cachedClock(n); ok {
			for i, s := range k {
				full[i] = max(full[i], s)
			}
			continue
		}
		clock[a] = max(clock[a], g.seq[n])
		for _, p := range g.parents.of(n) {
			heap = pushHeap(heap, p)
		}
	}
	for i, s := range full {
		clock[i] = max(clock[i], s)
	}
	g.clocks.heap, g.clocks.full = heap[:0], full
	return clock
}

// cachedClock avoids the map for the many nodes that have none.
func (g *Graph) cachedClock(n uint32) ([]uint32, bool) {
	if g.depth[n] != 0 {
		return nil, false
	}
	k, ok := g.clocks.at[n]
	return k, ok
}

// A binary heap of nodes, the largest first, so that a node is met once all its
// descendants in the walk were.

func heapify(h []uint32) {
	for i := len(h)/2 - 1; i >= 0; i-- {
		siftDown(h, i)
	}
}

func pushHeap(h []uint32, n uint32) []uint32 {
	h = append(h, n)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up] >= h[i] {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	return h
}

func popHeap(h []uint32) []uint32 {
	h[0] = h[len(h)-1]
	h = h[:len(h)-1]
	siftDown(h, 0)
	return h
}

func siftDown(h []uint32, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1] > h[c] {
			c++
		}
		if h[i] >= h[c] {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
