package peer

import (
	"slices"
	"time"

	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// maxTimed is how many operations of a document are timed at once until another end
// has them. Beyond, as after a long time offline, the first stand for all.
const maxTimed = 1024

// pace measures how long operations take to become durable at another end. It
// belongs to its desk.
type pace struct{ waiting []timed }

type timed struct {
	hash id.Hash
	at   time.Time
}

func (p *pace) start(h id.Hash, at time.Time) {
	if len(p.waiting) < maxTimed {
		p.waiting = append(p.waiting, timed{h, at})
	}
}

// arrived calls done with the time that each operation has taken that is among the
// given heads or below them.
func (p *pace) arrived(g *graph.Graph, heads []id.Hash, now time.Time, done func(time.Duration)) {
	if len(p.waiting) == 0 || len(heads) == 0 {
		return
	}
	below := g.Ancestors(heads)
	p.waiting = slices.DeleteFunc(p.waiting, func(t timed) bool {
		n, ok := g.Lookup(t.hash)
		if !ok {
			return !g.Contains(t.hash) // the document was made anew without it
		}
		if below.Has(n) {
			done(now.Sub(t.at))
			return true
		}
		return false
	})
}
