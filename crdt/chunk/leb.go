package chunk

import "errors"

var (
	errShort   = errors.New("ends in the middle of a number")
	errMinimal = errors.New("has a number that is longer than it needs to be or does not fit in 64 bits")
)

// reader walks over bytes and refuses any integer that is not in its shortest
// LEB128 form, so that one value has one encoding.
type reader struct {
	buf []byte
	off int
}

func (r *reader) rest() int  { return len(r.buf) - r.off }
func (r *reader) done() bool { return r.off == len(r.buf) }

func (r *reader) uint() (uint64, error) {
	if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
		r.off++
		return uint64(r.buf[r.off-1]), nil
	}
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if r.off == len(r.buf) {
			return 0, errShort
		}
		b := r.buf[r.off]
		r.off++
		if shift == 63 && b > 1 {
			return 0, errMinimal
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if b == 0 && shift > 0 {
				return 0, errMinimal
			}
			return v, nil
		}
	}
}

func (r *reader) int() (int64, error) {
	if r.off < len(r.buf) && r.buf[r.off] < 0x80 {
		r.off++
		return int64(int8(r.buf[r.off-1]<<1)) >> 1, nil
	}
	var v int64
	var prev byte
	for shift := uint(0); ; shift += 7 {
		if r.off == len(r.buf) {
			return 0, errShort
		}
		b := r.buf[r.off]
		r.off++
		if shift == 63 && b != 0 && b != 0x7f {
			return 0, errMinimal
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			// A last byte that only repeats the sign is one byte too many.
			if shift > 0 && (b == 0 && prev&0x40 == 0 || b == 0x7f && prev&0x40 != 0) {
				return 0, errMinimal
			}
			if shift < 57 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v, nil
		}
		prev = b
	}
}

// take returns the next n bytes, without copying.
func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(r.rest()) {
		return nil, errors.New("claims more bytes than it has")
	}
	b := r.buf[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return b, nil
}

// prefixed returns the bytes behind a length.
func (r *reader) prefixed() ([]byte, error) {
	n, err := r.uint()
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

// AppendUint appends v as unsigned LEB128.
func AppendUint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendInt appends v as signed LEB128.
func AppendInt(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
