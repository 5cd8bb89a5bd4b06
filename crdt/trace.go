package crdt

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"syncline/crdt/id"
)

// traced is a value with the operations that it and all in it are of: who has put
// what there. An undo goes by these, and not by values and positions, which others
// may have made alike, or moved.
type traced struct {
	op     OpID
	kind   byte     // its tag: tagMap, tagList, tagText, or that of a scalar
	scalar any      // as an operation would have it; of the element of a text a string
	keys   []string // of a map, ascending
	inside []traced // the values of the keys, or the elements
	lost   []traced // what else concurrent changes have put at its place, ascending
}

// trace reads an entity, nil if it is not there. What was lost to others is told of
// the present only.
func (v *View) trace(collection, entity string) (*traced, error) {
	if v.d.core == nil {
		return nil, v.d.why
	}
	var e encoder
	e.string(collection)
	e.string(entity)
	how := byte(selectIDs)
	if len(v.heads) == 0 {
		how |= selectAll
	}
	e.u8(how)
	out := v.d.core.choose(e.b, v.heads, 1)
	defer out.free()
	if err := out.err(nil); err != nil {
		return nil, fmt.Errorf("%s: %w", Path{collection, entity}, err)
	}
	d := decoder{b: out.data, scalars: true}
	if d.u8() == 0 {
		return nil, nil
	}
	t := d.place()
	return &t, nil
}

func (d *decoder) operation() (o OpID) {
	o.Counter = d.u64()
	o.Actor = id.Actor(d.key())
	return o
}

// place reads a value behind its operation.
func (d *decoder) place() traced {
	op := d.operation()
	if d.b[0] != tagSeveral {
		t := d.traced()
		t.op = op
		return t
	}
	d.u8()
	all := make([]traced, d.u32())
	for i := range all {
		op := d.operation()
		all[i] = d.traced()
		all[i].op = op
	}
	won := all[len(all)-1]
	won.lost = all[:len(all)-1]
	return won
}

func (d *decoder) traced() (t traced) {
	switch t.kind = d.b[0]; t.kind {
	case tagMap:
		d.u8()
		n := int(d.u32())
		t.keys, t.inside = make([]string, n), make([]traced, n)
		for i := range n {
			t.keys[i] = d.key()
			t.inside[i] = d.place()
		}
	case tagList, tagText:
		d.u8()
		t.inside = make([]traced, d.u32())
		for i := range t.inside {
			t.inside[i] = d.place()
		}
	default:
		t.scalar = d.value()
	}
	return t
}

// at returns what a map has under a key, nil if nothing.
func (t *traced) at(key string) *traced {
	for i := range t.keys {
		if t.keys[i] == key {
			return &t.inside[i]
		}
	}
	return nil
}

func (t *traced) container() bool { return t.kind == tagMap || t.kind == tagList || t.kind == tagText }

// find returns the container that an operation has made, and the path to it.
func (t *traced) find(op OpID, at Path) (*traced, Path) {
	if !t.container() {
		return nil, nil
	}
	if t.op == op {
		return t, at
	}
	for i := range t.inside {
		if !t.inside[i].container() {
			continue
		}
		var step any = i
		if t.kind == tagMap {
			step = t.keys[i]
		}
		if found, p := t.inside[i].find(op, append(at[:len(at):len(at)], step)); found != nil {
			return found, p
		}
	}
	return nil, nil
}

// each calls fn with the value and all in it, until it returns false.
func (t *traced) each(fn func(*traced) bool) bool {
	if !fn(t) {
		return false
	}
	for i := range t.inside {
		if !t.inside[i].each(fn) {
			return false
		}
	}
	return true
}

// width is how many positions an element of a text takes.
func (t *traced) width() int {
	if s, ok := t.scalar.(Scalar); ok {
		return utf8.RuneCountInString(string(s))
	}
	return 1
}

// again is the value as an operation can write it, and what it is of in the order
// in which that operation makes it. What a newer writer has made cannot be
// written, and in a text only characters can.
func (t *traced) again(ids *remade) (any, error) {
	ids.add(t.op)
	switch t.kind {
	case tagMap:
		m := make(map[string]any, len(t.keys))
		for i, k := range t.keys {
			v, err := t.inside[i].again(ids)
			if err != nil {
				return nil, err
			}
			m[k] = v
		}
		return m, nil
	case tagList:
		l := make([]any, len(t.inside))
		for i := range t.inside {
			v, err := t.inside[i].again(ids)
			if err != nil {
				return nil, err
			}
			l[i] = v
		}
		return l, nil
	case tagText:
		var b []byte
		for i := range t.inside {
			b = t.inside[i].character(b, ids)
		}
		return string(b), nil
	case tagUnknown:
		return nil, fmt.Errorf("%w: a value of type %d, which a newer version has written", ErrInvalid, t.scalar.(Unknown).Type)
	case tagTime:
		if ms := t.scalar.(time.Time).UnixMilli(); ms > maxMillis || ms < -maxMillis {
			return nil, fmt.Errorf("%w: a time further from 1970 than JavaScript can count", ErrInvalid)
		}
	}
	return t.scalar, nil
}

// character appends an element of a text.
func (t *traced) character(b []byte, ids *remade) []byte {
	s, ok := t.scalar.(Scalar)
	if !ok {
		return b
	}
	ids.add(t.op)
	for range utf8.RuneCountInString(string(s)) - 1 {
		ids.add(OpID{})
	}
	return append(b, s...)
}

// sameScalar reports whether a put would find its value there and do nothing.
func sameScalar(a, b *traced) bool {
	if a.kind != b.kind || a.container() {
		return false
	}
	switch x := a.scalar.(type) {
	case []byte:
		y, _ := b.scalar.([]byte)
		return string(x) == string(y)
	case float64:
		y, _ := b.scalar.(float64)
		return math.Float64bits(x) == math.Float64bits(y) || x == y
	case time.Time:
		y, _ := b.scalar.(time.Time)
		return x.Equal(y)
	case Unknown:
		return false
	}
	return a.scalar == b.scalar
}
