package session

import (
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/id"
)

const (
	// maxNeed bounds the hashes that one message asks for.
	maxNeed = 4096
	// firstBloom is how many entries our filter may have before we know anything
	// of the other end: beyond 4 KiB it pays to hear its heads first, which may
	// make a filter needless.
	firstBloom = 4096 * 8 / bloomBits
)

// Source gives the bodies of changes.
type Source interface {
	// Bodies calls yield with the change chunk (type 1) of each row, in the order
	// of rows, until yield returns false. yield does not keep the chunk.
	Bodies(rows []int64, yield func(body []byte) bool) error
}

// Packer is a Source that has more compact forms than one chunk for each change,
// for receivers of V2.
type Packer interface {
	Source
	// Pack returns chunks that together hold at least the changes of rows[:n],
	// which stand for at most about budget bytes of changes (0: no bound), and n,
	// which is at least 1. bundles says that the receiver reads bundle chunks. The
	// chunks are good until the next call.
	Pack(rows []int64, bundles bool, budget int) (chunks []byte, n int, err error)
}

// Generate returns the next message for the other end, or nil if there is nothing
// to say. Call it once when the session begins (as the end that opens the
// connection), after each Receive, and whenever the graph has published changes.
// It says nothing twice, so between two messages received it answers at most once.
//
// budget bounds the bytes of changes in a message (0: no bound; a single change
// is never cut). If that cuts the message short, Pending reports true and the next
// call goes on; each part tells of the heads that it leads to, as if the document
// had grown in between.
//
// After an error, which comes from the source, nothing has changed and the call
// may be repeated.
func (s *Session) Generate(src Source, budget int) ([]byte, error) {
	known := s.refresh()
	if s.ask != nil && s.unreadable() {
		return s.startOver(), nil
	}
	plan := s.plan(known)
	need := s.need()
	if s.spoke && plan.empty() && slices.Equal(s.g.Heads(), s.told) && (len(need) == 0 || !s.news && slices.Equal(need, s.asked)) {
		s.settle(plan, len(plan.nodes))
		s.heard = s.heard && len(need) > 0
		return nil, nil
	}
	m := &Message{V2: s.v2, Need: s.unasked(need), HasFlags: true, Flags: SupportsSyncReset}
	if s.opts.ReadOnly {
		m.Flags |= ReadOnly
	}
	if s.anew {
		m.Flags |= SyncReset
	}
	n, err := s.pack(m, src, &plan, budget)
	if err != nil {
		return nil, err
	}
	m.Heads = s.settle(plan, n)
	s.gave = n
	m.Have = s.have(&plan, need)
	s.anew = false
	s.spoke, s.told, s.asked, s.heard, s.news = true, m.Heads, need, false, false
	return m.Encode(), nil
}

// unreadable reports whether the other end asks from a point that we do not know:
// we have lost data, or it took more for granted than it may. It is answered by a
// reset, once for each different request. A change that is refused here, though it
// was acknowledged once, is no lost data: asking for all would only bring it again.
func (s *Session) unreadable() bool {
	if len(s.ask.have) == 0 {
		return false
	}
	lost := slices.ContainsFunc(s.g.Missing(s.ask.have[0].LastSync), func(h id.Hash) bool { return !s.orphans.Refused(h) })
	if !lost {
		return false
	}
	if s.reset != nil && slices.Equal(s.reset.need, s.theirs) && slices.Equal(s.reset.have[0].LastSync, s.ask.have[0].LastSync) {
		return false
	}
	return true
}

// startOver tells the other end our heads and asks for everything.
func (s *Session) startOver() []byte {
	s.reset = &ask{need: s.theirs, have: s.ask.have}
	s.ask = nil
	m := Message{V2: s.v2, Heads: s.g.Heads(), Have: make([]Have, 1), HasFlags: true, Flags: SupportsSyncReset}
	if s.opts.ReadOnly {
		m.Flags |= ReadOnly
	}
	if s.anew {
		m.Flags |= SyncReset
	}
	s.anew = false
	s.spoke, s.told, s.asked, s.heard, s.news = true, m.Heads, nil, false, false
	return m.Encode()
}

// need lists what we ask for by hash.
func (s *Session) need() []id.Hash {
	if s.opts.ReadOnly || s.allKnown {
		return nil
	}
	return s.orphans.MissingFrom(s.g, s.theirs, maxNeed)
}

// unasked lists those of our needs that a message is to name. What an earlier one has
// named is on its way as long as the other end has said nothing since.
func (s *Session) unasked(need []id.Hash) []id.Hash {
	if s.heard {
		return need
	}
	return slices.DeleteFunc(slices.Clone(need), func(h id.Hash) bool {
		_, asked := slices.BinarySearchFunc(s.asked, h, id.Hash.Compare)
		return asked
	})
}

// plan is what is to be sent: nodes, those asked for by hash first.
type plan struct {
	nodes  []int
	needed int // how many of nodes were asked for by hash and are not in the rest
	// offered: once all of nodes have arrived the other end has all that we have,
	// if no filter was mistaken. Otherwise they are only what it named.
	offered bool
	filter  bool // a filter took part
}

func (p *plan) empty() bool { return len(p.nodes) == 0 }

func (s *Session) plan(known []id.Hash) (p plan) {
	if s.readOnly || !s.met {
		return p
	}
	var need []id.Hash
	var have []Have
	if s.ask != nil {
		need, have = s.ask.need, s.ask.have
	}
	var rest []int
	if s.guess && s.allKnown && len(s.g.Since(s.theirs)) == 0 {
		s.guess = false // it has all that we have
	}
	if s.allKnown || len(have) > 0 || s.upTo {
		p.offered = true
		base := slices.Concat(known, s.sent)
		for i := range have {
			base = append(base, have[i].LastSync...)
		}
		id.SortHashes(base)
		rest = s.g.Since(slices.Compact(base))
		if len(s.filters) > 0 && len(rest) > 0 {
			rest = s.unfiltered(rest)
			p.filter = true
		}
	}
	if len(need) > 0 {
		p.nodes = s.needed(need, rest)
		p.needed = len(p.nodes)
	}
	p.nodes = append(p.nodes, rest...)
	return p
}

// needed finds the nodes that were asked for by hash and are not in rest.
//
// A change that a filter hid was not sent, and neither was any of its ancestors
// that lie beyond the other end's heads, or it would have gone with them. So they
// are sent now, rather than waiting to be asked for one by one.
func (s *Session) needed(need []id.Hash, rest []int) (nodes []int) {
	var found []id.Hash
	for _, h := range need {
		n, ok := s.g.Lookup(h)
		if !ok || !s.g.Has(h) {
			continue
		}
		if _, sent := slices.BinarySearch(rest, n); !sent {
			nodes = append(nodes, n)
			found = append(found, h)
		}
	}
	if s.guess && s.allKnown && len(nodes) > 0 && !s.ask.cut {
		below := s.g.Ancestors(found)
		for _, n := range s.g.Since(s.theirs) {
			if _, sent := slices.BinarySearch(rest, n); !sent && below.Has(n) {
				nodes = append(nodes, n)
			}
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// unfiltered drops what the filters hold. What depends on a change that is sent
// is sent too, whatever the filters say.
//
// Filters hold beyond the answer to their message: what comes to us from elsewhere
// while we wait for the changes that lead to heads we do not know may be among what
// the other end had when it told of them.
func (s *Session) unfiltered(nodes []int) []int {
	first := nodes[0]
	sent := make([]bool, nodes[len(nodes)-1]-first+1)
	out := nodes[:0]
	for _, n := range nodes {
		hit := false
		for p := range s.g.Parents(n) {
			if hit = p >= first && sent[p-first]; hit {
				break
			}
		}
		if !hit {
			h := s.g.Hash(n)
			hit = !slices.ContainsFunc(s.filters, func(b Bloom) bool { return b.Has(&h) })
		}
		if hit {
			sent[n-first] = true
			out = append(out, n)
		}
	}
	return out
}

// pack fills the message's chunks and returns how many of the plan's nodes they
// hold.
func (s *Session) pack(m *Message, src Source, p *plan, budget int) (n int, err error) {
	if p.empty() {
		return 0, nil
	}
	rows := make([]int64, len(p.nodes))
	for i, n := range p.nodes {
		rows[i] = s.g.Row(n)
	}
	if packer, ok := src.(Packer); ok && s.v2 {
		chunks, n, err := packer.Pack(rows, s.resets, budget)
		if err == nil && n < 1 {
			err = errors.New("the source gave none")
		}
		if err != nil {
			return 0, fmt.Errorf("read the bodies of %d changes: %w", len(rows), err)
		}
		m.Chunks = [][]byte{chunks}
		return n, nil
	}
	var buf []byte
	var ends []int
	err = src.Bodies(rows, func(body []byte) bool {
		if budget > 0 && len(ends) > 0 && len(buf)+len(body) > budget {
			return false
		}
		buf = append(buf, body...)
		ends = append(ends, len(buf))
		return true
	})
	if err == nil && len(ends) == 0 {
		err = fmt.Errorf("the source gave none")
	}
	if err != nil {
		return 0, fmt.Errorf("read the bodies of %d changes: %w", len(rows), err)
	}
	if s.v2 {
		m.Chunks = [][]byte{buf}
		return len(ends), nil
	}
	from := 0
	for _, end := range ends {
		m.Chunks = append(m.Chunks, buf[from:end:end])
		from = end
	}
	return len(ends), nil
}

// settle takes note that the first n nodes of the plan are sent, and returns the
// heads to tell with them.
func (s *Session) settle(p plan, n int) (heads []id.Hash) {
	s.more = n < len(p.nodes)
	s.guess = s.guess || p.filter || p.needed > 0
	heads = s.g.Heads()
	switch {
	case n < p.needed:
		// What else was asked for by hash comes first next time.
		s.ask.need, s.ask.cut = nil, true
		for _, node := range p.nodes[n:p.needed] {
			s.ask.need = append(s.ask.need, s.g.Hash(node))
		}
		return heads
	case s.more:
		heads = s.g.HeadsWithout(p.nodes[n:])
		s.sent, s.upTo = heads, true
	case p.offered:
		s.sent, s.upTo = heads, true
	}
	if s.ask != nil {
		s.ask, s.filters = nil, keptFilters(s.filters)
	}
	return heads
}

// have sums up what we have, and so asks for the rest. A filter is needed only
// where it is open what the other end will have once this message has arrived.
func (s *Session) have(p *plan, need []id.Hash) []Have {
	switch {
	case s.opts.ReadOnly && !s.allKnown, s.more && s.guess:
		return nil
	case s.allKnown && (s.readOnly || s.opts.ReadOnly):
		return []Have{{LastSync: s.theirs}}
	case len(need) > 0 && !subset(need, s.theirs):
		// It is to send what we name and no more: it cannot tell what else we lack.
		return nil
	case p.offered && !s.guess:
		return []Have{{LastSync: s.sent}}
	}
	nodes := s.g.Since(s.shared)
	if !s.met && len(nodes) > firstBloom {
		return nil
	}
	b := newBloom(len(nodes), s.opts.bloomBits)
	for _, n := range nodes {
		h := s.g.Hash(n)
		b.add(&h)
	}
	return []Have{{LastSync: s.shared, Bloom: b}}
}

func subset(of, in []id.Hash) bool {
	for _, h := range of {
		if _, ok := slices.BinarySearchFunc(in, h, id.Hash.Compare); !ok {
			return false
		}
	}
	return true
}
