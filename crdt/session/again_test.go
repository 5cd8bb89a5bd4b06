package session

import (
	"math/rand/v2"
	"testing"

	"syncline/crdt/id"
)

// gives delivers the next message to an end without an answer, and lists the changes
// in it.
func (p *pair) gives(i int) (n int) {
	p.t.Helper()
	m, err := Decode(p.wire[i][0])
	if err != nil {
		p.t.Fatal(err)
	}
	cs, err := m.Changes()
	if err != nil {
		p.t.Fatal(err)
	}
	p.ends[i].receive(p.wire[i][0])
	p.wire[i] = p.wire[i][1:]
	return len(cs)
}

// In a ring what the other end has comes to this one from elsewhere too, maybe before
// the other end's answer. Its filter said that it has it, so it does not go back there.
func TestWhatTheFilterNamedIsNotSentWhenItComesFromElsewhere(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	dialler, listener := p.ends[0], p.ends[1]
	p.history(10, 0)
	first, second := dialler.edit(), dialler.edit()
	dialler.edit()
	p.connect(0)
	p.deliver(1) // the listener hears of heads that it does not know, and asks for them
	for range 2 {
		listener.take(first, second)
		p.say(1)
	}
	for len(p.wire[0]) > 0 {
		if n := p.gives(0); n > 0 {
			t.Errorf("the dialler is sent %d changes that it had when it connected", n)
		}
	}
	p.say(0)
	p.settle()
	p.converged()
}

// counted settles the pair and fails if a change went to the same end more than once.
func (p *pair) counted() {
	p.t.Helper()
	times := map[id.Hash]int{}
	for len(p.wire[0])+len(p.wire[1]) > 0 {
		for i := range p.wire {
			if len(p.wire[i]) == 0 {
				continue
			}
			m, err := Decode(p.wire[i][0])
			if err != nil {
				p.t.Fatal(err)
			}
			cs, err := m.Changes()
			if err != nil {
				p.t.Fatal(err)
			}
			for _, c := range cs {
				if times[c.Hash]++; times[c.Hash] > 1 {
					p.t.Errorf("%s is sent %s %d times", p.ends[i].name, c.Hash, times[c.Hash])
				}
			}
			p.deliver(i)
		}
	}
}

// What comes from elsewhere is told while an answer is under way; that does not ask
// again for what was asked for.
func TestWhatIsAskedForIsNotAskedForAgain(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	dialler, listener := p.ends[0], p.ends[1]
	p.history(10, 0)
	dialler.edit()
	dialler.edit()
	p.connect(0)
	p.deliver(1)
	listener.edit()
	p.say(1)
	listener.edit()
	p.say(1)
	p.counted()
	p.converged()
}

// Messages that are heard together are answered together.
func TestNeedsOfSeveralMessagesAreAnswered(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	giver := p.ends[0]
	first, second := giver.edit(), giver.edit()
	giver.connect()
	heads := []id.Hash{{1}} // of changes that the giver does not know
	giver.s.Receive(&Message{V2: true, HasFlags: true, Heads: heads, Need: []id.Hash{first.Hash}})
	giver.s.Receive(&Message{V2: true, HasFlags: true, Heads: heads})
	giver.s.Receive(&Message{V2: true, HasFlags: true, Heads: heads, Need: []id.Hash{second.Hash}})
	m, err := Decode(giver.generate(0))
	if err != nil {
		t.Fatal(err)
	}
	if cs, err := m.Changes(); err != nil || len(cs) != 2 {
		t.Errorf("%d changes are given (%v), want those that were asked for", len(cs), err)
	}
}
