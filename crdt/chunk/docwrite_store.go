package chunk

import (
	"hash/maphash"

	"syncline/crdt/id"
)

// pages is a growing list that is never copied as a whole, which would take
// twice its memory for the moment.
type pages[T any] struct {
	list [][]T
	n    int
}

const (
	pageBits = 12
	pageLen  = 1 << pageBits
)

func (p *pages[T]) len() int { return p.n }

func (p *pages[T]) at(i uint32) *T { return &p.list[i>>pageBits][i%pageLen] }

func (p *pages[T]) add(v T) {
	if p.n%pageLen == 0 {
		var page []T
		if p.n > 0 { // the first grows as needed, since most documents are small
			page = make([]T, 0, pageLen)
		}
		p.list = append(p.list, page)
	}
	last := &p.list[len(p.list)-1]
	*last = append(*last, v)
	p.n++
}

// byteStore keeps byte strings, each whole in one block and named by 32 bits: the
// block in the upper half, where it starts there in the lower.
type byteStore struct {
	blocks [][]byte
	total  int
}

const blockLen = 1 << 16

func (s *byteStore) put(b []byte) uint32 {
	if len(b) == 0 {
		return 0
	}
	last := len(s.blocks) - 1
	if last < 0 || len(s.blocks[last])+len(b) > blockLen {
		s.blocks = append(s.blocks, nil)
		last++
	}
	at := uint32(last)<<16 | uint32(len(s.blocks[last]))
	s.blocks[last] = append(s.blocks[last], b...)
	s.total += len(b)
	return at
}

func (s *byteStore) get(at, n uint32) []byte {
	if n == 0 {
		return nil
	}
	return s.blocks[at>>16][at&(blockLen-1):][:n]
}

// changeIndex finds changes by their hash, in 12 to 19 bytes for each. It keeps 64
// bits of a keyed hash of the hash, so that nobody can make two that it takes for
// one; by chance they come once in a million documents of a million changes.
type changeIndex struct {
	seed  maphash.Seed
	keys  pages[uint64]
	slots []uint32 // index plus one
}

func newChangeIndex() changeIndex {
	return changeIndex{seed: maphash.MakeSeed(), slots: make([]uint32, 16)}
}

// slot returns where a key is or belongs.
func (x *changeIndex) slot(key uint64) *uint32 {
	mask := uint64(len(x.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		if s := &x.slots[i]; *s == 0 || *x.keys.at(*s - 1) == key {
			return s
		}
	}
}

func (x *changeIndex) find(h id.Hash) (uint32, bool) {
	s := *x.slot(maphash.Bytes(x.seed, h[:]))
	return s - 1, s > 0
}

// add gives a change the next index, unless it has one.
func (x *changeIndex) add(h id.Hash) bool {
	key := maphash.Bytes(x.seed, h[:])
	s := x.slot(key)
	if *s > 0 {
		return false
	}
	x.keys.add(key)
	n := x.keys.len()
	*s = uint32(n)
	if n*4 > len(x.slots)*3 {
		x.slots = make([]uint32, 2*len(x.slots))
		for i := range uint32(n) {
			*x.slot(*x.keys.at(i)) = i + 1
		}
	}
	return true
}
