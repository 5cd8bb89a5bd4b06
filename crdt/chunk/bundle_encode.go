package chunk

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"syncline/crdt/id"
)

// EncodeBundle writes changes as one bundle chunk, in the form that has the row of
// each operation instead of its counter: sorted by actor and counter these rows
// are all but nothing, and it is read by all who know bundles but the first
// versions. Deps come before what depends on them; deps that are not among the
// changes are named by their hashes.
//
// Changes of this package always come back byte for byte, for it reads none that
// are not in their canonical form. An error says that these changes do not fit one
// bundle: out of order, one of them twice, two of an actor that claim the same
// operations, or more of them than a reader takes from so few bytes. Send or keep
// them as they are, or in several bundles.
func EncodeBundle(changes []*Change) ([]byte, error) {
	e := bundleEncoder{changes: changes}
	if err := e.encodeMembers(); err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	if err := e.encodeOps(); err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	raw, err := e.finish()
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	return raw, nil
}

// bundleEncoder turns changes into the columns of a bundle.
type bundleEncoder struct {
	changes  []*Change
	actors   []id.Actor // ascending
	ranks    map[id.Actor]uint32
	authors  []uint32 // per change: the index of its actor
	external []id.Hash

	memberColumns []column
	ops           *bundleColumns
	extra         []byte
	numOps        uint64
	numDeps       uint64
	numBytes      int
}

// rankActors sorts the actors that the changes name.
func (e *bundleEncoder) rankActors() {
	e.ranks = map[id.Actor]uint32{}
	var last id.Actor
	for i, c := range e.changes {
		if i == 0 || c.Actor != last {
			e.ranks[c.Actor], last = 0, c.Actor
		}
		for _, a := range c.OtherActors {
			e.ranks[a] = 0
		}
	}
	for a := range e.ranks {
		e.actors = append(e.actors, a)
	}
	slices.Sort(e.actors)
	for i, a := range e.actors {
		e.ranks[a] = uint32(i)
	}
}

// encodeMembers writes all of the changes but their operations.
func (e *bundleEncoder) encodeMembers() error {
	e.rankActors()
	e.authors = make([]uint32, len(e.changes))
	actor, message := newIntEncoder(), newStringEncoder()
	seq, startOp, maxOp, time := newDeltaEncoder(), newDeltaEncoder(), newDeltaEncoder(), newDeltaEncoder()
	depCount, depIndex, extraCount := newIntEncoder(), newDeltaEncoder(), newIntEncoder()
	members, external := newChangeIndex(), newChangeIndex()
	for i, c := range e.changes {
		if len(e.external) > 0 {
			if _, late := external.find(c.Hash); late {
				return fmt.Errorf("change %s comes after one that depends on it", c.Hash)
			}
		}
		if !members.add(c.Hash) {
			return fmt.Errorf("change %s is there twice", c.Hash)
		}
		if e.numBytes += len(c.raw); e.numBytes > MaxDocumentBytes {
			return fmt.Errorf("the changes have more than the limit of %d bytes", MaxDocumentBytes)
		}
		if i == 0 || c.Actor != e.changes[i-1].Actor {
			e.authors[i] = e.ranks[c.Actor]
		} else {
			e.authors[i] = e.authors[i-1]
		}
		actor.add(uint64(e.authors[i]), true)
		seq.add(int64(c.Seq), true)
		startOp.add(int64(c.StartOp), true)
		maxOp.add(int64(c.MaxOp()), true)
		time.add(c.Time, true)
		message.add(c.Message, c.Message != "")
		depCount.add(uint64(len(c.Deps)), true)
		for _, d := range c.Deps {
			k, ok := members.find(d)
			if !ok {
				if external.add(d) {
					e.external = append(e.external, d)
				}
				k, _ = external.find(d)
				k += uint32(len(e.changes))
			}
			depIndex.add(int64(k), true)
		}
		extra := c.Extra()
		extraCount.add(uint64(len(extra)), true)
		e.extra = append(e.extra, extra...)
		e.numOps += c.NumOps
		e.numDeps += uint64(len(c.Deps))
	}
	e.memberColumns = []column{
		{colBundleActor, actor.finish()}, {colBundleSeq, seq.finish()}, {colBundleStartOp, startOp.finish()},
		{colBundleMaxOp, maxOp.finish()}, {colBundleTime, time.finish()}, {colBundleMessage, message.finish()},
		{colBundleDepCount, depCount.finish()}, {colBundleDepIndex, depIndex.finish()},
		{colBundleExtraCount, extraCount.finish()}, {colBundleExtra, e.extra},
	}
	if e.numOps > math.MaxUint32 {
		return errors.New("the changes have too many operations")
	}
	return nil
}

// byAuthor lists the changes in the order of actors and sequence numbers.
func (e *bundleEncoder) byAuthor() ([]uint32, error) {
	order := make([]uint32, len(e.changes))
	for i := range order {
		order[i] = uint32(i)
	}
	compare := func(i, j uint32) int {
		return cmp.Or(cmp.Compare(e.authors[i], e.authors[j]), cmp.Compare(e.changes[i].Seq, e.changes[j].Seq))
	}
	if !slices.IsSortedFunc(order, compare) {
		slices.SortFunc(order, compare)
	}
	for k := 1; k < len(order); k++ {
		i, j := order[k-1], order[k]
		p, q := e.changes[i], e.changes[j]
		if e.authors[i] == e.authors[j] && (p.Seq == q.Seq || p.MaxOp() >= q.StartOp) {
			return nil, fmt.Errorf("changes %s and %s of one actor have the same sequence number or operation", p.Hash, q.Hash)
		}
	}
	return order, nil
}

// encodeOps writes the operations of all changes. Of the 0.8 µs that a change of one
// operation takes in all, half goes into finding and reading its columns, a sixth
// into finding its deps; writing the bundle's columns and deflating them take a
// twentieth each.
func (e *bundleEncoder) encodeOps() error {
	order, err := e.byAuthor()
	if err != nil {
		return err
	}
	e.ops = newBundleColumns()
	var local []uint32 // per actor of a change: its index in the bundle
	for _, i := range order {
		c := e.changes[i]
		local = append(local[:0], e.authors[i])
		for _, a := range c.OtherActors {
			local = append(local, e.ranks[a])
		}
		for _, op := range c.Ops() {
			e.ops.add(op, local)
		}
	}
	return nil
}

// appendHeader appends what comes before the columns.
func (e *bundleEncoder) appendHeader(b []byte) []byte {
	b = AppendUint(b, uint64(len(e.external)))
	for i := range e.external {
		b = append(b, e.external[i][:]...)
	}
	b = AppendUint(b, uint64(len(e.actors)))
	for _, a := range e.actors {
		b = appendString(b, string(a))
	}
	return b
}

// finish writes the chunk around the columns, unless a reader would refuse it.
func (e *bundleEncoder) finish() ([]byte, error) {
	inflated := 0
	opColumns := e.ops.finish(e.numOps)
	for _, c := range slices.Concat(e.memberColumns, opColumns) {
		inflated += len(c.data)
	}
	members, err := deflateColumns(e.memberColumns)
	if err != nil {
		return nil, err
	}
	ops, err := deflateColumns(opColumns)
	if err != nil {
		return nil, err
	}
	b := e.appendHeader(nil)
	b = appendColumns(appendTable(b, members), members)
	b = appendColumns(appendTable(b, ops), ops)
	limits := limitsOfBundle(len(b))
	rows := max(e.numOps, e.numDeps, e.ops.numPreds)
	if n := len(e.changes); uint64(n) > limits.changes || rows > limits.rows || inflated > limits.inflated || e.numBytes > limits.expanded {
		return nil, fmt.Errorf("%d changes of %d bytes and %d rows, in a bundle of %d bytes, are more than a reader takes", n, e.numBytes, rows, len(b))
	}
	raw, _, _ := frame(typeBundle, b)
	return raw, nil
}

// bundleColumns are the operations of a bundle.
type bundleColumns struct {
	objActor             intEncoder
	objCtr               deltaEncoder
	keyActor             intEncoder
	keyCtr               deltaEncoder
	keyStr               stringEncoder
	idActor              intEncoder
	insert               boolEncoder
	action, valueMeta    intEncoder
	value                []byte
	predCount, predActor intEncoder
	predCtr              deltaEncoder
	expand               boolEncoder
	markName             stringEncoder
	numPreds             uint64
}

func newBundleColumns() *bundleColumns {
	return &bundleColumns{objActor: newIntEncoder(), objCtr: newDeltaEncoder(),
		keyActor: newIntEncoder(), keyCtr: newDeltaEncoder(), keyStr: newStringEncoder(),
		idActor: newIntEncoder(), action: newIntEncoder(), valueMeta: newIntEncoder(),
		predCount: newIntEncoder(), predActor: newIntEncoder(), predCtr: newDeltaEncoder(), markName: newStringEncoder()}
}

// add writes one operation of a change of which local has the actors.
func (k *bundleColumns) add(op *Op, local []uint32) {
	k.objActor.add(uint64(local[op.Obj.Actor]), op.Obj.Ctr > 0)
	k.objCtr.add(int64(op.Obj.Ctr), op.Obj.Ctr > 0)
	k.keyActor.add(uint64(local[op.Elem.Actor]), op.IsElem && op.Elem.Ctr > 0)
	k.keyCtr.add(int64(op.Elem.Ctr), op.IsElem)
	k.keyStr.add(op.Key, !op.IsElem)
	k.idActor.add(uint64(local[0]), true)
	k.insert.add(op.Insert)
	k.action.add(uint64(op.Action), true)
	k.valueMeta.add(uint64(len(op.Value.Raw))<<4|uint64(op.Value.Type&15), true)
	k.value = append(k.value, op.Value.Raw...)
	k.predCount.add(uint64(len(op.Pred)), true)
	for _, p := range op.Pred {
		k.predActor.add(uint64(local[p.Actor]), true)
		k.predCtr.add(int64(p.Ctr), true)
	}
	k.numPreds += uint64(len(op.Pred))
	k.expand.add(op.Expand)
	k.markName.add(op.MarkName, op.HasMark)
}

// finish returns the columns. As the operations are sorted, each is in its place.
func (k *bundleColumns) finish(numOps uint64) []column {
	var expand []byte
	if k.expand.any {
		expand = k.expand.finish()
	}
	row := newDeltaEncoder()
	for i := range numOps {
		row.add(int64(i), true)
	}
	return []column{
		{colObjActor, k.objActor.finish()}, {colBundleObjCtr, k.objCtr.finish()},
		{colKeyActor, k.keyActor.finish()}, {colKeyCtr, k.keyCtr.finish()}, {colKeyStr, k.keyStr.finish()},
		{colBundleIDActor, k.idActor.finish()}, {colInsert, k.insert.finish()}, {colAction, k.action.finish()},
		{colValueMeta, k.valueMeta.finish()}, {colValue, k.value},
		{colPredCount, k.predCount.finish()}, {colPredActor, k.predActor.finish()}, {colPredCtr, k.predCtr.finish()},
		{colExpand, expand}, {colMarkName, k.markName.finish()}, {colBundleRow, row.finish()},
	}
}
