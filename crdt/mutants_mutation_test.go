package crdt_test

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"syncline/crdt/id"
)

// mutation is one mutant in the making: a base history, and what is delivered
// in its place. Mutators draw every choice from rng, so that a seed and an
// index give the same mutant again.
type mutation struct {
	rng     *rand.Rand
	pool    []history // bases, for parts of other histories
	base    history
	changes [][]byte // delivered, in this order
	at      int      // index of the change that is mutated

	// Instead of changes, for the mutators of these.
	document []byte
	message  []byte
}

// mutator changes a mutation and reports false when the base offers it nothing
// to change.
type mutator struct {
	name     string
	weight   int
	mutate   func(*mutation) bool
	ofChange bool // and not of a document chunk or a sync message
}

// newMutation picks the base and the change. One half of all mutants end with
// the mutated change; in the other half all that follows is hashed onto it.
func newMutation(rng *rand.Rand, pool []history) *mutation {
	base := pool[rng.IntN(len(pool))]
	m := &mutation{rng: rng, pool: pool, base: base, changes: slices.Clone(base.changes)}
	m.at = rng.IntN(len(m.changes))
	if rng.IntN(2) == 0 {
		m.changes = m.changes[:m.at+1]
	}
	return m
}

// parts takes the mutated change apart; nil when it has no such form.
func (m *mutation) parts() *parts {
	p, err := dissect(m.changes[m.at])
	if err != nil {
		return nil
	}
	return p.clone()
}

// replace puts raw in the place of the mutated change and hashes all that
// followed onto it.
func (m *mutation) replace(raw []byte) bool {
	if bytes.Equal(raw, m.changes[m.at]) {
		return false
	}
	renamed := map[id.Hash]id.Hash{hashOf(m.changes[m.at]): hashOf(raw)}
	m.changes[m.at] = raw
	for i := m.at + 1; i < len(m.changes); i++ {
		m.changes[i] = redirect(m.changes[i], renamed)
	}
	return true
}

// redirect gives a change its deps by their new names, and enters its own.
func redirect(raw []byte, renamed map[id.Hash]id.Hash) []byte {
	p, err := dissect(raw)
	if err != nil {
		return raw
	}
	found := false
	deps := slices.Clone(p.deps)
	for i, d := range deps {
		if h, ok := renamed[d]; ok {
			deps[i], found = h, true
		}
	}
	if !found {
		return raw
	}
	id.SortHashes(deps)
	p.deps = slices.Compact(deps)
	again := p.assemble()
	renamed[hashOf(raw)] = hashOf(again)
	return again
}

// anotherChange is any change of any base, most often of this one.
func (m *mutation) anotherChange() []byte {
	from := m.base
	if m.rng.IntN(3) == 0 {
		from = m.pool[m.rng.IntN(len(m.pool))]
	}
	return from.changes[m.rng.IntN(len(from.changes))]
}

// scramble makes one small edit of some bytes: a bit, a byte, a length, a
// piece of other bytes.
func scramble(rng *rand.Rand, b, other []byte) []byte {
	b = bytes.Clone(b)
	if len(b) == 0 {
		return append(b, byte(rng.Uint32()))
	}
	i := rng.IntN(len(b))
	switch rng.IntN(9) {
	case 0:
		b[i] ^= 1 << rng.IntN(8)
	case 1:
		b[i] = byte(rng.Uint32())
	case 2:
		b[i]++
	case 3:
		b[i]--
	case 4:
		b = slices.Insert(b, i, byte(rng.Uint32()))
	case 5:
		b = slices.Delete(b, i, min(len(b), i+1+rng.IntN(4)))
	case 6:
		b = b[:i]
	case 7: // a piece said twice
		j := i + rng.IntN(len(b)-i) + 1
		b = slices.Insert(b, i, b[i:j]...)
	case 8:
		if len(other) > 0 {
			j := rng.IntN(len(other))
			b = slices.Concat(b[:i], other[j:min(len(other), j+1+rng.IntN(16))], b[i:])
		}
	}
	return b
}

// interesting numbers for lengths, counters and indexes.
var interesting = []uint64{0, 1, 2, 3, 7, 63, 64, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<53 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}

// near gives a number close to v, or an interesting one.
func near(rng *rand.Rand, v uint64) uint64 {
	switch rng.IntN(4) {
	case 0:
		return interesting[rng.IntN(len(interesting))]
	case 1:
		return v - 1
	case 2:
		return v + 1
	default:
		return v + uint64(rng.IntN(20)) - 10
	}
}
