package graph

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Meta is what the graph knows of one change.
type Meta struct {
	Hash    id.Hash
	Actor   id.Actor
	Seq     uint64       // at least 1, fits 32 bits
	StartOp uint64       // at least 1, fits 32 bits
	NumOps  uint64       // StartOp+NumOps fits 32 bits
	Deps    []id.Hash    // ascending
	Makes   []chunk.Make // the operations that create objects, ascending
	Row     int64        // journal sequence of the body; opaque here
}

// MetaOf returns the metadata of a decoded change, with no row yet. It shares
// the change's slices.
func MetaOf(c *chunk.Change) Meta {
	return Meta{Hash: c.Hash, Actor: c.Actor, Seq: c.Seq, StartOp: c.StartOp, NumOps: c.NumOps, Deps: c.Deps, Makes: c.Makes()}
}

// metaVersion is the first byte of an encoded Meta.
const metaVersion = 1

var errMeta = errors.New("journal head of a change is malformed")

// Encode returns the blob that the journal keeps beside the change, from which a
// graph is loaded without reading bodies. The hash and the row have columns of
// their own and are not in it.
func (m Meta) Encode() []byte {
	b := make([]byte, 0, 24+len(m.Actor)+32*len(m.Deps)+3*len(m.Makes))
	b = append(b, metaVersion)
	b = binary.AppendUvarint(b, m.Seq)
	b = binary.AppendUvarint(b, m.StartOp)
	b = binary.AppendUvarint(b, m.NumOps)
	b = binary.AppendUvarint(b, uint64(len(m.Actor)))
	b = append(b, m.Actor...)
	b = binary.AppendUvarint(b, uint64(len(m.Deps)))
	for _, d := range m.Deps {
		b = append(b, d[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Makes)))
	last := m.StartOp
	for _, k := range m.Makes {
		b = binary.AppendUvarint(b, (k.Counter-last)<<2|uint64(k.Kind&3))
		last = k.Counter
	}
	return b
}

// DecodeMeta reads what Encode wrote for the change with this hash and row.
func DecodeMeta(hash id.Hash, row int64, head []byte) (Meta, error) {
	m := Meta{Hash: hash, Row: row}
	fail := func(what string) (Meta, error) {
		return Meta{}, fmt.Errorf("%w: change %s, row %d: %s; restore the database from a backup or fetch the document again", errMeta, hash, row, what)
	}
	if len(head) == 0 || head[0] != metaVersion {
		return fail("unknown version")
	}
	b := head[1:]
	uint := func() (v uint64, ok bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	var ok [4]bool
	var size uint64
	m.Seq, ok[0] = uint()
	m.StartOp, ok[1] = uint()
	m.NumOps, ok[2] = uint()
	size, ok[3] = uint()
	if ok != [4]bool{true, true, true, true} {
		return fail("it ends early")
	}
	if m.Seq > math.MaxUint32 || m.StartOp > math.MaxUint32 || m.NumOps > math.MaxUint32-m.StartOp {
		return fail("its counters do not fit 32 bits")
	}
	if size > uint64(len(b)) {
		return fail("the actor is cut short")
	}
	m.Actor, b = id.Actor(b[:size]), b[size:]
	n, good := uint()
	if !good || n > uint64(len(b))/32 {
		return fail("the deps are cut short")
	}
	if n > 0 {
		m.Deps = make([]id.Hash, n)
		for i := range m.Deps {
			m.Deps[i] = id.Hash(b[:32])
			b = b[32:]
		}
	}
	n, good = uint()
	if !good || n > uint64(len(b)) { // each takes a byte at least
		return fail("the objects are cut short")
	}
	if n > 0 {
		m.Makes = make([]chunk.Make, n)
		last := m.StartOp
		for i := range m.Makes {
			v, good := uint()
			if !good {
				return fail("the objects are cut short")
			}
			if last += v >> 2; v>>2 > math.MaxUint32 || last-m.StartOp >= m.NumOps {
				return fail("an object lies outside its operations")
			}
			m.Makes[i] = chunk.Make{Counter: last, Kind: chunk.Kind(v & 3)}
		}
	}
	if len(b) > 0 {
		return fail(fmt.Sprintf("%d bytes follow it", len(b)))
	}
	return m, nil
}
