package crdt_test

import (
	"fmt"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt"
)

// docModel is a document as plain Go values: what operations mean when nobody
// else edits.
type docModel map[string]any

func (m docModel) clone() docModel { return docClone(map[string]any(m)).(map[string]any) }

func docClone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = docClone(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = docClone(e)
		}
		return c
	}
	return v
}

// docRead is how a written value comes back.
func docRead(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case crdt.Scalar:
		return string(v)
	case time.Time:
		return time.UnixMilli(v.UnixMilli()).UTC()
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = docRead(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = docRead(e)
		}
		return c
	}
	return v
}

// apply carries an operation out. scalars are the strings that have no
// positions, which plain values cannot tell.
func (m docModel) apply(o crdt.Operation) error {
	if o.Verb == crdt.VerbCreate {
		c, ok := m[o.Collection].(map[string]any)
		if !ok {
			c = map[string]any{}
			m[o.Collection] = c
		}
		if _, ok := c[o.ID]; ok {
			return crdt.ErrExists
		}
		c[o.ID] = docRead(o.Fields)
		if c[o.ID] == nil || o.Fields == nil {
			c[o.ID] = map[string]any{}
		}
		return nil
	}
	path := append(crdt.Path{o.Collection, o.ID}, o.Path...)
	if o.Verb == crdt.VerbListSet {
		path = append(path, o.Pos)
	}
	var at any = map[string]any(m)
	put := func(any) {}
	for i, s := range path {
		last := i == len(path)-1
		switch s := s.(type) {
		case string:
			parent, ok := at.(map[string]any)
			if !ok {
				return crdt.ErrKind
			}
			v, there := parent[s]
			if last && o.Verb == crdt.VerbSet {
				parent[s] = docRead(o.Value)
				return nil
			}
			if !there {
				return crdt.ErrNotFound
			}
			if last && (o.Verb == crdt.VerbDelete || o.Verb == crdt.VerbUnset) {
				delete(parent, s)
				return nil
			}
			at, put = v, func(v any) { parent[s] = v }
		case int:
			parent, ok := at.([]any)
			if !ok {
				return crdt.ErrKind
			}
			if s >= len(parent) {
				return crdt.ErrRange
			}
			if last && (o.Verb == crdt.VerbSet || o.Verb == crdt.VerbListSet) {
				parent[s] = docRead(o.Value)
				return nil
			}
			at, put = parent[s], func(v any) { parent[s] = v }
		}
	}
	return docEdit(o, at, put)
}

func docEdit(o crdt.Operation, at any, put func(any)) error {
	switch o.Verb {
	case crdt.VerbUpdate:
		fields, ok := at.(map[string]any)
		if !ok {
			return crdt.ErrKind
		}
		for k, v := range o.Fields {
			fields[k] = docRead(v)
		}
	case crdt.VerbIncrement:
		n, ok := at.(crdt.Counter)
		if !ok {
			return crdt.ErrKind
		}
		put(n + crdt.Counter(o.By))
	case crdt.VerbSplice:
		s, ok := at.(string)
		if !ok {
			return crdt.ErrKind
		}
		r := []rune(s)
		if o.Pos > len(r) || o.Del > len(r)-o.Pos {
			return crdt.ErrRange
		}
		put(string(r[:o.Pos]) + o.Text + string(r[o.Pos+o.Del:]))
	case crdt.VerbListInsert, crdt.VerbListDelete:
		l, ok := at.([]any)
		if !ok {
			return crdt.ErrKind
		}
		if o.Pos > len(l) || o.Del > len(l)-o.Pos {
			return crdt.ErrRange
		}
		put(append(append(append([]any{}, l[:o.Pos]...), docRead(o.Values).([]any)...), l[o.Pos+o.Del:]...))
	default:
		return fmt.Errorf("model: %s", o.Verb)
	}
	return nil
}

// Small alphabets, so that operations meet.
var (
	docGenCollection = rapid.SampledFrom([]string{"notes", "p", "ключ"})
	docGenID         = rapid.SampledFrom([]string{"a", "b", "c/d", "😀"})
	docGenKey        = rapid.SampledFrom([]string{"x", "y", "z", "é"})
	docGenText       = rapid.StringOfN(rapid.SampledFrom([]rune("ab\nzé€😀𝄞\u0301")), 0, 12, -1)
)

// docGenValue draws any value that can be written, nested depth deep at most.
// Immutable strings are left out: once read they look like text.
func docGenValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		n := 9
		if depth > 0 {
			n = 11
		}
		switch rapid.IntRange(0, n).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.SampledFrom([]any{int64(1), int64(-1), int64(math.MinInt64), int64(math.MaxInt64)}).Draw(t, "int")
		case 3:
			return rapid.SampledFrom([]any{uint64(0), uint64(1), uint64(math.MaxUint64)}).Draw(t, "uint")
		case 4:
			return rapid.SampledFrom([]any{0.5, 1.0, -1.0, math.MaxFloat64, math.Inf(1), math.SmallestNonzeroFloat64}).Draw(t, "float")
		case 5:
			return rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "bytes")
		case 6:
			return time.UnixMilli(rapid.Int64Range(-8e15, 8e15).Draw(t, "ms"))
		case 7:
			return crdt.Counter(rapid.Int64Range(-5, 5).Draw(t, "counter"))
		case 10:
			return rapid.MapOfN(docGenKey, docGenValue(depth-1), 0, 3).Draw(t, "map")
		case 11:
			return rapid.SliceOfN(docGenValue(depth-1), 0, 4).Draw(t, "list")
		}
		return docGenText.Draw(t, "text")
	})
}

// docPlace draws a path to something in an entity that is there, of the wanted
// kind if there is one, or now and then a path to nowhere.
func docPlace(t *rapid.T, m docModel, fits func(any) bool) (collection, id string, path crdt.Path, at any) {
	type spot struct {
		path crdt.Path
		at   any
	}
	var spots []spot
	var walk func(p crdt.Path, v any)
	walk = func(p crdt.Path, v any) {
		if len(p) > 2 && fits(v) {
			spots = append(spots, spot{slices.Clone(p), v})
		}
		switch v := v.(type) {
		case map[string]any:
			for _, k := range docKeys(v) {
				walk(append(p, k), v[k])
			}
		case []any:
			for i, e := range v {
				walk(append(p, i), e)
			}
		}
	}
	walk(nil, map[string]any(m))
	if len(spots) == 0 || rapid.IntRange(0, 9).Draw(t, "nowhere") == 0 {
		p := crdt.Path{docGenKey.Draw(t, "key")}
		if rapid.Bool().Draw(t, "deeper") {
			p = append(p, rapid.SampledFrom([]any{"x", 0, 3}).Draw(t, "step"))
		}
		return docGenCollection.Draw(t, "collection"), docGenID.Draw(t, "id"), p, nil
	}
	s := rapid.SampledFrom(spots).Draw(t, "spot")
	return s.path[0].(string), s.path[1].(string), s.path[2:], s.at
}

func docKeys(m map[string]any) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// docGenOperation draws an operation that most often fits the document.
func docGenOperation(t *rapid.T, m docModel) crdt.Operation {
	count := func(at any) int {
		switch at := at.(type) {
		case string:
			return len([]rune(at))
		case []any:
			return len(at)
		}
		return 1
	}
	around := func(n int, what string) int {
		if rapid.IntRange(0, 19).Draw(t, "beyond") == 0 {
			n++
		}
		return rapid.IntRange(0, max(n, 0)).Draw(t, what)
	}
	isText := func(v any) bool { _, ok := v.(string); return ok }
	isList := func(v any) bool { _, ok := v.([]any); return ok }
	isCounter := func(v any) bool { _, ok := v.(crdt.Counter); return ok }
	fields := rapid.MapOfN(docGenKey, docGenValue(2), 1, 3)
	switch rapid.IntRange(0, 11).Draw(t, "verb") {
	case 0, 1:
		return crdt.Create(docGenCollection.Draw(t, "collection"), docGenID.Draw(t, "id"), fields.Draw(t, "fields"))
	case 2:
		return crdt.Update(docGenCollection.Draw(t, "collection"), docGenID.Draw(t, "id"), fields.Draw(t, "fields"))
	case 3:
		if rapid.Bool().Draw(t, "really") {
			return crdt.Delete(docGenCollection.Draw(t, "collection"), docGenID.Draw(t, "id"))
		}
		fallthrough
	case 4:
		c, i, p, _ := docPlace(t, m, func(any) bool { return true })
		return crdt.Set(c, i, p, docGenValue(2).Draw(t, "value"))
	case 5:
		c, i, p, _ := docPlace(t, m, func(any) bool { return true })
		if _, isKey := p[len(p)-1].(string); isKey {
			return crdt.Unset(c, i, p)
		}
		return crdt.Set(c, i, p, docGenValue(1).Draw(t, "value"))
	case 6, 7:
		c, i, p, at := docPlace(t, m, isList)
		pos := around(count(at), "pos")
		if rapid.Bool().Draw(t, "delete") && pos < count(at) {
			return crdt.ListDelete(c, i, p, pos, 1+around(count(at)-pos-1, "count"))
		}
		return crdt.ListInsert(c, i, p, pos, rapid.SliceOfN(docGenValue(1), 1, 3).Draw(t, "values")...)
	case 8:
		c, i, p, at := docPlace(t, m, isList)
		return crdt.ListSet(c, i, p, around(count(at)-1, "pos"), docGenValue(1).Draw(t, "value"))
	case 9:
		c, i, p, _ := docPlace(t, m, isCounter)
		return crdt.Increment(c, i, p, rapid.Int64Range(-3, 3).Draw(t, "by"))
	}
	c, i, p, at := docPlace(t, m, isText)
	pos := around(count(at), "pos")
	del := around(count(at)-pos, "del")
	text := docGenText.Draw(t, "text")
	if del == 0 && text == "" {
		text = "+"
	}
	return crdt.Splice(c, i, p, pos, del, text)
}

func docMust[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func docOK(err error) {
	if err != nil {
		panic(err)
	}
}
