package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// docOp is one operation of a document chunk, in 36 bytes. Actors are indexes into
// the document's table, so that ids order as (counter, index).
type docOp struct {
	actor, ctr         uint32
	objActor, objCtr   uint32 // counter 0: the root
	elemActor, elemCtr uint32 // counter 0: the head; or, if keyed, 0 and an index into keys
	meta, value        uint32 // length <<4 | type, and where it starts in values
	action             Action
	flags              docFlags
}

// docFlags are the booleans of an operation.
type docFlags uint8

const (
	docKeyed  docFlags = 1 << iota // it stands at a key, and not at a list element
	docInsert                      // it is a new element
	docExpand
	docMarked // it has a name in marks
)

func (f docFlags) has(one docFlags) bool { return f&one != 0 }

// set adds a flag if on.
func (f *docFlags) set(one docFlags, on bool) {
	if on {
		*f |= one
	}
}

// markName is the name of the mark that an operation starts, as an index into keys.
type markName struct{ op, name uint32 }

// succ says that operation (actor, ctr) overwrites or deletes ops[pred].
type succ struct{ actor, ctr, pred uint32 }

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
	keyStr, markNames := laxStrings(cols.take(colKeyStr), rows), laxStrings(cols.take(colMarkName), rows)
	insert, expand := newBoolColumn(cols.take(colInsert), rows), newBoolColumn(cols.take(colExpand), rows)
	actions, meta := laxInts(action, rows, false), laxInts(cols.take(colValueMeta), rows, false)
	counts := laxInts(succCount, rows, false)
	value := reader{buf: cols.take(colValue)}
	if err := cols.empty(); err != nil {
		return err
	}

	strings := map[string]uint32{}
	intern := func(s string) uint32 {
		i, have := strings[s]
		if !have {
			i = uint32(len(d.keys))
			d.keys = append(d.keys, s)
			strings[s] = i
		}
		return i
	}
	d.values = value.buf
	d.ops = make([]docOp, rows)
	d.succs = make([]succ, 0, nsucc)
	for i := range d.ops {
		op := &d.ops[i]
		var e [12]error
		var a, c, m, act uint64
		var ctr uint64
		var okA, okC, okM, okAct, okKey, on bool
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
		if okKey {
			op.flags, op.elemCtr = docKeyed, intern(key)
		}
		on, e[6] = insert.next()
		op.flags.set(docInsert, on)
		act, okAct, e[7] = actions.next()
		if !okAct || act > uint64(lastAction) || Action(act) == Delete {
			return fmt.Errorf("row %d: action %d does not stand in documents", i, act)
		}
		op.action = Action(act)
		m, okM, e[8] = meta.next()
		if !okM || m>>4 > MaxChangeBytes {
			return fmt.Errorf("row %d: its value is missing or too long", i)
		}
		op.meta, op.value = uint32(m), uint32(value.off)
		_, e[9] = value.take(m >> 4)
		on, e[10] = expand.next()
		op.flags.set(docExpand, on)
		mark, on, e[11] = markNames.next()
		if op.flags.set(docMarked, on); on {
			d.marks = append(d.marks, markName{uint32(i), intern(mark)})
		}
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
			d.succs = append(d.succs, succ{actor, ctr, uint32(i)})
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

// sort puts the successors, and the rows in d.order, in the order of (actor,
// counter), in which changes take them.
func (d *document) sort() error {
	slices.SortFunc(d.succs, func(a, b succ) int {
		if a.actor != b.actor {
			return cmp.Compare(a.actor, b.actor)
		}
		if a.ctr != b.ctr {
			return cmp.Compare(a.ctr, b.ctr)
		}
		p, q := &d.ops[a.pred], &d.ops[b.pred]
		return cmp.Or(cmp.Compare(p.ctr, q.ctr), cmp.Compare(p.actor, q.actor))
	})
	d.order = make([]uint32, len(d.ops))
	for i := range d.order {
		d.order[i] = uint32(i)
	}
	slices.SortFunc(d.order, func(a, b uint32) int {
		p, q := &d.ops[a], &d.ops[b]
		if p.actor != q.actor {
			return cmp.Compare(p.actor, q.actor)
		}
		return cmp.Compare(p.ctr, q.ctr)
	})
	for i := 1; i < len(d.order); i++ {
		if a, b := &d.ops[d.order[i-1]], &d.ops[d.order[i]]; a.actor == b.actor && a.ctr == b.ctr {
			return errors.New("two operations have the same id")
		}
	}
	return nil
}

// withPreds is an operation with its predecessors, found by turning the
// successors of the others around.
type withPreds struct {
	ctr        uint32
	op         uint32 // index into ops; for a deletion, of an operation it deletes
	del        bool
	first, end uint32 // its predecessors in succs, ascending
}

// preds are the successor entries that name w.
func (d *document) preds(w *withPreds) []succ { return d.succs[w.first:w.end] }

// cursor is how far the changes of one actor have taken its operations.
type cursor struct {
	seq            uint64 // of its last change
	op, opEnd      uint32 // in order
	succ, succsEnd uint32 // in succs
}

// cursors returns those of all actors, at their start.
func (d *document) cursors() []cursor {
	all := make([]cursor, len(d.actors))
	op, succ := uint32(0), uint32(0)
	for a := range all {
		all[a].op, all[a].succ = op, succ
		for int(op) < len(d.order) && d.ops[d.order[op]].actor == uint32(a) {
			op++
		}
		for int(succ) < len(d.succs) && d.succs[succ].actor == uint32(a) {
			succ++
		}
		all[a].opEnd, all[a].succsEnd = op, succ
	}
	return all
}

// take appends an actor's next operations up to maxOp. A successor that is no
// operation of the document was a deletion.
func (d *document) take(c *cursor, maxOp uint64, ops []withPreds) []withPreds {
	for {
		w := withPreds{ctr: math.MaxUint32, first: c.succ}
		if c.op < c.opEnd {
			w.op = d.order[c.op]
			w.ctr = d.ops[w.op].ctr
		}
		if c.succ < c.succsEnd && d.succs[c.succ].ctr < w.ctr {
			w.ctr, w.op, w.del = d.succs[c.succ].ctr, d.succs[c.succ].pred, true
		}
		if uint64(w.ctr) > maxOp || w.ctr == math.MaxUint32 {
			return ops
		}
		for c.succ < c.succsEnd && d.succs[c.succ].ctr == w.ctr {
			c.succ++
		}
		if !w.del {
			c.op++
		}
		w.end = c.succ
		ops = append(ops, w)
	}
}
