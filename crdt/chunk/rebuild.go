package chunk

import (
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/id"
)

// rebuilder writes the changes of a document chunk again, so that their hashes
// come out as they were.
type rebuilder struct {
	d       *document
	all     []withPreds
	next    []int    // per actor: its first operation in all that no change has taken
	end     []int    // per actor: where its operations in all end
	lastSeq []uint64 // per actor

	enc    *opEncoder
	local  []uint32 // per actor of the document: its index in the change at hand, plus one
	others []uint32 // actors of the change at hand, as indexes into the document's
	op     Op
}

// rebuild reads the change columns and yields the changes in their order.
func (d *document) rebuild(cols columnSet, actors actorTable, yield func(*Change) bool) (more bool, err error) {
	actorCol := cols.take(colDocActor)
	n, err := countRows(actorCol, d.rows)
	if err != nil {
		return false, fmt.Errorf("actor column: %w", err)
	}
	rows := int(n)
	depCount := cols.take(colDocDepCount)
	ndeps, err := laxSum(depCount, rows, d.rows)
	if err != nil {
		return false, fmt.Errorf("dep count column: %w", err)
	}
	author, seq := laxInts(actorCol, rows, false), laxDeltas(cols.take(colDocSeq), rows)
	maxOp, time := laxDeltas(cols.take(colDocMaxOp), rows), laxDeltas(cols.take(colDocTime), rows)
	message := laxStrings(cols.take(colDocMessage), rows)
	counts, depIndex := laxInts(depCount, rows, false), laxDeltas(cols.take(colDocDepIndex), int(ndeps))
	extraMeta := laxInts(cols.take(colDocExtraMeta), rows, false)
	extra := reader{buf: cols.take(colDocExtraValue)}
	if err := cols.empty(); err != nil {
		return false, err
	}
	b, err := newRebuilder(d)
	if err != nil {
		return false, err
	}
	hashes := make([]id.Hash, 0, rows)
	inner := make([]bool, rows) // another change depends on it
	total := 0
	var h Header
	for i := range rows {
		var e [5]error
		var a, m, s, top uint64
		var okA, okS, okMax bool
		h.Deps, h.OtherActors = h.Deps[:0], h.OtherActors[:0]
		a, okA, e[0] = author.next()
		s, okS, e[1] = seq.counter()
		top, okMax, e[2] = maxOp.counter()
		h.Time, _, e[3] = time.next()
		h.Message, _, e[4] = message.next()
		if err := errors.Join(e[:]...); err != nil {
			return false, fmt.Errorf("change %d: %w", i, err)
		}
		if !okA || !okS || !okMax || a >= uint64(len(d.actors)) || s != b.lastSeq[a]+1 {
			return false, fmt.Errorf("change %d: its actor or sequence number is missing or out of order", i)
		}
		b.lastSeq[a], h.Seq = s, s
		n, _, err := counts.next()
		if err != nil {
			return false, fmt.Errorf("change %d: deps: %w", i, err)
		}
		for range n {
			j, ok, err := depIndex.next()
			if err != nil || !ok || j < 0 || j >= int64(i) {
				return false, fmt.Errorf("change %d: deps: %w", i, orRange(err))
			}
			h.Deps = append(h.Deps, hashes[j])
			inner[j] = true
		}
		id.SortHashes(h.Deps)
		if m, _, err = extraMeta.next(); err != nil {
			return false, fmt.Errorf("change %d: extra bytes: %w", i, err)
		}
		if h.Extra, err = extra.take(m >> 4); err != nil {
			return false, fmt.Errorf("change %d: extra bytes: %w", i, err)
		}
		raw, hash, bodyAt, err := b.change(&h, int(a), top)
		if err != nil {
			return false, fmt.Errorf("change %d: %w", i, err)
		}
		if total += len(raw); total > MaxDocumentBytes {
			return false, fmt.Errorf("its changes expand past the limit of %d bytes", MaxDocumentBytes)
		}
		c, err := parseChange(raw, raw[bodyAt:], hash, actors)
		if err != nil {
			return false, fmt.Errorf("change %d: %w", i, err)
		}
		hashes = append(hashes, c.Hash)
		if !yield(c) {
			return false, nil
		}
	}
	for a := range b.next {
		if b.next[a] != b.end[a] {
			return false, fmt.Errorf("operations of actor %s belong to no change", d.actors[a])
		}
	}
	return true, d.checkHeads(hashes, inner)
}

func newRebuilder(d *document) (*rebuilder, error) {
	all, err := d.invert()
	if err != nil {
		return nil, err
	}
	n := len(d.actors)
	b := &rebuilder{d: d, all: all, next: make([]int, n), end: make([]int, n), lastSeq: make([]uint64, n),
		enc: newOpEncoder(), local: make([]uint32, n)}
	at := 0
	for a := range n {
		b.next[a] = at
		for at < len(all) && all[at].key>>32 == uint64(a) {
			at++
		}
		b.end[a] = at
	}
	return b, nil
}

// change writes the author's next change, which takes the operations up to maxOp.
func (b *rebuilder) change(h *Header, author int, maxOp uint64) (raw []byte, hash id.Hash, bodyAt int, err error) {
	first := b.next[author]
	last := first
	for last < b.end[author] && b.all[last].ctr() <= maxOp {
		last++
	}
	ops := b.all[first:last]
	b.next[author] = last
	h.Actor = b.d.actors[author]
	h.StartOp = maxOp + 1 - uint64(len(ops))
	for i := range ops {
		if ops[i].ctr() != h.StartOp+uint64(i) {
			return nil, hash, 0, errors.New("its operations are not numbered one after the other")
		}
	}
	b.gatherActors(h, author, ops)
	b.enc.reset()
	for i := range ops {
		if err := b.fill(&ops[i]); err != nil {
			return nil, hash, 0, err
		}
		b.enc.add(&b.op)
	}
	raw, hash, bodyAt = b.enc.finish(h)
	b.local[author] = 0
	for _, a := range b.others {
		b.local[a] = 0
	}
	return raw, hash, bodyAt, nil
}

// gatherActors numbers the actors that the operations refer to.
func (b *rebuilder) gatherActors(h *Header, author int, ops []withPreds) {
	b.others = b.others[:0]
	b.local[author] = 1
	see := func(actor uint32) {
		if b.local[actor] == 0 {
			b.local[actor] = 1
			b.others = append(b.others, actor)
		}
	}
	for i := range ops {
		op := &b.d.ops[ops[i].op]
		if op.objCtr > 0 {
			see(op.objActor)
		}
		if actor, ctr := elemOf(op, ops[i].del); op.key < 0 && ctr > 0 {
			see(actor)
		}
		for _, p := range b.d.preds(&ops[i]) {
			see(b.d.ops[p.pred].actor)
		}
	}
	slices.Sort(b.others)
	for i, a := range b.others {
		b.local[a] = uint32(i) + 2
		h.OtherActors = append(h.OtherActors, b.d.actors[a])
	}
}

// elemOf returns the list element that an operation names. A deletion of an
// insertion names the inserted element.
func elemOf(op *docOp, del bool) (actor, ctr uint32) {
	if del && op.insert {
		return op.actor, op.ctr
	}
	return op.elemActor, op.elemCtr
}

// fill turns a row into the operation it was.
func (b *rebuilder) fill(w *withPreds) error {
	src, op := &b.d.ops[w.op], &b.op
	*op = Op{Pred: op.Pred[:0], IsElem: src.key < 0}
	if src.objCtr > 0 {
		op.Obj = Ref{b.local[src.objActor] - 1, uint64(src.objCtr)}
	}
	elemActor, elemCtr := elemOf(src, w.del)
	if src.key >= 0 {
		op.Key = b.d.keys[src.key]
	} else if elemCtr > 0 {
		op.Elem = Ref{b.local[elemActor] - 1, uint64(elemCtr)}
	}
	for _, p := range b.d.preds(w) {
		o := &b.d.ops[p.pred]
		op.Pred = append(op.Pred, Ref{b.local[o.actor] - 1, uint64(o.ctr)})
		if actor, ctr := elemOf(o, true); w.del && (o.objActor != src.objActor || o.objCtr != src.objCtr || o.key != src.key || actor != elemActor || ctr != elemCtr) {
			return fmt.Errorf("deletion %d spans several keys", w.ctr())
		}
	}
	if w.del {
		op.Action = Delete
		return nil
	}
	op.Insert, op.Action, op.Expand = src.insert, src.action, src.expand
	op.Value = Value{src.valueType, src.value}
	if src.mark >= 0 {
		op.MarkName, op.HasMark = b.d.keys[src.mark], true
	}
	return nil
}
