package session

import (
	"math/rand/v2"
	"testing"

	"syncline/crdt/id"
)

// renew begins the session of an end anew, on the same connection. What was on its way
// to it is dropped, or still comes.
func (p *pair) renew(i int, dropped bool) {
	e := p.ends[i]
	if dropped {
		p.wire[i] = nil
	}
	e.opts.Anew = true
	e.connect()
	e.opts.Anew = false
	p.say(i)
}

// The other end has heard the same heads before, and has nothing to send.
func TestARenewedSessionIsAnswered(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	p.history(10, 0)
	p.connect(0)
	p.settle()
	p.converged()
	for i := range p.ends {
		before := p.count
		p.renew(i, false)
		p.settle()
		p.converged()
		for j := range p.ends {
			if n := p.count[j] - before[j]; n != 1 {
				t.Errorf("%s renewed: %s sent %d messages, want one", p.ends[i].name, p.ends[j].name, n)
			}
		}
	}
}

// What the other end has said to the session before is not heard by the new one, whether
// these were heads, changes, or what it needs.
func TestRenewedSessionsConverge(t *testing.T) {
	seeds(t, 500, func(t *testing.T, r *rand.Rand) {
		p := newPair(t, r)
		p.random(Options{})
		p.connect(p.anyOpener()...)
		for range 1 + r.IntN(3) {
			for range r.IntN(6) {
				if i := r.IntN(2); len(p.wire[i]) > 0 {
					p.deliver(i)
				} else if r.IntN(3) == 0 {
					p.ends[i].edit()
					p.say(i)
				}
			}
			i := r.IntN(2)
			p.ends[i].saved = nil
			if r.IntN(2) == 0 {
				p.ends[i].saved = p.ends[i].s.Save()
			}
			p.renew(i, r.IntN(2) == 0)
		}
		p.settle()
		p.converged()
	})
}

// Two that begin anew at the same time answer each other once.
func TestTwoRenewedSessionsComeToRest(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	p.history(10, 0)
	p.connect(0)
	p.settle()
	before := p.count
	p.renew(0, false)
	p.renew(1, false)
	p.settle()
	p.converged()
	for i := range p.ends {
		if n := p.count[i] - before[i]; n > 2 {
			t.Errorf("%s sent %d messages, want two at most", p.ends[i].name, n)
		}
	}
}

// What an end names in its filter is not sent back because it begins anew.
func TestARenewedSessionIsNotSentWhatItHas(t *testing.T) {
	p := newPair(t, rand.New(rand.NewPCG(1, 1)))
	p.history(10, 0)
	p.connect(0)
	p.settle()
	common := p.ends[0].edit()
	p.ends[1].take(common)
	p.ends[0].edit() // which the other end does not know
	p.renew(0, false)
	p.ends[1].edit()
	p.say(1)
	p.gave[1] = map[id.Hash]bool{}
	p.settle()
	if p.gave[1][common.Hash] {
		t.Error("it is sent a change that it has named")
	}
	p.converged()
}
