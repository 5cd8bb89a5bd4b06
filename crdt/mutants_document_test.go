package crdt_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// documentParts is a document chunk taken apart as far as its columns, which are
// inflated.
type documentParts struct {
	actors       [][]byte
	heads        []id.Hash
	changes, ops []column
	rest         []byte
}

// deflated is the bit of a column's spec that says so.
const deflated = 0x08

func dissectDocument(raw []byte) (*documentParts, error) {
	kind, body, ok := chunkBody(raw)
	if !ok || kind != 0 {
		return nil, errors.New("not a document chunk")
	}
	r := &reader{b: body}
	d := &documentParts{}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		d.actors = append(d.actors, r.take(r.uint()))
	}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		d.heads = append(d.heads, r.hash())
	}
	var sizes [2][]uint64
	for i, cols := range []*[]column{&d.changes, &d.ops} {
		for n := r.uint(); n > 0 && !r.bad; n-- {
			*cols = append(*cols, column{spec: r.uint()})
			sizes[i] = append(sizes[i], r.uint())
		}
	}
	for i, cols := range [][]column{d.changes, d.ops} {
		for j := range cols {
			cols[j].data = r.take(sizes[i][j])
			if cols[j].spec&deflated != 0 {
				b, err := io.ReadAll(flate.NewReader(bytes.NewReader(cols[j].data)))
				if err != nil {
					return nil, err
				}
				cols[j] = column{cols[j].spec &^ deflated, b}
			}
		}
	}
	d.rest = r.b
	if r.bad {
		return nil, errors.New("document chunk ends early")
	}
	return d, nil
}

func (d *documentParts) assemble() []byte {
	b := binary.AppendUvarint(nil, uint64(len(d.actors)))
	for _, a := range d.actors {
		b = appendSized(b, a)
	}
	b = binary.AppendUvarint(b, uint64(len(d.heads)))
	for _, h := range d.heads {
		b = append(b, h[:]...)
	}
	for _, cols := range [][]column{d.changes, d.ops} {
		b = binary.AppendUvarint(b, uint64(len(cols)))
		for _, c := range cols {
			b = binary.AppendUvarint(b, c.spec)
			b = binary.AppendUvarint(b, uint64(len(c.data)))
		}
	}
	for _, cols := range [][]column{d.changes, d.ops} {
		for _, c := range cols {
			b = append(b, c.data...)
		}
	}
	return encodeChunk(0, append(b, d.rest...))
}

// documentMutators edit the document chunk of the base.
func documentMutators() []mutator {
	return []mutator{
		{name: "document bytes", weight: 4, mutate: mutateDocumentBytes},
		{name: "document columns", weight: 8, mutate: mutateDocumentColumns},
		{name: "document header", weight: 4, mutate: mutateDocumentHeader},
	}
}

func mutateDocumentBytes(m *mutation) bool {
	_, body, ok := chunkBody(m.base.document)
	if !ok {
		return false
	}
	m.document = encodeChunk(0, scramble(m.rng, body, nil))
	return true
}

func mutateDocumentColumns(m *mutation) bool {
	d, err := dissectDocument(m.base.document)
	if err != nil || len(d.changes) == 0 || len(d.ops) == 0 {
		return false
	}
	cols := &d.ops
	if m.rng.IntN(3) == 0 {
		cols = &d.changes
	}
	i, j := m.rng.IntN(len(*cols)), m.rng.IntN(len(*cols))
	switch m.rng.IntN(6) {
	case 0:
		(*cols)[i].spec = near(m.rng, (*cols)[i].spec)
	case 1:
		(*cols)[i].data, (*cols)[j].data = (*cols)[j].data, (*cols)[i].data
	case 2:
		*cols = slices.Delete(*cols, i, i+1)
	default:
		(*cols)[i].data = scramble(m.rng, (*cols)[i].data, nil)
	}
	m.document = d.assemble()
	return true
}

func mutateDocumentHeader(m *mutation) bool {
	d, err := dissectDocument(m.base.document)
	if err != nil || len(d.actors) == 0 {
		return false
	}
	i, j := m.rng.IntN(len(d.actors)), m.rng.IntN(len(d.actors))
	switch m.rng.IntN(6) {
	case 0:
		d.actors[i], d.actors[j] = d.actors[j], d.actors[i]
	case 1:
		d.actors[i] = scramble(m.rng, d.actors[i], nil)
	case 2:
		d.heads = d.heads[:len(d.heads)/2]
	case 3:
		d.heads = append(d.heads, hashOf(m.anotherChange()))
		id.SortHashes(d.heads)
	case 4:
		d.rest = scramble(m.rng, d.rest, nil)
	case 5:
		d.actors = slices.Insert(d.actors, i, []byte{byte(m.rng.Uint32())})
	}
	m.document = d.assemble()
	return true
}

// throughDocument is the gate of a document chunk: it is expanded into changes, and
// those are checked as if they had come alone. The chunk itself never goes further.
func throughDocument(m *mutant) {
	changes, err := chunk.ParseDocument(m.document)
	if err != nil {
		return
	}
	r := newReceiver()
	for _, c := range changes {
		if r.take(c) != nil {
			return
		}
	}
	m.accepted, m.heads = r.standing(), r.graph.Heads()
	m.passed = !bytes.Equal(m.document, m.base.document)
}
