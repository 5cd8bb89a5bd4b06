package relay

import (
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// resting is what remains of a room in which nothing happens: every member has
// said and heard the same heads, or has nothing to do with them. It takes a
// hundred bytes where a room takes thousands.
type resting struct {
	row    int64 // the last one of the document
	first  seat
	others []seat // nearly always none
}

// seat is a member of a resting room.
type seat struct {
	conn  *conn
	state session.Resting
	met   bool // it has a session
	bar   bool
	reads bool // it may only read
	holds holding
}

func (at *resting) seats(yield func(*seat) bool) {
	if at.first.conn != nil && !yield(&at.first) {
		return
	}
	for i := range at.others {
		if !yield(&at.others[i]) {
			return
		}
	}
}

// leave takes a connection out, and reports whether anybody is left.
func (at *resting) leave(c *conn) bool {
	if at.first.conn == c {
		at.first = seat{}
		if n := len(at.others); n > 0 {
			at.first, at.others = at.others[n-1], at.others[:n-1]
		}
	}
	for i := range at.others {
		if at.others[i].conn == c {
			at.others[i] = at.others[len(at.others)-1]
			at.others = at.others[:len(at.others)-1]
			break
		}
	}
	return at.first.conn != nil
}

// rest returns what remains of the room, if it can rest.
func (r *room) rest(conns map[connID]*conn) (at resting, ok bool) {
	if r.orphans.Len() > 0 || len(r.order) == 0 || len(r.intake.Staged())+len(r.heard)+len(r.out) > 0 {
		return at, false
	}
	at.row = r.lastRow()
	for i, m := range r.order {
		if m.asks || m.answer || m.writing || m.uploading {
			return at, false
		}
		s := seat{conn: conns[m.conn], met: m.session != nil, bar: m.barred, reads: m.readOnly, holds: m.holds}
		if s.met && !m.barred {
			if s.state, ok = m.session.Rest(); !ok {
				return at, false
			}
		}
		if i == 0 {
			at.first = s
		} else {
			at.others = append(at.others, s)
		}
	}
	return at, true
}

func (r *room) lastRow() int64 {
	if n := r.graph.Nodes(); n > 0 {
		return r.graph.Row(n - 1)
	}
	return 0
}

// wake seats the members of a room that rested.
func (r *room) wake(at *resting) {
	heads := r.headsAt(at.row)
	for s := range at.seats {
		m := &member{conn: s.conn.id, peer: s.conn.remote.PeerID, storage: s.conn.storage(), barred: s.bar, readOnly: s.reads, holds: s.holds}
		if s.met {
			m.session = session.Wake(r.graph, r.orphans, s.state, heads, session.Options{ReadOnly: s.reads})
		}
		r.seat(m)
	}
	r.grown = r.lastRow() > at.row
}

// headsAt is what the heads were when row was the last.
func (r *room) headsAt(row int64) []id.Hash {
	var later []int
	for n := r.graph.Nodes() - 1; n >= 0 && r.graph.Row(n) > row; n-- {
		later = append(later, n)
	}
	if len(later) == 0 {
		return r.graph.Heads()
	}
	return r.graph.HeadsWithout(later)
}

// What a room takes beside its graph, and each of its members, in bytes: about.
const (
	roomCost   = 4 << 10
	memberCost = 1 << 10
)

// cost is about what the room takes in memory while nothing happens in it.
func (r *room) cost() int64 {
	return roomCost + memberCost*int64(len(r.order)) + r.graph.Bytes() + int64(r.intake.Bytes())
}
