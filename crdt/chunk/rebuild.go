package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/id"
)

// rebuilder writes the changes of a document chunk again, so that their hashes
// come out as they were.
type rebuilder struct {
	d     *document
	taken []cursor // per actor
	deps  namedDeps

	enc    *opEncoder
	ops    []withPreds // of the change at hand
	local  []uint32    // per actor of the document: its index in the change at hand, plus one
	others []uint32    // actors of the change at hand, as indexes into the document's
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
	depIndexes := cols.take(colDocDepIndex)
	author, seq := laxInts(actorCol, rows, false), laxDeltas(cols.take(colDocSeq), rows)
	maxOp, time := laxDeltas(cols.take(colDocMaxOp), rows), laxDeltas(cols.take(colDocTime), rows)
	message := laxStrings(cols.take(colDocMessage), rows)
	counts, depIndex := laxInts(depCount, rows, false), laxDeltas(depIndexes, int(ndeps))
	extraMeta := laxInts(cols.take(colDocExtraMeta), rows, false)
	extra := reader{buf: cols.take(colDocExtraValue)}
	if err := cols.empty(); err != nil {
		return false, err
	}
	b, err := newRebuilder(d)
	if err != nil {
		return false, err
	}
	if b.deps, err = newNamedDeps(rows, depCount, depIndexes, int(ndeps)); err != nil {
		return false, err
	}
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
		if !okA || !okS || !okMax || a >= uint64(len(d.actors)) || s != b.taken[a].seq+1 {
			return false, fmt.Errorf("change %d: its actor or sequence number is missing or out of order", i)
		}
		b.taken[a].seq, h.Seq = s, s
		n, _, err := counts.next()
		if err != nil {
			return false, fmt.Errorf("change %d: deps: %w", i, err)
		}
		for range n {
			j, ok, err := depIndex.next()
			if err != nil || !ok || j < 0 || j >= int64(i) {
				return false, fmt.Errorf("change %d: deps: %w", i, orRange(err))
			}
			dep, ok := b.deps.hash(uint32(j), uint32(i))
			if !ok {
				return false, fmt.Errorf("change %d: a dep stands twice", i)
			}
			h.Deps = append(h.Deps, dep)
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
		b.deps.hashes[uint32(i)] = c.Hash
		if !yield(c) {
			return false, nil
		}
	}
	for a, c := range b.taken {
		if c.op != c.opEnd || c.succ != c.succsEnd {
			return false, fmt.Errorf("operations of actor %s belong to no change", d.actors[a])
		}
	}
	return true, d.checkHeads(slices.Collect(maps.Values(b.deps.hashes)))
}

func newRebuilder(d *document) (*rebuilder, error) {
	if err := d.sort(); err != nil {
		return nil, err
	}
	return &rebuilder{d: d, taken: d.cursors(), enc: newOpEncoder(), local: make([]uint32, len(d.actors))}, nil
}

// namedDeps holds the hashes of changes for as long as changes to come name them,
// which is not long where people write one after the other. In the end it holds
// those that none named, which are the heads.
type namedDeps struct {
	last   []uint32 // by change: the last one that names it
	hashes map[uint32]id.Hash
}

func newNamedDeps(rows int, depCount, depIndex []byte, ndeps int) (n namedDeps, err error) {
	n = namedDeps{last: make([]uint32, rows), hashes: map[uint32]id.Hash{}}
	counts, indexes := laxInts(depCount, rows, false), laxDeltas(depIndex, ndeps)
	for i := range rows {
		k, _, err := counts.next()
		if err != nil {
			return n, fmt.Errorf("change %d: deps: %w", i, err)
		}
		for range k {
			j, ok, err := indexes.next()
			if err != nil || !ok || j < 0 || j >= int64(i) {
				return n, fmt.Errorf("change %d: deps: %w", i, orRange(err))
			}
			n.last[j] = uint32(i)
		}
	}
	return n, nil
}

// hash returns the hash of change i, which change by names, once.
func (n *namedDeps) hash(i, by uint32) (h id.Hash, ok bool) {
	h, ok = n.hashes[i]
	if n.last[i] == by {
		delete(n.hashes, i)
	}
	return h, ok
}

// change writes the author's next change, which takes the operations up to maxOp.
func (b *rebuilder) change(h *Header, author int, maxOp uint64) (raw []byte, hash id.Hash, bodyAt int, err error) {
	b.ops = b.d.take(&b.taken[author], maxOp, b.ops[:0])
	h.Actor = b.d.actors[author]
	h.StartOp = maxOp + 1 - uint64(len(b.ops))
	for i := range b.ops {
		if uint64(b.ops[i].ctr) != h.StartOp+uint64(i) {
			return nil, hash, 0, errors.New("its operations are not numbered one after the other")
		}
	}
	b.gatherActors(h, author)
	b.enc.reset()
	for i := range b.ops {
		if err := b.fill(&b.ops[i]); err != nil {
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
func (b *rebuilder) gatherActors(h *Header, author int) {
	b.others = b.others[:0]
	b.local[author] = 1
	see := func(actor uint32) {
		if b.local[actor] == 0 {
			b.local[actor] = 1
			b.others = append(b.others, actor)
		}
	}
	for i := range b.ops {
		w := &b.ops[i]
		op := &b.d.ops[w.op]
		if op.objCtr > 0 {
			see(op.objActor)
		}
		if actor, ctr := elemOf(op, w.del); !op.flags.has(docKeyed) && ctr > 0 {
			see(actor)
		}
		for _, p := range b.d.preds(w) {
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
	if del && op.flags.has(docInsert) {
		return op.actor, op.ctr
	}
	return op.elemActor, op.elemCtr
}

// fill turns a row into the operation it was.
func (b *rebuilder) fill(w *withPreds) error {
	src, op := &b.d.ops[w.op], &b.op
	*op = Op{Pred: op.Pred[:0], IsElem: !src.flags.has(docKeyed)}
	if src.objCtr > 0 {
		op.Obj = Ref{b.local[src.objActor] - 1, uint64(src.objCtr)}
	}
	elemActor, elemCtr := elemOf(src, w.del)
	if src.flags.has(docKeyed) {
		op.Key = b.d.keys[src.elemCtr]
	} else if elemCtr > 0 {
		op.Elem = Ref{b.local[elemActor] - 1, uint64(elemCtr)}
	}
	for _, p := range b.d.preds(w) {
		o := &b.d.ops[p.pred]
		op.Pred = append(op.Pred, Ref{b.local[o.actor] - 1, uint64(o.ctr)})
		actor, ctr := elemOf(o, true)
		if w.del && (o.objActor != src.objActor || o.objCtr != src.objCtr || (o.flags ^ src.flags).has(docKeyed) || actor != elemActor || ctr != elemCtr) {
			return fmt.Errorf("deletion %d spans several keys", w.ctr)
		}
	}
	if w.del {
		op.Action = Delete
		return nil
	}
	op.Insert, op.Action, op.Expand = src.flags.has(docInsert), src.action, src.flags.has(docExpand)
	op.Value = Value{ValueType(src.meta & 15), b.d.values[src.value:][:src.meta>>4]}
	if op.HasMark = src.flags.has(docMarked); op.HasMark {
		i, _ := slices.BinarySearchFunc(b.d.marks, w.op, func(m markName, op uint32) int { return cmp.Compare(m.op, op) })
		op.MarkName = b.d.keys[b.d.marks[i].name]
	}
	return nil
}
