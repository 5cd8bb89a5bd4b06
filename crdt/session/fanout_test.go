package session

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// star is a relay with a session for each of some peers, driven as a room does:
// one graph, one Fanout, sessions that rest, and a graph that is shallow until
// somebody needs all of it.
type star struct {
	t       *testing.T
	r       *rand.Rand
	relay   *end
	whole   *graph.Graph
	through int // with a shallow graph: how many bodies the document chunk holds
	pairs   []*pair
	fan     Fanout

	shared, rested, deepened, chunks int
}

func newStar(t *testing.T, r *rand.Rand, peers int) *star {
	s := &star{t: t, r: r, relay: newEnd(t, "relay")}
	for i := range peers {
		peer := newEnd(t, string(rune('a'+i)))
		side := &end{t: t, name: "relay", g: s.relay.g, orphans: s.relay.orphans}
		s.pairs = append(s.pairs, &pair{t: t, r: r, ends: [2]*end{peer, side}})
	}
	return s
}

// Pack gives the document chunk for node 0 of a shallow graph.
func (s *star) Pack(rows []int64, _ bool, budget int) (chunks []byte, n int, err error) {
	if rows[0] < 0 {
		s.chunks++
		for _, b := range s.relay.bodies[:-rows[0]] {
			chunks = append(chunks, b...)
		}
		rows, n = rows[1:], 1
	}
	err = s.relay.Bodies(rows, func(b []byte) bool {
		if n > 0 && budget > 0 && len(chunks)+len(b) > budget {
			return false
		}
		chunks = append(chunks, b...)
		n++
		return true
	})
	return chunks, n, err
}

func (s *star) Bodies(rows []int64, yield func([]byte) bool) error {
	return s.relay.Bodies(rows, yield)
}

// flatten has all sessions of the relay go on over a shallow graph.
func (s *star) flatten() {
	if s.whole != nil || len(s.relay.bodies) == 0 {
		return
	}
	s.whole = s.relay.g
	s.through = 1 + s.r.IntN(len(s.relay.bodies))
	cut := newEnd(s.t, "cut")
	for _, b := range s.relay.bodies[:s.through] {
		cut.takeRaw(b)
	}
	from := s.r.IntN(s.through + 1)
	s.relay.g = graph.Shallow(cut.g.Heads(), int64(s.through), s.whole.Len(), func(yield func(*graph.Meta) bool) {
		for n := from; n < s.whole.Nodes(); n++ {
			if m := s.whole.Meta(n); !yield(&m) {
				return
			}
		}
	})
	s.use(s.relay.g)
}

func (s *star) deepen() {
	s.relay.g, s.whole = s.whole, nil
	s.deepened++
	s.use(s.relay.g)
}

func (s *star) use(g *graph.Graph) {
	for _, p := range s.pairs {
		p.ends[1].g = g
		if p.ends[1].s != nil {
			p.ends[1].s.Deepen(g)
		}
	}
	s.fan.Reset()
}

// say has the relay generate for one peer, and holds what comes of sharing
// against what the session alone would have said.
func (s *star) say(p *pair) {
	for {
		side := p.ends[1]
		alone := *side.s
		if alone.ask != nil {
			a := *alone.ask
			alone.ask = &a
		}
		want, err := alone.Generate(s, p.budget)
		if err != nil {
			s.t.Fatal(err)
		}
		got, shared, err := s.fan.Generate(side.s, s, p.budget)
		if err != nil {
			s.t.Fatal(err)
		}
		if shared {
			s.shared++
		}
		if !bytes.Equal(got, want) || !reflect.DeepEqual(*side.s, alone) {
			s.t.Fatalf("shared (%v): %x, alone: %x\nstate %+v, alone %+v", shared, got, want, *side.s, alone)
		}
		if got == nil {
			return
		}
		p.wire[0] = append(p.wire[0], got)
		if !side.s.Pending() {
			return
		}
	}
}

// hear delivers the next message to the relay.
func (s *star) hear(p *pair) {
	b := p.wire[1][0]
	p.wire[1] = p.wire[1][1:]
	m, err := Decode(b)
	if err != nil {
		s.t.Fatal(err)
	}
	cs, err := m.Changes()
	if err != nil {
		s.t.Fatal(err)
	}
	if !Answerable(s.relay.g, m, cs) {
		s.deepen()
	}
	before := s.relay.g.Len()
	if !s.relay.g.IsShallow() {
		s.relay.take(cs...)
	}
	p.ends[1].s.Receive(m)
	s.fan.Reset()
	if s.relay.g.Len() == before {
		s.say(p)
		return
	}
	for _, p := range s.pairs {
		if p.ends[1].s.met {
			s.say(p)
		}
	}
}

// rest puts a session to rest and wakes it again.
func (s *star) rest(p *pair) {
	side := p.ends[1]
	if side.s == nil {
		return
	}
	if r, ok := side.s.Rest(); ok && slices.Equal(side.s.theirs, s.relay.g.Heads()) {
		s.rested++
		side.s = Wake(s.relay.g, s.relay.orphans, r, slices.Clone(s.relay.g.Heads()), side.opts)
	}
}

// Many ends around a relay that shares messages, lets sessions rest and holds all
// of the graph only while it has to.
func TestThroughARoom(t *testing.T) {
	var sum star
	seeds(t, 120, func(t *testing.T, r *rand.Rand) {
		s := newStar(t, r, 2+r.IntN(4))
		for _, p := range s.pairs {
			for range r.IntN(6) {
				p.ends[0].edit()
			}
			p.budget = []int{0, 0, 400}[r.IntN(3)]
			p.connect(0)
		}
		for range 400 {
			p := s.pairs[r.IntN(len(s.pairs))]
			switch i := r.IntN(12); {
			case i == 0:
				p.ends[0].edit()
				p.say(0)
			case i == 1:
				s.flatten()
			case i == 2:
				s.rest(p)
			case i == 3 && r.IntN(4) == 0:
				if r.IntN(2) == 0 {
					p.ends[0].lose()
				}
				p.connect(0)
			case len(p.wire[0]) > 0 && i%2 == 0:
				p.deliver(0)
			case len(p.wire[1]) > 0:
				s.hear(p)
			}
		}
		for busy := true; busy; {
			busy = false
			for _, p := range s.pairs {
				for ; len(p.wire[1]) > 0; busy = true {
					s.hear(p)
				}
				for ; len(p.wire[0]) > 0; busy = true {
					p.deliver(0)
				}
			}
		}
		var heads []id.Hash
		for _, p := range s.pairs {
			if heads = s.relay.g.Heads(); !slices.Equal(p.ends[0].g.Heads(), heads) {
				t.Fatalf("%s ends with heads %v, the relay with %v", p.ends[0].name, p.ends[0].g.Heads(), heads)
			}
		}
		sum.shared += s.shared
		sum.rested += s.rested
		sum.deepened += s.deepened
		sum.chunks += s.chunks
	})
	if sum.shared == 0 || sum.rested == 0 || sum.deepened == 0 || sum.chunks == 0 {
		t.Errorf("%d messages shared, %d sessions rested, %d graphs deepened, %d document chunks sent: each has to happen", sum.shared, sum.rested, sum.deepened, sum.chunks)
	}
	t.Logf("%d messages shared, %d sessions rested, %d graphs deepened, %d document chunks sent", sum.shared, sum.rested, sum.deepened, sum.chunks)
}
