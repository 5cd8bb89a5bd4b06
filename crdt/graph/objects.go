package graph

import (
	"math/rand/v2"

	"syncline/crdt/chunk"
)

// objects is the table of the operations that create objects: eight bytes each,
// the operation's actor and counter with the kind of the object on top.
type objects struct {
	slots []uint64 // 0 is empty. The length is a power of two, or zero
	used  int
	mul   uint64
}

// maxActors is how many actors a document may have, so that an actor, a counter
// and a kind fit a word.
const maxActors = 1 << 30

const kindShift = 62

func newObjects() objects { return objects{mul: rand.Uint64() | 1} }

// objectID packs an operation id. Counters start at 1, so it is never 0.
func objectID(actor, ctr uint32) uint64 { return uint64(actor)<<32 | uint64(ctr) }

func (o *objects) home(key uint64) uint64 {
	k := key & (1<<kindShift - 1)
	k ^= k >> 29
	k *= o.mul
	return (k ^ k>>32) & uint64(len(o.slots)-1)
}

func (o *objects) get(key uint64) (chunk.Kind, bool) {
	if len(o.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(o.slots) - 1)
	for i := o.home(key); ; i = (i + 1) & mask {
		s := o.slots[i]
		if s == 0 {
			return 0, false
		}
		if s&(1<<kindShift-1) == key {
			return chunk.Kind(s >> kindShift), true
		}
	}
}

// add enters an object that is not in the table.
func (o *objects) add(key uint64, kind chunk.Kind) {
	if 4*(o.used+1) > 3*len(o.slots) {
		old := o.slots
		o.slots = make([]uint64, max(8, 2*len(old)))
		for _, s := range old {
			if s != 0 {
				o.place(s)
			}
		}
	}
	o.place(key | uint64(kind)<<kindShift)
	o.used++
}

func (o *objects) place(s uint64) {
	mask := uint64(len(o.slots) - 1)
	i := o.home(s)
	for o.slots[i] != 0 {
		i = (i + 1) & mask
	}
	o.slots[i] = s
}

// remove takes an object out, if it is there, and closes the gap.
func (o *objects) remove(key uint64) {
	if len(o.slots) == 0 {
		return
	}
	mask := uint64(len(o.slots) - 1)
	i := o.home(key)
	for o.slots[i]&(1<<kindShift-1) != key {
		if o.slots[i] == 0 {
			return
		}
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		s := o.slots[j]
		if s == 0 {
			break
		}
		if (j-o.home(s))&mask >= (j-i)&mask {
			o.slots[i], i = s, j
		}
	}
	o.slots[i] = 0
	o.used--
}

// within lists the objects that an actor's operations first to last created,
// ascending.
func (o *objects) within(actor, first, last uint32) (out []chunk.Make) {
	for ctr := uint64(first); ctr <= uint64(last); ctr++ {
		if k, ok := o.get(objectID(actor, uint32(ctr))); ok {
			out = append(out, chunk.Make{Counter: ctr, Kind: k})
		}
	}
	return out
}
