package relay

import (
	"errors"
	"fmt"
	"strconv"

	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/storage"
)

// staged is a change that is in the graph but not yet durable.
type staged struct {
	change *chunk.Change
	conn   connID
	origin string // peer id of who sent it
	waited bool   // it was an orphan of an earlier round
}

// entry is how the journal keeps it.
func (s *staged) entry(doc id.Document) storage.Entry {
	c := s.change
	return storage.Entry{
		Doc: doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Origin: s.origin,
		Head: graph.MetaOf(c).Encode(), Body: c.Raw(),
	}
}

// stage takes in a change, and those that waited for it.
func (r *room) stage(c *chunk.Change, from *member) {
	s := staged{change: c, conn: from.conn, origin: from.peer}
	ready := r.stageOne(s)
	for len(ready) > 0 {
		next := ready[0]
		ready = ready[1:]
		s := staged{change: next.Change, waited: true}
		if m := r.holder(next); m != nil {
			s.conn, s.origin = m.conn, m.peer
		}
		ready = append(ready, r.stageOne(s)...)
	}
}

// stageOne returns the changes that were waiting for this one.
func (r *room) stageOne(s staged) []graph.Orphan {
	c := s.change
	if r.graph.Contains(c.Hash) || r.orphans.Has(c.Hash) {
		return nil
	}
	err := r.check(c)
	if err == nil {
		err = r.graph.Add(graph.MetaOf(c))
	}
	if err == nil {
		r.checker.Added(c)
		r.staged = append(r.staged, s)
		return r.orphans.Arrived(c.Hash)
	}
	if missing, ok := errors.AsType[*graph.MissingError](err); ok {
		r.giveWay(r.orphans.Hold(c, s.conn.String(), missing.Missing))
		return nil
	}
	if errors.Is(err, check.ErrSource) {
		// That is no fault of the change, which a new session will offer again.
		r.hangUp(r.members[s.conn], wire.CloseInternal, fmt.Errorf("document %s: change %s: %w", r.doc, c.Hash, err))
		return nil
	}
	r.refuse(r.members[s.conn], c.Hash, err)
	// What builds on it can never be taken in, whoever sent it.
	for _, o := range r.orphans.Refuse(c.Hash) {
		r.refuse(r.holder(o), o.Change.Hash, fmt.Errorf("change %s builds on %s, which was refused", o.Change.Hash, c.Hash))
	}
	return nil
}

// check looks at a change in the document. What was refused before stays so.
func (r *room) check(c *chunk.Change) error {
	if r.orphans.Refused(c.Hash) {
		return fmt.Errorf("change %s was refused before", c.Hash)
	}
	for _, d := range c.Deps {
		if r.orphans.Refused(d) && !r.graph.Contains(d) {
			return fmt.Errorf("change %s builds on %s, which was refused", c.Hash, d)
		}
	}
	return r.checker.Check(c)
}

// hangUp ends a member's connection, if it is still here.
func (r *room) hangUp(m *member, code wire.CloseCode, err error) {
	if m != nil && !m.barred {
		m.barred = true
		r.do(hangUp{conn: m.conn, code: code, err: err})
	}
}

// maxRefusals is how many changes of one session may be refused before it is
// listened to no longer. Honest clients that were handed a bad change go on
// editing on top of it for a while.
const maxRefusals = 64

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

// giveWay deals with changes that found no room while they wait for others. Their
// senders believe that they have arrived; a new connection puts that right.
func (r *room) giveWay(evicted []graph.Orphan) {
	for _, o := range evicted {
		r.hangUp(r.holder(o), wire.CloseOverLimit, fmt.Errorf("document %s: too many changes wait for changes that were not sent", r.doc))
	}
}

// publish makes the staged changes visible: they are durable.
func (r *room) publish(rows []int64) {
	for i := range r.staged {
		r.bodies.Add(rows[i], r.staged[i].change.Raw())
	}
	r.noteTwins(r.graph.Publish(rows))
	r.grown = true
}

// unstage forgets the staged changes: they could not be stored. Their senders are
// told and hung up on, so that they offer them again to a new session.
func (r *room) unstage(err error) {
	r.graph.Truncate()
	for i := range r.staged {
		s := &r.staged[i]
		r.hangUp(r.members[s.conn], wire.CloseReadOnly, fmt.Errorf("document %s: changes could not be stored: %w", r.doc, err))
		if s.waited {
			r.giveWay(r.orphans.Hold(s.change, s.conn.String(), r.graph.Missing(s.change.Deps)))
		}
	}
	r.do(report{text: "changes not stored", err: err})
}

// takeStored takes in what another process has stored.
func (r *room) takeStored(metas []graph.Meta) {
	for _, m := range metas {
		if r.graph.Contains(m.Hash) {
			continue
		}
		if err := r.graph.Add(m); err != nil {
			r.do(report{text: "change of another process left out", hash: m.Hash, err: err})
			continue
		}
		r.grown = true
	}
	r.noteTwins(r.graph.Publish(nil))
	// Orphans that waited for them are staged with the next round's messages.
	for _, m := range metas {
		for _, o := range r.orphans.Arrived(m.Hash) {
			from := r.holder(o)
			if from == nil {
				from = &member{}
			}
			r.stage(o.Change, from)
		}
	}
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

// holder is the member that sent an orphan, if it is still here.
func (r *room) holder(o graph.Orphan) *member {
	n, err := strconv.ParseUint(o.From, 10, 64)
	if err != nil {
		return nil
	}
	return r.members[connID(n)]
}

// String is how the pool of orphans names a connection.
func (n connID) String() string { return strconv.FormatUint(uint64(n), 10) }
