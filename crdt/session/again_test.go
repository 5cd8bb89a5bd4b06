package session

import (
	"testing"

	"math/rand/v2"
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
