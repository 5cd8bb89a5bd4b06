package check

import (
	"errors"
	"fmt"
	"strings"

	"syncline/crdt/chunk"
)

// enterOp checks one operation and appends it to the table.
func (d *Document) enterOp(ctr uint64, op *chunk.Op) error {
	obj, err := d.object(op)
	if err != nil {
		return err
	}
	key, err := d.keyOf(op, obj)
	if err != nil {
		return err
	}
	if err := d.preds(op, obj, key); err != nil {
		return err
	}
	d.obj = append(d.obj, obj)
	d.key = append(d.key, key)
	d.class = append(d.class, classOf(op))
	return nil
}

func classOf(op *chunk.Op) (k class) {
	if kind, ok := op.Action.Makes(); ok {
		k |= isMake | isValue | class(kind)&kindMask
	}
	if op.Action == chunk.Set {
		k |= isValue
	}
	if op.Insert {
		k |= isInsert
	}
	return k
}

// object resolves the object that the operation changes.
func (d *Document) object(op *chunk.Op) (uint32, error) {
	if op.Obj.Ctr == 0 {
		return 0, nil
	}
	at, err := d.find(op.Obj)
	if err != nil {
		return 0, err
	}
	if d.class[at]&isMake == 0 {
		return 0, errors.New("names an object that is a value")
	}
	if kind := chunk.Kind(d.class[at] & kindMask); kind.Sequence() != op.IsElem {
		return 0, fmt.Errorf("has a key that does not fit a %s", kind)
	}
	return at + 1, nil
}

// keyOf resolves the key within the object: the number of a map key, or the
// operation that inserted the list element. A new element is its own key.
func (d *Document) keyOf(op *chunk.Op, obj uint32) (uint32, error) {
	if !op.IsElem {
		k, ok := d.keys[op.Key]
		if !ok {
			k = uint32(len(d.keys))
			d.keys[strings.Clone(op.Key)] = k
		}
		return k, nil
	}
	self := uint32(len(d.obj))
	if op.Elem.Ctr == 0 {
		return self, nil
	}
	at, err := d.find(op.Elem)
	if err != nil {
		return 0, err
	}
	if d.class[at]&isInsert == 0 || d.obj[at] != obj {
		return 0, fmt.Errorf("names operation %d as an element of its list, which it is not", op.Elem.Ctr)
	}
	if op.Insert {
		return self, nil
	}
	return at, nil
}

// preds checks that what the operation overwrites are values under its own key.
func (d *Document) preds(op *chunk.Op, obj, key uint32) error {
	for _, p := range op.Pred {
		at, err := d.find(p)
		if err != nil {
			return err
		}
		if d.obj[at] != obj || d.key[at] != key {
			return fmt.Errorf("overwrites operation %d, which stands under another key", p.Ctr)
		}
		if d.class[at]&isValue == 0 {
			return fmt.Errorf("overwrites operation %d, which is no value", p.Ctr)
		}
	}
	return nil
}
