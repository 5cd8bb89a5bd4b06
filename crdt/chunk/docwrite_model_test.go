package chunk

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/id"
)

var seedFlag = flag.Uint64("seed", 1, "seed of random histories")

// modelID names an operation; the zero one is the root, or the head of a list.
type modelID struct {
	ctr   uint64
	actor id.Actor
}

func (a modelID) compare(b modelID) int {
	return cmp.Or(cmp.Compare(a.ctr, b.ctr), cmp.Compare(a.actor, b.actor))
}

// modelOp is an operation as plain as it gets.
type modelOp struct {
	id, obj, elem modelID
	key           string
	list, insert  bool
	action        Action
	value         Value
	expand        bool
	mark          string
	preds         []modelID
}

// element is the list element that the operation stands at.
func (o *modelOp) element() modelID {
	if o.insert {
		return o.id
	}
	return o.elem
}

// model makes random histories of everything that a document can hold: actors
// that know some of each other's changes, each edit anywhere in what its author
// knows.
type model struct {
	rng     *rand.Rand
	actors  []id.Actor
	seqs    []uint64
	known   []map[int]bool // by actor: changes
	changes []*Change
	ops     [][]*modelOp // by change
}

func newModel(seed uint64) *model {
	m := &model{rng: rand.New(rand.NewPCG(seed, 9))}
	for i := range 1 + m.rng.IntN(5) {
		m.actors = append(m.actors, id.Actor(fmt.Sprintf("%c%d", 'a'+m.rng.IntN(26), i)))
		m.known = append(m.known, map[int]bool{})
	}
	m.seqs = make([]uint64, len(m.actors))
	return m
}

// step lets one actor, who may first have met another, make a change.
func (m *model) step(t testing.TB) {
	a := m.rng.IntN(len(m.actors))
	if m.rng.IntN(3) == 0 {
		maps.Copy(m.known[a], m.known[m.rng.IntN(len(m.actors))])
	}
	m.seqs[a]++
	h := Header{Actor: m.actors[a], Seq: m.seqs[a], StartOp: 1, Time: m.rng.Int64N(1 << 40)}
	inner := map[id.Hash]bool{}
	var view []*modelOp
	for _, i := range slices.Sorted(maps.Keys(m.known[a])) {
		h.StartOp = max(h.StartOp, m.changes[i].MaxOp()+1)
		for _, d := range m.changes[i].Deps {
			inner[d] = true
		}
		view = append(view, m.ops[i]...)
	}
	for i := range m.known[a] {
		if !inner[m.changes[i].Hash] {
			h.Deps = append(h.Deps, m.changes[i].Hash)
		}
	}
	id.SortHashes(h.Deps)
	if m.rng.IntN(3) == 0 {
		h.Message = fmt.Sprint("message ", m.rng.IntN(3))
	}
	if m.rng.IntN(5) == 0 {
		h.Extra = make([]byte, m.rng.IntN(20))
	}
	known := len(view)
	for range m.rng.IntN(6) {
		for _, o := range m.edit(view) {
			o.id = modelID{h.StartOp + uint64(len(view)-known), h.Actor}
			if o.mark == "" && o.action == Mark { // the end of a mark stands behind its start
				o.elem = view[len(view)-1].id
			}
			if o.action == Mark {
				h.Extra = nil // behind marks they are refused
			}
			view = append(view, o)
		}
	}
	m.encode(t, a, h, view[known:])
}

// edit makes one operation on what is in view, or a mark of two.
func (m *model) edit(view []*modelOp) []*modelOp {
	objects := []*modelOp{{}}
	overwritten := map[modelID]bool{}
	for _, o := range view {
		if _, ok := o.action.Makes(); ok {
			objects = append(objects, o)
		}
		for _, p := range o.preds {
			overwritten[p] = overwritten[p] || o.action != Increment
		}
	}
	in := objects[m.rng.IntN(len(objects))]
	kind, _ := in.action.Makes()
	o := &modelOp{obj: in.id, list: kind.Sequence(), action: Set, value: Value{Type: String, Raw: []byte(fmt.Sprint(m.rng.IntN(100)))}}
	switch m.rng.IntN(8) {
	case 0, 1:
		o.action, o.value = []Action{MakeMap, MakeList, MakeText}[m.rng.IntN(3)], Value{}
	case 2:
		o.value = Value{Type: Counter, Raw: []byte{5}}
	case 3:
		o.value = Value{Type: Bytes, Raw: make([]byte, m.rng.IntN(200))}
	}
	var elements []modelID
	for _, e := range view {
		if e.insert && e.obj == o.obj {
			elements = append(elements, e.id)
		}
	}
	switch {
	case !o.list:
		o.key = []string{"", "a", "ab", "ä", "b", "🔑"}[m.rng.IntN(6)]
	case len(elements) == 0 || m.rng.IntN(3) > 0:
		o.insert = true
		if len(elements) > 0 && m.rng.IntN(4) > 0 {
			o.elem = elements[m.rng.IntN(len(elements))]
		}
		if m.rng.IntN(8) == 0 {
			o.action, o.mark, o.expand = Mark, "bold", m.rng.IntN(2) == 0
			return []*modelOp{o, {obj: o.obj, list: true, insert: true, action: Mark}}
		}
		return []*modelOp{o}
	default:
		o.elem = elements[m.rng.IntN(len(elements))]
	}
	counter := false
	for _, p := range view {
		if p.obj == o.obj && p.key == o.key && (!o.list || p.element() == o.elem) &&
			p.action != Mark && p.action != Increment && p.action != Delete && !overwritten[p.id] {
			o.preds = append(o.preds, p.id)
			counter = counter || p.value.Type == Counter
		}
	}
	slices.SortFunc(o.preds, modelID.compare)
	switch {
	case len(o.preds) == 0 && o.list:
		return nil
	case len(o.preds) > 0 && counter && m.rng.IntN(2) == 0:
		o.action, o.value = Increment, Value{Type: Int, Raw: []byte{3}}
	case len(o.preds) > 0 && m.rng.IntN(3) == 0:
		o.action, o.value = Delete, Value{}
	}
	return []*modelOp{o}
}

func (m *model) encode(t testing.TB, a int, h Header, ops []*modelOp) {
	t.Helper()
	others := map[id.Actor]bool{}
	for _, o := range ops {
		for _, r := range append([]modelID{o.obj, o.elem}, o.preds...) {
			if r.ctr > 0 && r.actor != h.Actor {
				others[r.actor] = true
			}
		}
	}
	h.OtherActors = slices.Sorted(maps.Keys(others))
	ref := func(r modelID) Ref {
		if r.ctr == 0 {
			return Ref{}
		}
		i, other := slices.BinarySearch(h.OtherActors, r.actor)
		if !other {
			return Ref{Ctr: r.ctr}
		}
		return Ref{Actor: uint32(i) + 1, Ctr: r.ctr}
	}
	var out []Op
	for _, o := range ops {
		op := Op{Obj: ref(o.obj), Key: o.key, Elem: ref(o.elem), IsElem: o.list, Insert: o.insert, Action: o.action,
			Value: o.value, Expand: o.expand, MarkName: o.mark, HasMark: o.mark != ""}
		for _, p := range o.preds {
			op.Pred = append(op.Pred, ref(p))
		}
		out = append(out, op)
	}
	raw, err := Encode(h, out)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseChange(raw)
	if err != nil {
		t.Fatalf("the model makes a change that is refused: %v", err)
	}
	m.known[a][len(m.changes)] = true
	m.changes, m.ops = append(m.changes, c), append(m.ops, ops)
}

// order is how a document orders the operations: each list is made by putting
// one element after the other, by id, right behind the one that it names.
func (m *model) order() []modelID {
	var ops []*modelOp
	for _, o := range slices.Concat(m.ops...) {
		if o.action != Delete {
			ops = append(ops, o)
		}
	}
	slices.SortFunc(ops, func(a, b *modelOp) int { return a.id.compare(b.id) })
	objects := []modelID{{}}
	for _, o := range ops {
		if _, ok := o.action.Makes(); ok {
			objects = append(objects, o.id)
		}
	}
	var out []modelID
	for _, obj := range objects {
		var elements, in []*modelOp
		for _, o := range ops {
			switch {
			case o.obj != obj:
			case !o.insert:
				in = append(in, o)
			default:
				at := 1 + slices.IndexFunc(elements, func(e *modelOp) bool { return e.id == o.elem })
				elements = slices.Insert(elements, at, o)
			}
		}
		for _, e := range elements {
			out = append(out, e.id)
			for _, o := range in {
				if o.elem == e.id {
					out = append(out, o.id)
				}
			}
		}
		if len(elements) == 0 {
			slices.SortStableFunc(in, func(a, b *modelOp) int { return cmp.Compare(a.key, b.key) })
			for _, o := range in {
				out = append(out, o.id)
			}
		}
	}
	return out
}

// shuffled returns the changes in another order in which deps come first.
func (m *model) shuffled() []*Change {
	var out []*Change
	done := map[id.Hash]bool{}
	for left := slices.Clone(m.changes); len(left) > 0; {
		i := m.rng.IntN(len(left))
		if slices.ContainsFunc(left[i].Deps, func(d id.Hash) bool { return !done[d] }) {
			continue
		}
		done[left[i].Hash] = true
		out = append(out, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return out
}

// TestDocumentsHaveTheOrderOfTheModel: whatever order the changes come in, the
// document gives them back in it and orders their operations as the model does.
func TestDocumentsHaveTheOrderOfTheModel(t *testing.T) {
	ops, size := 0, 0
	for i := range uint64(150) {
		m := newModel(*seedFlag<<32 + i)
		for range m.rng.IntN(40) {
			m.step(t)
		}
		want := m.order()
		ops += len(want)
		for range 3 {
			doc := comesBack(t, m.shuffled())
			size += len(doc)
			d, _, cols, _ := inflatedDocument(t, doc)
			d.rows = freeDocumentRows
			if err := d.readOps(cols); err != nil {
				t.Fatal(err)
			}
			var got []modelID
			for _, o := range d.ops {
				got = append(got, modelID{uint64(o.ctr), d.actors[o.actor]})
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, history %d: operations are ordered\n%v, want\n%v", *seedFlag, i, got, want)
			}
			if !slices.IsSortedFunc(d.succs, func(a, b succ) int {
				return cmp.Or(cmp.Compare(a.pred, b.pred), cmp.Compare(a.ctr, b.ctr), cmp.Compare(a.actor, b.actor))
			}) {
				t.Fatalf("seed %d, history %d: successors are not in ascending order", *seedFlag, i)
			}
		}
	}
	t.Logf("%d operations, documents of %d bytes", ops, size)
}

// twisted returns the changes with some references turned to somewhere else: each
// three bytes of edits name a change, an operation and what becomes of it. It is
// nil if one of them does not even pass alone.
func (m *model) twisted(t testing.TB, edits []byte) (out []*Change) {
	now := map[id.Hash]id.Hash{}
	for i, c := range m.changes {
		h := c.Header()
		h.Deps = slices.Clone(h.Deps)
		for j, d := range h.Deps {
			h.Deps[j] = now[d]
		}
		id.SortHashes(h.Deps)
		var ops []Op
		for _, op := range c.Ops() {
			o := *op
			o.Pred = slices.Clone(op.Pred)
			ops = append(ops, o)
		}
		for e := range slices.Chunk(edits, 3) {
			if len(e) < 3 || len(ops) == 0 || int(e[0])%len(m.changes) != i {
				continue
			}
			op, by := &ops[int(e[1])%len(ops)], uint64(e[2]>>3)%4+1
			switch e[2] % 8 {
			case 0:
				op.Obj.Ctr -= min(by, op.Obj.Ctr)
			case 1:
				op.Elem.Ctr -= min(by, op.Elem.Ctr)
			case 2:
				op.Key += "x"
			case 3:
				h.StartOp += by
			case 4:
				h.Seq += by
			case 5:
				h.Deps = h.Deps[:len(h.Deps)/2]
			default:
				for j := range op.Pred {
					op.Pred[j].Ctr -= min(by, op.Pred[j].Ctr)
				}
			}
		}
		raw, err := Encode(h, ops)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = ParseChange(raw); err != nil {
			return nil
		}
		now[m.changes[i].Hash] = c.Hash
		out = append(out, c)
	}
	return out
}

// FuzzEncodeDocument: whatever changes pass alone, a document gives them back or
// is refused.
func FuzzEncodeDocument(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for seed := range uint64(200) {
		edits := make([]byte, rng.IntN(4)*3)
		for i := range edits {
			edits[i] = byte(rng.Uint32())
		}
		f.Add(seed, edits)
	}
	f.Fuzz(func(t *testing.T, seed uint64, edits []byte) {
		m := newModel(seed)
		for range 12 {
			m.step(t)
		}
		changes := m.twisted(t, edits)
		if _, err := EncodeDocument(each(changes), nil); err == nil {
			comesBack(t, changes)
		} else if !errors.Is(err, ErrNotDocument) {
			t.Errorf("error %v does not wrap ErrNotDocument", err)
		}
	})
}
