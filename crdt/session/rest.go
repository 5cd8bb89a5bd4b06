package session

import (
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// Resting is what remains of a session while nothing happens in its document: both
// ends have told each other of the same heads.
type Resting struct {
	V2, Resets, ReadOnly bool // of the other end
}

// Rest returns what to keep of the session; ok is false if it has to be kept
// whole.
func (s *Session) Rest() (r Resting, ok bool) {
	ok = s.Synced() && !s.guess && slices.Equal(s.shared, s.theirs) && (s.ask == nil || len(s.ask.need) == 0)
	return Resting{V2: s.v2, Resets: s.resets, ReadOnly: s.readOnly}, ok
}

// Wake starts a session where one rested at these heads. The graph has them, and
// may have grown since.
func Wake(g *graph.Graph, orphans *graph.Orphans, r Resting, heads []id.Hash, o Options) *Session {
	s := New(g, orphans, o)
	s.met, s.theirs = true, heads
	s.v2, s.resets, s.readOnly = r.V2, r.Resets, r.ReadOnly
	s.shared, s.sent, s.upTo = heads, heads, true
	s.spoke, s.told = true, heads
	return s
}

// Deepen has the session go on over the whole graph in place of a shallow one.
func (s *Session) Deepen(g *graph.Graph) { s.g = g }

// Answerable reports whether a message that brings these changes can be dealt with
// over the graph: a shallow one is enough if nothing in the message lies outside of
// what it holds, and nothing new comes with it.
func Answerable(g *graph.Graph, m *Message, changes []*chunk.Change) bool {
	if !g.IsShallow() {
		return true
	}
	if len(m.Need) > 0 || !m.HasFlags || !knowsAll(g, m.Heads) {
		return false // what V1 has no form for is read change by change
	}
	for i := range m.Have {
		if !knowsAll(g, m.Have[i].LastSync) {
			return false
		}
	}
	return !slices.ContainsFunc(changes, func(c *chunk.Change) bool { return !g.Contains(c.Hash) })
}

func knowsAll(g *graph.Graph, hs []id.Hash) bool {
	return !slices.ContainsFunc(hs, func(h id.Hash) bool { return !g.Knows(h) })
}
