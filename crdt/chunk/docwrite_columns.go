package chunk

import (
	"cmp"
	"slices"
)

// changeColumns are the metadata of changes. Actors are as yet in the order in
// which they came.
type changeColumns struct {
	author              intEncoder
	seq, maxOp, time    deltaEncoder
	message             stringEncoder
	depCount, extraMeta intEncoder
	depIndex            deltaEncoder
	extra               []byte
	changes, deps       int
}

func newChangeColumns() changeColumns {
	return changeColumns{
		author: newIntEncoder(), seq: newDeltaEncoder(), maxOp: newDeltaEncoder(), time: newDeltaEncoder(), message: newStringEncoder(),
		depCount: newIntEncoder(), extraMeta: newIntEncoder(), depIndex: newDeltaEncoder(),
	}
}

func (k *changeColumns) addDep(i uint32) {
	k.depIndex.add(int64(i), true)
	k.deps++
}

func (k *changeColumns) add(c *Change, author uint32) {
	k.author.add(uint64(author), true)
	k.seq.add(int64(c.Seq), true)
	k.maxOp.add(int64(c.MaxOp()), true)
	k.time.add(c.Time, true)
	k.message.add(c.Message, c.Message != "")
	k.depCount.add(uint64(len(c.Deps)), true)
	extra := c.Extra()
	k.extraMeta.add(uint64(len(extra))<<4|uint64(Bytes), true)
	k.extra = append(k.extra, extra...)
	k.changes++
}

// finish returns the columns, with actors by their rank.
func (k *changeColumns) finish(rank []uint32, pace *pacer) ([]column, error) {
	came := newIntColumn(k.author.finish(), k.changes, false)
	author := newIntEncoder()
	for range k.changes {
		a, _, err := came.next()
		if err == nil {
			err = pace.step()
		}
		if err != nil {
			return nil, err
		}
		author.add(uint64(rank[a]), true)
	}
	return []column{
		{colDocActor, author.finish()}, {colDocSeq, k.seq.finish()}, {colDocMaxOp, k.maxOp.finish()},
		{colDocTime, k.time.finish()}, {colDocMessage, k.message.finish()},
		{colDocDepCount, k.depCount.finish()}, {colDocDepIndex, k.depIndex.finish()},
		{colDocExtraMeta, k.extraMeta.finish()}, {colDocExtraValue, k.extra},
	}, nil
}

// rowColumns are the operations of a document.
type rowColumns struct {
	objActor, objCtr  intEncoder
	keyActor          intEncoder
	keyCtr            deltaEncoder
	keyStr            stringEncoder
	idActor           intEncoder
	idCtr             deltaEncoder
	insert            boolEncoder
	action, valueMeta intEncoder
	value             []byte
	succCount         intEncoder
	succActor         intEncoder
	succCtr           deltaEncoder
	expand            boolEncoder
	markName          stringEncoder

	succs []docSucc // of the row at hand
}

func newRowColumns(valueBytes int) *rowColumns {
	return &rowColumns{
		objActor: newIntEncoder(), objCtr: newIntEncoder(),
		keyActor: newIntEncoder(), keyCtr: newDeltaEncoder(), keyStr: newStringEncoder(),
		idActor: newIntEncoder(), idCtr: newDeltaEncoder(), action: newIntEncoder(),
		valueMeta: newIntEncoder(), value: make([]byte, 0, valueBytes),
		succCount: newIntEncoder(), succActor: newIntEncoder(), succCtr: newDeltaEncoder(), markName: newStringEncoder(),
	}
}

// add writes one row of o.
func (k *rowColumns) add(o *documentOrder, row uint32) {
	r := o.rows.at(row)
	k.idActor.add(uint64(o.rank[r.actor()]), true)
	k.idCtr.add(int64(r.ctr), true)
	if r.obj > 0 {
		maker := o.rows.at(o.objects[r.obj].row)
		k.objActor.add(uint64(o.rank[maker.actor()]), true)
		k.objCtr.add(uint64(maker.ctr), true)
	} else {
		k.objActor.add(0, false)
		k.objCtr.add(0, false)
	}
	switch {
	case !o.objects[r.obj].list:
		k.keyActor.add(0, false)
		k.keyCtr.add(0, false)
		k.keyStr.add(o.keys[r.place], true)
	case r.place == 0:
		k.keyActor.add(0, false)
		k.keyCtr.add(0, true)
		k.keyStr.add("", false)
	default:
		elem := o.rows.at(r.place - 1)
		k.keyActor.add(uint64(o.rank[elem.actor()]), true)
		k.keyCtr.add(int64(elem.ctr), true)
		k.keyStr.add("", false)
	}
	k.insert.add(r.insert())
	k.action.add(uint64(r.action()), true)
	k.valueMeta.add(uint64(r.meta), true)
	k.value = append(k.value, o.values.get(r.value, r.meta>>4)...)
	k.addSuccs(o, r)
	k.expand.add(r.who&rowExpand != 0)
	name := ""
	if r.who&rowMarked != 0 {
		i, _ := slices.BinarySearchFunc(o.marks, row, func(m docMark, row uint32) int { return cmp.Compare(m.row, row) })
		name = o.keys[o.marks[i].name]
	}
	k.markName.add(name, r.who&rowMarked != 0)
}

// addSuccs writes the successors of a row, ascending.
func (k *rowColumns) addSuccs(o *documentOrder, r *docRow) {
	k.succs = k.succs[:0]
	for at := r.succ; at > 0; {
		s := o.succs.at(at - 1)
		k.succs = append(k.succs, *s)
		at = s.next
	}
	if len(k.succs) > 1 {
		slices.SortFunc(k.succs, func(a, b docSucc) int {
			return cmp.Or(cmp.Compare(a.ctr, b.ctr), cmp.Compare(o.rank[a.actor], o.rank[b.actor]))
		})
	}
	k.succCount.add(uint64(len(k.succs)), true)
	for _, s := range k.succs {
		k.succActor.add(uint64(o.rank[s.actor]), true)
		k.succCtr.add(int64(s.ctr), true)
	}
}

func (k *rowColumns) finish() []column {
	var expand []byte
	if k.expand.any {
		expand = k.expand.finish()
	}
	return []column{
		{colObjActor, k.objActor.finish()}, {colObjCtr, k.objCtr.finish()},
		{colKeyActor, k.keyActor.finish()}, {colKeyCtr, k.keyCtr.finish()}, {colKeyStr, k.keyStr.finish()},
		{colDocIDActor, k.idActor.finish()}, {colDocIDCtr, k.idCtr.finish()},
		{colInsert, k.insert.finish()}, {colAction, k.action.finish()},
		{colValueMeta, k.valueMeta.finish()}, {colValue, k.value},
		{colDocSuccCount, k.succCount.finish()}, {colDocSuccActor, k.succActor.finish()}, {colDocSuccCtr, k.succCtr.finish()},
		{colExpand, expand}, {colMarkName, k.markName.finish()},
	}
}
