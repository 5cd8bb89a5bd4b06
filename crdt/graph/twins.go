package graph

import (
	"cmp"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Twins are changes with the same actor and sequence number and different hashes:
// an author's file was copied, or someone forges. All replicas must choose the
// same one, whatever came first. The rule, over the set of all known changes:
//
//  1. A change stands if all its deps stand and no twin of it with a lower hash
//     does. It is out if one of its deps is out, or if a twin of it stands.
//  2. Where twins descend from one another crosswise, rule 1 may leave some
//     undecided. Of those whose deps all stand, the one with the least (startOp,
//     hash) stands; then rule 1 goes on.
//
// Each change is decided once, so this ends; a change whose deps all stand exists
// among any that are undecided (take one that comes first in topological order),
// so it decides all; and it looks at nothing but the set. What is out is in
// quarantine: kept, known, in no heads, never sent or asked for.
//
// A new change alters the decision on others only if it has a twin that stands
// with a higher hash (or rule 2 was needed). Only then is all of it done anew, in
// Publish.

// Verdict lists what a publication has put in quarantine and taken out of it, by
// journal row. New changes that are in quarantine from the start are listed too.
type Verdict struct {
	Quarantined []int64
	Restored    []int64
	Twins       []Twin // slots that this publication brought a further twin to
}

// Empty reports whether twins have changed nothing.
func (v Verdict) Empty() bool {
	return len(v.Quarantined) == 0 && len(v.Restored) == 0 && len(v.Twins) == 0
}

// Twin is a sequence number that an actor used more than once.
type Twin struct {
	Actor  id.Actor
	Seq    uint64
	Hashes []id.Hash // ascending
	Rows   []int64   // of the bodies, in the same order
	Stands int       // index of the one that stands, or -1 if each descends from a loser
}

// evidence is kept of a change in quarantine.
type evidence struct{ makes []chunk.Make }

type slot struct{ actor, seq uint32 }

type twins struct {
	out   map[uint32]*evidence
	slots map[slot][]uint32 // every slot that holds a node that is out, with all its nodes
	redo  bool              // an unpublished change alters the decision on others
	tied  bool              // rule 2 was needed
}

func newTwins() twins {
	return twins{out: map[uint32]*evidence{}, slots: map[slot][]uint32{}}
}

func (t *twins) isOut(n uint32) bool {
	if len(t.out) == 0 {
		return false
	}
	_, ok := t.out[n]
	return ok
}

func (t *twins) any(nodes []uint32) bool {
	return len(t.out) > 0 && slices.ContainsFunc(nodes, t.isOut)
}

func (t *twins) truncate(pub uint32) {
	t.redo = false
	for s, nodes := range t.slots {
		if nodes[len(nodes)-1] < pub {
			continue
		}
		nodes = slices.DeleteFunc(nodes, func(n uint32) bool { return n >= pub })
		if t.any(nodes) {
			t.slots[s] = nodes
		} else {
			delete(t.slots, s)
		}
	}
}

func (g *Graph) slotOf(n uint32) slot { return slot{g.actor[n], g.seq[n]} }

// contest enters the last node into its slot and reports whether it is out for
// now. out says that one of its deps is.
func (g *Graph) contest(n uint32, out bool) bool {
	s := g.slotOf(n)
	members, listed := g.twins.slots[s]
	holder := uint32(noParent)
	if chain := g.chains[s.actor]; int(s.seq) <= len(chain) {
		holder = chain[s.seq-1]
		if !listed {
			members = []uint32{holder}
		}
	}
	if len(members) == 0 && !out {
		return false // nearly always
	}
	if holder != noParent {
		if g.hash[n].Compare(g.hash[holder]) < 0 {
			g.twins.redo = true
		}
		out = true
	}
	if g.twins.tied && len(members) > 0 {
		g.twins.redo = true
	}
	g.twins.slots[s] = append(members, n)
	return out
}

// settle decides what stands, if an unpublished change asks for it, and says what
// that has changed.
func (g *Graph) settle() (v Verdict) {
	if len(g.twins.slots) == 0 {
		return v
	}
	if g.twins.redo {
		g.twins.redo = false
		g.apply(g.decide(), &v)
	}
	for n := uint32(g.pub); n < uint32(len(g.hash)); n++ {
		if g.twins.isOut(n) {
			v.Quarantined = append(v.Quarantined, g.row[n])
		}
		s := g.slotOf(n)
		// The last member speaks for its slot.
		if nodes := g.twins.slots[s]; len(nodes) > 1 && nodes[len(nodes)-1] == n {
			v.Twins = append(v.Twins, g.twin(s, nodes))
		}
	}
	slices.Sort(v.Quarantined)
	return v
}

func (g *Graph) twin(s slot, nodes []uint32) Twin {
	t := Twin{Actor: g.actors[s.actor], Seq: uint64(s.seq), Stands: -1}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b uint32) int { return g.hash[a].Compare(g.hash[b]) })
	for _, n := range nodes {
		if !g.twins.isOut(n) {
			t.Stands = len(t.Hashes)
		}
		t.Hashes = append(t.Hashes, g.hash[n])
		t.Rows = append(t.Rows, g.row[n])
	}
	return t
}

// Twins lists every sequence number that has published twins.
func (g *Graph) Twins() (all []Twin) {
	for s, nodes := range g.twins.slots {
		for len(nodes) > 0 && nodes[len(nodes)-1] >= uint32(g.pub) {
			nodes = nodes[:len(nodes)-1]
		}
		if len(nodes) > 1 {
			all = append(all, g.twin(s, nodes))
		}
	}
	slices.SortFunc(all, func(a, b Twin) int { return cmp.Or(cmp.Compare(a.Actor, b.Actor), cmp.Compare(a.Seq, b.Seq)) })
	return all
}

// Quarantined reports whether a published change is known and does not stand.
func (g *Graph) Quarantined(h id.Hash) bool {
	n, ok := g.Lookup(h)
	return ok && g.twins.isOut(uint32(n))
}
