package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"sort"
	"sync"
	"unicode/utf8"
)

// opReader decodes the columns of a change row by row.
type opReader struct {
	objActor, objCtr, keyActor intColumn
	keyCtr                     deltaColumn
	keyStr                     stringColumn
	insert                     boolColumn
	action, valueMeta          intColumn
	value                      reader
	predCount, predActor       intColumn
	predCtr                    deltaColumn
	expand                     boolColumn
	markName                   stringColumn

	actors uint64 // how many the change names
	op     Op
}

// opReaders spares an allocation of a kilobyte for each change.
var opReaders = sync.Pool{New: func() any { return new(opReader) }}

// release gives the reader back. Its operation must not be used any more.
func (r *opReader) release() {
	*r = opReader{op: Op{Pred: r.op.Pred[:0]}}
	opReaders.Put(r)
}

func newOpReader(k *opColumns, rows, otherActors int) (*opReader, error) {
	preds := uint64(0)
	if len(k.predActor)+len(k.predCtr) > 0 {
		var err error
		if preds, err = sumColumn(k.predCount, rows, MaxOps); err != nil {
			return nil, fmt.Errorf("predecessor counts: %w", err)
		}
	}
	r := opReaders.Get().(*opReader)
	r.objActor = newIntColumn(k.objActor, rows, false)
	r.objCtr = newIntColumn(k.objCtr, rows, false)
	r.keyActor = newIntColumn(k.keyActor, rows, false)
	r.keyCtr = newDeltaColumn(k.keyCtr, rows)
	r.keyStr = newStringColumn(k.keyStr, rows)
	r.insert = newBoolColumn(k.insert, rows)
	r.action = newIntColumn(k.action, rows, false)
	r.valueMeta = newIntColumn(k.valueMeta, rows, false)
	r.value = reader{buf: k.value}
	r.predCount = newIntColumn(k.predCount, rows, false)
	r.predActor = newIntColumn(k.predActor, int(preds), false)
	r.predCtr = newDeltaColumn(k.predCtr, int(preds))
	r.expand = newBoolColumn(k.expand, rows)
	r.markName = newStringColumn(k.markName, rows)
	r.actors = uint64(otherActors) + 1
	return r, nil
}

// ref joins the two columns of an operation id; both are null or neither.
func (r *opReader) ref(actor, ctr uint64, okActor, okCtr bool) (Ref, error) {
	switch {
	case okActor != okCtr:
		return Ref{}, errors.New("an id has an actor without a counter, or a counter without an actor")
	case !okActor:
		return Ref{}, nil
	case actor >= r.actors:
		return Ref{}, fmt.Errorf("actor index %d is out of range", actor)
	case ctr == 0 || ctr > MaxCounter:
		return Ref{}, errRange
	}
	return Ref{Actor: uint32(actor), Ctr: ctr}, nil
}

// next decodes one row into r.op.
func (r *opReader) next() (err error) {
	op := &r.op
	a, okA, err := r.objActor.next()
	if err != nil {
		return fmt.Errorf("object actor column %w", err)
	}
	c, okC, err := r.objCtr.next()
	if err != nil {
		return fmt.Errorf("object counter column %w", err)
	}
	if op.Obj, err = r.ref(a, c, okA, okC); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	if err := r.nextKey(); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if op.Insert, err = r.insert.next(); err != nil {
		return fmt.Errorf("insert column %w", err)
	}
	if len(r.insert.buf) == 0 {
		return errors.New("insert column is missing")
	}
	act, ok, err := r.action.next()
	if err != nil {
		return fmt.Errorf("action column %w", err)
	}
	if !ok || act > uint64(lastAction) {
		return fmt.Errorf("action %d is unknown", act)
	}
	op.Action = Action(act)
	if err := r.nextValue(); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if err := r.nextPreds(); err != nil {
		return fmt.Errorf("predecessors: %w", err)
	}
	if op.Expand, err = r.expand.next(); err != nil {
		return fmt.Errorf("expand column %w", err)
	}
	if op.MarkName, op.HasMark, err = r.markName.next(); err != nil {
		return fmt.Errorf("mark name column %w", err)
	}
	return nil
}

func (r *opReader) nextKey() error {
	op := &r.op
	a, okA, err := r.keyActor.next()
	if err != nil {
		return err
	}
	c, okC, err := r.keyCtr.counter()
	if err != nil {
		return err
	}
	s, okS, err := r.keyStr.next()
	if err != nil {
		return err
	}
	op.Key, op.Elem, op.IsElem = s, Ref{}, !okS
	switch {
	case okS && (okA || okC):
		return errors.New("it is both a string and an element")
	case !okS && !okA && !okC:
		return errors.New("it is missing")
	case okC && c == 0 && !okA: // the head of the list
		return nil
	}
	op.Elem, err = r.ref(a, c, okA, okC)
	return err
}

func (r *opReader) nextValue() error {
	meta, ok, err := r.valueMeta.next()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("it is missing")
	}
	r.op.Value.Type = ValueType(meta & 15)
	r.op.Value.Raw, err = r.value.take(meta >> 4)
	return err
}

func (r *opReader) nextPreds() error {
	r.op.Pred = r.op.Pred[:0]
	n, ok, err := r.predCount.next()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("their number is missing")
	}
	for range n {
		a, okA, err := r.predActor.next()
		if err != nil {
			return err
		}
		c, okC, err := r.predCtr.counter()
		if err != nil {
			return err
		}
		p, err := r.ref(a, c, okA, okC)
		if err != nil {
			return err
		}
		if p.Ctr == 0 {
			return errors.New("an id is missing")
		}
		r.op.Pred = append(r.op.Pred, p)
	}
	return nil
}

// end checks that every column ends with the last row.
func (r *opReader) end() error {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"object actor", r.objActor.end()}, {"object counter", r.objCtr.end()},
		{"key actor", r.keyActor.end()}, {"key counter", r.keyCtr.end()}, {"key string", r.keyStr.end()},
		{"insert", r.insert.end()}, {"action", r.action.end()}, {"value metadata", r.valueMeta.end()},
		{"predecessor count", r.predCount.end()}, {"predecessor actor", r.predActor.end()}, {"predecessor counter", r.predCtr.end()},
		{"expand", r.expand.end()}, {"mark name", r.markName.end()},
	} {
		if c.err != nil {
			return fmt.Errorf("%s column %w", c.name, c.err)
		}
	}
	if !r.value.done() {
		return errors.New("value column has bytes behind its last row")
	}
	if len(r.expand.buf) > 0 && !r.expand.seen {
		return errors.New("expand column is all false and so must be left out")
	}
	return nil
}

// validator checks operations as far as their change alone tells.
type validator struct {
	c    *Change
	used []bool   // per actor of the change: some operation refers to it
	free int      // creating operations left
	open struct { // the start of a mark that the next operation must end
		Action    Action // Mark, if there is one
		obj, elem Ref
	}
}

// check refuses operation ctr if the core could not apply it, or could not give
// it back from a saved document as it was.
func (v *validator) check(ctr uint64, op *Op) error {
	if err := v.checkObject(ctr, op); err != nil {
		return err
	}
	if err := v.checkKey(ctr, op); err != nil {
		return err
	}
	if err := v.checkPreds(ctr, op); err != nil {
		return err
	}
	if err := checkValue(op.Value); err != nil {
		return err
	}
	return v.checkAction(ctr, op)
}

// use notes a reference and refuses one that does not point backwards.
func (v *validator) use(ctr uint64, r Ref) error {
	if r.Ctr >= ctr {
		return fmt.Errorf("it refers to operation %d, which is not before it", r.Ctr)
	}
	if len(v.used) > 0 {
		v.used[r.Actor] = true
	}
	return nil
}

func (v *validator) checkObject(ctr uint64, op *Op) error {
	if op.Obj.Ctr == 0 {
		if op.IsElem {
			return errors.New("the root is a map and has no list elements")
		}
		return nil
	}
	if err := v.use(ctr, op.Obj); err != nil {
		return err
	}
	if op.Obj.Actor != 0 || op.Obj.Ctr < v.c.StartOp {
		return nil // made by another change: for the check in the document
	}
	i := sort.Search(len(v.c.makes), func(i int) bool { return v.c.makes[i].Counter >= op.Obj.Ctr })
	if i == len(v.c.makes) || v.c.makes[i].Counter != op.Obj.Ctr {
		return fmt.Errorf("its object %d is no object", op.Obj.Ctr)
	}
	if v.c.makes[i].Kind.Sequence() != op.IsElem {
		return fmt.Errorf("its key does not fit a %s", v.c.makes[i].Kind)
	}
	return nil
}

func (v *validator) checkKey(ctr uint64, op *Op) error {
	switch {
	case !op.IsElem && op.Insert:
		return errors.New("it inserts at a map key")
	case op.IsElem && op.Elem.Ctr == 0 && !op.Insert:
		return errors.New("it changes the head of a list")
	case op.IsElem && op.Elem.Ctr > 0:
		if op.Elem.Actor == op.Obj.Actor && op.Elem.Ctr <= op.Obj.Ctr {
			return errors.New("its element is older than its list")
		}
		return v.use(ctr, op.Elem)
	}
	return nil
}

func (v *validator) checkPreds(ctr uint64, op *Op) error {
	if op.Insert && len(op.Pred) > 0 {
		return errors.New("an insertion overwrites something")
	}
	for i, p := range op.Pred {
		if err := v.use(ctr, p); err != nil {
			return err
		}
		if i > 0 && v.compare(op.Pred[i-1], p) >= 0 {
			return errors.New("its predecessors are not in ascending order")
		}
	}
	if op.IsElem && !op.Insert && len(op.Pred) == 0 {
		return errors.New("it changes a list element and overwrites nothing")
	}
	return nil
}

// compare orders operation ids: by counter, then by the bytes of the actor.
func (v *validator) compare(a, b Ref) int {
	if c := cmp.Compare(a.Ctr, b.Ctr); c != 0 {
		return c
	}
	return cmp.Compare(v.c.ActorOf(a.Actor), v.c.ActorOf(b.Actor))
}

func (v *validator) checkAction(ctr uint64, op *Op) error {
	if op.Action != Delete {
		if v.free--; v.free < 0 {
			return errors.New("the change creates too much for its size")
		}
	}
	if op.Action != Mark && (op.Expand || op.HasMark) {
		return errors.New("it has the flags of a mark")
	}
	if ends := op.Action == Mark && !op.HasMark; ends != (v.open.Action == Mark) {
		return errors.New("the end of a mark does not follow its start")
	}
	switch op.Action {
	case MakeTable:
		return errors.New("tables are not supported: no present version writes them, and some fail to read them")
	case MakeMap, MakeList, MakeText:
		if op.Value.Type != Null {
			return errors.New("a new object has a value")
		}
		kind, _ := op.Action.Makes()
		v.c.makes = append(v.c.makes, Make{Counter: ctr, Kind: kind})
	case Delete:
		if op.Value.Type != Null || op.Insert || len(op.Pred) == 0 {
			return errors.New("a deletion has a value, inserts, or deletes nothing")
		}
	case Increment:
		if op.Value.Type != Int || op.Insert || len(op.Pred) == 0 {
			return errors.New("an increment is not by an integer, inserts, or has nothing to increment")
		}
	case Mark:
		if !op.Insert {
			return errors.New("a mark is not inserted into a list")
		}
		return v.checkMark(op)
	}
	return nil
}

// checkMark checks one half of a mark. A start is numbered just before its end,
// which is how an end names its start, and stands before it in the list.
func (v *validator) checkMark(op *Op) error {
	if op.HasMark {
		v.open.Action, v.open.obj, v.open.elem = Mark, op.Obj, op.Elem
		return nil
	}
	start := v.open
	v.open.Action = 0
	switch {
	case op.Value.Type != Null:
		return errors.New("the end of a mark has a value")
	case op.Obj != start.obj:
		return errors.New("the end of a mark is not in the list of its start")
	case op.Elem == start.elem || op.Elem.Ctr == 0:
		// Of siblings the later stands first, so it would come before its start.
		return errors.New("the end of a mark stands before its start")
	}
	return nil
}

// checkValue refuses a value that is not in the one form of its type.
func checkValue(v Value) error {
	r := reader{buf: v.Raw}
	var err error
	switch v.Type {
	case Null, False, True:
		if len(v.Raw) > 0 {
			return errors.New("a null or a boolean has bytes")
		}
	case Uint:
		_, err = r.uint()
	case Int, Counter, Timestamp:
		_, err = r.int()
	case Float:
		if len(v.Raw) != 8 {
			return errors.New("a float does not have eight bytes")
		}
		return nil
	case String:
		if !utf8.Valid(v.Raw) {
			return errUTF8
		}
		return nil
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if !r.done() {
		return errors.New("a value has bytes behind its number")
	}
	return nil
}
