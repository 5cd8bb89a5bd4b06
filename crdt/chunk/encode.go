package chunk

import (
	"crypto/sha256"
	"fmt"

	"syncline/crdt/id"
)

// encoder run-length encodes values in the one form that the decoders take.
type encoder[T comparable] struct {
	out     []byte
	write   func([]byte, T) []byte
	run     int // length of the current run of equal values or nulls
	val     T
	null    bool
	literal []T  // values that each stood alone
	any     bool // something but nulls was seen
}

func (e *encoder[T]) add(v T, ok bool) {
	if ok {
		e.any = true
	} else {
		var zero T
		v = zero
	}
	if e.run > 0 && e.null == !ok && e.val == v {
		e.run++
		return
	}
	e.flushRun()
	e.val, e.null, e.run = v, !ok, 1
}

// flushRun moves the current run to the literal or to the output.
func (e *encoder[T]) flushRun() {
	switch {
	case e.run == 0:
	case e.null:
		e.flushLiteral()
		e.out = AppendUint(append(e.out, 0), uint64(e.run))
	case e.run == 1:
		e.literal = append(e.literal, e.val)
	default:
		e.flushLiteral()
		e.out = e.write(AppendInt(e.out, int64(e.run)), e.val)
	}
	e.run = 0
}

func (e *encoder[T]) flushLiteral() {
	if len(e.literal) == 0 {
		return
	}
	e.out = AppendInt(e.out, -int64(len(e.literal)))
	for _, v := range e.literal {
		e.out = e.write(e.out, v)
	}
	e.literal = e.literal[:0]
}

// finish returns the column, empty if it holds only nulls.
func (e *encoder[T]) finish() []byte {
	if !e.any {
		return nil
	}
	e.flushRun()
	e.flushLiteral()
	return e.out
}

func (e *encoder[T]) reset() {
	*e = encoder[T]{out: e.out[:0], write: e.write, literal: e.literal[:0]}
}

// The encoders of integers and strings.
type (
	intEncoder    = encoder[uint64]
	stringEncoder = encoder[string]
)

func newIntEncoder() intEncoder { return intEncoder{write: AppendUint} }

func newStringEncoder() stringEncoder { return stringEncoder{write: appendString} }

func appendString(b []byte, s string) []byte {
	return append(AppendUint(b, uint64(len(s))), s...)
}

// deltaEncoder encodes the differences of integers.
type deltaEncoder struct {
	encoder[int64]
	abs int64
}

func newDeltaEncoder() deltaEncoder { return deltaEncoder{encoder: encoder[int64]{write: AppendInt}} }

func (e *deltaEncoder) add(v int64, ok bool) {
	if !ok {
		e.encoder.add(0, false)
		return
	}
	e.encoder.add(v-e.abs, true)
	e.abs = v
}

func (e *deltaEncoder) reset() { e.encoder.reset(); e.abs = 0 }

// boolEncoder encodes booleans.
type boolEncoder struct {
	out []byte
	run uint64
	val bool
	any bool // a true was seen
}

func (e *boolEncoder) add(v bool) {
	if v != e.val {
		e.out = AppendUint(e.out, e.run)
		e.run, e.val = 0, v
	}
	e.run++
	e.any = e.any || v
}

// finish returns the column, empty if it has no rows.
func (e *boolEncoder) finish() []byte {
	if e.run > 0 {
		e.out = AppendUint(e.out, e.run)
		e.run = 0
	}
	return e.out
}

func (e *boolEncoder) reset() { *e = boolEncoder{out: e.out[:0]} }

// The columns of a change's operations: id<<4 | type.
const (
	colObjActor  = 0x01
	colObjCtr    = 0x02
	colKeyActor  = 0x11
	colKeyCtr    = 0x13
	colKeyStr    = 0x15
	colInsert    = 0x34
	colAction    = 0x42
	colValueMeta = 0x56
	colValue     = 0x57
	colPredCount = 0x70
	colPredActor = 0x71
	colPredCtr   = 0x73
	colExpand    = 0x94
	colMarkName  = 0xa5
)

// opEncoder turns operations into the columns of a change.
type opEncoder struct {
	objActor, objCtr     intEncoder
	keyActor             intEncoder
	keyCtr               deltaEncoder
	keyStr               stringEncoder
	insert               boolEncoder
	action, valueMeta    intEncoder
	value                []byte
	predCount, predActor intEncoder
	predCtr              deltaEncoder
	expand               boolEncoder
	markName             stringEncoder
	table, body          []byte
}

func newOpEncoder() *opEncoder {
	e := &opEncoder{keyCtr: newDeltaEncoder(), predCtr: newDeltaEncoder(), keyStr: newStringEncoder(), markName: newStringEncoder()}
	for _, c := range e.ints() {
		*c = newIntEncoder()
	}
	return e
}

func (e *opEncoder) ints() [7]*intEncoder {
	return [...]*intEncoder{&e.objActor, &e.objCtr, &e.keyActor, &e.action, &e.valueMeta, &e.predCount, &e.predActor}
}

func (e *opEncoder) reset() {
	for _, c := range e.ints() {
		c.reset()
	}
	e.keyCtr.reset()
	e.predCtr.reset()
	e.keyStr.reset()
	e.markName.reset()
	e.insert.reset()
	e.expand.reset()
	e.value = e.value[:0]
}

func (e *opEncoder) add(op *Op) {
	e.objActor.add(uint64(op.Obj.Actor), op.Obj.Ctr > 0)
	e.objCtr.add(op.Obj.Ctr, op.Obj.Ctr > 0)
	e.keyActor.add(uint64(op.Elem.Actor), op.IsElem && op.Elem.Ctr > 0)
	e.keyCtr.add(int64(op.Elem.Ctr), op.IsElem)
	e.keyStr.add(op.Key, !op.IsElem)
	e.insert.add(op.Insert)
	e.action.add(uint64(op.Action), true)
	e.valueMeta.add(uint64(len(op.Value.Raw))<<4|uint64(op.Value.Type&15), true)
	e.value = append(e.value, op.Value.Raw...)
	e.predCount.add(uint64(len(op.Pred)), true)
	for _, p := range op.Pred {
		e.predActor.add(uint64(p.Actor), true)
		e.predCtr.add(int64(p.Ctr), true)
	}
	e.expand.add(op.Expand)
	e.markName.add(op.MarkName, op.HasMark)
}

// Header is what a change says of itself before its operations.
type Header struct {
	Actor       id.Actor
	Seq         uint64
	StartOp     uint64
	Time        int64
	Message     string
	Deps        []id.Hash
	OtherActors []id.Actor
	Extra       []byte
}

// finish writes the chunk around the columns.
func (e *opEncoder) finish(h *Header) (raw []byte, hash id.Hash, bodyAt int) {
	b := e.body[:0]
	b = AppendUint(b, uint64(len(h.Deps)))
	for i := range h.Deps {
		b = append(b, h.Deps[i][:]...)
	}
	b = appendString(b, string(h.Actor))
	b = AppendUint(b, h.Seq)
	b = AppendUint(b, h.StartOp)
	b = AppendInt(b, h.Time)
	b = appendString(b, h.Message)
	b = AppendUint(b, uint64(len(h.OtherActors)))
	for _, a := range h.OtherActors {
		b = appendString(b, string(a))
	}
	var expand []byte
	if e.expand.any {
		expand = e.expand.finish()
	}
	columns := [...]struct {
		spec uint64
		data []byte
	}{
		{colObjActor, e.objActor.finish()}, {colObjCtr, e.objCtr.finish()},
		{colKeyActor, e.keyActor.finish()}, {colKeyCtr, e.keyCtr.finish()}, {colKeyStr, e.keyStr.finish()},
		{colInsert, e.insert.finish()}, {colAction, e.action.finish()},
		{colValueMeta, e.valueMeta.finish()}, {colValue, e.value},
		{colPredCount, e.predCount.finish()}, {colPredActor, e.predActor.finish()}, {colPredCtr, e.predCtr.finish()},
		{colExpand, expand}, {colMarkName, e.markName.finish()},
	}
	n := 0
	t := e.table[:0]
	for _, c := range columns {
		if len(c.data) > 0 {
			n++
			t = AppendUint(AppendUint(t, c.spec), uint64(len(c.data)))
		}
	}
	b = append(AppendUint(b, uint64(n)), t...)
	for _, c := range columns {
		b = append(b, c.data...)
	}
	b = append(b, h.Extra...)
	e.table, e.body = t, b
	return frame(typeChange, b)
}

// Encode writes a change as a type 1 chunk in the canonical form that
// ParseChange takes. It does not validate, so that a test can write a change
// that no honest author would.
func Encode(h Header, ops []Op) ([]byte, error) {
	for i := range ops {
		for _, r := range append([]Ref{ops[i].Obj, ops[i].Elem}, ops[i].Pred...) {
			if int(r.Actor) > len(h.OtherActors) {
				return nil, fmt.Errorf("encode change: operation %d names actor %d of %d", i, r.Actor, len(h.OtherActors)+1)
			}
		}
	}
	e := newOpEncoder()
	for i := range ops {
		e.add(&ops[i])
	}
	raw, _, _ := e.finish(&h)
	return raw, nil
}

// frame puts the header of a chunk before its body.
func frame(typ byte, body []byte) (raw []byte, hash id.Hash, bodyAt int) {
	var size [10]byte
	length := AppendUint(size[:0], uint64(len(body)))
	raw = make([]byte, 0, 9+len(length)+len(body))
	raw = append(raw, magic...)
	raw = append(raw, 0, 0, 0, 0, typ)
	raw = append(raw, length...)
	bodyAt = len(raw)
	raw = append(raw, body...)
	hash = sha256.Sum256(raw[8:])
	copy(raw[4:], hash[:4])
	return raw, hash, bodyAt
}
