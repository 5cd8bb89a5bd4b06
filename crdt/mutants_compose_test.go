package crdt_test

import (
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// mutateCompose writes new operations that look honest, each on its own: on objects, keys,
// elements and predecessors that the history has, in combinations that no editor makes.
func mutateCompose(m *mutation) bool {
	e, c := newOpEditor(m)
	if c == nil || len(e.before)+len(e.own) == 0 {
		return false
	}
	if m.rng.IntN(2) == 0 {
		e.own = nil
	}
	for range 1 + m.rng.IntN(4) {
		if len(e.before)+len(e.own) == 0 {
			break
		}
		e.own = append(e.own, e.compose())
	}
	h := c.Header()
	if m.rng.IntN(8) == 0 {
		h.Deps = slices.Clone(h.Deps[:m.rng.IntN(len(h.Deps)+1)])
	}
	return m.replace(writeOps(h, e.own))
}

// mutateBranches lets up to three new authors write composed changes, each knowing
// a part of the history, so that they are concurrent with the rest and each other.
func mutateBranches(m *mutation) bool {
	written := len(m.changes)
	for range 1 + m.rng.IntN(3) {
		tip := m.changes[m.rng.IntN(len(m.changes))]
		h := chunk.Header{Actor: id.Actor([]byte{0xcc, byte(m.rng.Uint32()), byte(m.rng.Uint32())}), Seq: 1, Deps: []id.Hash{hashOf(tip)}}
		h.StartOp = m.honestStart(h.Deps)
		behind := m.ancestors(h.Deps)
		e := &opEditor{mutation: m, author: h.Actor, start: h.StartOp}
		for _, k := range m.base.ops {
			if behind[hashOf(m.base.changes[k.change])] != nil {
				e.before = append(e.before, k)
			}
		}
		for range 1 + m.rng.IntN(5) {
			if len(e.before)+len(e.own) > 0 {
				e.own = append(e.own, e.compose())
			}
		}
		m.changes = append(m.changes, writeOps(h, e.own))
	}
	m.at = written
	return true
}

// compose makes one operation on the slot of another.
func (e *opEditor) compose() op {
	k := e.anyOp()
	var o op
	o.IsElem, o.Action = k.IsElem, chunk.Set
	o.obj, o.Key, o.elem = k.slot()
	if kind, makes := k.Action.Makes(); makes && e.rng.IntN(2) == 0 {
		o.obj, o.Key, o.elem = k.id, "k", opID{}
		o.IsElem = kind.Sequence()
		o.Insert = o.IsElem
	}
	if o.IsElem && e.rng.IntN(2) == 0 {
		o.Insert = true
	}
	e.action(&o)
	if !o.Insert {
		o.pred = e.sameSlot(&o)
		if len(o.pred) == 0 && (o.IsElem || e.rng.IntN(2) == 0) {
			o.pred = []opID{k.id}
		}
		if e.rng.IntN(10) == 0 {
			o.pred = append(o.pred, e.anyOp().id)
		}
	}
	o.tidy()
	return o
}
