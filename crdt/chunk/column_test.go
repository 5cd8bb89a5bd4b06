package chunk

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestLEB128(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 16383, 16384, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, math.MaxUint64} {
		r := reader{buf: AppendUint(nil, v)}
		if got, err := r.uint(); err != nil || got != v || !r.done() {
			t.Errorf("uint %d came back as %d, %v", v, got, err)
		}
	}
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8193, math.MaxInt64, math.MinInt64} {
		r := reader{buf: AppendInt(nil, v)}
		if got, err := r.int(); err != nil || got != v || !r.done() {
			t.Errorf("int %d came back as %d, %v", v, got, err)
		}
	}
	for _, b := range [][]byte{{}, {0x80}, {0x80, 0x00}, {0xff, 0x80, 0x00}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, bytes.Repeat([]byte{0x80}, 12)} {
		if v, err := (&reader{buf: b}).uint(); err == nil {
			t.Errorf("uint %x was read as %d", b, v)
		}
	}
	for _, b := range [][]byte{{}, {0xc0}, {0xff, 0x7f}, {0x80, 0x00}, {0xff, 0xff, 0x7f}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}} {
		if v, err := (&reader{buf: b}).int(); err == nil {
			t.Errorf("int %x was read as %d", b, v)
		}
	}
}

// row is a value or a null.
type row struct {
	v  int64
	ok bool
}

// rows draws columns with many equal neighbours and nulls.
func rows(t *rapid.T) []row {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
		return row{rapid.Int64Range(0, 3).Draw(t, "v") * rapid.SampledFrom([]int64{1, 1, 1, 1 << 20}).Draw(t, "scale"), rapid.IntRange(0, 3).Draw(t, "null") > 0}
	}), 0, 40).Draw(t, "rows")
}

func TestColumnsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rows(t)
		ints := newIntEncoder()
		deltas := newDeltaEncoder()
		strs := newStringEncoder()
		var bools boolEncoder
		for _, r := range in {
			ints.add(uint64(r.v), r.ok)
			deltas.add(r.v, r.ok)
			strs.add(string(rune('a'+r.v%26)), r.ok)
			bools.add(r.ok)
		}
		i, d := newIntColumn(ints.finish(), len(in), false), newDeltaColumn(deltas.finish(), len(in))
		s, b := newStringColumn(strs.finish(), len(in)), newBoolColumn(bools.finish(), len(in))
		for k, r := range in {
			if v, ok, err := i.next(); err != nil || ok != r.ok || ok && v != uint64(r.v) {
				t.Fatalf("int row %d: %d %v %v, want %v", k, v, ok, err, r)
			}
			if v, ok, err := d.next(); err != nil || ok != r.ok || ok && v != r.v {
				t.Fatalf("delta row %d: %d %v %v, want %v", k, v, ok, err, r)
			}
			if v, ok, err := s.next(); err != nil || ok != r.ok || ok && v != string(rune('a'+r.v%26)) {
				t.Fatalf("string row %d: %q %v %v, want %v", k, v, ok, err, r)
			}
			if v, err := b.next(); err != nil || v != r.ok {
				t.Fatalf("bool row %d: %v %v, want %v", k, v, err, r.ok)
			}
		}
		for name, err := range map[string]error{"int": i.end(), "delta": d.end(), "string": s.end(), "bool": b.end()} {
			if err != nil {
				t.Fatalf("%s column at its end: %v", name, err)
			}
		}
		if n, err := countRows(ints.finish(), MaxOps); err != nil || len(ints.out) > 0 && n != uint64(len(in)) {
			t.Fatalf("counted %d rows of %d: %v", n, len(in), err)
		}
	})
}

// FuzzColumns: what a strict decoder takes is what the encoder writes.
func FuzzColumns(f *testing.F) {
	f.Add([]byte{3, 1, 0x7e, 2, 3}, uint16(5))
	f.Add([]byte{0, 2, 2, 1}, uint16(4))
	f.Add([]byte{0x7f, 1, 'x', 2, 1, 'y'}, uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		i := newIntColumn(b, int(n), false)
		ie := newIntEncoder()
		if readAll(int(n), func() error { v, ok, err := i.next(); ie.add(v, ok); return err }, i.end) && !bytes.Equal(ie.finish(), b) {
			t.Errorf("int column %x is also %x", b, ie.finish())
		}
		d := newDeltaColumn(b, int(n))
		de := newDeltaEncoder()
		if readAll(int(n), func() error { v, ok, err := d.next(); de.add(v, ok); return err }, d.end) && !bytes.Equal(de.finish(), b) {
			t.Errorf("delta column %x is also %x", b, de.finish())
		}
		s := newStringColumn(b, int(n))
		se := newStringEncoder()
		if readAll(int(n), func() error { v, ok, err := s.next(); se.add(v, ok); return err }, s.end) && !bytes.Equal(se.finish(), b) {
			t.Errorf("string column %x is also %x", b, se.finish())
		}
		o := newBoolColumn(b, int(n))
		var oe boolEncoder
		if readAll(int(n), func() error { v, err := o.next(); oe.add(v); return err }, o.end) && len(b) > 0 && !bytes.Equal(oe.finish(), b) {
			t.Errorf("bool column %x is also %x", b, oe.finish())
		}
	})
}

// readAll reads n rows and reports whether all of them and the end were good.
func readAll(n int, next, end func() error) bool {
	for range n {
		if next() != nil {
			return false
		}
	}
	return end() == nil
}
