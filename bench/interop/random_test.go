package interop

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"syncline/crdt"
)

// writer makes random operations that fit a document, from a seed.
type writer struct {
	*rand.Rand
	names, ids []string // of fields, of entities
}

func newWriter(seed uint64) *writer {
	return &writer{rand.New(rand.NewPCG(seed, 0)), names, ids}
}

// newShyWriter makes no names with a slash: @automerge/automerge 3.5.0 joins paths
// with slashes, and throws when a text below such a name is edited.
func newShyWriter(seed uint64) *writer {
	w := newWriter(seed)
	slashed := func(s string) bool { return strings.Contains(s, "/") }
	w.names = slices.DeleteFunc(slices.Clone(names), slashed)
	w.ids = slices.DeleteFunc(slices.Clone(ids), slashed)
	return w
}

// Small alphabets, so that operations meet.
var (
	letters     = []string{"a", "b", "é", "漢", " ", "z", "😀", "\n", "\"", "e\u0301", "\u2028", "<&>"}
	names       = []string{"k0", "k1", "schlüssel", "🔑", "a/b", "7", "__proto", "\uff5e"}
	collections = []string{"notes", "ключ"}
	ids         = []string{"n0", "n1", "n2", "n3", "c/d", "😀"}
)

func pick[T any](w *writer, list []T) T { return list[w.IntN(len(list))] }

func (w *writer) chance(p float64) bool { return w.Float64() < p }

func (w *writer) word(longest int) string {
	var b strings.Builder
	for range w.IntN(longest + 1) {
		b.WriteString(pick(w, letters))
	}
	return b.String()
}

// number draws one of each kind, at its ends and around what JavaScript holds
// exactly too.
func (w *writer) number() any {
	switch w.IntN(9) {
	case 0:
		return int64(w.IntN(100))
	case 1:
		return -w.Int64N(1 << 40)
	case 2:
		return pick(w, []any{int64(math.MaxInt64), int64(math.MinInt64), int64(1<<53 + 1), int64(-1<<53 - 1), int64(1 << 31), int8(-3), uint16(9)})
	case 3:
		return w.Uint64N(1 << 33)
	case 4:
		return pick(w, []any{uint64(0), uint64(math.MaxUint64), uint64(1 << 53), uint64(1 << 63)})
	case 5:
		return float64(w.IntN(20) - 10) // a float that could be an integer
	case 6:
		return w.NormFloat64()
	case 7:
		return float32(w.IntN(9)) / 4
	}
	return pick(w, []any{math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), 1e21, 1e-7})
}

// value draws any value that can be written, nested at most depth deep.
func (w *writer) value(depth int) any {
	n := 9
	if depth > 0 {
		n = 13
	}
	switch w.IntN(n) {
	case 0:
		return nil
	case 1:
		return w.chance(0.5)
	case 2, 3:
		return w.number()
	case 4:
		return w.word(8)
	case 5:
		return crdt.Scalar(anchor + w.word(5))
	case 6:
		return time.UnixMilli(pick(w, []int64{0, -1, 1, w.Int64N(4e12) - 2e12, 8_640_000_000_000_000, -8_640_000_000_000_000}))
	case 7:
		b := make([]byte, w.IntN(12))
		for i := range b {
			b[i] = byte(w.IntN(256))
		}
		return b
	case 8:
		return crdt.Counter(w.IntN(11) - 5)
	case 9, 10:
		list := make([]any, w.IntN(4))
		for i := range list {
			list[i] = w.value(depth - 1)
		}
		return list
	}
	return w.fields(depth-1, 0)
}

func (w *writer) fields(depth, least int) map[string]any {
	m := map[string]any{}
	for n := least + w.IntN(3); len(m) < n; {
		m[pick(w, w.names)] = w.value(depth)
	}
	return m
}

// spot is a value of an entity with the path to it.
type spot struct {
	path crdt.Path
	at   any
}

// spots lists what lies in a value, itself apart, in an order that depends on
// nothing else.
func spots(path crdt.Path, v any) (all []spot) {
	add := func(step, e any) {
		p := append(slices.Clone(path), step)
		all = append(append(all, spot{p, e}), spots(p, e)...)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			add(k, v[k])
		}
	case []any:
		for i, e := range v {
			add(i, e)
		}
	}
	return all
}

// batch draws operations that a document of this value carries out: each is on an
// entity of its own.
func (w *writer) batch(doc map[string]any) []crdt.Operation {
	var ops []crdt.Operation
	used := map[string]bool{}
	for range 1 + w.IntN(3) {
		collection, id := pick(w, collections), pick(w, w.ids)
		if key := collection + " " + id; !used[key] {
			used[key] = true
			ops = append(ops, w.operation(doc, collection, id))
		}
	}
	return ops
}

func (w *writer) operation(doc map[string]any, collection, id string) crdt.Operation {
	entities, _ := doc[collection].(map[string]any)
	entity, there := entities[id].(map[string]any)
	if !there {
		return crdt.Create(collection, id, w.fields(2, 0))
	}
	found := spots(nil, entity)
	if len(found) == 0 {
		return crdt.Update(collection, id, w.fields(2, 1))
	}
	switch w.IntN(12) {
	case 0:
		return crdt.Delete(collection, id)
	case 1, 2:
		return crdt.Update(collection, id, w.fields(2, 1))
	case 3, 4:
		s := pick(w, found)
		if _, isKey := s.path[len(s.path)-1].(string); isKey && w.chance(0.4) {
			return crdt.Unset(collection, id, s.path)
		}
		return crdt.Set(collection, id, s.path, w.value(2))
	}
	// Something that has edits of its own, if the entity has it.
	w.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	for _, s := range found {
		switch at := s.at.(type) {
		case string:
			if !strings.HasPrefix(at, anchor) { // an immutable string reads alike
				return w.splice(collection, id, s.path, len([]rune(at)))
			}
		case []any:
			return w.listEdit(collection, id, s.path, len(at))
		case crdt.Counter:
			return crdt.Increment(collection, id, s.path, int64(w.IntN(9)-4))
		}
	}
	return crdt.Update(collection, id, map[string]any{pick(w, w.names): w.word(8)})
}

func (w *writer) splice(collection, id string, p crdt.Path, length int) crdt.Operation {
	pos := w.IntN(length + 1)
	del, text := 0, w.word(5)
	if w.chance(0.5) {
		del = w.IntN(min(length-pos, 4) + 1)
	}
	if del == 0 && text == "" {
		text = "+"
	}
	return crdt.Splice(collection, id, p, pos, del, text)
}

func (w *writer) listEdit(collection, id string, p crdt.Path, length int) crdt.Operation {
	if length == 0 || w.chance(0.5) {
		values := make([]any, 1+w.IntN(3))
		for i := range values {
			values[i] = w.value(1)
		}
		return crdt.ListInsert(collection, id, p, w.IntN(length+1), values...)
	}
	pos := w.IntN(length)
	if w.chance(0.5) {
		return crdt.ListSet(collection, id, p, pos, w.value(1))
	}
	return crdt.ListDelete(collection, id, p, pos, 1+w.IntN(min(length-pos, 3)))
}

// first makes what a history begins with.
func (w *writer) first() []crdt.Operation {
	var ops []crdt.Operation
	for _, c := range collections {
		ops = append(ops, crdt.Create(c, ids[0], map[string]any{
			"text": "The fox 😀 jumps.", "votes": crdt.Counter(0), "tags": []any{int64(1), "two", nil},
			"deep": map[string]any{"n": 1.5, "at": time.UnixMilli(1e12), "list": []any{map[string]any{"x": "y"}}},
		}))
	}
	return ops
}

// actor draws an actor id.
func (w *writer) actor() string { return fmt.Sprintf("%08x-%08x", w.Uint32(), w.Uint32()) }
