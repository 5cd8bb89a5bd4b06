package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// docOp is one operation of a document chunk. Actors are indexes into the
// document's table, so that ids order as (counter, index).
type docOp struct {
	actor, ctr         uint32
	objActor, objCtr   uint32 // counter 0: the root
	elemActor, elemCtr uint32 // counter 0: the head
	key, mark          int32  // index into keys, -1 if none
	insert, expand     bool
	action             Action
	valueType          ValueType
	value              []byte
}

// opKey packs an operation id so that ids of one actor are neighbours.
func opKey(actor, ctr uint32) uint64 { return uint64(actor)<<32 | uint64(ctr) }

// succ says that operation key overwrites or deletes ops[pred].
type succ struct {
	key  uint64
	pred uint32
}

func laxInts(b []byte, rows int, signed bool) intColumn {
	c := newIntColumn(b, rows, signed)
	c.lax = true
	return c
}

func laxDeltas(b []byte, rows int) deltaColumn {
	c := newDeltaColumn(b, rows)
	c.lax = true
	return c
}

func laxStrings(b []byte, rows int) stringColumn {
	c := newStringColumn(b, rows)
	c.lax = true
	return c
}

// ids decodes a pair of columns that together hold operation ids.
type ids struct {
	actor  intColumn
	ctr    deltaColumn
	actors int
}

func (c *ids) next() (actor, ctr uint32, err error) {
	a, okA, err := c.actor.next()
	if err != nil {
		return 0, 0, err
	}
	n, okC, err := c.ctr.counter()
	if err != nil {
		return 0, 0, err
	}
	if !okA || !okC || a >= uint64(c.actors) || n == 0 {
		return 0, 0, errors.New("an id is missing or out of range")
	}
	return uint32(a), uint32(n), nil
}

// readOps decodes the operation columns into d.ops and d.succs.
func (d *document) readOps(cols columnSet) error {
	action := cols.take(colAction)
	n, err := countRows(action, d.rows)
	if err != nil {
		return fmt.Errorf("action column: %w", err)
	}
	rows := int(n)
	succCount := cols.take(colDocSuccCount)
	nsucc, err := laxSum(succCount, rows, d.rows)
	if err != nil {
		return fmt.Errorf("successor count column: %w", err)
	}
	opID := ids{laxInts(cols.take(colDocIDActor), rows, false), laxDeltas(cols.take(colDocIDCtr), rows), len(d.actors)}
	succID := ids{laxInts(cols.take(colDocSuccActor), int(nsucc), false), laxDeltas(cols.take(colDocSuccCtr), int(nsucc)), len(d.actors)}
	objActor, objCtr := laxInts(cols.take(colObjActor), rows, false), laxInts(cols.take(colObjCtr), rows, false)
	keyActor, keyCtr := laxInts(cols.take(colKeyActor), rows, false), laxDeltas(cols.take(colKeyCtr), rows)
	keyStr, markName := laxStrings(cols.take(colKeyStr), rows), laxStrings(cols.take(colMarkName), rows)
	insert, expand := newBoolColumn(cols.take(colInsert), rows), newBoolColumn(cols.take(colExpand), rows)
	actions, meta := laxInts(action, rows, false), laxInts(cols.take(colValueMeta), rows, false)
	counts := laxInts(succCount, rows, false)
	value := reader{buf: cols.take(colValue)}
	if err := cols.empty(); err != nil {
		return err
	}

	strings := map[string]int32{}
	intern := func(s string, ok bool) int32 {
		if !ok {
			return -1
		}
		i, have := strings[s]
		if !have {
			i = int32(len(d.keys))
			d.keys = append(d.keys, s)
			strings[s] = i
		}
		return i
	}
	d.ops = make([]docOp, rows)
	d.succs = make([]succ, 0, nsucc)
	for i := range d.ops {
		op := &d.ops[i]
		var e [12]error
		var a, c, m, act uint64
		var ctr uint64
		var okA, okC, okM, okAct, okKey, okMark bool
		var key, mark string
		op.actor, op.ctr, e[0] = opID.next()
		a, okA, e[1] = objActor.next()
		c, okC, e[2] = objCtr.next()
		if okA != okC || a >= max(1, uint64(len(d.actors))) || c > MaxCounter || okC && c == 0 {
			return fmt.Errorf("row %d: its object is out of range", i)
		}
		op.objActor, op.objCtr = uint32(a), uint32(c)
		a, okA, e[3] = keyActor.next()
		ctr, okC, e[4] = keyCtr.counter()
		key, okKey, e[5] = keyStr.next()
		if okKey == okC || okA && !okC || okC && okA == (ctr == 0) || okA && a >= uint64(len(d.actors)) {
			return fmt.Errorf("row %d: its key is missing or out of range", i)
		}
		op.elemActor, op.elemCtr = uint32(a), uint32(ctr)
		op.key = intern(key, okKey)
		op.insert, e[6] = insert.next()
		act, okAct, e[7] = actions.next()
		if !okAct || act > uint64(lastAction) || Action(act) == Delete {
			return fmt.Errorf("row %d: action %d does not stand in documents", i, act)
		}
		op.action = Action(act)
		m, okM, e[8] = meta.next()
		if !okM {
			return fmt.Errorf("row %d: its value is missing", i)
		}
		op.valueType = ValueType(m & 15)
		op.value, e[9] = value.take(m >> 4)
		op.expand, e[10] = expand.next()
		mark, okMark, e[11] = markName.next()
		op.mark = intern(mark, okMark)
		for _, err := range e {
			if err != nil {
				return fmt.Errorf("row %d: %w", i, err)
			}
		}
		n, _, err := counts.next()
		if err != nil {
			return fmt.Errorf("row %d: successors: %w", i, err)
		}
		for range n {
			actor, ctr, err := succID.next()
			if err != nil {
				return fmt.Errorf("row %d: successors: %w", i, err)
			}
			d.succs = append(d.succs, succ{opKey(actor, ctr), uint32(i)})
		}
	}
	return nil
}

// laxSum adds up a column of counts, in which nulls do not stand.
func laxSum(b []byte, rows int, limit uint64) (uint64, error) {
	c := laxInts(b, rows, false)
	var total uint64
	for range rows {
		v, ok, err := c.next()
		if err != nil {
			return 0, err
		}
		if !ok && len(b) > 0 || v > limit {
			return 0, errRange
		}
		if total += v; total > limit {
			return 0, errRange
		}
	}
	return total, nil
}

// withPreds is an operation with its predecessors, found by turning the
// successors of the others around.
type withPreds struct {
	key        uint64
	op         int32 // index into ops; for a deletion, of an operation it deletes
	del        bool
	first, end uint32 // its predecessors in succs, ascending
}

func (w *withPreds) ctr() uint64 { return w.key & (1<<32 - 1) }

// invert orders all operations by (actor, counter), each with its predecessors.
// A successor that is no operation of the document was a deletion.
func (d *document) invert() ([]withPreds, error) {
	slices.SortFunc(d.succs, func(a, b succ) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		p, q := &d.ops[a.pred], &d.ops[b.pred]
		if c := cmp.Compare(p.ctr, q.ctr); c != 0 {
			return c
		}
		return cmp.Compare(p.actor, q.actor)
	})
	groups := 0
	for i := range d.succs {
		if i == 0 || d.succs[i].key != d.succs[i-1].key {
			groups++
		}
	}
	all := make([]withPreds, 0, len(d.ops)+groups)
	for i := range d.ops {
		all = append(all, withPreds{key: opKey(d.ops[i].actor, d.ops[i].ctr), op: int32(i)})
	}
	byKey := func(a, b withPreds) int { return cmp.Compare(a.key, b.key) }
	slices.SortFunc(all, byKey)
	at, kept := 0, len(all)
	for i := 0; i < len(d.succs); {
		j := i + 1
		for j < len(d.succs) && d.succs[j].key == d.succs[i].key {
			j++
		}
		key := d.succs[i].key
		for at < kept && all[at].key < key {
			at++
		}
		if at < kept && all[at].key == key {
			all[at].first, all[at].end = uint32(i), uint32(j)
		} else {
			all = append(all, withPreds{key: key, op: int32(d.succs[i].pred), del: true, first: uint32(i), end: uint32(j)})
		}
		i = j
	}
	slices.SortFunc(all, byKey)
	for i := 1; i < len(all); i++ {
		if all[i].key == all[i-1].key {
			return nil, errors.New("two operations have the same id")
		}
	}
	return all, nil
}

// preds are the successor entries that name w.
func (d *document) preds(w *withPreds) []succ { return d.succs[w.first:w.end] }
