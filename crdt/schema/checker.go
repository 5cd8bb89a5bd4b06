package schema

import (
	"cmp"
	"slices"
	"strings"

	"syncline/crdt/value"
)

// checker looks for violations in a value. Every entity that is read goes through one,
// and nearly all are as they should be, so it takes no memory before it has found
// something: where it is stands on a stack of its own.
type checker struct {
	collection, entity string
	closed             bool // names that the schema does not have are violations
	at                 []step
	found              Violations
}

// step is one of a value.Path.
type step struct {
	key   string
	index int
	isKey bool
}

func key(k string) step { return step{key: k, isKey: true} }

// newChecker is of an operation at a path in an entity.
func newChecker(collection, entity string, path value.Path) checker {
	c := checker{collection: collection, entity: entity, closed: true}
	for _, s := range path {
		if k, isKey := s.(string); isKey {
			c.enter(key(k))
		} else if i, isIndex := s.(int); isIndex {
			c.enter(step{index: i})
		}
	}
	return c
}

func (c *checker) enter(s step) { c.at = append(c.at, s) }
func (c *checker) leave()       { c.at = c.at[:len(c.at)-1] }

// add notes a violation where the checker is.
func (c *checker) add(v Violation) {
	v.Path = value.Path{c.collection, c.entity}
	for _, s := range c.at {
		if s.isKey {
			v.Path = append(v.Path, s.key)
		} else {
			v.Path = append(v.Path, s.index)
		}
	}
	c.found = append(c.found, v)
}

// violations returns what was found in the order of the places.
func (c *checker) violations() Violations {
	slices.SortFunc(c.found, func(a, b Violation) int { return slices.CompareFunc(a.Path, b.Path, compareSteps) })
	return c.found
}

func compareSteps(a, b any) int {
	i, isIndex := a.(int)
	j, bothIndexes := b.(int)
	if isIndex && bothIndexes {
		return cmp.Compare(i, j)
	}
	k, _ := a.(string)
	l, _ := b.(string)
	return strings.Compare(k, l)
}

// element checks what a list or map holds many of.
func (c *checker) element(f Field, v any) {
	if v == nil && f.Type != Any {
		c.add(Violation{Found: describe(v), Want: f.want()})
		return
	}
	c.value(f, v)
}

func (c *checker) value(f Field, v any) {
	if !f.takes(v) {
		c.add(Violation{Value: v, Found: describe(v), Want: f.want()})
		return
	}
	switch v := v.(type) {
	case []any:
		if f.Of == nil {
			return
		}
		for i, e := range v {
			c.enter(step{index: i})
			c.element(*f.Of, e)
			c.leave()
		}
	case map[string]any:
		c.entries(f, v, true)
	}
}

// entries checks what is in a map. whole says that what is not in it is not there.
func (c *checker) entries(f Field, m map[string]any, whole bool) {
	if f.Fields == nil && f.Of == nil {
		return
	}
	for k, v := range m {
		in, known := f.Fields[k]
		c.enter(key(k))
		switch {
		case f.Fields == nil:
			c.element(*f.Of, v)
		case known:
			c.value(in, v)
		case !f.Open && c.closed:
			c.add(Violation{Value: v, Found: "no such field", Want: f.wantInside(k)})
		}
		c.leave()
	}
	if !whole {
		return
	}
	for k, in := range f.Fields {
		if _, there := m[k]; !there && in.Required && in.Default == nil {
			c.enter(key(k))
			c.add(Violation{Found: "nothing", Want: in.want()})
			c.leave()
		}
	}
}
