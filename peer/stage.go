package peer

import (
	"errors"
	"fmt"
	"strconv"
	"time"

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
	conn   connID // 0 if it is ours or from a file
	origin string // peer id of who sent it
	local  bool   // we made it: the core has it
	waited bool   // it was an orphan of an earlier round

	time   time.Time // when it was made; zero: now
	record []byte    // of the operations that it is; nil if it is not ours
}

// Names of origins that are no peer ids.
const (
	originLocal  = ""
	originImport = "import"
)

// entry is how the journal keeps it.
func (s *staged) entry(doc id.Document) storage.Entry {
	c := s.change
	return storage.Entry{
		Doc: doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Origin: s.origin,
		Head: graph.MetaOf(c).Encode(), Body: c.Raw(), Applying: !s.local,
		Time: s.time, Operation: s.record,
	}
}

// stageLocal takes in a change that the core has just made, with the record of what
// it was made of.
func (r *replica) stageLocal(c *chunk.Change, now time.Time, record []byte) error {
	if err := r.graph.Add(graph.MetaOf(c)); err != nil {
		return err
	}
	r.checker.Added(c)
	r.staged = append(r.staged, staged{change: c, origin: originLocal, local: true, time: now, record: record})
	return nil
}

// stage takes in a change of somebody else, and those that waited for it. from
// is nil if it comes from a file.
func (r *replica) stage(c *chunk.Change, from *member) {
	s := staged{change: c, origin: originImport}
	if from != nil {
		s.conn, s.origin = from.conn, from.peer
	}
	r.stageReady(r.stageOne(s))
}

// stageReady stages changes that waited, and those that waited for them.
func (r *replica) stageReady(ready []graph.Orphan) {
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
func (r *replica) stageOne(s staged) []graph.Orphan {
	c := s.change
	if r.graph.Contains(c.Hash) || r.orphans.Has(c.Hash) {
		return nil
	}
	err := r.add(c)
	if err == nil {
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

// add checks a change in the document and enters it into the graph. What
// was refused before, or is in quarantine because it ended a process, stays out.
func (r *replica) add(c *chunk.Change) error {
	if r.orphans.Refused(c.Hash) {
		return fmt.Errorf("change %s was refused before", c.Hash)
	}
	for _, d := range c.Deps {
		if r.orphans.Refused(d) && !r.graph.Contains(d) {
			return fmt.Errorf("change %s builds on %s, which was refused", c.Hash, d)
		}
	}
	if err := r.checker.Check(c); err != nil {
		return err
	}
	if err := r.graph.Add(graph.MetaOf(c)); err != nil {
		return err
	}
	r.checker.Added(c)
	return nil
}

// maxRefusals is how many changes of one session may be refused before it is
// listened to no longer. Honest ends that were handed a bad change go on editing
// on top of it for a while.
const maxRefusals = 64

// refuse tells a member that a change it sent fails a check. The change is not
// asked for again, so the session goes on.
func (r *replica) refuse(m *member, hash id.Hash, err error) {
	if m == nil {
		r.do(say{text: "change refused", hash: hash, err: err})
		return
	}
	if m.barred != nil {
		return
	}
	if m.refusals++; m.refusals >= maxRefusals {
		m.barred = fmt.Errorf("%d changes were refused, the last: %w", m.refusals, err)
	}
	r.do(sendRefusal{conn: m.conn, hash: hash, err: err})
}

// giveWay deals with changes that found no room while they wait for others. Their
// senders believe that they have arrived; a new connection puts that right.
func (r *replica) giveWay(evicted []graph.Orphan) {
	for _, o := range evicted {
		r.hangUp(r.holder(o), wire.CloseOverLimit, fmt.Errorf("document %s: too many changes wait for changes that were not sent", r.doc))
	}
}

// hangUp ends a member's connection, if it is still here.
func (r *replica) hangUp(m *member, code wire.CloseCode, err error) {
	if m != nil && m.barred == nil {
		m.barred = &Fault{Class: classOfCode(code), Err: err}
		r.do(hangUp{conn: m.conn, code: code, err: err})
	}
}

// publish makes the staged changes visible: they are durable.
func (r *replica) publish(rows []int64) (res result) {
	for i := range r.staged {
		r.bodies.Add(rows[i], r.staged[i].change.Raw())
	}
	if res.rebuild = r.settle(r.graph.Publish(rows)); !res.rebuild {
		for i := range r.staged {
			if !r.staged[i].local {
				res.fresh = append(res.fresh, journaled{rows[i], r.staged[i].change})
			}
		}
	}
	r.grown = true
	return res
}

// settle draws the consequences of twins. It reports whether they have changed
// which changes stand.
func (r *replica) settle(v graph.Verdict) bool {
	for _, t := range v.Twins {
		r.do(say{text: "twins: an actor used a sequence number twice; the change with the lowest hash stands", hash: t.Hashes[0],
			err: fmt.Errorf("actor %s, sequence number %d, %d changes", t.Actor, t.Seq, len(t.Hashes))})
	}
	if len(v.Twins) > 0 {
		r.do(diverged{twins: len(v.Twins)})
	}
	if len(v.Quarantined) > 0 {
		r.do(keepEvidence{rows: v.Quarantined})
	}
	if n := len(v.Restored); n > 0 {
		r.do(say{text: "changes stand again: what had beaten them is out itself", err: fmt.Errorf("%d changes", n)})
	}
	r.contested = r.contested || !v.Empty()
	return len(v.Quarantined)+len(v.Restored) > 0
}

// unstage forgets the staged changes: they could not be stored. Their senders are
// hung up on, so that they offer them again to a new session.
func (r *replica) unstage(err error) {
	r.graph.Truncate()
	for i := range r.staged {
		s := &r.staged[i]
		r.hangUp(r.members[s.conn], wire.CloseReadOnly, fmt.Errorf("document %s: changes could not be stored: %w", r.doc, err))
		if s.waited {
			r.giveWay(r.orphans.Hold(s.change, s.conn.String(), r.graph.Missing(s.change.Deps)))
		}
	}
	r.do(say{text: "changes not stored", err: err})
}

// takeStored takes in what another process has stored. It has checked it.
func (r *replica) takeStored(in stored) {
	for _, m := range in.metas {
		if r.graph.Contains(m.Hash) {
			continue
		}
		if err := r.graph.Add(m); err != nil {
			r.orphans.Refuse(m.Hash)
			r.do(say{text: "change of another process left out", hash: m.Hash, err: err})
			continue
		}
		r.grown = true
	}
	r.settle(r.graph.Publish(nil))
}

// wake stages orphans that waited for what another process has stored.
func (r *replica) wake(metas []graph.Meta) {
	for _, m := range metas {
		for _, o := range r.orphans.Arrived(m.Hash) {
			r.stage(o.Change, r.holder(o))
		}
	}
}

// holder is the member that sent an orphan, if it is still here.
func (r *replica) holder(o graph.Orphan) *member {
	n, err := strconv.ParseUint(o.From, 10, 64)
	if err != nil {
		return nil
	}
	return r.members[connID(n)]
}

// connID numbers the connections of a peer, from 1.
type connID uint64

// String is how the pool of orphans names a connection.
func (n connID) String() string { return strconv.FormatUint(uint64(n), 10) }
