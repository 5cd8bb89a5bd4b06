package crdt

import (
	"encoding/binary"
	"math"
	"time"

	"syncline/crdt/id"
)

// decoder reads what core_read.c has written. It trusts it: both ends are ours
// and the same build. Everything is copied, as the bytes are memory of C.
type decoder struct {
	b    []byte
	keys map[string]string // names come again and again
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
	case tagString, tagText:
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
			m[k] = d.value()
		}
		return m
	case tagList:
		l := make([]any, d.u32())
		for i := range l {
			l[i] = d.value()
		}
		return l
	}
	return nil
}

func (d *decoder) conflicts() []Conflict {
	cs := make([]Conflict, d.u32())
	for i := range cs {
		cs[i].ID.Counter = d.u64()
		cs[i].ID.Actor = id.Actor(d.bytes())
		cs[i].Value = d.value()
	}
	return cs
}
