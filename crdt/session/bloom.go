package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"syncline/crdt/id"
)

const (
	// bloomBits and bloomProbes give one false positive in a hundred.
	bloomBits   = 10
	bloomProbes = 7
	// maxBloomBits and maxBloomProbes bound what a test of a foreign filter costs.
	// More would make no filter better.
	maxBloomBits   = 64
	maxBloomProbes = 32
	// maxBloomEntries keeps the number of bits of a filter in 32 bits, as every
	// implementation computes with them.
	maxBloomEntries = 1 << 25
)

var errBloom = errors.New("malformed Bloom filter")

// Bloom is a set of hashes that is never wrong about what it holds, and sometimes
// about what it does not. The zero value is the empty set.
type Bloom struct {
	entries uint32
	bits    uint32 // per entry
	probes  uint32
	data    []byte // not empty unless entries is 0
}

// newBloom returns a filter for so many entries.
func newBloom(entries, perEntry int) Bloom {
	if entries == 0 {
		return Bloom{}
	}
	return Bloom{entries: uint32(entries), bits: uint32(perEntry), probes: bloomProbes, data: make([]byte, bloomBytes(uint64(entries), uint64(perEntry)))}
}

func bloomBytes(entries, perEntry uint64) uint64 { return (entries*perEntry + 7) / 8 }

// Empty reports whether the filter holds nothing.
func (b *Bloom) Empty() bool { return b.entries == 0 }

// Len is the number of hashes that the filter's maker put in, as it claims.
func (b *Bloom) Len() int { return int(b.entries) }

func (b *Bloom) add(h *id.Hash) {
	x, y, z, m := b.start(h)
	for range b.probes {
		b.data[x>>3] |= 1 << (x & 7)
		x, y = (x+y)%m, (y+z)%m
	}
}

// Has reports whether the hash is in the set, or looks as if it were.
func (b *Bloom) Has(h *id.Hash) bool {
	if b.entries == 0 {
		return false
	}
	x, y, z, m := b.start(h)
	for range b.probes {
		if b.data[x>>3]&(1<<(x&7)) == 0 {
			return false
		}
		x, y = (x+y)%m, (y+z)%m
	}
	return true
}

func (b *Bloom) start(h *id.Hash) (x, y, z, m uint64) {
	m = 8 * uint64(len(b.data))
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(h[i:])) % m }
	return word(0), word(4), word(8), m
}

// append writes the filter without its length.
func (b *Bloom) append(to []byte) []byte {
	if b.entries == 0 {
		return to
	}
	to = binary.AppendUvarint(to, uint64(b.entries))
	to = binary.AppendUvarint(to, uint64(b.bits))
	to = binary.AppendUvarint(to, uint64(b.probes))
	return append(to, b.data...)
}

// filtersOf lists the filters in what an end has that hold something.
func filtersOf(have []Have) (list []Bloom) {
	for i := range have {
		if !have[i].Bloom.Empty() {
			list = append(list, have[i].Bloom)
		}
	}
	return list
}

// maxKeptFilter bounds the filters that are kept beyond the answer to their message.
// Those of some 13,000 changes are as large, which is many to have come about since the
// two ends last spoke.
const maxKeptFilter = 16 << 10

// keptFilters copies the filters out of their message, or gives nil if they are large.
func keptFilters(list []Bloom) (kept []Bloom) {
	size := 0
	for i := range list {
		size += len(list[i].data)
	}
	if size > maxKeptFilter {
		return nil
	}
	for _, b := range list {
		b.data = slices.Clone(b.data)
		kept = append(kept, b)
	}
	return kept
}

// size is the number of bytes that append writes.
func (b *Bloom) size() int {
	if b.entries == 0 {
		return 0
	}
	return varintLen(b.entries) + varintLen(b.bits) + varintLen(b.probes) + len(b.data)
}

func varintLen(v uint32) int { return (bits.Len32(v|1) + 6) / 7 }

// decodeBloom reads a filter that takes up all of p. It shares p's memory.
func decodeBloom(p []byte) (Bloom, error) {
	if len(p) == 0 {
		return Bloom{}, nil
	}
	r := reader{buf: p}
	entries, perEntry, probes := r.uint(), r.uint(), r.uint()
	switch {
	case r.err != nil:
		return Bloom{}, fmt.Errorf("%w: %w", errBloom, r.err)
	case entries > maxBloomEntries || perEntry > maxBloomBits || probes > maxBloomProbes:
		return Bloom{}, fmt.Errorf("%w: %d entries of %d bits with %d probes is out of bounds", errBloom, entries, perEntry, probes)
	case uint64(len(r.buf)) != bloomBytes(entries, perEntry):
		return Bloom{}, fmt.Errorf("%w: it has %d bytes for %d entries of %d bits", errBloom, len(r.buf), entries, perEntry)
	case entries == 0:
		return Bloom{}, nil
	case perEntry == 0 || probes == 0:
		return Bloom{}, fmt.Errorf("%w: %d entries of %d bits with %d probes tell nothing apart", errBloom, entries, perEntry, probes)
	}
	return Bloom{entries: uint32(entries), bits: uint32(perEntry), probes: uint32(probes), data: r.buf}, nil
}
