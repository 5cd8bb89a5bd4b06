package graph

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"syncline/crdt/id"
)

// index finds the node of a hash: open addressing over node numbers, the hashes
// themselves stay in the node array. Authors choose hashes by trying, so the
// place depends on a seed that nobody knows.
type index struct {
	slots []uint32 // node+1; 0 is empty. The length is a power of two
	used  int
	seed  [2]uint64
}

func newIndex() index {
	return index{slots: make([]uint32, 16), seed: [2]uint64{rand.Uint64(), rand.Uint64()}}
}

func (x *index) home(h *id.Hash) uint32 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(h[:])^x.seed[0], binary.LittleEndian.Uint64(h[8:])^x.seed[1])
	return uint32(hi^lo) & uint32(len(x.slots)-1)
}

func (x *index) find(hashes []id.Hash, h *id.Hash) (uint32, bool) {
	mask := uint32(len(x.slots) - 1)
	for i := x.home(h); ; i = (i + 1) & mask {
		n := x.slots[i]
		if n == 0 {
			return 0, false
		}
		if hashes[n-1] == *h {
			return n - 1, true
		}
	}
}

// add enters a node whose hash is in hashes already and not in the index.
func (x *index) add(hashes []id.Hash, node uint32) {
	if 4*(x.used+1) > 3*len(x.slots) {
		x.resize(hashes, 2*len(x.slots))
	}
	x.place(hashes, node)
	x.used++
}

// grow makes room for n nodes in all.
func (x *index) grow(hashes []id.Hash, n int) {
	size := len(x.slots)
	for 4*n > 3*size {
		size *= 2
	}
	if size > len(x.slots) {
		x.resize(hashes, size)
	}
}

func (x *index) resize(hashes []id.Hash, size int) {
	old := x.slots
	x.slots = make([]uint32, size)
	for _, n := range old {
		if n != 0 {
			x.place(hashes, n-1)
		}
	}
}

func (x *index) place(hashes []id.Hash, node uint32) {
	mask := uint32(len(x.slots) - 1)
	i := x.home(&hashes[node])
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = node + 1
}

// remove takes out a node that is in the index and closes the gap.
func (x *index) remove(hashes []id.Hash, node uint32) {
	mask := uint32(len(x.slots) - 1)
	i := x.home(&hashes[node])
	for x.slots[i] != node+1 {
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		n := x.slots[j]
		if n == 0 {
			break
		}
		// Move n back unless its home lies behind the gap.
		if home := x.home(&hashes[n-1]); (j-home)&mask >= (j-i)&mask {
			x.slots[i], i = n, j
		}
	}
	x.slots[i] = 0
	x.used--
}
