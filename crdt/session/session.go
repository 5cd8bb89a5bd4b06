package session

import (
	"slices"

	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// maxShared bounds the heads that are kept as shared while the other end has
// changes that we lack. Fewer is always right, it only makes filters longer.
const maxShared = 64

// Options of a session. The zero value is a session that reads and writes.
type Options struct {
	// ReadOnly tells the other end that its changes are not taken here.
	ReadOnly bool
	// Anew says that the other end knows an earlier session on the same connection,
	// of which this one knows nothing. The first message asks it to start over: it has
	// maybe heard the same heads before and would not answer.
	Anew bool

	bloomBits int // bits per entry of our filters; 0 means bloomBits
}

// Session is the sync state between this end and another one, for one document
// on one connection. A new connection is a new session, which may Resume from what
// Save gave. A session is not safe for concurrent use, and the graph must not
// change during a call.
type Session struct {
	g       *graph.Graph
	orphans *graph.Orphans
	opts    Options

	// What the other end said.
	met      bool      // a message has come
	theirs   []id.Hash // its heads in the last message
	allKnown bool      // we know all of theirs
	ask      *ask      // what it asked for and was not answered
	filters  []Bloom   // of what it has, as it said last; nil once we know all of theirs
	v2       bool      // it reads V2
	resets   bool      // it honours SyncReset; an end as new as that reads bundles
	readOnly bool      // it takes no changes

	// What follows from it.
	shared []id.Hash // both have these and their ancestors
	// sent is a frontier: the other end has it, or will once our messages arrive.
	// It is optimistic about what a Bloom filter hid and about lost messages;
	// heads, needs and resets put that right.
	sent  []id.Hash
	upTo  bool // sent means something: changes were offered by a filter or by heads
	guess bool // sent rests on a Bloom filter, or was shown to be wrong

	// What we said.
	anew     bool      // the first message, which is still to go out, asks to start over
	spoke    bool      // a message went out, and was not forgotten
	told     []id.Hash // our heads in the last message
	asked    []id.Hash // our needs by then
	heard    bool      // the other end said something since
	news     bool      // the other end said something new since
	more     bool      // the last message was cut short
	gave     int       // changes in it
	reset    *ask      // the last request that we could not read
	resetFor []id.Hash // its heads when it last asked us to start over
}

// ask is what a message requests.
type ask struct {
	need []id.Hash
	have []Have
	cut  bool // need is what is left of an answer that was cut short
}

// New starts a session. orphans may be nil if the caller keeps none.
func New(g *graph.Graph, orphans *graph.Orphans, o Options) *Session {
	if o.bloomBits == 0 {
		o.bloomBits = bloomBits
	}
	if orphans == nil {
		orphans = graph.NewOrphans(graph.OrphanLimits{})
	}
	return &Session{g: g, orphans: orphans, opts: o, anew: o.Anew}
}

// Receive takes note of a message. Its changes must have been applied: published
// in the graph, held as orphans, or refused.
func (s *Session) Receive(m *Message) {
	if m.HasFlags {
		s.v2 = true
		s.resets = m.Flags&SupportsSyncReset != 0
		s.readOnly = m.Flags&ReadOnly != 0
	}
	s.news = s.news || !s.met || !slices.Equal(s.theirs, m.Heads)
	s.met, s.heard = true, true
	s.theirs, s.allKnown = m.Heads, false
	s.ask = s.ask.join(m)
	if len(m.Have) > 0 {
		s.filters = filtersOf(m.Have)
	}
	known := s.refresh()
	if !s.allKnown {
		for i := range m.Have {
			// It has these by its own word. An end that keeps what it shares saves us
			// from keeping that, too.
			s.share(s.known(m.Have[i].LastSync))
		}
	}
	if s.lostSomething(m) {
		s.sent, s.upTo, s.guess, s.more = known, s.allKnown, false, false
		s.shared, s.filters = known, nil
		s.ask.need = m.Need
	}
	if m.Flags&SyncReset != 0 {
		// It knows nothing of what we said, so it hears all of that again.
		s.spoke, s.told, s.asked = false, nil, nil
		if !s.allKnown {
			s.filters = filtersOf(m.Have)
		}
	}
}

// join is what is requested once a message has come after a. What was asked for by
// hash and not given yet is not asked for again.
func (a *ask) join(m *Message) *ask {
	b := &ask{need: m.Need, have: m.Have}
	if a != nil && len(a.need) > 0 {
		b.need, b.cut = slices.Concat(a.need, m.Need), a.cut
		id.SortHashes(b.need)
		b.need = slices.Compact(b.need)
	}
	return b
}

// refresh returns those of their heads that we know, which may have become more
// by what came from elsewhere, and draws the conclusions.
func (s *Session) refresh() (known []id.Hash) {
	if s.allKnown {
		return s.theirs
	}
	known = s.known(s.theirs)
	s.allKnown = s.met && len(known) == len(s.theirs)
	s.share(known)
	return known
}

// share moves the shared heads, given those of theirs that we know.
func (s *Session) share(known []id.Hash) {
	if s.allKnown {
		s.shared, s.filters = known, nil
		return
	}
	if len(known) == 0 || len(s.shared)+len(known) > maxShared {
		return
	}
	s.shared = append(slices.Clone(s.shared), known...)
	id.SortHashes(s.shared)
	s.shared = slices.Compact(s.shared)
}

// lostSomething reports whether the other end may lack what we believe it has: it
// has nothing at all, asks for a reset, or starts from nothing because it did not
// know what we took as shared. To ask for the same again and again has no effect.
func (s *Session) lostSomething(m *Message) bool {
	switch {
	case len(m.Heads) == 0 || m.Flags&SyncReset != 0:
		return true
	case len(m.Have) == 0 || len(m.Have[0].LastSync) > 0 || !m.Have[0].Bloom.Empty():
		return false
	case s.resetFor != nil && slices.Equal(s.resetFor, m.Heads):
		return false
	}
	s.resetFor = m.Heads
	return true
}

// known lists those of the hashes that the graph knows.
func (s *Session) known(hs []id.Hash) []id.Hash {
	i := slices.IndexFunc(hs, func(h id.Hash) bool { return !s.g.Knows(h) })
	if i < 0 {
		return hs
	}
	out := slices.Clone(hs[:i])
	for _, h := range hs[i:] {
		if s.g.Knows(h) {
			out = append(out, h)
		}
	}
	return out
}

// Gave is how many changes the last message of Generate was to bring.
func (s *Session) Gave() int { return s.gave }

// Pending reports whether Generate has more to send at once, because its last
// message was cut at the budget.
func (s *Session) Pending() bool { return s.more }

// Acked lists heads that the other end is known to have, with all their
// ancestors, ascending. It must not be modified.
func (s *Session) Acked() []id.Hash { return s.shared }

// HasAll notes that the other end has got all that we have by another way than this
// session, or will: it is told of our heads, and is not sent what leads to them. If
// that was a mistake it asks.
func (s *Session) HasAll() { s.sent, s.upTo, s.guess = s.g.Heads(), true, false }

// OnlyGives reports whether the other end said that it takes no changes: it is given
// none.
func (s *Session) OnlyGives() bool { return s.readOnly }

// Synced reports whether both ends have told each other of equal heads.
func (s *Session) Synced() bool {
	return s.met && s.spoke && !s.more && slices.Equal(s.theirs, s.g.Heads()) && slices.Equal(s.told, s.theirs)
}
