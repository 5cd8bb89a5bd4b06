package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// opID names an operation; its actor is an index into the bundle's.
type opID struct{ actor, ctr uint32 }

// bundleOp is one row of a bundle's operations.
type bundleOp struct {
	obj, elem opID   // counter 0: the root, the head
	key, mark int32  // in Bundle.keys, -1 if there is none
	value     uint32 // where it starts in Bundle.value
	meta      uint32 // length of the value<<4 | type
	preds     uint32 // where its predecessors start in Bundle.preds
	numPreds  uint32
	action    Action
	insert    bool
	expand    bool
}

// readOps decodes the columns of the operations, one column after the other.
func (b *Bundle) readOps(cols columnSet) error {
	action, predCount := cols.take(colAction), cols.take(colPredCount)
	n, err := countRows(action, b.limits.rows)
	if err != nil {
		return fmt.Errorf("action column: %w", err)
	}
	var total uint64
	for i := range b.members {
		total += uint64(b.members[i].numOps)
	}
	if n != total {
		return fmt.Errorf("there are %d, but its changes have %d", n, total)
	}
	rows := int(n)
	npreds, err := laxSum(predCount, rows, b.limits.rows)
	if err != nil {
		return fmt.Errorf("predecessor count column: %w", err)
	}
	b.ops = make([]bundleOp, rows)
	b.preds = make([]opID, 0, npreds)
	for _, part := range []struct {
		name string
		err  error
	}{
		{"ids", b.readIDs(cols, rows)},
		{"objects", b.readObjects(cols)},
		{"keys", b.readKeys(cols)},
		{"actions", b.readActions(action, cols)},
		{"values", b.readValues(cols)},
		{"predecessors", b.readPreds(predCount, cols, int(npreds))},
	} {
		if part.err != nil {
			return fmt.Errorf("%s: %w", part.name, part.err)
		}
	}
	return cols.empty()
}

// readIDs finds the row of each operation, in the order of actors and counters,
// and checks that each change has all of its operations.
func (b *Bundle) readIDs(cols columnSet, rows int) error {
	actors := make([]uint32, rows)
	actor := laxInts(cols.take(colBundleIDActor), rows, false)
	for i := range actors {
		a, ok, err := actor.next()
		if err != nil || !ok || a >= uint64(len(b.actors)) {
			return fmt.Errorf("actor of row %d: %w", i, orRange(err))
		}
		actors[i] = uint32(a)
	}
	if err := actor.end(); err != nil {
		return fmt.Errorf("actor column %w", err)
	}
	explicit, inverse := cols.take(colBundleIDCtr), cols.take(colBundleRow)
	if len(inverse) > 0 && len(explicit) > 0 {
		return errors.New("both forms of counters are there")
	}
	b.rows = make([]uint32, rows)
	var err error
	if len(inverse) > 0 || rows == 0 {
		err = b.readInverse(inverse, actors)
	} else {
		err = b.readExplicit(explicit, actors)
	}
	if err != nil {
		return err
	}
	for i, row := range b.rows {
		if uint32(i) != row {
			return nil
		}
	}
	b.rows = nil
	return nil
}

// readInverse reads the row of each operation.
func (b *Bundle) readInverse(col []byte, actors []uint32) error {
	c := laxDeltas(col, len(b.rows))
	taken := make([]bool, len(b.rows))
	for i := range b.rows {
		row, ok, err := c.next()
		if err != nil || !ok || row < 0 || row >= int64(len(b.rows)) {
			return fmt.Errorf("row of operation %d: %w", i, orRange(err))
		}
		if taken[row] {
			return fmt.Errorf("row %d stands for two operations", row)
		}
		b.rows[i], taken[row] = uint32(row), true
	}
	if err := c.end(); err != nil {
		return fmt.Errorf("row column %w", err)
	}
	for i := range b.members {
		m := &b.members[i]
		for _, row := range b.rows[m.ops : m.ops+m.numOps] {
			if actors[row] != m.actor {
				return fmt.Errorf("row %d is not by the author of its change", row)
			}
		}
	}
	return nil
}

// readExplicit reads the counter of each row and sorts the rows.
func (b *Bundle) readExplicit(col []byte, actors []uint32) error {
	ids := make([]opID, len(b.rows))
	c := laxDeltas(col, len(b.rows))
	for i := range ids {
		ctr, ok, err := c.counter()
		if err != nil || !ok {
			return fmt.Errorf("counter of row %d: %w", i, orRange(err))
		}
		ids[i] = opID{actors[i], uint32(ctr)}
		b.rows[i] = uint32(i)
	}
	if err := c.end(); err != nil {
		return fmt.Errorf("counter column %w", err)
	}
	byID := func(i, j uint32) int {
		return cmp.Or(cmp.Compare(ids[i].actor, ids[j].actor), cmp.Compare(ids[i].ctr, ids[j].ctr))
	}
	if !slices.IsSortedFunc(b.rows, byID) {
		slices.SortFunc(b.rows, byID)
	}
	for i := range b.members {
		m := &b.members[i]
		for k := range m.numOps {
			if row := b.rows[m.ops+k]; ids[row] != (opID{m.actor, m.startOp + k}) {
				return fmt.Errorf("operation %d of actor %s is not there", m.startOp+k, b.actors[m.actor])
			}
		}
	}
	return nil
}

// id joins the two columns of an operation id; both are null or neither.
func (b *Bundle) id(actor, ctr uint64, okActor, okCtr bool) (opID, error) {
	switch {
	case okActor != okCtr:
		return opID{}, errors.New("an id has an actor without a counter, or a counter without an actor")
	case !okActor:
		return opID{}, nil
	case actor >= uint64(len(b.actors)):
		return opID{}, fmt.Errorf("actor index %d is out of range", actor)
	case ctr == 0:
		return opID{}, errRange
	}
	return opID{uint32(actor), uint32(ctr)}, nil
}

// readObjects reads the object of each row.
func (b *Bundle) readObjects(cols columnSet) error {
	actor, ctr := laxInts(cols.take(colObjActor), len(b.ops), false), laxDeltas(cols.take(colBundleObjCtr), len(b.ops))
	for i := range b.ops {
		a, okA, err := actor.next()
		if err != nil {
			return fmt.Errorf("actor of row %d: %w", i, err)
		}
		c, okC, err := ctr.counter()
		if err != nil {
			return fmt.Errorf("counter of row %d: %w", i, err)
		}
		if b.ops[i].obj, err = b.id(a, c, okA, okC); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
	}
	return errors.Join(actor.end(), ctr.end())
}

// readKeys reads the map key or the list element of each row.
func (b *Bundle) readKeys(cols columnSet) error {
	actor, ctr := laxInts(cols.take(colKeyActor), len(b.ops), false), laxDeltas(cols.take(colKeyCtr), len(b.ops))
	str := laxStrings(cols.take(colKeyStr), len(b.ops))
	for i := range b.ops {
		op := &b.ops[i]
		a, okA, err := actor.next()
		if err != nil {
			return fmt.Errorf("actor of row %d: %w", i, err)
		}
		c, okC, err := ctr.counter()
		if err != nil {
			return fmt.Errorf("counter of row %d: %w", i, err)
		}
		if op.key, err = b.intern(&b.keys, &str); err != nil {
			return fmt.Errorf("string of row %d: %w", i, err)
		}
		switch {
		case (op.key >= 0) == (okA || okC):
			return fmt.Errorf("row %d: it is missing, or both a string and an element", i)
		case okC && c == 0 && !okA: // the head of the list
		default:
			if op.elem, err = b.id(a, c, okA, okC); err != nil {
				return fmt.Errorf("row %d: %w", i, err)
			}
		}
	}
	return errors.Join(actor.end(), ctr.end(), str.end())
}

// readActions reads what each row does, and the columns of marks.
func (b *Bundle) readActions(actionCol []byte, cols columnSet) error {
	action, insert := laxInts(actionCol, len(b.ops), false), newBoolColumn(cols.take(colInsert), len(b.ops))
	expand, mark := newBoolColumn(cols.take(colExpand), len(b.ops)), laxStrings(cols.take(colMarkName), len(b.ops))
	for i := range b.ops {
		op := &b.ops[i]
		a, ok, err := action.next()
		if err != nil || !ok || a > uint64(lastAction) {
			return fmt.Errorf("action of row %d: %w", i, orRange(err))
		}
		op.action = Action(a)
		if op.insert, err = insert.next(); err != nil {
			return fmt.Errorf("insert column %w", err)
		}
		if op.expand, err = expand.next(); err != nil {
			return fmt.Errorf("expand column %w", err)
		}
		if op.mark, err = b.intern(&b.keys, &mark); err != nil {
			return fmt.Errorf("mark name of row %d: %w", i, err)
		}
	}
	return errors.Join(action.end(), insert.end(), expand.end(), mark.end())
}

// readValues finds the value of each row.
func (b *Bundle) readValues(cols columnSet) error {
	meta := laxInts(cols.take(colValueMeta), len(b.ops), false)
	b.value = cols.take(colValue)
	r := reader{buf: b.value}
	for i := range b.ops {
		m, ok, err := meta.next()
		if err != nil || !ok {
			return fmt.Errorf("metadata of row %d: %w", i, orRange(err))
		}
		b.ops[i].value = uint32(r.off)
		if _, err := r.take(m >> 4); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		if m > MaxChangeBytes<<4 {
			return fmt.Errorf("row %d: %w", i, errRange)
		}
		b.ops[i].meta = uint32(m)
	}
	if !r.done() {
		return errors.New("there are bytes behind the last one")
	}
	return meta.end()
}

// readPreds reads the predecessors of each row.
func (b *Bundle) readPreds(countCol []byte, cols columnSet, npreds int) error {
	count := laxInts(countCol, len(b.ops), false)
	actor, ctr := laxInts(cols.take(colPredActor), npreds, false), laxDeltas(cols.take(colPredCtr), npreds)
	for i := range b.ops {
		n, _, err := count.next()
		if err != nil {
			return fmt.Errorf("number in row %d: %w", i, err)
		}
		b.ops[i].preds, b.ops[i].numPreds = uint32(len(b.preds)), uint32(n)
		for range n {
			a, okA, err := actor.next()
			if err != nil {
				return fmt.Errorf("actor of row %d: %w", i, err)
			}
			c, okC, err := ctr.counter()
			if err != nil {
				return fmt.Errorf("counter of row %d: %w", i, err)
			}
			p, err := b.id(a, c, okA, okC)
			if err != nil || p.ctr == 0 {
				return fmt.Errorf("row %d: %w", i, orRange(err))
			}
			b.preds = append(b.preds, p)
		}
	}
	return errors.Join(count.end(), actor.end(), ctr.end())
}
