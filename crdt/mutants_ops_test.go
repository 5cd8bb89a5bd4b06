package crdt_test

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/automerge/automerge-go"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// opID names an operation in its document.
type opID struct {
	actor id.Actor
	ctr   uint64
}

func (a opID) compare(b opID) int {
	return cmp.Or(cmp.Compare(a.ctr, b.ctr), cmp.Compare(a.actor, b.actor))
}

// op is an operation whose references name actors and not indexes, so that it can
// be put into any change.
type op struct {
	chunk.Op
	obj, elem opID
	pred      []opID
}

// known is an operation of a base, with the place of its change.
type known struct {
	op
	id     opID
	change int
}

// slot is what the operation sets: a map key or a list element.
func (k *known) slot() (obj opID, key string, elem opID) {
	if k.Insert {
		return k.obj, "", k.id
	}
	return k.obj, k.Key, k.elem
}

// readOps gives all operations of a change their absolute references.
func readOps(c *chunk.Change) []op {
	abs := func(r chunk.Ref) opID {
		if r.Ctr == 0 {
			return opID{}
		}
		return opID{c.ActorOf(r.Actor), r.Ctr}
	}
	var ops []op
	for _, o := range c.Ops() {
		p := op{Op: *o, obj: abs(o.Obj), elem: abs(o.Elem)}
		for _, r := range o.Pred {
			p.pred = append(p.pred, abs(r))
		}
		p.Pred = nil
		ops = append(ops, p)
	}
	return ops
}

// writeOps encodes a change around operations: its table of other actors is the
// one that they need.
func writeOps(h chunk.Header, ops []op) []byte {
	index := map[id.Actor]uint32{h.Actor: 0}
	h.OtherActors = nil
	note := func(o opID) {
		if _, ok := index[o.actor]; !ok && o.ctr > 0 {
			index[o.actor] = 0
			h.OtherActors = append(h.OtherActors, o.actor)
		}
	}
	for _, o := range ops {
		note(o.obj)
		note(o.elem)
		for _, p := range o.pred {
			note(p)
		}
	}
	slices.Sort(h.OtherActors)
	for i, a := range h.OtherActors {
		index[a] = uint32(i + 1)
	}
	ref := func(o opID) chunk.Ref {
		if o.ctr == 0 {
			return chunk.Ref{}
		}
		return chunk.Ref{Actor: index[o.actor], Ctr: o.ctr}
	}
	out := make([]chunk.Op, len(ops))
	for i, o := range ops {
		out[i] = o.Op
		out[i].Obj, out[i].Elem, out[i].Pred = ref(o.obj), ref(o.elem), nil
		for _, p := range o.pred {
			out[i].Pred = append(out[i].Pred, ref(p))
		}
	}
	return must(chunk.Encode(h, out))
}

// index fills in what mutators need of an honest history.
func (h *history) index() {
	doc := automerge.New()
	must0(doc.LoadIncremental(concat(h.changes)))
	h.document = doc.Save()
	h.hashes = map[id.Hash]bool{}
	for i, raw := range h.changes {
		h.hashes[hashOf(raw)] = true
		c, err := chunk.ParseChange(raw)
		if err != nil {
			continue
		}
		for j, o := range readOps(c) {
			h.ops = append(h.ops, known{o, opID{c.Actor, c.StartOp + uint64(j)}, i})
		}
	}
}

// opMutators edit operations and write the change again in canonical form.
func opMutators() []mutator {
	edit := func(name string, weight int, f func(*opEditor, *op)) mutator {
		return mutator{name: name, weight: weight, mutate: func(m *mutation) bool { return mutateOps(m, f) }}
	}
	return []mutator{
		edit("object", 6, (*opEditor).object),
		edit("key", 6, (*opEditor).key),
		edit("predecessors", 10, (*opEditor).preds),
		edit("action", 6, (*opEditor).action),
		edit("value", 6, (*opEditor).value),
		edit("flags", 4, (*opEditor).flags),
		edit("reference actor", 4, (*opEditor).swapActor),
		{name: "operations dropped, doubled, exchanged", weight: 5, mutate: mutateOpList},
		{name: "composed change", weight: 15, mutate: mutateCompose},
		{name: "composed branches", weight: 15, mutate: mutateBranches},
	}
}

// opEditor edits one change, knowing what is before it.
type opEditor struct {
	*mutation
	author id.Actor
	start  uint64
	before []known // of earlier changes, ancestors or not
	own    []op
}

func newOpEditor(m *mutation) (*opEditor, *chunk.Change) {
	c, err := chunk.ParseChange(m.changes[m.at])
	if err != nil {
		return nil, nil
	}
	e := &opEditor{mutation: m, author: c.Actor, start: c.StartOp, own: readOps(c)}
	n, _ := slices.BinarySearchFunc(m.base.ops, m.at, func(k known, at int) int { return k.change - at })
	e.before = m.base.ops[:n]
	return e, c
}

// mutateOps applies f to one to three operations.
func mutateOps(m *mutation, f func(*opEditor, *op)) bool {
	e, c := newOpEditor(m)
	if c == nil || len(e.own) == 0 {
		return false
	}
	for range 1 + m.rng.IntN(4)/2 {
		o := &e.own[m.rng.IntN(len(e.own))]
		f(e, o)
		if m.rng.IntN(8) > 0 {
			o.tidy()
		}
	}
	return m.replace(writeOps(c.Header(), e.own))
}

// tidy puts predecessors in order: a mutant that fails there tests nothing else.
func (o *op) tidy() {
	slices.SortFunc(o.pred, opID.compare)
	o.pred = slices.Compact(o.pred)
	if o.Insert {
		o.pred = nil
	}
}

// anyOp picks an operation that is before the change, or one of its own.
func (e *opEditor) anyOp() *known {
	i := e.rng.IntN(len(e.before) + len(e.own))
	if i < len(e.before) {
		return &e.before[i]
	}
	i -= len(e.before)
	return &known{op: e.own[i], id: opID{e.author, e.start + uint64(i)}, change: e.at}
}

// find tries to pick an operation of a kind.
func (e *opEditor) find(want func(*known) bool) *known {
	for range 30 {
		if k := e.anyOp(); want(k) {
			return k
		}
	}
	return nil
}

func (e *opEditor) object(o *op) {
	switch e.rng.IntN(6) {
	case 0:
		o.obj = opID{}
	case 1:
		o.obj = e.anyOp().id
	default:
		if k := e.find(func(k *known) bool { _, ok := k.Action.Makes(); return ok }); k != nil {
			o.obj = k.id
			if kind, _ := k.Action.Makes(); kind.Sequence() != o.IsElem && e.rng.IntN(2) == 0 {
				o.IsElem, o.elem, o.Key = !o.IsElem, opID{}, "k"
				o.Insert, o.pred = o.IsElem, nil
			}
		}
	}
	if e.rng.IntN(2) == 0 {
		e.fit(o)
	}
}

// fit makes key and predecessors fit the object, as far as the history offers any.
func (e *opEditor) fit(o *op) {
	k := e.find(func(k *known) bool { return k.obj == o.obj && k.IsElem == o.IsElem })
	if k == nil {
		return
	}
	_, o.Key, o.elem = k.slot()
	if o.Insert {
		return
	}
	o.pred = []opID{k.id}
	if e.rng.IntN(3) == 0 {
		o.pred = append(o.pred, e.sameSlot(o)...)
	}
}

// sameSlot lists some operations before that set what o sets.
func (e *opEditor) sameSlot(o *op) []opID {
	var ids []opID
	for i := range e.before {
		obj, key, elem := e.before[i].slot()
		if obj == o.obj && key == o.Key && elem == o.elem && e.rng.IntN(3) > 0 {
			ids = append(ids, e.before[i].id)
		}
	}
	return ids
}

func (e *opEditor) key(o *op) {
	k := e.anyOp()
	switch e.rng.IntN(6) {
	case 0:
		o.Key = e.anyOp().Key
		o.IsElem = false
	case 1:
		o.IsElem, o.elem = true, opID{}
	case 2:
		o.IsElem, o.elem = true, k.id
	case 3:
		o.IsElem, o.elem = true, k.elem
	case 4:
		if k := e.find(func(k *known) bool { return k.obj == o.obj && k.Insert }); k != nil {
			o.elem = k.id
		}
	case 5:
		e.fit(o)
	}
}

func (e *opEditor) preds(o *op) {
	switch e.rng.IntN(7) {
	case 0:
		o.pred = nil
	case 1:
		if len(o.pred) > 0 {
			i := e.rng.IntN(len(o.pred))
			o.pred = slices.Delete(o.pred, i, i+1)
		}
	case 2:
		o.pred = append(o.pred, e.anyOp().id)
	case 3:
		o.pred = []opID{e.anyOp().id}
	case 4:
		o.pred = append(o.pred, e.sameSlot(o)...)
	case 5:
		o.pred = e.sameSlot(o)
	case 6:
		if k := e.find(func(k *known) bool { return k.obj == o.obj }); k != nil {
			o.pred = append(o.pred, k.id)
		}
	}
}

func (e *opEditor) action(o *op) {
	o.Action = chunk.Action(e.rng.IntN(9))
	if e.rng.IntN(4) == 0 {
		return
	}
	o.Value = chunk.Value{}
	o.Expand, o.MarkName, o.HasMark = false, "", false
	switch o.Action {
	case chunk.Set:
		e.value(o)
	case chunk.Increment:
		o.Value = chunk.Value{Type: chunk.Int, Raw: appendInt(nil, int64(e.rng.IntN(20)-10))}
	case chunk.Mark:
		if e.rng.IntN(2) == 0 {
			o.HasMark, o.MarkName = true, "bold"
			e.value(o)
		}
		o.Expand = e.rng.IntN(2) == 0
	}
}

func (e *opEditor) value(o *op) {
	if e.rng.IntN(4) == 0 {
		o.Value.Raw = scramble(e.rng, o.Value.Raw, nil)
		return
	}
	if e.rng.IntN(8) == 0 {
		o.Value.Type = chunk.ValueType(e.rng.IntN(16))
		return
	}
	o.Value = randomValue(e.rng)
}

func randomValue(rng *rand.Rand) chunk.Value {
	v := chunk.Value{Type: chunk.ValueType(rng.IntN(16))}
	switch v.Type {
	case chunk.Null, chunk.False, chunk.True:
	case chunk.Uint:
		v.Raw = binary.AppendUvarint(nil, near(rng, 5))
	case chunk.Int, chunk.Counter, chunk.Timestamp:
		v.Raw = appendInt(nil, int64(near(rng, 5)))
	case chunk.Float:
		f := []float64{0, math.Inf(-1), math.NaN(), 1.5, math.Copysign(0, -1)}[rng.IntN(5)]
		v.Raw = binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)^uint64(rng.IntN(2)))
	default:
		v.Raw = []byte([]string{"", "x", "ab", "é", "\U0001f411", "\x00", "\ufeff", "long enough to be a word"}[rng.IntN(8)])
	}
	return v
}

func (e *opEditor) flags(o *op) {
	switch e.rng.IntN(5) {
	case 0:
		o.Insert = !o.Insert
	case 1:
		o.Insert = !o.Insert
		o.pred = nil
	case 2:
		o.Expand = !o.Expand
	case 3:
		o.HasMark = !o.HasMark
	case 4:
		o.MarkName = []string{"", "bold", "é"}[e.rng.IntN(3)]
	}
}

// swapActor gives one reference to another author.
func (e *opEditor) swapActor(o *op) {
	a := e.anyOp().id.actor
	switch n := e.rng.IntN(2 + len(o.pred)); n {
	case 0:
		o.obj.actor = a
	case 1:
		o.elem.actor = a
	default:
		o.pred[n-2].actor = a
	}
}

// mutateOpList drops, doubles, exchanges and imports whole operations.
func mutateOpList(m *mutation) bool {
	e, c := newOpEditor(m)
	if c == nil || len(e.own) == 0 {
		return false
	}
	i, j := m.rng.IntN(len(e.own)), m.rng.IntN(len(e.own))
	switch m.rng.IntN(4) {
	case 0:
		e.own = slices.Delete(e.own, i, i+1)
	case 1:
		e.own = slices.Insert(e.own, i, e.own[j])
	case 2:
		e.own[i], e.own[j] = e.own[j], e.own[i]
	case 3:
		e.own = slices.Insert(e.own, i, e.anyOp().op)
	}
	return m.replace(writeOps(c.Header(), e.own))
}
