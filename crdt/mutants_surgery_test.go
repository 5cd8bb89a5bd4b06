package crdt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"syncline/crdt/id"
)

// The mutators need to take changes apart that the real decoder refuses, and to
// write what the real encoder would not. This is a second reader and writer of
// the outer form of a change, which believes everything.

// parts is a change taken apart as far as its columns.
type parts struct {
	deps         []id.Hash
	actor        []byte
	seq, startOp uint64
	time         int64
	message      []byte
	others       [][]byte
	columns      []column
	extra        []byte
}

type column struct {
	spec uint64
	data []byte
}

var chunkMagic = []byte{0x85, 0x6f, 0x4a, 0x83}

// encodeChunk puts header, right checksum and body together.
func encodeChunk(kind byte, body []byte) []byte {
	typed := binary.AppendUvarint([]byte{kind}, uint64(len(body)))
	return checksummed(append(typed, body...))
}

// checksummed puts magic and checksum before type, length and body.
func checksummed(typed []byte) []byte {
	sum := sha256.Sum256(typed)
	return slices.Concat(chunkMagic, sum[:4], typed)
}

// chunkBody returns the type and body of one chunk.
func chunkBody(raw []byte) (kind byte, body []byte, ok bool) {
	if len(raw) < 10 {
		return 0, nil, false
	}
	n, size := binary.Uvarint(raw[9:])
	if size <= 0 || uint64(len(raw)-9-size) < n {
		return 0, nil, false
	}
	return raw[8], raw[9+size : 9+size+int(n)], true
}

// hashOf is the hash of a type 1 chunk, whatever its checksum says.
func hashOf(raw []byte) id.Hash { return sha256.Sum256(raw[8:]) }

// reader believes every length that fits and fails once, at the end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	var v int64
	for shift := uint(0); shift < 70 && len(r.b) > 0; shift += 7 {
		c := r.b[0]
		r.b = r.b[1:]
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if shift < 57 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) hash() id.Hash {
	var h id.Hash
	copy(h[:], r.take(32))
	return h
}

func appendInt(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendSized(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// dissect takes a type 1 change chunk apart.
func dissect(raw []byte) (*parts, error) {
	kind, body, ok := chunkBody(raw)
	if !ok || kind != 1 {
		return nil, errors.New("not a change chunk")
	}
	r := &reader{b: body}
	p := &parts{}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		p.deps = append(p.deps, r.hash())
	}
	p.actor = r.take(r.uint())
	p.seq, p.startOp, p.time = r.uint(), r.uint(), r.int()
	p.message = r.take(r.uint())
	for n := r.uint(); n > 0 && !r.bad; n-- {
		p.others = append(p.others, r.take(r.uint()))
	}
	p.columns = r.columns()
	p.extra = r.b
	if r.bad {
		return nil, errors.New("change chunk ends early")
	}
	return p, nil
}

func (r *reader) columns() []column {
	var cols []column
	var sizes []uint64
	for n := r.uint(); n > 0 && !r.bad; n-- {
		cols = append(cols, column{spec: r.uint()})
		sizes = append(sizes, r.uint())
	}
	for i := range cols {
		cols[i].data = r.take(sizes[i])
	}
	return cols
}

func appendColumns(b []byte, cols []column) []byte {
	b = binary.AppendUvarint(b, uint64(len(cols)))
	for _, c := range cols {
		b = binary.AppendUvarint(b, c.spec)
		b = binary.AppendUvarint(b, uint64(len(c.data)))
	}
	for _, c := range cols {
		b = append(b, c.data...)
	}
	return b
}

// assemble is the reverse of dissect, with a right checksum.
func (p *parts) assemble() []byte {
	b := binary.AppendUvarint(nil, uint64(len(p.deps)))
	for _, d := range p.deps {
		b = append(b, d[:]...)
	}
	b = appendSized(b, p.actor)
	b = binary.AppendUvarint(b, p.seq)
	b = binary.AppendUvarint(b, p.startOp)
	b = appendInt(b, p.time)
	b = appendSized(b, p.message)
	b = binary.AppendUvarint(b, uint64(len(p.others)))
	for _, a := range p.others {
		b = appendSized(b, a)
	}
	b = appendColumns(b, p.columns)
	return encodeChunk(1, append(b, p.extra...))
}

// column returns the column of that spec, or nil.
func (p *parts) column(spec uint64) *column {
	i := slices.IndexFunc(p.columns, func(c column) bool { return c.spec == spec })
	if i < 0 {
		return nil
	}
	return &p.columns[i]
}

// clone copies whatever a mutator may write to.
func (p *parts) clone() *parts {
	q := *p
	q.deps = slices.Clone(p.deps)
	q.others = slices.Clone(p.others)
	q.columns = slices.Clone(p.columns)
	for i := range q.columns {
		q.columns[i].data = bytes.Clone(q.columns[i].data)
	}
	return &q
}

// nullBomb is the body of a change that inserts n nulls into its own list by a
// few runs: a hundred bytes on the wire.
func nullBomb(n int64) []byte {
	run := func(count int64, v ...byte) []byte { return append(appendInt(nil, count), v...) }
	p := parts{actor: []byte{1}, seq: 1, startOp: 1}
	p.columns = []column{
		{0x01, append(binary.AppendUvarint([]byte{0, 1}, uint64(n)), 0)},
		{0x02, append(binary.AppendUvarint([]byte{0, 1}, uint64(n)), 1)},
		{0x11, append(binary.AppendUvarint([]byte{0, 2}, uint64(n-1)), 0)},
		{0x13, slices.Concat([]byte{0, 1, 0x7e, 0, 2}, run(n-2, 1))},
		{0x15, []byte{0x7f, 1, 'l', 0, byte(n)}},
		{0x34, binary.AppendUvarint([]byte{1}, uint64(n))},
		{0x42, slices.Concat([]byte{0x7f, 2}, run(n, 1))},
		{0x56, run(n+1, 0)},
		{0x70, run(n+1, 0)},
	}
	p.columns[4].data = append([]byte{0x7f, 1, 'l', 0}, binary.AppendUvarint(nil, uint64(n))...)
	_, body, _ := chunkBody(p.assemble())
	return body
}
