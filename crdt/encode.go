package crdt

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"syncline/crdt/chunk"
)

// Tags of values and instructions of a batch, as core.h has them.
const (
	tagNull byte = iota
	tagFalse
	tagTrue
	tagInt
	tagUint
	tagFloat
	tagCounter
	tagTime
	tagString
	tagBytes
	tagText
	tagMap
	tagList
	tagUnknown
	tagSeveral
)

const (
	doCreate byte = iota + 1
	doPut
	doUpdate
	doDelete
	doIncrement
	doSplice
	doInsert
	doCut
)

// maxBatch is how many bytes of values and names a batch may have. Its change,
// which has some bytes around each, must stay below chunk.MaxChangeBytes.
const maxBatch = 16 << 20

// maxMillis is the largest timestamp that JavaScript can show, in milliseconds
// on either side of 1970.
const maxMillis = 8_640_000_000_000_000

// batch is a batch in the form that the core takes.
type batch struct {
	bytes []byte
	cost  uint64 // no fewer operations of the core than the batch makes
}

// encodeBatch validates operations and writes them for the core.
func encodeBatch(ops []Operation) (batch, error) {
	var b batch
	for i, o := range ops {
		cost, err := o.encode(&b.bytes, i)
		if err == nil {
			b.cost += cost
			err = b.fits()
		}
		if err != nil {
			return batch{}, &OperationError{Index: i, Operation: o, Err: err}
		}
	}
	return b, nil
}

func (b batch) fits() error {
	if len(b.bytes) > maxBatch || b.cost > chunk.MaxOps {
		return fmt.Errorf("%w for one batch, which may have %d bytes and %d characters and values: split it",
			ErrTooLarge, maxBatch, chunk.MaxOps)
	}
	return nil
}

// encode appends the operation, unless out is nil, and returns its cost.
func (o Operation) encode(out *[]byte, index int) (cost uint64, err error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	var e encoder
	if out != nil {
		e.b = *out
	}
	place := o.place()
	if len(place) > MaxDepth {
		return 0, fmt.Errorf("%w: a path of %d steps", ErrTooDeep, len(place))
	}
	e.depth = len(place) - 1
	e.u8(o.Verb.instruction())
	e.u32(uint32(index))
	e.path(place)
	switch o.Verb {
	case VerbCreate:
		e.cost++ // the collection
		err = e.fields(o.Fields)
	case VerbUpdate:
		err = e.fields(o.Fields)
	case VerbSet, VerbListSet:
		err = e.value(o.Value)
	case VerbDelete, VerbUnset:
		e.cost++
	case VerbIncrement:
		e.cost++
		e.u64(uint64(o.By))
	case VerbSplice:
		e.u64(uint64(o.Pos))
		e.u64(uint64(o.Del))
		e.cost += uint64(o.Del)
		err = e.text(o.Text)
	case VerbListInsert:
		e.u64(uint64(o.Pos))
		e.u32(uint32(len(o.Values)))
		e.depth++
		for i := 0; i < len(o.Values) && err == nil; i++ {
			err = e.value(o.Values[i])
		}
	case VerbListDelete:
		e.u64(uint64(o.Pos))
		e.u64(uint64(o.Del))
		e.cost += uint64(o.Del)
	}
	if err != nil {
		return 0, err
	}
	if out != nil {
		*out = e.b
	}
	return e.cost, nil
}

// instruction is what the core calls the verb, 0 if there is no such verb.
func (v Verb) instruction() byte {
	switch v {
	case VerbCreate:
		return doCreate
	case VerbUpdate:
		return doUpdate
	case VerbDelete, VerbUnset:
		return doDelete
	case VerbSet, VerbListSet:
		return doPut
	case VerbIncrement:
		return doIncrement
	case VerbSplice:
		return doSplice
	case VerbListInsert:
		return doInsert
	case VerbListDelete:
		return doCut
	}
	return 0
}

// encoder writes for the core.
type encoder struct {
	b     []byte
	cost  uint64
	depth int
}

func (e *encoder) u8(v byte)    { e.b = append(e.b, v) }
func (e *encoder) u32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

func (e *encoder) string(s string) {
	e.u32(uint32(len(s)))
	e.b = append(e.b, s...)
}

// path writes a path whose steps were checked.
func (e *encoder) path(p Path) {
	e.u32(uint32(len(p)))
	for _, s := range p {
		switch s := s.(type) {
		case string:
			e.u8(0)
			e.string(s)
		case int:
			e.u8(1)
			e.u64(uint64(s))
		}
	}
}

func (e *encoder) text(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: a string that is not valid UTF-8", ErrInvalid)
	}
	if len(s) > maxBatch {
		return fmt.Errorf("%w: a string of %d bytes", ErrTooLarge, len(s))
	}
	e.cost += uint64(utf8.RuneCountInString(s))
	e.string(s)
	return nil
}

// fields writes a map, its keys in order so that equal batches are equal bytes.
func (e *encoder) fields(m map[string]any) error {
	if e.depth++; e.depth > MaxDepth {
		return fmt.Errorf("%w (more than %d levels)", ErrTooDeep, MaxDepth)
	}
	e.u8(tagMap)
	e.cost++
	e.u32(uint32(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if err := checkName("key", k); err != nil {
			return err
		}
		e.string(k)
		if err := e.value(m[k]); err != nil {
			return err
		}
	}
	e.depth--
	return nil
}

func (e *encoder) list(l []any) error {
	if e.depth++; e.depth > MaxDepth {
		return fmt.Errorf("%w (more than %d levels)", ErrTooDeep, MaxDepth)
	}
	e.u8(tagList)
	e.cost++
	e.u32(uint32(len(l)))
	for _, v := range l {
		if err := e.value(v); err != nil {
			return err
		}
	}
	e.depth--
	return nil
}

func (e *encoder) number(tag byte, v uint64) error {
	e.u8(tag)
	e.u64(v)
	e.cost++
	return nil
}

func (e *encoder) value(v any) error {
	if len(e.b) > maxBatch {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxBatch)
	}
	switch v := v.(type) {
	case nil:
		e.u8(tagNull)
		e.cost++
	case bool:
		e.u8(tagFalse)
		if v {
			e.b[len(e.b)-1] = tagTrue
		}
		e.cost++
	case string:
		e.u8(tagText)
		e.cost++
		return e.text(v)
	case Scalar:
		e.u8(tagString)
		if err := e.text(string(v)); err != nil {
			return err
		}
		e.cost++
	case []byte:
		if len(v) > maxBatch {
			return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(v))
		}
		e.u8(tagBytes)
		e.string(string(v))
		e.cost++
	case int:
		return e.number(tagInt, uint64(v))
	case int8:
		return e.number(tagInt, uint64(v))
	case int16:
		return e.number(tagInt, uint64(v))
	case int32:
		return e.number(tagInt, uint64(v))
	case int64:
		return e.number(tagInt, uint64(v))
	case uint:
		return e.number(tagUint, uint64(v))
	case uint8:
		return e.number(tagUint, uint64(v))
	case uint16:
		return e.number(tagUint, uint64(v))
	case uint32:
		return e.number(tagUint, uint64(v))
	case uint64:
		return e.number(tagUint, v)
	case float32:
		return e.number(tagFloat, math.Float64bits(float64(v)))
	case float64:
		return e.number(tagFloat, math.Float64bits(v))
	case Counter:
		return e.number(tagCounter, uint64(v))
	case time.Time:
		ms := v.UnixMilli()
		if far := time.UnixMilli(maxMillis); v.After(far) || v.Before(time.UnixMilli(-maxMillis)) {
			return fmt.Errorf("%w: the time %s is further from 1970 than JavaScript can count", ErrInvalid, v)
		}
		return e.number(tagTime, uint64(ms))
	case map[string]any:
		return e.fields(v)
	case []any:
		return e.list(v)
	default:
		return fmt.Errorf("%w: a value of Go type %T", ErrInvalid, v)
	}
	return nil
}
