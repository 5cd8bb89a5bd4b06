package fold

import (
	"errors"
	"slices"

	"syncline/crdt/chunk"
	"syncline/storage"
)

const (
	// minBundle is from how many changes on a bundle is written for them: it is
	// smaller than a few changes by themselves only where these are alike.
	minBundle = 8
	// maxPack bounds the changes that are put in one bundle for a message.
	maxPack = 1 << 14
	// ownBundle is how many changes of one author that follow each other have a
	// bundle of their own: others lack these, too, whatever else they lack.
	ownBundle = 64
	// packedBytes bounds the bundles that are kept for the next who lacks the same.
	packedBytes = 256 << 10
	// deflateFrom is from how many bytes on a change is deflated for a receiver that
	// does not read bundles.
	deflateFrom = 256
	// keptPack bounds the buffer that is used again for a few changes: an open room
	// has one, and most messages of a busy document fit.
	keptPack = 1 << 10
)

// Pack returns chunks that hold the changes of rows[:n] in the smallest form that
// is at hand: the document chunk where it is about all that is asked for, segments
// as they are, and bundles or deflated changes for the rest.
//
// A first row of -r, which a shallow graph has, asks for the document chunk
// through row r.
//
// The chunks are good until the next call.
func (s *Source) Pack(rows []int64, bundles bool, budget int) (chunks []byte, n int, err error) {
	for try := 1; ; try++ {
		p := packer{Source: s, rows: rows, bundles: bundles, budget: budget}
		err := p.pack()
		if err == nil || !moved(err) || try == tries {
			if p.again && cap(p.out) <= keptPack {
				s.buffer = p.out
			}
			return p.out, p.n, err
		}
		s.layout = nil
	}
}

// packer is one call of Pack.
type packer struct {
	*Source
	rows    []int64
	bundles bool
	budget  int // bytes of changes, 0: no bound

	out   []byte
	n     int  // of rows that are in out
	size  int  // bytes of changes that are in out, about
	again bool // out began in the source's buffer
}

func (p *packer) full() bool { return p.budget > 0 && p.size >= p.budget }

func (p *packer) pack() error {
	// A few rows are nearly always new.
	if len(p.rows) >= minBundle && p.recent[p.rows[0]] == nil || p.rows[0] < 0 {
		if err := p.look(); err != nil {
			return err
		}
		if err := p.documentChunk(); err != nil {
			return err
		}
	}
	for p.n < len(p.rows) && !p.full() {
		whole, err := p.segment()
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		if err := p.changes(); err != nil {
			return err
		}
	}
	return nil
}

// documentChunk packs the document chunk if the rows ask for it, or begin with a
// third or more of what it holds.
func (p *packer) documentChunk() error {
	asked := p.rows[0] < 0
	k := p.layout.chunk
	if asked && (k == nil || k.LastRow < -p.rows[0]) {
		return storage.ErrNotFound
	}
	if k == nil {
		return nil
	}
	n := 1
	if !asked {
		if !slices.IsSorted(p.rows) {
			return nil // some were asked for one by one
		}
		if n, _ = slices.BinarySearch(p.rows, k.LastRow+1); int64(n) < k.Rows/3 {
			return nil
		}
	}
	body, err := p.store.SegmentBody(p.ctx, k.ID)
	if err != nil {
		return err
	}
	p.out, p.n, p.size = body, n, len(body)
	if asked && k.LastRow > -p.rows[0] {
		// It was written anew since the graph was loaded, and holds more.
		for p.n < len(p.rows) && p.rows[p.n] <= k.LastRow {
			p.n++
		}
	}
	return nil
}

// segment packs a segment as it is, if all of its rows come next.
func (p *packer) segment() (bool, error) {
	row := p.rows[p.n]
	if !p.bundles || p.layout == nil || row > p.layout.through() {
		return false, nil
	}
	info, ok := p.layout.segmentOf(row)
	if !ok || info.FirstRow != row || int64(len(p.rows)-p.n) < info.Rows || p.rows[p.n+int(info.Rows)-1] != info.LastRow {
		return false, nil
	}
	body, err := p.store.SegmentBody(p.ctx, info.ID)
	if err != nil {
		return false, err
	}
	p.out = append(p.out, body...)
	p.n += int(info.Rows)
	p.size += p.sizeOf(info)
	return true, nil
}

// sizeOf is about how many bytes of changes a segment stands for: each has a
// hundred at least.
func (p *packer) sizeOf(info storage.Segment) int {
	return int(info.Rows)*100 + int(info.Size)
}

// changes packs what comes next, up to the next segment that goes as it is.
func (p *packer) changes() error {
	end := min(len(p.rows), p.n+maxPack)
	if !p.bundles || end-p.n < minBundle {
		return p.plain(p.rows[p.n:end])
	}
	if b := p.packed.find(p.rows[p.n:end]); b != nil {
		p.out = append(p.out, b.chunks...)
		p.n += b.n
		p.size += b.size
		return nil
	}
	if p.layout != nil {
		for i := p.n + 1; i < end && p.rows[i] <= p.layout.through(); i++ {
			if info, ok := p.layout.segmentOf(p.rows[i]); ok && info.FirstRow == p.rows[i] {
				end = i
				break
			}
		}
	}
	var some []*chunk.Change
	var failed error
	size := 0
	err := p.bodies(p.rows[p.n:end], func(b []byte) bool {
		if p.n+len(some) > 0 && p.budget > 0 && p.size+size+len(b) > p.budget {
			p.size = p.budget - size
			return false
		}
		var c *chunk.Change
		if c, failed = chunk.ParseChange(slices.Clone(b)); failed != nil {
			return false
		}
		if n := len(some); n >= ownBundle && some[n-1].Actor != c.Actor {
			return false
		}
		some = append(some, c)
		size += len(b)
		return true
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	if len(some) == 0 {
		p.size += size
		return nil // no more fits
	}
	b := bundle(some)
	p.packed.keep(p.rows[p.n:p.n+len(some)], b, size)
	p.out = append(p.out, b...)
	p.n += len(some)
	p.size += size
	return nil
}

// plain packs rows as changes.
func (p *packer) plain(rows []int64) error {
	if p.out == nil {
		p.out, p.again = p.buffer[:0], true
	}
	return p.bodies(rows, func(b []byte) bool {
		if p.n > 0 && p.budget > 0 && p.size+len(b) > p.budget {
			p.size = p.budget
			return false
		}
		p.out = append(p.out, p.alone(b)...)
		p.n++
		p.size += len(b)
		return true
	})
}

// alone is the form in which a change goes that is in no bundle.
func (p *packer) alone(b []byte) []byte {
	if len(b) < deflateFrom {
		return b
	}
	return chunk.Deflate(b)
}

// bundle writes changes as a bundle, or as they are where that is smaller or no
// bundle can hold them.
func bundle(changes []*chunk.Change) []byte {
	size := 0
	for _, c := range changes {
		size += len(c.Raw())
	}
	if len(changes) >= minBundle {
		if b, err := chunk.EncodeBundle(changes); err == nil && len(b) < size {
			return b
		}
	}
	out := make([]byte, 0, size)
	for _, c := range changes {
		out = append(out, c.Raw()...)
	}
	return out
}

// packed are the bundles that were written last, by their first row.
type packed struct {
	byRow map[int64]*packedRun
	bytes int
}

type packedRun struct {
	last   int64
	n      int // rows; all between the first and the last, or it is not kept
	size   int // bytes of the changes
	chunks []byte
}

// find returns the bundle of the first of rows and some that follow.
func (k *packed) find(rows []int64) *packedRun {
	b := k.byRow[rows[0]]
	if b == nil || b.n > len(rows) || rows[b.n-1] != b.last {
		return nil
	}
	return b
}

func (k *packed) keep(rows []int64, chunks []byte, size int) {
	last := rows[len(rows)-1]
	if len(rows) < ownBundle || last-rows[0] != int64(len(rows)-1) {
		return
	}
	if k.bytes += len(chunks); k.bytes > packedBytes || k.byRow == nil {
		k.byRow, k.bytes = make(map[int64]*packedRun), len(chunks)
	}
	k.byRow[rows[0]] = &packedRun{last: last, n: len(rows), size: size, chunks: chunks}
}
