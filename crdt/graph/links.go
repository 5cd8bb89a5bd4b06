package graph

// links holds the parents of each node: one inline, which is what nearly all
// have, more of them in one shared slice.
type links struct {
	first []uint32 // a parent, noParent, or manyParents | offset into over
	over  []uint32 // runs of count and parents
}

const (
	manyParents = 1 << 31
	noParent    = 1<<32 - 1
)

// add appends the parents of the next node.
func (l *links) add(parents []uint32) {
	switch len(parents) {
	case 0:
		l.first = append(l.first, noParent)
	case 1:
		l.first = append(l.first, parents[0])
	default:
		l.first = append(l.first, manyParents|uint32(len(l.over)))
		l.over = append(l.over, uint32(len(parents)))
		l.over = append(l.over, parents...)
	}
}

// of lists the parents of a node, sharing memory.
func (l *links) of(n uint32) []uint32 {
	p := l.first[n]
	switch {
	case p == noParent:
		return nil
	case p&manyParents == 0:
		return l.first[n : n+1 : n+1]
	}
	i := p &^ manyParents
	return l.over[i+1 : i+1+l.over[i] : i+1+l.over[i]]
}

// room reports whether a node with so many parents can still be addressed.
func (l *links) room(parents int) bool { return len(l.over)+parents+1 < manyParents-1 }

// bitset is a set of nodes that grows as they are set.
type bitset struct{ words []uint64 }

func (b *bitset) get(n uint32) bool {
	i := int(n >> 6)
	return i < len(b.words) && b.words[i]>>(n&63)&1 != 0
}

func (b *bitset) set(n uint32) {
	for int(n>>6) >= len(b.words) {
		b.words = append(b.words, 0)
	}
	b.words[n>>6] |= 1 << (n & 63)
}

func (b *bitset) clear(n uint32) {
	if i := int(n >> 6); i < len(b.words) {
		b.words[i] &^= 1 << (n & 63)
	}
}

// truncate clears every node from n on.
func (b *bitset) truncate(n uint32) {
	i := int(n >> 6)
	if i >= len(b.words) {
		return
	}
	b.words[i] &= 1<<(n&63) - 1
	b.words = b.words[:i+1]
	clear(b.words[i+1 : cap(b.words)])
}
