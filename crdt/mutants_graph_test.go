package crdt_test

import (
	"slices"

	"syncline/crdt/id"
)

// honestStart is the startOp that an honest change with these deps has: one
// more than the largest operation counter among its ancestors.
func (m *mutation) honestStart(deps []id.Hash) uint64 {
	largest := uint64(0)
	for _, p := range m.ancestors(deps) {
		largest = max(largest, p.startOp+uint64(p.rows())-1)
	}
	return largest + 1
}

// ancestors finds deps and all that is behind them, as far as it is delivered.
func (m *mutation) ancestors(deps []id.Hash) map[id.Hash]*parts {
	byHash := map[id.Hash]*parts{}
	for _, raw := range m.changes {
		if p, err := dissect(raw); err == nil {
			byHash[hashOf(raw)] = p
		}
	}
	behind := map[id.Hash]*parts{}
	for todo := slices.Clone(deps); len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if p := byHash[h]; p != nil && behind[h] == nil {
			behind[h] = p
			todo = append(todo, p.deps...)
		}
	}
	return behind
}

// rows counts the operations of a change by its action column.
func (p *parts) rows() int64 {
	c := p.column(0x42)
	if c == nil {
		return 0
	}
	r := &reader{b: c.data}
	rows := int64(0)
	for len(r.b) > 0 && !r.bad {
		switch n := r.int(); {
		case n > 0:
			r.uint()
			rows += n
		case n < 0:
			for range -max(n, -1000) {
				r.uint()
			}
			rows -= n
		default:
			rows += int64(r.uint())
		}
	}
	return rows
}
