package graph

import (
	"iter"
	"slices"

	"syncline/crdt/id"
)

// shallow is what a graph knows of the part of a document that it does not hold.
type shallow struct {
	through int64    // all up to this journal row is in a document chunk
	ends    []uint32 // the heads of that chunk
	cut     bitset   // nodes with a parent that is not held
}

// Shallow returns the graph of the newest part of a document, for whom a whole one
// is too much: ends that have all, lack the last few changes, or have nothing and
// get a document chunk. The chunk holds everything up to the row through and
// leads to heads, which ascend; changes is how many there are in all; recent is
// the metadata of the newest of them, with the deps first. It must hold all those
// above through and may reach below.
//
// A shallow graph answers Heads, Has, Knows, Contains, Lookup, Missing, Since,
// Hash, Row and HeadsWithout; nothing can be added to it. In place of what the
// chunk holds, Since names node 0, whose row is -through. What is not in recent is
// not known to it: see session.Answerable.
func Shallow(heads []id.Hash, through int64, changes int, recent iter.Seq[*Meta]) *Graph {
	g := New()
	g.shallow = &shallow{through: through}
	g.bare(&Meta{Row: -through})
	g.child.set(0) // it is no head
	above := false
	for m := range recent {
		if m.Row > through && !above {
			above = true
			g.ends(heads) // what comes now may depend on them
		}
		g.bare(m)
	}
	if !above {
		g.ends(heads)
	}
	for n := range uint32(len(g.hash)) {
		if !g.child.get(n) {
			g.heads = append(g.heads, n)
		}
	}
	g.pub, g.pubStand = len(g.hash), changes
	g.showHeads()
	return g
}

// IsShallow reports whether the graph holds the newest part of its document only.
func (g *Graph) IsShallow() bool { return g.shallow != nil }

// ends notes the heads of the chunk, and appends those that are older than what is
// held.
func (g *Graph) ends(heads []id.Hash) {
	for i := range heads {
		n, ok := g.index.find(g.hash, &heads[i])
		if !ok {
			n = uint32(len(g.hash))
			g.shallow.cut.set(n)
			g.bare(&Meta{Hash: heads[i], Row: g.shallow.through})
		}
		g.shallow.ends = append(g.shallow.ends, n)
	}
}

// bare appends a node of which only hash, parents and row are kept.
func (g *Graph) bare(m *Meta) {
	n := uint32(len(g.hash))
	var parents []uint32
	for i := range m.Deps {
		if p, ok := g.index.find(g.hash, &m.Deps[i]); ok {
			parents = append(parents, p)
			g.child.set(p)
		} else {
			g.shallow.cut.set(n)
		}
	}
	g.hash = append(g.hash, m.Hash)
	g.parents.add(parents)
	g.row = append(g.row, m.Row)
	if n > 0 {
		g.index.add(g.hash, n)
	}
}

// shallowSince is Since. Where the answer lies partly beyond what is held, the chunk
// is in it.
func (g *Graph) shallowSince(have []uint32) []int {
	var known bitset
	for _, n := range have {
		known.set(n)
	}
	for n := uint32(len(g.hash)); n > 0; {
		if n--; known.get(n) {
			for _, p := range g.parents.of(n) {
				known.set(p)
			}
		}
	}
	// An end that has the heads of the chunk has all of it.
	hasChunk := !slices.ContainsFunc(g.shallow.ends, func(n uint32) bool { return !known.get(n) })
	above, lacks := []int{}, []int{}
	cut := false
	for n := uint32(1); n < uint32(len(g.hash)); n++ {
		if known.get(n) {
			continue
		}
		lacks = append(lacks, int(n))
		cut = cut || g.shallow.cut.get(n)
		if g.row[n] > g.shallow.through {
			above = append(above, int(n))
		}
	}
	switch {
	case hasChunk:
		return above
	case !cut:
		return lacks
	}
	return append([]int{0}, above...)
}
