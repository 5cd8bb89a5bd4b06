package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// readMembers decodes the columns of the changes.
func (b *Bundle) readMembers(cols columnSet) error {
	actorCol, depCountCol := cols.take(colBundleActor), cols.take(colBundleDepCount)
	n, err := countRows(actorCol, b.limits.changes)
	if err != nil {
		return fmt.Errorf("actor column: %w", err)
	}
	rows := int(n)
	ndeps, err := laxSum(depCountCol, rows, b.limits.rows)
	if err != nil {
		return fmt.Errorf("dep count column: %w", err)
	}
	actor, seq := laxInts(actorCol, rows, false), laxDeltas(cols.take(colBundleSeq), rows)
	startOp, maxOp := laxDeltas(cols.take(colBundleStartOp), rows), laxDeltas(cols.take(colBundleMaxOp), rows)
	time, message := laxDeltas(cols.take(colBundleTime), rows), laxStrings(cols.take(colBundleMessage), rows)
	depCount, depIndex := laxInts(depCountCol, rows, false), laxDeltas(cols.take(colBundleDepIndex), int(ndeps))
	extraCount := laxInts(cols.take(colBundleExtraCount), rows, false)
	b.extra = cols.take(colBundleExtra)
	if err := cols.empty(); err != nil {
		return err
	}
	extra := reader{buf: b.extra}
	b.members = make([]member, rows)
	b.deps = make([]uint32, 0, ndeps)
	for i := range b.members {
		m := &b.members[i]
		a, okA, err := actor.next()
		if err != nil || !okA || a >= uint64(len(b.actors)) {
			return fmt.Errorf("change %d: actor: %w", i, orRange(err))
		}
		s, okS, err := seq.next()
		if err != nil || !okS || s <= 0 || s > MaxSeq {
			return fmt.Errorf("change %d: sequence number: %w", i, orRange(err))
		}
		start, okStart, err := startOp.counter()
		if err != nil || !okStart || start == 0 {
			return fmt.Errorf("change %d: start of its operations: %w", i, orRange(err))
		}
		end, okEnd, err := maxOp.counter()
		if err != nil || !okEnd || end+1 < start || end+1-start > MaxOps {
			return fmt.Errorf("change %d: its last operation: %w", i, orRange(err))
		}
		if m.time, _, err = time.next(); err != nil {
			return fmt.Errorf("change %d: time: %w", i, err)
		}
		m.actor, m.seq, m.startOp, m.numOps = uint32(a), uint32(s), uint32(start), uint32(end+1-start)
		if m.message, err = b.intern(&b.messages, &message); err != nil {
			return fmt.Errorf("change %d: message: %w", i, err)
		}
		if err := b.readDeps(i, &depCount, &depIndex); err != nil {
			return fmt.Errorf("change %d: deps: %w", i, err)
		}
		size, _, err := extraCount.next()
		m.extra = uint32(extra.off)
		if err == nil {
			_, err = extra.take(size)
		}
		if err != nil {
			return fmt.Errorf("change %d: extra bytes: %w", i, err)
		}
		m.extraTo = uint32(extra.off)
	}
	if err := errors.Join(actor.end(), seq.end(), startOp.end(), maxOp.end(), time.end(), message.end(),
		depCount.end(), depIndex.end(), extraCount.end()); err != nil {
		return fmt.Errorf("a column %w", err)
	}
	if !extra.done() {
		return errors.New("extra bytes belong to no change")
	}
	return b.placeOps()
}

// intern reads the next string of a column into a table, of which equal neighbours
// share an entry. It returns the index, -1 for a null.
func (b *Bundle) intern(table *[]string, c *stringColumn) (int32, error) {
	s, ok, err := c.next()
	if err != nil || !ok {
		return -1, err
	}
	if k := len(*table); k == 0 || (*table)[k-1] != s {
		*table = append(*table, s)
	}
	return int32(len(*table) - 1), nil
}

func (b *Bundle) readDeps(i int, count *intColumn, index *deltaColumn) error {
	m := &b.members[i]
	m.deps = uint32(len(b.deps))
	n, _, err := count.next()
	if err != nil {
		return err
	}
	if n > MaxDeps {
		return fmt.Errorf("are %d", n)
	}
	members := int64(len(b.members))
	for range n {
		d, ok, err := index.next()
		if err != nil {
			return err
		}
		if !ok || d < 0 || d >= int64(i) && d < members || d >= members+int64(len(b.external)) {
			return fmt.Errorf("one is change %d, which is not before it", d)
		}
		b.deps = append(b.deps, uint32(d))
	}
	m.depsEnd = uint32(len(b.deps))
	return nil
}

// placeOps gives each change its place in the order of actors and counters, which
// is that of actors and sequence numbers or the bundle is refused.
func (b *Bundle) placeOps() error {
	order := make([]uint32, len(b.members))
	for i := range order {
		order[i] = uint32(i)
	}
	byAuthor := func(i, j uint32) int {
		p, q := &b.members[i], &b.members[j]
		return cmp.Or(cmp.Compare(p.actor, q.actor), cmp.Compare(p.seq, q.seq))
	}
	if !slices.IsSortedFunc(order, byAuthor) {
		slices.SortFunc(order, byAuthor)
	}
	var at uint64
	for k, i := range order {
		m := &b.members[i]
		if k > 0 {
			prev := &b.members[order[k-1]]
			if prev.actor == m.actor && (prev.seq == m.seq || prev.startOp+prev.numOps > m.startOp) {
				return fmt.Errorf("two changes of actor %s have the same sequence number or operation", b.actors[m.actor])
			}
		}
		m.ops = uint32(at)
		if at += uint64(m.numOps); at > min(b.limits.rows, math.MaxUint32) {
			return errors.New("they have more operations than a bundle of this size may hold")
		}
	}
	return nil
}
