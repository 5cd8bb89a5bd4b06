package peer

import (
	"math/rand/v2"
	"testing"
)

// Who opens a connection waits for an answer before it tells of more, be that a message
// or that there is none.
func TestNothingIsToldBeforeTheFirstAnswer(t *testing.T) {
	for _, declined := range []bool{false, true} {
		s := &sim{t: t, rng: rand.New(rand.NewPCG(1, 1))}
		a, b := s.peer("a"), s.peer("b")
		s.link(a, b)
		l := s.links[0]
		a.edit()
		s.connect(l)
		a.edit()
		to := l.ends[1]
		if len(to.queue) != 1 {
			t.Fatalf("%d messages before an answer, want the first word", len(to.queue))
		}
		if declined {
			a.r.take(unavailable{conn: l.ends[0].conn})
			a.edit()
			if len(to.queue) != 2 {
				t.Errorf("%d messages after a refusal and an edit, want another offer", len(to.queue))
			}
		}
		s.heal()
		s.check()
		a.core.Close()
		b.core.Close()
	}
}
