package crdt_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// A document does not keep the bytes of a change, only what they say, and writes
// the change anew to find its hash. So a change that says the same in other bytes
// makes a document that does not load.

// mutateEncoding says the same in other bytes: a run split or written out, a null
// column that could be absent, a number longer than needed.
func mutateEncoding(m *mutation) bool {
	p := m.parts()
	if p == nil || len(p.columns) == 0 {
		return false
	}
	i := m.rng.IntN(len(p.columns))
	switch c := &p.columns[i]; m.rng.IntN(8) {
	case 0:
		_, body, _ := chunkBody(m.changes[m.at])
		return m.replace(encodeChunk(1, longer(m.rng, body, len(body))))
	case 1:
		_, body, _ := chunkBody(m.changes[m.at])
		size := binary.AppendUvarint(nil, uint64(len(body)))
		return m.replace(checksummed(slices.Concat([]byte{1}, longer(m.rng, size, len(size)), body)))
	case 2:
		c.data = longer(m.rng, c.data, len(c.data))
	case 3:
		specs := []uint64{0x01, 0x02, 0x11, 0x13, 0x15, 0x34, 0x57, 0x71, 0x73, 0x94, 0xa5}
		spec := specs[m.rng.IntN(len(specs))]
		if p.column(spec) != nil {
			return false
		}
		rows := uint64(max(p.rows(), 0))
		absent := binary.AppendUvarint([]byte{0}, rows)
		switch spec & 7 {
		case 4:
			absent = binary.AppendUvarint(nil, rows)
		case 7:
			absent = nil
		}
		p.columns = append(p.columns, column{spec, absent})
		slices.SortFunc(p.columns, func(a, b column) int { return int(a.spec) - int(b.spec) })
	default:
		switch c.spec & 7 {
		case 4:
			c.data = otherRuns(m.rng, c.data)
		case 7:
			return false
		default:
			rows, ok := rleRows(c.data, c.spec&7)
			if !ok {
				return false
			}
			c.data = otherRLE(m.rng, rows)
		}
	}
	return m.replace(p.assemble())
}

// longer makes a number one byte longer: any byte that ends one, in the first n.
func longer(rng *rand.Rand, b []byte, n int) []byte {
	i := rng.IntN(n)
	if b[i] >= 0x80 {
		return b
	}
	pad := byte(0)
	if b[i]&0x40 != 0 && rng.IntN(2) == 0 {
		pad = 0x7f
	}
	return slices.Concat(b[:i], []byte{b[i] | 0x80, pad}, b[i+1:])
}

// rleRows expands a run-length encoded column into the bytes of each row; a null is nil.
func rleRows(b []byte, kind uint64) (rows [][]byte, ok bool) {
	r := &reader{b: b}
	value := func() []byte {
		start := r.b
		switch kind {
		case 3:
			r.int()
		case 5:
			r.take(r.uint())
		default:
			r.uint()
		}
		return start[: len(start)-len(r.b) : len(start)-len(r.b)]
	}
	for len(r.b) > 0 && !r.bad && len(rows) < 10_000 {
		switch n := r.int(); {
		case n > 10_000 || n < -10_000:
			return nil, false
		case n > 0:
			v := value()
			for range n {
				rows = append(rows, v)
			}
		case n < 0:
			for range -n {
				rows = append(rows, value())
			}
		default:
			for range min(r.uint(), 10_000) {
				rows = append(rows, nil)
			}
		}
	}
	return rows, !r.bad && len(rows) < 10_000
}

// otherRLE encodes rows in runs, literals and nulls of lengths chosen at random.
func otherRLE(rng *rand.Rand, rows [][]byte) (b []byte) {
	for len(rows) > 0 {
		same := 1
		for same < len(rows) && bytes.Equal(rows[same], rows[0]) && (rows[same] == nil) == (rows[0] == nil) {
			same++
		}
		if same > 1 && rng.IntN(3) == 0 {
			same = 1 + rng.IntN(same)
		}
		switch {
		case rows[0] == nil:
			b = binary.AppendUvarint(append(b, 0), uint64(same))
		case same > 1 || rng.IntN(4) == 0:
			b = append(appendInt(b, int64(same)), rows[0]...)
		default:
			n := 1
			for n < len(rows) && rows[n] != nil && rng.IntN(4) > 0 {
				n++
			}
			b = appendInt(b, int64(-n))
			for _, v := range rows[:n] {
				b = append(b, v...)
			}
			same = n
		}
		rows = rows[same:]
	}
	return b
}

// otherRuns splits a run of booleans by an empty one of the opposite.
func otherRuns(rng *rand.Rand, b []byte) []byte {
	r := &reader{b: b}
	var runs []uint64
	for len(r.b) > 0 && !r.bad {
		runs = append(runs, r.uint())
	}
	if len(runs) == 0 {
		return b
	}
	i := rng.IntN(len(runs))
	first := runs[i] / 2
	runs = slices.Replace(runs, i, i+1, first, 0, runs[i]-first)
	var out []byte
	for _, n := range runs {
		out = binary.AppendUvarint(out, n)
	}
	return out
}
