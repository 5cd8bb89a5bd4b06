package crdt

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"syncline/crdt/id"
)

// decoder reads what core_read.c has written. It trusts it: both ends are ours
// and the same build. Everything is copied, as the bytes are memory of C.
type decoder struct {
	b    []byte
	keys map[string]string // names come again and again

	scalars bool // tell immutable strings from texts

	// With contests, places with several values are noted, and where it is.
	contests  bool
	at        Path
	contested []Contested
}

func (d *decoder) u8() byte {
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) u32() uint32 {
	v := binary.LittleEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

func (d *decoder) u64() uint64 {
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.u32()
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) key() string {
	b := d.bytes()
	if k, ok := d.keys[string(b)]; ok {
		return k
	}
	k := string(b)
	if d.keys == nil {
		d.keys = map[string]string{}
	}
	// Names of fields are few; ids of entities would only fill the table.
	if len(d.keys) < 1024 {
		d.keys[k] = k
	}
	return k
}

func (d *decoder) value() any {
	switch d.u8() {
	case tagFalse:
		return false
	case tagTrue:
		return true
	case tagInt:
		return int64(d.u64())
	case tagUint:
		return d.u64()
	case tagFloat:
		return math.Float64frombits(d.u64())
	case tagCounter:
		return Counter(d.u64())
	case tagTime:
		return time.UnixMilli(int64(d.u64())).UTC()
	case tagString:
		if d.scalars {
			return Scalar(d.bytes())
		}
		return string(d.bytes())
	case tagText:
		return string(d.bytes())
	case tagBytes:
		return append([]byte{}, d.bytes()...)
	case tagUnknown:
		t := d.u8()
		return Unknown{Type: t, Raw: append([]byte{}, d.bytes()...)}
	case tagMap:
		n := int(d.u32())
		m := make(map[string]any, n)
		for range n {
			k := d.key()
			if d.contests {
				d.at = append(d.at, k)
			}
			m[k] = d.value()
			d.leave()
		}
		return m
	case tagList:
		l := make([]any, d.u32())
		for i := range l {
			if d.contests {
				d.at = append(d.at, i)
			}
			l[i] = d.value()
			d.leave()
		}
		return l
	case tagSeveral:
		return d.several()
	}
	return nil
}

func (d *decoder) conflicts() []Conflict {
	cs := make([]Conflict, d.u32())
	for i := range cs {
		cs[i] = d.conflict()
	}
	return cs
}

func (d *decoder) conflict() (c Conflict) {
	c.ID.Counter = d.u64()
	c.ID.Actor = id.Actor(d.bytes())
	c.Value = d.value()
	return c
}

// entity reads what core_select has written of one.
func (d *decoder) entity() (value any, present bool, contested []Contested) {
	if d.u8() == 0 {
		return nil, false, nil
	}
	d.at, d.contested = d.at[:0], nil
	value = d.value()
	return value, true, d.contested
}

// several reads the values of one place, notes them and returns the last. What is
// contested within one that has lost is of no interest.
func (d *decoder) several() any {
	here := len(d.contested)
	d.contested = append(d.contested, Contested{Path: slices.Clone(d.at)})
	values := make([]Conflict, d.u32())
	for i := range values {
		d.contested = d.contested[:here+1]
		values[i] = d.conflict()
	}
	d.contested[here].Values = values
	return values[len(values)-1].Value
}

func (d *decoder) leave() {
	if d.contests {
		d.at = d.at[:len(d.at)-1]
	}
}

func (d *decoder) names() []string {
	names := make([]string, d.u32())
	for i := range names {
		names[i] = string(d.bytes())
	}
	return names
}
