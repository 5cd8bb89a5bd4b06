package relay

import (
	"fmt"

	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/intake"
	"syncline/relay/wire"
	"syncline/storage"
)

// The relay's part in what intake does: what becomes of a sender.

// entry is how the journal keeps a change.
func (r *room) entry(s *intake.Staged) storage.Entry {
	c := s.Change
	return storage.Entry{
		Doc: r.doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Origin: s.From.Name,
		Head: graph.MetaOf(c).Encode(), Body: c.Raw(),
	}
}

// sender is how the intake knows a member.
func (m *member) sender() graph.Sender { return graph.Sender{Conn: uint64(m.conn), Name: m.peer} }

// maxRefusals is how many changes of one session may be refused before it is
// listened to no longer. Honest clients that were handed a bad change go on
// editing on top of it for a while.
const maxRefusals = 64

// Refused tells a member of a change of its that is refused.
func (r *room) Refused(conn uint64, h id.Hash, why error) { r.refuse(r.members[connID(conn)], h, why) }

// refuse tells a member that a change it sent fails a check. The change is not
// asked for again, so the session goes on.
func (r *room) refuse(m *member, hash id.Hash, err error) {
	if m == nil || m.barred {
		return
	}
	m.refusals++
	m.barred = m.refusals >= maxRefusals
	r.do(sendRefusal{conn: m.conn, hash: hash, err: err})
}

// hangUp ends a member's connection, if it is still here.
func (r *room) hangUp(m *member, code wire.CloseCode, err error) {
	if m != nil && !m.barred {
		m.barred = true
		r.do(hangUp{conn: m.conn, code: code, err: err})
	}
}

// losses are what a member is told with the end of its connection.
var losses = [...]wire.CloseCode{
	intake.Unreadable: wire.CloseInternal,
	intake.Crowded:    wire.CloseOverLimit,
	intake.Unstored:   wire.CloseReadOnly,
}

// Lost ends the connection of a member that has to offer again what it sent.
func (r *room) Lost(conn uint64, loss intake.Loss, why error) {
	r.hangUp(r.members[connID(conn)], losses[loss], fmt.Errorf("document %s: %w", r.doc, why))
}

// takeStored takes in what another process has stored. Orphans that waited for it
// are staged with the next round's messages.
func (r *room) takeStored(metas []graph.Meta) {
	grown, v := r.intake.TakeStored(metas, func(h id.Hash, err error) {
		r.do(report{text: "change of another process left out", hash: h, err: err})
	})
	r.grown = r.grown || grown
	r.noteTwins(v)
	r.intake.Wake(metas)
}

// noteTwins tells everybody of changes that put others out of the document: the
// device that wrote them issues its operations again.
func (r *room) noteTwins(v graph.Verdict) {
	for _, t := range v.Twins {
		err := fmt.Errorf("actor %s used sequence number %d for %d changes; the one with the lowest hash stands", t.Actor, t.Seq, len(t.Hashes))
		for i, h := range t.Hashes {
			if i == t.Stands {
				continue
			}
			r.do(diverged{hash: h, err: err})
			for _, m := range r.order {
				if !m.barred {
					r.do(sendTwin{conn: m.conn, hash: h, err: err})
				}
			}
		}
	}
}
