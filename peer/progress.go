package peer

import (
	"context"
	"slices"
	"strings"
	"sync"

	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// How far a change of ours has come is not kept for each change: it follows from
// what is kept anyway. What an end has acknowledged are the heads in its sync
// state, and a change is acknowledged if it is one of them or among their
// ancestors. That somebody has built on a change is in the graph. Only that a
// change was sent is not kept: an end that we were cut off from may have it or not,
// and will say so.

// end is another end of a document, with the heads that it is known to have.
type end struct {
	id    string // its storage id, or its peer id if it keeps nothing
	peer  bool
	heads []id.Hash
}

// ends lists the other ends, by their ids. Of those that are connected, what they
// say now counts; of the others, what they said last.
func (d *desk) ends(ctx context.Context) ([]end, error) {
	var list []end
	live := map[string]bool{}
	for _, m := range d.r.order {
		if m.session == nil {
			continue
		}
		e := end{id: m.remote, heads: m.session.Acked()}
		if e.id == "" {
			e.id = m.peer
		}
		if c := d.conns[m.conn]; c != nil {
			e.peer = c.peers
		}
		if live[e.id] { // two connections with one end
			i := slices.IndexFunc(list, func(o end) bool { return o.id == e.id })
			list[i].heads = slices.Concat(list[i].heads, e.heads)
			list[i].peer = list[i].peer || e.peer
			continue
		}
		live[e.id] = true
		list = append(list, e)
	}
	fresh := false
	err := d.p.store.SyncStates(ctx, d.doc, func(remote string, state []byte) error {
		if live[remote] {
			return nil
		}
		peer, ok := d.p.others.known(remote)
		if !ok && !fresh {
			// It is gone, or another process has met it since.
			if err := d.p.others.load(ctx, d.p.store); err != nil {
				return err
			}
			fresh = true
			peer, ok = d.p.others.known(remote)
		}
		if !ok {
			return nil
		}
		heads, err := session.Shared(state)
		if err != nil {
			d.log.Warn("saved sync state ignored", "err", err)
			return nil
		}
		list = append(list, end{id: remote, peer: peer, heads: heads})
		return nil
	})
	slices.SortFunc(list, func(a, b end) int { return strings.Compare(a.id, b.id) })
	return list, err
}

// progress says where a change is. followed is of the whole document, or nil.
func (d *desk) progress(h id.Hash, ends []end, followed []bool) Progress {
	p := Progress{State: Local}
	if s, ok := d.again.standsFor(h); ok && s.hash != (id.Hash{}) {
		p.Again, h = s.hash, s.hash
	}
	g := d.r.graph
	node, ok := g.Lookup(h)
	if !ok || !g.Has(h) {
		return p
	}
	for _, e := range ends {
		if len(e.heads) == 0 || !g.Ancestors(e.heads).Has(node) {
			continue
		}
		p.Acknowledged = append(p.Acknowledged, e.id)
		if e.peer {
			p.Seen = append(p.Seen, e.id)
		}
	}
	if followed == nil {
		followed = followedFrom(g, d.again.dev, node)
		p.Followed = followed[0]
	} else {
		p.Followed = followed[node]
	}
	switch {
	case p.Followed || len(p.Seen) > 0:
		p.State = Seen
	case len(p.Acknowledged) > 0:
		p.State = Acknowledged
	case d.sent.has(g.Row(node)):
		p.State = Sent
	}
	return p
}

// followedFrom says of each node from the given one on whether somebody else has
// built on it.
func followedFrom(g *graph.Graph, dev device, from int) []bool {
	followed := make([]bool, g.Nodes()-from)
	for n := g.Nodes() - 1; n > from; n-- {
		if !followed[n-from] && dev.wrote(g.Meta(n).Actor) || !g.Has(g.Hash(n)) {
			continue
		}
		for p := range g.Parents(n) {
			if p >= from {
				followed[p-from] = true
			}
		}
	}
	return followed
}

// rowSet are the rows that have left on a connection and that no end is known to
// have. Writers of connections add to it.
type rowSet struct {
	mu   sync.Mutex
	rows map[int64]struct{}
}

func (s *rowSet) add(rows []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = make(map[int64]struct{}, len(rows))
	}
	for _, row := range rows {
		s.rows[row] = struct{}{}
	}
}

func (s *rowSet) has(row int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.rows[row]
	return ok
}

func (s *rowSet) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = nil
}

// tap is a source that notes which rows were given.
type tap struct {
	session.Source
	rows []int64
}

// Bodies gives the bodies of rows.
func (t *tap) Bodies(rows []int64, yield func([]byte) bool) error {
	i := 0
	return t.Source.Bodies(rows, func(body []byte) bool {
		if !yield(body) {
			return false
		}
		t.rows = append(t.rows, rows[i])
		i++
		return true
	})
}
