package crdt

import (
	"fmt"
	"math"
	"slices"

	"syncline/crdt/digest"
)

// Digest sums up the whole document as package digest says: peers whose heads
// are equal must have equal digests. It costs one read of the document in C and
// no more than that in Go, where no value is made of what is read.
//
// The error wraps digest.ErrUnknown if there is a value of a newer writer, and
// ErrTooDeep if a part is nested too deep to be read: such documents have no
// digest.
func (d *Document) Digest() (digest.Sum, error) { return d.now().Digest() }

// Digest is Document.Digest as it was, for a peer's digest that comes in when
// the document has gone on.
func (v *View) Digest() (digest.Sum, error) {
	s, err := call(v, (*core).read, nil, summed)
	if err == nil {
		err = s.err
	}
	if err != nil {
		return digest.Sum{}, fmt.Errorf("digest document: %w", err)
	}
	return s.sum, nil
}

type sumOrError struct {
	sum digest.Sum
	err error
}

// summed goes over the value twice: the core lists the keys of a map by their
// bytes, and not by their length first, so each map's order has to be known
// before the first of its values is written.
func summed(d *decoder) sumOrError {
	s := summer{all: d.b, out: digest.New()}
	if err := s.index(d); err != nil {
		slices.Reverse(s.at)
		return sumOrError{err: fmt.Errorf("%s: %w", s.at, err)}
	}
	d.b = s.all
	s.write(d)
	return sumOrError{sum: s.out.Sum()}
}

// summer hands a value that core_read.c has written to a digest's encoder. A
// value is named by its offset, a map also by its number: how many maps begin
// before it.
type summer struct {
	all     []byte
	maps    []mapSpan
	entries []mapEntry // those of one map in a row
	next    int        // number of the next map that write comes to
	out     *digest.Encoder
	at      Path // of what has failed, the last step first
}

type mapSpan struct {
	first, n int // its entries
	end      int // offset behind it
	next     int // number of the first map behind it
}

// mapEntry has no pointers, so that the collector need not look at thousands.
type mapEntry struct {
	key  int    // offset behind its length
	size uint32 // of the key
	next uint32 // number of the first map in the value, if there is one
}

func (s *summer) offset(d *decoder) int { return len(s.all) - len(d.b) }

// value is the offset of an entry's value.
func (e mapEntry) value() int { return e.key + int(e.size) }

func (s *summer) key(e mapEntry) []byte { return s.all[e.key:e.value()] }

func (s *summer) compare(a, b mapEntry) int { return digest.CompareKeys(s.key(a), s.key(b)) }

// index passes one value and notes its maps, their entries in order.
func (s *summer) index(d *decoder) error {
	switch d.u8() {
	case tagInt, tagUint, tagFloat, tagCounter, tagTime:
		d.u64()
	case tagString, tagText, tagBytes:
		d.bytes()
	case tagUnknown:
		return fmt.Errorf("%w (type %d)", digest.ErrUnknown, d.u8())
	case tagList:
		for i := range d.u32() {
			if err := s.index(d); err != nil {
				s.at = append(s.at, int(i))
				return err
			}
		}
	case tagMap:
		return s.indexMap(d)
	}
	return nil
}

func (s *summer) indexMap(d *decoder) error {
	m := mapSpan{first: len(s.entries), n: int(d.u32())}
	number := len(s.maps)
	s.maps = append(s.maps, m)
	s.entries = slices.Grow(s.entries, m.n)[:m.first+m.n]
	sorted := true
	for i := range m.n {
		e := mapEntry{size: uint32(len(d.bytes())), next: uint32(len(s.maps))}
		e.key = s.offset(d) - int(e.size)
		s.entries[m.first+i] = e
		sorted = sorted && (i == 0 || s.compare(s.entries[m.first+i-1], e) < 0)
		if err := s.index(d); err != nil {
			s.at = append(s.at, string(s.key(e)))
			return err
		}
	}
	if !sorted {
		slices.SortFunc(s.entries[m.first:m.first+m.n], s.compare)
	}
	m.end, m.next = s.offset(d), len(s.maps)
	s.maps[number] = m
	return nil
}

// write passes one value that was indexed and writes it.
func (s *summer) write(d *decoder) {
	switch d.u8() {
	case tagFalse:
		s.out.Bool(false)
	case tagTrue:
		s.out.Bool(true)
	case tagInt:
		s.out.Int(int64(d.u64()))
	case tagUint:
		s.out.Uint(d.u64())
	case tagFloat:
		s.out.Float(math.Float64frombits(d.u64()))
	case tagCounter:
		s.out.Counter(int64(d.u64()))
	case tagTime:
		s.out.Time(int64(d.u64()))
	case tagString, tagText:
		s.out.Text(d.bytes())
	case tagBytes:
		s.out.Bytes(d.bytes())
	case tagList:
		n := d.u32()
		s.out.List(int(n))
		for range n {
			s.write(d)
		}
	case tagMap:
		m := s.maps[s.next]
		s.out.Map(m.n)
		for _, e := range s.entries[m.first : m.first+m.n] {
			s.out.Text(s.key(e))
			d.b, s.next = s.all[e.value():], int(e.next)
			s.write(d)
		}
		d.b, s.next = s.all[m.end:], m.next
	default:
		s.out.Null()
	}
}
