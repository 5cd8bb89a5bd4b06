package peer

import "time"

// Two peers that have dialled each other have two connections for the same documents,
// and would send each change over both. So one of the two is spare: on it, a document
// waits until the other end has on the first connection all that we have, and then the
// two only tell each other so. If the first breaks, or does not serve for a document,
// the spare one is as any other. Both ends take the same one for it, as otherwise they
// would wait for each other: the one that was dialled by the peer with the higher id.
// Who connects may call himself what he likes, so nobody is waited for for long.

// sparePatience is how long a document waits on a spare connection. Then that is as
// any other, for that document: the first may be broken, and nobody knows yet.
const sparePatience = 2 * time.Second

// spare reports whether the connection is one if there is another in the other
// direction. Sync's go by names of their own, and are none.
func (c *conn) spare() bool {
	if c.self != c.p.self {
		return false
	}
	dialler, dialled := c.remote.PeerID, c.self
	if c.dialed {
		dialler, dialled = dialled, dialler
	}
	return dialler > dialled
}

// takesTurn reports whether a spare member is to be spoken to in this round. If not,
// it is when the first one has got everything, or has gone.
func (r *replica) takesTurn(m *member) bool {
	for _, first := range r.order {
		if first.peer != m.peer || first.spare || !first.serves() || m.session == nil || r.graph.Len() == 0 {
			continue
		}
		if !first.session.Synced() && !r.apart(first) {
			m.behind = m.behind || r.grown
			if !m.waiting && (m.begin || m.answer || m.behind) {
				m.waiting = true
				m.waits++
				r.do(waitSpare{conn: m.conn, n: m.waits})
			}
			return false
		}
		m.session.HasAll()
	}
	m.waiting = false
	return true
}

// takeWaited ends the wait of a spare member, if it is still the same.
func (r *replica) takeWaited(in waited) {
	if m := r.members[in.conn]; m != nil && m.waiting && m.waits == in.n {
		m.waiting, m.spare = false, false
	}
}

// serves reports whether changes go to a member.
func (m *member) serves() bool {
	return m.session != nil && m.barred == nil && !m.readOnly && !m.declined && !m.session.OnlyGives()
}
