package digest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"math"
)

// MaxMillis is the largest time that JavaScript has a Date for, in milliseconds on
// either side of 1970.
const MaxMillis = 8_640_000_000_000_000

// ErrUnknown: the document holds a value of a type that this version does not
// know, and has no digest for that.
var ErrUnknown = errors.New("a value of a type that this version does not know")

// Sum is the digest of a document.
type Sum [sha256.Size]byte

// String returns the digest as 64 hexadecimal digits.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// CompareKeys orders the keys of a map as they must be written.
func CompareKeys(a, b []byte) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return bytes.Compare(a, b)
}

// Major types of CBOR, in place.
const (
	majorUint  = 0 << 5
	majorNint  = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorTag   = 6 << 5
)

const (
	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
	float64Head = 0xfb
)

const (
	tagTime    = 1
	tagCounter = 40501
)

const canonicalNaN = 0x7ff8 << 48

// spill is how many bytes are gathered for the hash, which takes short runs one by
// one far slower than long ones.
const spill = 16 << 10

// Encoder writes one value, depth first, and sums it up without keeping it. It is
// made by New. The caller vouches for the shape: as many entries and elements as
// announced, keys in the order of CompareKeys and none twice, strings of UTF-8.
type Encoder struct {
	hash hash.Hash
	b    []byte // not hashed yet
}

// New returns an encoder that has written nothing.
func New() *Encoder {
	return &Encoder{hash: sha256.New(), b: make([]byte, 0, spill)}
}

// Sum returns the digest of what was written since New.
func (e *Encoder) Sum() Sum {
	e.flush()
	return Sum(e.hash.Sum(nil))
}

// Map begins a map of n entries: n times a key, by Text, and a value.
func (e *Encoder) Map(n int) { e.head(majorMap, uint64(n)) }

// List begins a list of n values.
func (e *Encoder) List(n int) { e.head(majorArray, uint64(n)) }

// Text writes a key, a text or a string.
func (e *Encoder) Text(s []byte) { e.string(majorText, s) }

// Bytes writes a byte string.
func (e *Encoder) Bytes(b []byte) { e.string(majorBytes, b) }

// Int writes a signed integer.
func (e *Encoder) Int(v int64) {
	if v < 0 {
		e.head(majorNint, uint64(^v))
		return
	}
	e.head(majorUint, uint64(v))
}

// Uint writes an unsigned integer; below 2^63 it is the same as Int.
func (e *Encoder) Uint(v uint64) { e.head(majorUint, v) }

// Float writes a float.
func (e *Encoder) Float(v float64) {
	bits := math.Float64bits(v)
	if v != v {
		bits = canonicalNaN
	}
	e.room()
	e.b = binary.BigEndian.AppendUint64(append(e.b, float64Head), bits)
}

// Time writes a time in milliseconds since 1970.
func (e *Encoder) Time(ms int64) {
	e.head(majorTag, tagTime)
	if ms > MaxMillis || ms < -MaxMillis {
		e.Float(math.NaN())
		return
	}
	e.Int(ms)
}

// Counter writes the value of a counter.
func (e *Encoder) Counter(v int64) {
	e.head(majorTag, tagCounter)
	e.Int(v)
}

// Bool writes a boolean.
func (e *Encoder) Bool(v bool) {
	if v {
		e.simple(simpleTrue)
		return
	}
	e.simple(simpleFalse)
}

// Null writes null.
func (e *Encoder) Null() { e.simple(simpleNull) }

func (e *Encoder) simple(v byte) {
	e.room()
	e.b = append(e.b, v)
}

// head writes an item's major type and its argument in the shortest form.
func (e *Encoder) head(major byte, v uint64) {
	e.room()
	switch {
	case v < 24:
		e.b = append(e.b, major|byte(v))
	case v <= math.MaxUint8:
		e.b = append(e.b, major|24, byte(v))
	case v <= math.MaxUint16:
		e.b = binary.BigEndian.AppendUint16(append(e.b, major|25), uint16(v))
	case v <= math.MaxUint32:
		e.b = binary.BigEndian.AppendUint32(append(e.b, major|26), uint32(v))
	default:
		e.b = binary.BigEndian.AppendUint64(append(e.b, major|27), v)
	}
}

func (e *Encoder) string(major byte, s []byte) {
	e.head(major, uint64(len(s)))
	if len(s) > cap(e.b)-len(e.b) {
		e.flush()
	}
	if len(s) > cap(e.b) {
		e.hash.Write(s)
		return
	}
	e.b = append(e.b, s...)
}

// room makes sure that a head fits in.
func (e *Encoder) room() {
	if cap(e.b)-len(e.b) < 9 {
		e.flush()
	}
}

func (e *Encoder) flush() {
	e.hash.Write(e.b)
	e.b = e.b[:0]
}
