package session

import (
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/id"
)

// history fills both ends with a shared past and edits of their own.
func (p *pair) history(shared, own int) {
	for range shared {
		i := p.r.IntN(2)
		c := p.ends[i].edit()
		if p.r.IntN(3) > 0 {
			p.ends[1-i].take(c)
		} else {
			p.exchange()
		}
	}
	p.exchange()
	for i, e := range p.ends {
		for range p.r.IntN(own + 1) {
			e.edit()
		}
		if p.r.IntN(5) == 0 {
			// Something that neither session has seen coming.
			p.ends[1-i].take(e.edit())
		}
	}
}

// exchange gives each end all that the other has.
func (p *pair) exchange() {
	for i, e := range p.ends {
		for _, b := range e.bodies {
			p.ends[1-i].takeRaw(b)
		}
	}
}

func (p *pair) random(o Options) {
	for _, e := range p.ends {
		e.opts = o
	}
	p.budget = []int{0, 0, 1, 500}[p.r.IntN(4)]
	switch p.r.IntN(5) {
	case 0:
		p.history(0, 12)
	case 1:
		p.ends[p.r.IntN(2)].edit()
	case 2:
		p.history(10, 0)
	default:
		p.history(15, 15)
	}
}

func (p *pair) anyOpener() []int { return [][]int{{0}, {1}, {0, 1}}[p.r.IntN(3)] }

func TestConverges(t *testing.T) {
	seeds(t, 250, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{})
		p.connect(p.anyOpener()...)
		p.settle()
		p.converged()
		p.within()
	})
}

// A filter of one bit for each entry hides nearly two changes of three.
func TestFalsePositivesHeal(t *testing.T) {
	missed := 0
	seeds(t, 250, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{bloomBits: 1})
		p.connect(p.anyOpener()...)
		p.settle()
		p.converged()
		p.within()
		missed += len(p.missed[0]) + len(p.missed[1])
	})
	if missed < 10 {
		t.Errorf("only %d false positives: the test is blind", missed)
	}
	t.Logf("%d false positives", missed)
}

// Connections break with messages on their way, and edits go on.
func TestConnectionsBreak(t *testing.T) {
	seeds(t, 150, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{bloomBits: []int{0, 0, 2}[r.IntN(3)]})
		for range 1 + r.IntN(5) {
			p.connect(p.anyOpener()...)
			for range r.IntN(12) {
				i := r.IntN(2)
				switch {
				case r.IntN(4) == 0:
					p.ends[i].edit()
					p.say(i)
				case len(p.wire[i]) > 0:
					p.deliver(i)
				}
				if r.IntN(3) == 0 {
					p.ends[i].saved = p.ends[i].s.Save()
				}
			}
			if r.IntN(4) == 0 {
				p.ends[r.IntN(2)].saved = nil
			}
		}
		p.connect(p.anyOpener()...)
		p.settle()
		p.converged()
		p.within()
	})
}

// One end loses its data, all or the newest, and the other goes by a state that
// it saved before.
func TestDataLoss(t *testing.T) {
	seeds(t, 150, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{})
		p.connect(p.anyOpener()...)
		p.settle()
		p.save()
		i := r.IntN(2)
		kept := p.ends[i].bodies[:r.IntN(len(p.ends[i].bodies)+1)]
		if r.IntN(2) == 0 {
			kept = nil
		}
		saved := p.ends[i].saved
		p.ends[i].lose()
		for _, b := range kept {
			p.ends[i].takeRaw(b)
		}
		if r.IntN(2) == 0 {
			p.ends[i].saved = saved // the state was kept elsewhere
		}
		for j, e := range p.ends {
			for range r.IntN(3) {
				if j == i && len(kept) > 0 && r.IntN(2) == 0 {
					break
				}
				e.edit()
			}
		}
		p.connect(p.anyOpener()...)
		p.settle()
		p.converged()
		p.within()
	})
}

// Messages vanish within a session; the next edits of both ends bring everything
// to light.
func TestLostMessagesDoNotWedge(t *testing.T) {
	seeds(t, 150, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{bloomBits: []int{0, 0, 1}[r.IntN(3)]})
		p.connect(0, 1)
		for range r.IntN(30) {
			i := r.IntN(2)
			switch {
			case r.IntN(4) == 0:
				p.ends[i].edit()
				p.say(i)
			case len(p.wire[i]) > 0 && r.IntN(3) == 0:
				p.wire[i] = p.wire[i][1:]
			case len(p.wire[i]) > 0:
				p.deliver(i)
			}
		}
		p.settle()
		for range 2 {
			for i := range p.ends {
				p.ends[i].edit()
				p.say(i)
			}
			p.settle()
		}
		p.converged()
	})
}

// Edits in both directions while messages cross.
func TestEditsWhileTalking(t *testing.T) {
	seeds(t, 60, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{})
		p.connect(p.anyOpener()...)
		for range 60 {
			i := r.IntN(2)
			switch {
			case r.IntN(2) == 0:
				p.ends[i].edit()
				p.say(i)
			case len(p.wire[i]) > 0:
				p.deliver(i)
			}
		}
		p.settle()
		p.converged()
	})
}

// Three ends through one in the middle, as peers do through a relay.
func TestThroughARelay(t *testing.T) {
	seeds(t, 50, func(t *testing.T, r *rand.Rand) {
		relay := newEnd(t, "relay")
		var pairs []*pair
		for _, name := range []string{"x", "y", "z"} {
			peer := newEnd(t, name)
			for range r.IntN(6) {
				peer.edit()
			}
			// A relay has one graph and a session for each connection.
			side := &end{t: t, name: "relay", g: relay.g, orphans: relay.orphans}
			p := &pair{t: t, r: r, ends: [2]*end{peer, side}}
			p.connect(0)
			pairs = append(pairs, p)
		}
		push := func() {
			for _, p := range pairs {
				relay.bodies = longest(relay.bodies, p.ends[1].bodies)
			}
			for _, p := range pairs {
				p.ends[1].bodies = relay.bodies
				p.say(1)
			}
		}
		for range 300 {
			p := pairs[r.IntN(len(pairs))]
			if i := r.IntN(2); len(p.wire[i]) > 0 {
				p.deliver(i)
				push()
			} else if r.IntN(10) == 0 {
				p.ends[0].edit()
				p.say(0)
			}
		}
		for busy := true; busy; {
			busy = false
			for _, p := range pairs {
				for i := range p.wire {
					if len(p.wire[i]) > 0 {
						busy = true
						p.deliver(i)
						push()
					}
				}
			}
		}
		for _, p := range pairs {
			p.converged()
		}
	})
}

func longest(a, b [][]byte) [][]byte {
	if len(b) > len(a) {
		return b
	}
	return a
}

func TestASteadyEditTakesTwoMessagesAndNoFilter(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	p.history(20, 5)
	p.connect(0)
	p.settle()
	for range 5 {
		p.count = [2]int{}
		p.ends[0].edit()
		p.say(0)
		for _, b := range p.wire[1] {
			m, _ := Decode(b)
			if len(m.Have) != 1 || !m.Have[0].Bloom.Empty() || !slices.Equal(m.Have[0].LastSync, p.ends[0].g.Heads()) || len(m.Chunks) != 1 || !m.V2 {
				t.Errorf("a steady edit is sent as %+v", m)
			}
		}
		p.settle()
		if p.count != [2]int{1, 1} {
			t.Errorf("a steady edit took %v messages", p.count)
		}
		p.converged()
	}
}

func TestAFirstSyncHasNoFilter(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	for range firstBloom + 10 {
		p.ends[0].edit()
	}
	for _, opener := range []int{0, 1} {
		p.ends[1].lose()
		p.connect(opener)
		for len(p.wire[0])+len(p.wire[1]) > 0 {
			for i := range p.wire {
				for _, b := range p.wire[i] {
					m, _ := Decode(b)
					for _, h := range m.Have {
						if !h.Bloom.Empty() {
							t.Errorf("opened by %d: a message holds a filter of %d entries", opener, h.Bloom.Len())
						}
					}
				}
				if len(p.wire[i]) > 0 {
					p.deliver(i)
				}
			}
		}
		p.converged()
	}
}

func TestEqualHeadsAreAnsweredTheFirstTime(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	p.ends[1].take(p.ends[0].edit())
	p.connect(0)
	p.deliver(1)
	if p.count[1] != 1 {
		t.Fatal("the first message got no answer")
	}
	p.settle()
	p.converged()
	if p.count != [2]int{1, 1} {
		t.Errorf("%v messages for equal heads", p.count)
	}
}

func TestReadOnly(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(3, 1)))
	p.history(5, 5)
	p.ends[0].edit()
	p.ends[1].edit()
	p.ends[0].opts.ReadOnly = true
	p.connect(0)
	p.settle()
	before := p.ends[0].g.Len()
	p.ends[1].edit()
	p.say(1)
	p.settle()
	if p.ends[0].g.Len() != before {
		t.Error("a reader was sent changes")
	}
	for _, h := range p.ends[0].g.Heads() {
		if !p.ends[1].g.Has(h) {
			t.Error("a reader's changes did not arrive")
		}
	}
}

// A quarantined head of the other end is never asked for, and the session comes
// to rest.
func TestQuarantinedHeadsAreNotAskedFor(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	a, b := p.ends[0], p.ends[1]
	b.take(a.edit())
	b.actor, b.edits = a.actor, a.edits // a copied file
	for range 2 {
		a.edit()
		b.edit()
	}
	p.connect(0, 1)
	p.settle()
	if !slices.Equal(a.g.Heads(), b.g.Heads()) {
		t.Fatalf("heads %v and %v", a.g.Heads(), b.g.Heads())
	}
	for i, e := range p.ends {
		if need := e.s.need(); len(need) > 0 {
			t.Errorf("end %d asks for %v", i, need)
		}
	}
}

func TestResumeLeavesOutWhatIsGone(t *testing.T) {
	e := newEnd(t, "x")
	c := e.edit()
	e.connect()
	state := appendHashes([]byte{savedType}, []id.Hash{{1}, c.Hash})
	if (id.Hash{1}).Compare(c.Hash) > 0 {
		state = appendHashes([]byte{savedType}, []id.Hash{c.Hash, {1}})
	}
	if err := e.s.Resume(state); err != nil {
		t.Fatal(err)
	}
	if want := []id.Hash{c.Hash}; !slices.Equal(e.s.Acked(), want) {
		t.Errorf("resumed from %v, want %v", e.s.Acked(), want)
	}
	for _, bad := range [][]byte{nil, {0x42, 0}, {savedType}, {savedType, 1}, {savedType, 0, 0}} {
		if err := e.s.Resume(bad); err == nil {
			t.Errorf("Resume(%x) succeeded", bad)
		}
	}
}

// A change that was acknowledged once and is refused now is no lost data: who
// takes it for granted is answered, and not asked for everything.
func TestRefusedChangesAreNotLostData(t *testing.T) {
	e := newEnd(t, "x")
	c := e.edit()
	e.connect()
	bad := id.Hash{9}
	e.orphans.Refuse(bad)
	for _, taken := range []struct {
		hash  id.Hash
		reset bool
	}{{bad, false}, {id.Hash{8}, true}} {
		e.connect()
		e.s.Receive(&Message{V2: true, Heads: []id.Hash{taken.hash}, Have: []Have{{LastSync: []id.Hash{taken.hash}}}, HasFlags: true})
		out, err := e.s.Generate(e, 0)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Decode(out)
		if err != nil {
			t.Fatal(err)
		}
		if reset := len(m.Chunks) == 0; reset != taken.reset {
			t.Errorf("from %v: the answer %+v, want a reset: %v (we have %v)", taken.hash, m, taken.reset, c.Hash)
		}
	}
}

// An end that has kept what it shares is met without a filter over all of that,
// though we have kept nothing.
func TestWhatTheOtherEndKeptIsShared(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	p.history(500, 0)
	p.connect(0)
	p.settle()
	p.ends[0].saved = p.ends[0].s.Save()
	p.ends[0].edit()
	p.ends[1].edit()
	p.connect(0)
	p.deliver(1)
	m, err := Decode(p.wire[0][0])
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range m.Have {
		if h.Bloom.Len() > 2 {
			t.Errorf("the answer has a filter of %d changes", h.Bloom.Len())
		}
	}
	p.settle()
	p.converged()
}
