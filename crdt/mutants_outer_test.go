package crdt_test

import (
	"slices"

	"syncline/crdt/id"
)

// outerMutators edit bytes, columns, headers and the order of changes: all that
// can be done without knowing operations.
func outerMutators() []mutator {
	return []mutator{
		{name: "bytes", weight: 4, mutate: mutateBytes},
		{name: "column bytes", weight: 8, mutate: mutateColumnBytes},
		{name: "column table", weight: 4, mutate: mutateColumnTable},
		{name: "column of another change", weight: 4, mutate: mutateColumnSwap},
		{name: "same said in other bytes", weight: 5, mutate: mutateEncoding},
		{name: "header numbers", weight: 6, mutate: mutateHeader},
		{name: "actor", weight: 4, mutate: mutateActor},
		{name: "other actors", weight: 4, mutate: mutateOtherActors},
		{name: "deps to ancestors", weight: 8, mutate: mutateDepsBack},
		{name: "deps to others", weight: 8, mutate: mutateDepsAnywhere},
		{name: "order", weight: 3, mutate: mutateOrder},
		{name: "change of another history", weight: 2, mutate: mutateForeign},
		{name: "same body by two authors", weight: 3, mutate: mutateCopy},
	}
}

// mutateBytes edits the body as bytes.
func mutateBytes(m *mutation) bool {
	_, body, ok := chunkBody(m.changes[m.at])
	if !ok {
		return false
	}
	_, other, _ := chunkBody(m.anotherChange())
	for range 1 + m.rng.IntN(2) {
		body = scramble(m.rng, body, other)
	}
	return m.replace(encodeChunk(1, body))
}

// mutateColumnBytes edits the data of one column; the table stays right.
func mutateColumnBytes(m *mutation) bool {
	p := m.parts()
	if p == nil || len(p.columns) == 0 {
		return false
	}
	c := &p.columns[m.rng.IntN(len(p.columns))]
	c.data = scramble(m.rng, c.data, nil)
	return m.replace(p.assemble())
}

// mutateColumnTable edits specs, drops and doubles columns, and swaps the data of two.
func mutateColumnTable(m *mutation) bool {
	p := m.parts()
	if p == nil || len(p.columns) < 2 {
		return false
	}
	i, j := m.rng.IntN(len(p.columns)), m.rng.IntN(len(p.columns))
	switch m.rng.IntN(5) {
	case 0:
		p.columns[i].spec = near(m.rng, p.columns[i].spec)
	case 1:
		p.columns[i].spec ^= 1 << m.rng.IntN(8)
	case 2:
		p.columns = slices.Delete(p.columns, i, i+1)
	case 3:
		p.columns[i].data, p.columns[j].data = p.columns[j].data, p.columns[i].data
	case 4:
		p.columns = slices.Insert(p.columns, i, p.columns[j])
	}
	return m.replace(p.assemble())
}

// mutateColumnSwap takes a column of the same spec from another change.
func mutateColumnSwap(m *mutation) bool {
	p := m.parts()
	q, err := dissect(m.anotherChange())
	if p == nil || err != nil || len(p.columns) == 0 {
		return false
	}
	c := &p.columns[m.rng.IntN(len(p.columns))]
	d := q.column(c.spec)
	if d == nil {
		return false
	}
	c.data = d.data
	return m.replace(p.assemble())
}

func mutateHeader(m *mutation) bool {
	p := m.parts()
	if p == nil {
		return false
	}
	switch m.rng.IntN(6) {
	case 0:
		p.seq = near(m.rng, p.seq)
	case 1, 2:
		p.startOp = near(m.rng, p.startOp)
	case 3:
		p.time = int64(near(m.rng, uint64(p.time)))
	case 4:
		p.message = scramble(m.rng, p.message, nil)
	case 5:
		p.extra = scramble(m.rng, p.extra, nil)
	}
	return m.replace(p.assemble())
}

// mutateActor gives the change to another author: one it refers to, one of its
// history, a new one; with its references exchanged or left as they are.
func mutateActor(m *mutation) bool {
	p := m.parts()
	if p == nil {
		return false
	}
	own := p.actor
	switch m.rng.IntN(3) {
	case 0:
		if len(p.others) == 0 {
			return false
		}
		i := m.rng.IntN(len(p.others))
		p.actor, p.others[i] = p.others[i], own
	case 1:
		q, err := dissect(m.anotherChange())
		if err != nil {
			return false
		}
		p.actor = q.actor
	case 2:
		p.actor = scramble(m.rng, own, nil)
	}
	if m.rng.IntN(2) == 0 {
		p.seq = m.nextSeq(p.actor)
	}
	return m.replace(p.assemble())
}

// nextSeq is the sequence number that the mutated change would honestly have as
// the author's next.
func (m *mutation) nextSeq(actor []byte) uint64 {
	seq := uint64(1)
	for _, raw := range m.changes[:m.at] {
		if p, err := dissect(raw); err == nil && string(p.actor) == string(actor) {
			seq = max(seq, p.seq+1)
		}
	}
	return seq
}

// mutateOtherActors edits the table of referenced actors, so that references
// mean other operations.
func mutateOtherActors(m *mutation) bool {
	p := m.parts()
	if p == nil || len(p.others) == 0 {
		return false
	}
	i, j := m.rng.IntN(len(p.others)), m.rng.IntN(len(p.others))
	switch m.rng.IntN(5) {
	case 0:
		p.others[i], p.others[j] = p.others[j], p.others[i]
	case 1:
		p.others = slices.Delete(p.others, i, i+1)
	case 2:
		p.others = slices.Insert(p.others, i, p.others[j])
	case 3:
		p.others[i] = scramble(m.rng, p.others[i], nil)
	case 4:
		q, err := dissect(m.anotherChange())
		if err != nil {
			return false
		}
		p.others[i] = q.actor
		slices.SortFunc(p.others, slices.Compare)
	}
	return m.replace(p.assemble())
}

// mutateDepsBack re-points deps at ancestors further back, so that what the
// change refers to may no longer be among its ancestors.
func mutateDepsBack(m *mutation) bool {
	p := m.parts()
	if p == nil || len(p.deps) == 0 {
		return false
	}
	i := m.rng.IntN(len(p.deps))
	behind := m.depsOf(p.deps[i])
	for steps := m.rng.IntN(3); steps > 0 && len(behind) > 0; steps-- {
		if further := m.depsOf(behind[m.rng.IntN(len(behind))]); len(further) > 0 {
			behind = further
		}
	}
	p.deps = append(slices.Delete(p.deps, i, i+1), behind...)
	if m.rng.IntN(4) == 0 { // start where an honest author there would
		p.startOp = m.honestStart(p.deps)
	}
	id.SortHashes(p.deps)
	p.deps = slices.Compact(p.deps)
	return m.replace(p.assemble())
}

// depsOf finds the deps of an earlier change by its hash.
func (m *mutation) depsOf(h id.Hash) []id.Hash {
	for _, raw := range m.changes[:m.at] {
		if hashOf(raw) == h {
			if p, err := dissect(raw); err == nil {
				return p.deps
			}
		}
	}
	return nil
}

// mutateDepsAnywhere adds, drops and replaces deps.
func mutateDepsAnywhere(m *mutation) bool {
	p := m.parts()
	if p == nil || m.at == 0 {
		return false
	}
	earlier := hashOf(m.changes[m.rng.IntN(m.at)])
	switch m.rng.IntN(5) {
	case 0:
		p.deps = append(p.deps, earlier)
	case 1:
		p.deps = []id.Hash{earlier}
	case 2:
		p.deps = nil
	case 3:
		p.deps = append(p.deps, hashOf(m.anotherChange()))
	case 4: // out of order, or said twice
		p.deps = append(p.deps, earlier)
		m.rng.Shuffle(len(p.deps), func(i, j int) { p.deps[i], p.deps[j] = p.deps[j], p.deps[i] })
		return m.replace(p.assemble())
	}
	if m.rng.IntN(3) == 0 {
		p.startOp = m.honestStart(p.deps)
	}
	id.SortHashes(p.deps)
	p.deps = slices.Compact(p.deps)
	return m.replace(p.assemble())
}

// mutateOrder delivers changes in another order, not at all, or twice.
func mutateOrder(m *mutation) bool {
	if len(m.changes) < 2 {
		return false
	}
	i, j := m.rng.IntN(len(m.changes)), m.rng.IntN(len(m.changes))
	switch m.rng.IntN(3) {
	case 0:
		m.changes[i], m.changes[j] = m.changes[j], m.changes[i]
	case 1:
		m.changes = slices.Delete(m.changes, i, i+1)
	case 2:
		m.changes = slices.Insert(m.changes, i, m.changes[j])
	}
	m.at = min(m.at, len(m.changes)-1)
	return true
}

// mutateForeign delivers a whole change of another history, onto these heads.
func mutateForeign(m *mutation) bool {
	other := m.pool[m.rng.IntN(len(m.pool))]
	p, err := dissect(other.changes[m.rng.IntN(len(other.changes))])
	if err != nil {
		return false
	}
	p = p.clone()
	p.deps = []id.Hash{hashOf(m.changes[len(m.changes)-1])}
	p.seq = 1
	p.startOp = m.honestStart(p.deps)
	m.changes = append(m.changes, p.assemble())
	m.at = len(m.changes) - 1
	return true
}

// mutateCopy delivers the change a second time as another author's, so that all it
// refers to is honest but what it makes is said twice; or as a twin of the same author.
func mutateCopy(m *mutation) bool {
	p := m.parts()
	if p == nil {
		return false
	}
	switch m.rng.IntN(3) {
	case 0:
		p.actor = []byte{0xab, byte(m.rng.Uint32())}
		p.seq = 1
	case 1:
		p.seq++
		p.deps = []id.Hash{hashOf(m.changes[m.at])}
		p.startOp = m.honestStart(p.deps)
	case 2:
		p.time++
	}
	m.changes = slices.Insert(m.changes, m.at+1, p.assemble())
	m.at++
	return true
}
