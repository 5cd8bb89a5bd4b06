package peer

import (
	"fmt"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/intake"
	"syncline/relay/wire"
	"syncline/storage"
)

// The peer's part in what intake does: its own operations, and what becomes of a
// sender.

// kept is what the journal keeps of a change of ours beside the change.
type kept struct {
	at  time.Time // when it was made; zero: now
	ops []byte    // of the operations that it is
}

// Names of origins that are no peer ids.
const (
	originLocal    = ""
	originImport   = "import"
	originFounding = "founding" // made here, and by nobody (crdt.Founding): it has no record
)

// entry is how the journal keeps a change.
func entry(doc id.Document, s *intake.Staged, m kept) storage.Entry {
	c := s.Change
	origin := s.From.Name
	if s.Own && m.ops == nil {
		origin = originFounding
	}
	return storage.Entry{
		Doc: doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Origin: origin,
		Head: graph.MetaOf(c).Encode(), Body: c.Raw(), Applying: !s.Own,
		Time: m.at, Operation: m.ops,
	}
}

// stageLocal takes in a change that the core has just made, with the record of what
// it was made of.
func (r *replica) stageLocal(c *chunk.Change, m kept) error {
	if err := r.intake.TakeOwn(c); err != nil {
		return err
	}
	r.keep(c.Hash, m)
	return nil
}

// keep notes the record of a change that is staged.
func (r *replica) keep(h id.Hash, m kept) {
	if r.records == nil {
		r.records = make(map[id.Hash]kept)
	}
	r.records[h] = m
}

// sender is how the intake knows a member.
func (m *member) sender() graph.Sender { return graph.Sender{Conn: uint64(m.conn), Name: m.peer} }

// maxRefusals is how many changes of one session may be refused before it is
// listened to no longer. Honest ends that were handed a bad change go on editing
// on top of it for a while.
const maxRefusals = 64

// Refused tells a member of a change of its that is refused.
func (r *replica) Refused(conn uint64, h id.Hash, why error) {
	r.refuse(r.members[connID(conn)], h, why)
}

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

// hangUp ends a member's connection, if it is still here.
func (r *replica) hangUp(m *member, code wire.CloseCode, err error) {
	if m != nil && m.barred == nil {
		m.barred = &Fault{Class: classOfCode(code), Err: err}
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
func (r *replica) Lost(conn uint64, loss intake.Loss, why error) {
	r.hangUp(r.members[connID(conn)], losses[loss], fmt.Errorf("document %s: %w", r.doc, why))
}

// publish makes the staged changes visible: they are durable.
func (r *replica) publish(rows []int64) (res result) {
	if res.rebuild = r.settle(r.intake.Publish(rows)); !res.rebuild {
		for i, s := range r.intake.Staged() {
			if !s.Own {
				res.fresh = append(res.fresh, journaled{rows[i], s.Change})
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

// takeStored takes in what another process has stored. It has checked it. The core
// gets it before what waited for it: see desk.takeElsewhere.
func (r *replica) takeStored(in stored) {
	grown, v := r.intake.TakeStored(in.metas, func(h id.Hash, err error) {
		r.orphans.Refuse(h)
		r.do(say{text: "change of another process left out", hash: h, err: err})
	})
	r.grown = r.grown || grown
	r.settle(v)
}

// connID numbers the connections of a peer, from 1.
type connID uint64
