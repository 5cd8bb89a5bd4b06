package crdt_test

import "syncline/crdt/id"

// honestStart is the startOp that an honest change with these deps has: one
// more than the largest operation counter among its ancestors.
func (m *mutation) honestStart(deps []id.Hash) uint64 {
	byHash := map[id.Hash]*parts{}
	for _, raw := range m.changes {
		if p, err := dissect(raw); err == nil {
			byHash[hashOf(raw)] = p
		}
	}
	largest := uint64(0)
	seen := map[id.Hash]bool{}
	for todo := append([]id.Hash(nil), deps...); len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		p := byHash[h]
		if p == nil || seen[h] {
			continue
		}
		seen[h] = true
		largest = max(largest, p.startOp+uint64(p.rows())-1)
		todo = append(todo, p.deps...)
	}
	return largest + 1
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
