package chunk

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// docRow is one operation that stands in a document, in 28 bytes: there are as
// many as the document ever had letters.
type docRow struct {
	who   uint32 // index of the actor <<8 | flags
	ctr   uint32
	obj   uint32 // index of the object
	place uint32 // in a map, index of the key; in a list, row of the element plus one, 0 for the head
	meta  uint32 // length of the value <<4 | its type
	value uint32 // where it is in values
	succ  uint32 // its last successor in succs, plus one
}

// The flags of a row, above its action.
const (
	rowAction = 7
	rowInsert = 1 << 3
	rowExpand = 1 << 4
	rowMarked = 1 << 5 // it has an entry in marks
)

func (r *docRow) actor() uint32  { return r.who >> 8 }
func (r *docRow) action() Action { return Action(r.who & rowAction) }
func (r *docRow) insert() bool   { return r.who&rowInsert != 0 }

// docSucc says that an operation overwrites or deletes a row.
type docSucc struct {
	actor, ctr uint32
	next       uint32 // the successor of that row which came before, plus one
}

// docObject is the root or an object that a row makes.
type docObject struct {
	row  uint32
	list bool
}

// docMark names a mark.
type docMark struct{ row, name uint32 }

// addOps makes rows of a change's operations, and successors of their predecessors.
func (w *documentWriter) addOps(c *Change, author uint32) error {
	w.local = append(w.local[:0], author)
	for _, other := range c.OtherActors {
		i, ok := w.actorOf[other]
		if !ok {
			return fmt.Errorf("it refers to actor %s, of whom there is no change", other)
		}
		w.local = append(w.local, i)
	}
	for ctr, op := range c.Ops() {
		if err := w.addOp(author, uint32(ctr), op); err != nil {
			return fmt.Errorf("operation %d (%s): %w", ctr, op.Action, err)
		}
	}
	return nil
}

func (w *documentWriter) addOp(author, ctr uint32, op *Op) error {
	obj, err := w.object(op)
	if err != nil {
		return err
	}
	place, err := w.place(op, obj)
	if err != nil {
		return err
	}
	for _, p := range op.Pred {
		if err := w.addSucc(p, obj, place, author, ctr); err != nil {
			return err
		}
	}
	if op.Action == Delete {
		return nil
	}
	row := uint32(w.rows.len())
	r := docRow{
		who: author<<8 | uint32(op.Action), ctr: ctr, obj: obj, place: place,
		meta: uint32(len(op.Value.Raw))<<4 | uint32(op.Value.Type&15), value: w.values.put(op.Value.Raw),
	}
	if op.Insert {
		r.who |= rowInsert
	}
	if op.Expand {
		r.who |= rowExpand
	}
	if op.HasMark {
		r.who |= rowMarked
		w.marks = append(w.marks, docMark{row, w.key(op.MarkName)})
	}
	w.rows.add(r)
	if kind, ok := op.Action.Makes(); ok {
		w.objects = append(w.objects, docObject{row: row, list: kind.Sequence()})
	}
	runs := &w.actors[author].runs
	if k := len(*runs); k > 0 {
		if last := &(*runs)[k-1]; last.ctr+last.n == ctr && last.row+last.n == row {
			last.n++
			return nil
		}
	}
	*runs = append(*runs, opRun{ctr, row, 1})
	return nil
}

// find returns the row of an operation. A deletion has none.
func (w *documentWriter) find(r Ref) (row uint32, ok bool) {
	runs := w.actors[w.local[r.Actor]].runs
	ctr := uint32(r.Ctr)
	i := len(runs) - 1
	if i >= 0 && runs[i].ctr > ctr {
		i = sort.Search(i, func(i int) bool { return runs[i].ctr > ctr }) - 1
	}
	if i < 0 || ctr-runs[i].ctr >= runs[i].n {
		return 0, false
	}
	return runs[i].row + ctr - runs[i].ctr, true
}

// object finds the object that an operation works on.
func (w *documentWriter) object(op *Op) (uint32, error) {
	obj := uint32(0)
	if op.Obj.Ctr > 0 {
		row, ok := w.find(op.Obj)
		if !ok {
			return 0, errors.New("its object did not come before it")
		}
		obj = w.lastObj
		if obj == 0 || w.objects[obj].row != row {
			i, ok := slices.BinarySearchFunc(w.objects[1:], row, func(o docObject, row uint32) int { return int(o.row) - int(row) })
			if !ok {
				return 0, errors.New("its object is none")
			}
			obj = uint32(i) + 1
			w.lastObj = obj
		}
	}
	if w.objects[obj].list != op.IsElem {
		return 0, errors.New("its key does not fit its object")
	}
	return obj, nil
}

// place finds the key or the list element that an operation names.
func (w *documentWriter) place(op *Op, obj uint32) (uint32, error) {
	if !op.IsElem {
		return w.key(op.Key), nil
	}
	if op.Elem.Ctr == 0 {
		return 0, nil
	}
	row, ok := w.find(op.Elem)
	if !ok {
		return 0, errors.New("its list element did not come before it")
	}
	if r := w.rows.at(row); r.obj != obj || !r.insert() {
		return 0, errors.New("its list element is none of that list")
	}
	return row + 1, nil
}

// addSucc notes that an operation at a place has a predecessor.
func (w *documentWriter) addSucc(pred Ref, obj, place, author, ctr uint32) error {
	row, ok := w.find(pred)
	if !ok {
		return errors.New("what it overwrites did not come before it")
	}
	r := w.rows.at(row)
	at := r.place
	if r.insert() {
		at = row + 1
	}
	if r.obj != obj || at != place {
		return errors.New("what it overwrites stands at another place")
	}
	if r.action() == Increment || r.action() == Mark {
		return errors.New("what it overwrites is no value")
	}
	w.succs.add(docSucc{author, ctr, r.succ})
	r.succ = uint32(w.succs.len())
	return nil
}

func (w *documentWriter) key(s string) uint32 {
	i, ok := w.keyOf[s]
	if !ok {
		i = uint32(len(w.keys))
		s = strings.Clone(s) // or it would hold on to the whole change
		w.keys = append(w.keys, s)
		w.keyOf[s] = i
	}
	return i
}
