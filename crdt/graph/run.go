package graph

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// A run is the metadata of changes that follow each other in the journal of one
// document, in the form that is kept beside a segment that holds their bodies: a
// graph is loaded from runs without reading a body. It takes little more than the
// hashes, which do not compress.
//
//	version · count · first row · ranges · length, deflated metadata · hashes · CRC-32C
//
// Ranges are the rows: how many, then for each how many rows of other documents
// come before it and how many it has. Numbers are unsigned LEB128.

const (
	runVersion = 1
	// maxRun bounds what a run may claim to hold, and so what reading it takes.
	maxRun = 1 << 24
	// maxRunBytes bounds the metadata of a run, inflated.
	maxRunBytes = 1 << 30
)

// ErrRun is what errors about malformed runs wrap.
var ErrRun = errors.New("index of a segment is malformed")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EncodeRun writes a run. Rows must ascend, and deps come before what depends on
// them.
func EncodeRun(metas []Meta) []byte {
	b := []byte{runVersion}
	b = binary.AppendUvarint(b, uint64(len(metas)))
	b = appendRanges(b, metas)
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, flate.DefaultCompression) // the level is valid
	w.Write(encodeMetas(metas))
	w.Close()
	b = binary.AppendUvarint(b, uint64(z.Len()))
	b = append(b, z.Bytes()...)
	for i := range metas {
		b = append(b, metas[i].Hash[:]...)
	}
	return sum(b)
}

func sum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func appendRanges(b []byte, metas []Meta) []byte {
	var ranges []byte
	n := 0
	next := int64(0)
	if len(metas) > 0 {
		next = metas[0].Row
	}
	b = binary.AppendUvarint(b, uint64(next))
	for i := 0; i < len(metas); n++ {
		from := i
		for i++; i < len(metas) && metas[i].Row == metas[i-1].Row+1; i++ {
		}
		ranges = binary.AppendUvarint(ranges, uint64(metas[from].Row-next))
		ranges = binary.AppendUvarint(ranges, uint64(i-from))
		next = metas[i-1].Row + 1
	}
	b = binary.AppendUvarint(b, uint64(n))
	return append(b, ranges...)
}

func encodeMetas(metas []Meta) []byte {
	place := make(map[id.Hash]int, len(metas))
	actors, outside := map[id.Actor]uint64{}, map[id.Hash]uint64{}
	var actorList, outsideList []byte
	for i := range metas {
		m := &metas[i]
		place[m.Hash] = i
		if _, ok := actors[m.Actor]; !ok {
			actors[m.Actor] = uint64(len(actors))
			actorList = binary.AppendUvarint(actorList, uint64(len(m.Actor)))
			actorList = append(actorList, m.Actor...)
		}
		for _, d := range m.Deps {
			if _, ok := place[d]; ok {
				continue
			}
			if _, ok := outside[d]; !ok {
				outside[d] = uint64(len(outside))
				outsideList = append(outsideList, d[:]...)
			}
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(actors)))
	b = append(b, actorList...)
	b = binary.AppendUvarint(b, uint64(len(outside)))
	b = append(b, outsideList...)
	last := make([]uint64, len(actors))
	top := uint64(0)
	for i := range metas {
		m := &metas[i]
		a := actors[m.Actor]
		b = binary.AppendUvarint(b, a)
		b = binary.AppendVarint(b, int64(m.Seq)-int64(last[a])-1)
		b = binary.AppendVarint(b, int64(m.StartOp)-int64(top)-1)
		b = binary.AppendUvarint(b, m.NumOps)
		last[a], top = m.Seq, m.StartOp+m.NumOps-1
		b = binary.AppendUvarint(b, uint64(len(m.Deps)))
		for _, d := range m.Deps {
			if j, ok := place[d]; ok {
				b = binary.AppendUvarint(b, uint64(i-j)<<1)
			} else {
				b = binary.AppendUvarint(b, outside[d]<<1|1)
			}
		}
		b = binary.AppendUvarint(b, uint64(len(m.Makes)))
		from := m.StartOp
		for _, k := range m.Makes {
			b = binary.AppendUvarint(b, (k.Counter-from)<<2|uint64(k.Kind&3))
			from = k.Counter
		}
	}
	return b
}

// Run reads a run.
type Run struct {
	count  int
	ranges []rowRange
	packed []byte // deflated
	hashes []byte
}

type rowRange struct {
	first int64
	at    int // how many rows of the run come before
}

// OpenRun reads the outer part of a run and checks its sum.
func OpenRun(b []byte) (*Run, error) {
	bad := func(what string) (*Run, error) { return nil, fmt.Errorf("%w: %s", ErrRun, what) }
	if len(b) < 6 || b[0] != runVersion {
		return bad("its version is unknown")
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return bad("its checksum does not fit")
	}
	r := numbers{buf: body[1:]}
	count, first, n := r.uint(), r.uint(), r.uint()
	if r.bad || count > maxRun || first > math.MaxInt64 || n > count {
		return bad("its counts are out of range")
	}
	run := &Run{count: int(count), ranges: make([]rowRange, n)}
	at, row := uint64(0), first
	for i := range run.ranges {
		gap, size := r.uint(), r.uint()
		row += gap
		if r.bad || size == 0 || size > count-at || gap > math.MaxInt64 || row > math.MaxInt64-size {
			return bad("its rows are out of range")
		}
		run.ranges[i] = rowRange{first: int64(row), at: int(at)}
		row += size
		at += size
	}
	packed := r.uint()
	if r.bad || at != count || packed > uint64(len(r.buf)) || uint64(len(r.buf))-packed != 32*count {
		return bad("its parts do not add up")
	}
	run.packed, run.hashes = r.buf[:packed], r.buf[packed:]
	return run, nil
}

// Len is how many changes the run has.
func (r *Run) Len() int { return r.count }

// Hash returns the hash of change i.
func (r *Run) Hash(i int) id.Hash { return id.Hash(r.hashes[32*i : 32*i+32]) }

// Row returns the journal row of change i.
func (r *Run) Row(i int) int64 {
	k := r.rangeBefore(func(x rowRange) bool { return x.at <= i })
	return r.ranges[k].first + int64(i-r.ranges[k].at)
}

// Find returns the place of a journal row in the run.
func (r *Run) Find(row int64) (i int, ok bool) {
	k := r.rangeBefore(func(x rowRange) bool { return x.first <= row })
	if k < 0 {
		return 0, false
	}
	end := r.count
	if k+1 < len(r.ranges) {
		end = r.ranges[k+1].at
	}
	i = r.ranges[k].at + int(row-r.ranges[k].first)
	return i, i < end
}

// rangeBefore finds the last range for which ok holds, -1 if there is none.
func (r *Run) rangeBefore(ok func(rowRange) bool) int {
	lo, hi := 0, len(r.ranges)
	for lo < hi {
		if mid := (lo + hi) / 2; ok(r.ranges[mid]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// Metas calls yield with the metadata of each change, in order, until it returns
// false. m and its slices are used again for the next; Deps ascend.
func (r *Run) Metas(yield func(i int, m *Meta) bool) error {
	n := numbers{}
	var err error
	if n.buf, err = inflate(r.packed); err != nil {
		return fmt.Errorf("%w: %w", ErrRun, err)
	}
	actors, outside, err := n.tables()
	if err != nil {
		return err
	}
	last := make([]uint64, len(actors))
	top := uint64(0)
	var m Meta
	k := 0
	for i := range r.count {
		for k+1 < len(r.ranges) && r.ranges[k+1].at <= i {
			k++
		}
		m.Row = r.ranges[k].first + int64(i-r.ranges[k].at)
		m.Hash = r.Hash(i)
		a := n.uint()
		if a >= uint64(len(actors)) {
			return fmt.Errorf("%w: change %d has an unknown actor", ErrRun, i)
		}
		m.Actor = actors[a]
		m.Seq = uint64(int64(last[a]) + 1 + n.int())
		m.StartOp = uint64(int64(top) + 1 + n.int())
		m.NumOps = n.uint()
		if m.Seq > math.MaxUint32 || m.StartOp == 0 || m.StartOp > math.MaxUint32 || m.NumOps > math.MaxUint32-m.StartOp {
			return fmt.Errorf("%w: the counters of change %d do not fit 32 bits", ErrRun, i)
		}
		last[a], top = m.Seq, m.StartOp+m.NumOps-1
		if !r.deps(&n, i, outside, &m) || !n.makes(&m) {
			return fmt.Errorf("%w: change %d is cut short or out of range", ErrRun, i)
		}
		if !yield(i, &m) {
			return nil
		}
	}
	if n.bad || len(n.buf) > 0 {
		return fmt.Errorf("%w: its metadata has %d bytes too many", ErrRun, len(n.buf))
	}
	return nil
}

func (r *Run) deps(n *numbers, i int, outside []byte, m *Meta) bool {
	m.Deps = m.Deps[:0]
	for range n.count(1) {
		d := n.uint()
		switch {
		case d&1 == 0 && d>>1 >= 1 && d>>1 <= uint64(i):
			m.Deps = append(m.Deps, r.Hash(i-int(d>>1)))
		case d&1 == 1 && d>>1 < uint64(len(outside)/32):
			at := 32 * (d >> 1)
			m.Deps = append(m.Deps, id.Hash(outside[at:at+32]))
		default:
			return false
		}
	}
	return !n.bad
}

// numbers reads LEB128. After an error it returns zeros.
type numbers struct {
	buf []byte
	bad bool
}

func (n *numbers) uint() uint64 {
	v, size := binary.Uvarint(n.buf)
	if size <= 0 {
		n.bad, n.buf = true, nil
		return 0
	}
	n.buf = n.buf[size:]
	return v
}

func (n *numbers) int() int64 {
	v, size := binary.Varint(n.buf)
	if size <= 0 || v > math.MaxUint32 || v < -math.MaxUint32 {
		n.bad, n.buf = true, nil
		return 0
	}
	n.buf = n.buf[size:]
	return v
}

// count reads how many things of at least size bytes follow.
func (n *numbers) count(size int) int {
	v := n.uint()
	if v > uint64(len(n.buf)/size) {
		n.bad, n.buf = true, nil
		return 0
	}
	return int(v)
}

// tables reads the actors and the hashes of deps outside the run.
func (n *numbers) tables() (actors []id.Actor, outside []byte, err error) {
	for range n.count(1) {
		size := n.count(1)
		actors = append(actors, id.Actor(n.buf[:size]))
		n.buf = n.buf[size:]
	}
	size := 32 * n.count(32)
	outside, n.buf = n.buf[:size], n.buf[size:]
	if n.bad {
		return nil, nil, fmt.Errorf("%w: its tables are cut short", ErrRun)
	}
	return actors, outside, nil
}

func (n *numbers) makes(m *Meta) bool {
	m.Makes = m.Makes[:0]
	last := m.StartOp
	for range n.count(1) {
		v := n.uint()
		if last += v >> 2; v>>2 > math.MaxUint32 || last-m.StartOp >= m.NumOps {
			return false
		}
		m.Makes = append(m.Makes, chunk.Make{Counter: last, Kind: chunk.Kind(v & 3)})
	}
	return !n.bad
}

func inflate(packed []byte) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(packed))
	b, err := io.ReadAll(io.LimitReader(r, maxRunBytes+1))
	if err == nil && len(b) > maxRunBytes {
		err = fmt.Errorf("it inflates past %d bytes", maxRunBytes)
	}
	return b, err
}

// AddRun adds the changes of a run, unpublished, as Add would one by one.
func (g *Graph) AddRun(r *Run) error {
	g.grow(r.count)
	var refusal error
	err := r.Metas(func(_ int, m *Meta) bool {
		refusal = g.Add(*m)
		return refusal == nil
	})
	if refusal != nil {
		return refusal
	}
	return err
}

// grow makes room for so many more nodes, so that a large document is loaded
// without moving what is there again and again.
func (g *Graph) grow(n int) {
	n += len(g.hash)
	g.hash = grown(g.hash, n)
	g.parents.first = grown(g.parents.first, n)
	g.actor = grown(g.actor, n)
	g.seq = grown(g.seq, n)
	g.start = grown(g.start, n)
	g.ops = grown(g.ops, n)
	g.row = grown(g.row, n)
	g.depth = grown(g.depth, n)
	g.index.grow(g.hash, n)
}

// grown returns s with a capacity of n and no more: a graph that is loaded to be
// read stays as small as it can be.
func grown[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s
	}
	return append(make([]T, 0, n), s...)
}
