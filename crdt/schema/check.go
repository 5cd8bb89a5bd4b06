package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"syncline/crdt/value"
)

// ErrViolation is what every Violation wraps.
var ErrViolation = errors.New("not as the schema has it")

// Violation is a value that is not as the schema has it.
type Violation struct {
	Path  value.Path // from the root: collection, entity and so on
	Value any        // nil also if there is none
	Found string     // for people: what the value is, or what else is wrong
	Want  string     // for people: what fits
}

func (v Violation) Error() string { return fmt.Sprintf("%s: %s: want %s", v.Path, v.Found, v.Want) }

// Unwrap returns ErrViolation.
func (v Violation) Unwrap() error { return ErrViolation }

// Violations are all that is wrong with an operation or an entity, in the order of
// the fields' names.
type Violations []Violation

// Error names the first few.
func (vs Violations) Error() string {
	const most = 5
	var parts []string
	for _, v := range vs[:min(len(vs), most)] {
		parts = append(parts, v.Error())
	}
	s := ErrViolation.Error() + ": " + strings.Join(parts, "; ")
	if n := len(vs) - most; n > 0 {
		s += fmt.Sprintf("; and %d more", n)
	}
	return s
}

// Unwrap returns ErrViolation.
func (vs Violations) Unwrap() error { return ErrViolation }

func (vs Violations) err() error {
	if len(vs) == 0 {
		return nil
	}
	return vs
}

// The checks below are of one operation each, before it is carried out. Their errors
// are Violations. They look at the operation alone and not at what is there.

// CheckCreate checks the fields of a new entity.
func (s *Schema) CheckCreate(collection, entity string, fields map[string]any) error {
	return s.checkFields(collection, entity, fields, true)
}

// CheckUpdate checks fields that are set in an entity that is there.
func (s *Schema) CheckUpdate(collection, entity string, fields map[string]any) error {
	return s.checkFields(collection, entity, fields, false)
}

func (s *Schema) checkFields(collection, entity string, fields map[string]any, whole bool) error {
	f, refused := s.place(collection, entity, nil)
	if refused != nil {
		return refused
	}
	c := newChecker(collection, entity, nil)
	c.entries(f, fields, whole)
	return c.violations().err()
}

// CheckDelete checks that the collection may be written.
func (s *Schema) CheckDelete(collection, entity string) error {
	_, refused := s.place(collection, entity, nil)
	return refused.err()
}

// CheckSet checks a value that is set at a path in an entity: a field, a key of a map
// or an element of a list.
func (s *Schema) CheckSet(collection, entity string, path value.Path, v any) error {
	f, refused := s.place(collection, entity, path)
	if refused != nil {
		return refused
	}
	c := newChecker(collection, entity, path)
	if _, isIndex := path[len(path)-1].(int); isIndex {
		c.element(f, v)
	} else {
		c.value(f, v)
	}
	return c.violations().err()
}

// CheckUnset checks that what is at a path may be removed.
func (s *Schema) CheckUnset(collection, entity string, path value.Path) error {
	f, refused := s.place(collection, entity, path)
	if refused == nil && f.Required && f.Default == nil {
		refused = Violations{{Path: root(collection, entity, path), Found: "an unset", Want: f.want()}}
	}
	return refused.err()
}

// CheckIncrement checks that there is a counter at a path.
func (s *Schema) CheckIncrement(collection, entity string, path value.Path) error {
	return s.checkType(collection, entity, path, "an increment", Counter)
}

// CheckSplice checks that there is a text at a path.
func (s *Schema) CheckSplice(collection, entity string, path value.Path) error {
	return s.checkType(collection, entity, path, "a splice", Text)
}

// CheckElements checks values that are inserted into, or set in, the list at a path.
// With no values, it checks that there is a list.
func (s *Schema) CheckElements(collection, entity string, path value.Path, values []any) error {
	if err := s.checkType(collection, entity, path, "a list edit", List); err != nil {
		return err
	}
	f, _ := s.Field(collection, path)
	of, _ := f.inner(0)
	c := newChecker(collection, entity, path)
	for i, v := range values {
		c.enter(step{index: i})
		c.element(of, v)
		c.leave()
	}
	return c.violations().err()
}

func (s *Schema) checkType(collection, entity string, path value.Path, edit string, want Type) error {
	f, refused := s.place(collection, entity, path)
	if refused == nil && f.Type != want && f.Type != Any {
		refused = Violations{{
			Path: root(collection, entity, path), Found: fmt.Sprintf("%s, which is for a %s", edit, want), Want: f.want(),
		}}
	}
	return refused.err()
}

// place finds what is said of a place that an operation writes to, or why there is no
// such place.
func (s *Schema) place(collection, entity string, path value.Path) (Field, Violations) {
	if strings.HasPrefix(collection, Reserved) {
		return Field{}, Violations{{Path: value.Path{collection}, Found: "Syncline's own collection", Want: "another one"}}
	}
	for n := range len(path) + 1 {
		if _, ok := s.Field(collection, path[:n]); ok {
			continue
		}
		if n == 0 {
			return Field{}, Violations{{Path: value.Path{collection}, Found: "no such collection", Want: "one of " + listed(s.Collections())}}
		}
		holder, _ := s.Field(collection, path[:n-1])
		return Field{}, Violations{{Path: root(collection, entity, path[:n]), Found: "no such place", Want: holder.wantInside(path[n-1])}}
	}
	f, _ := s.Field(collection, path)
	return f, nil
}

// wantInside says what a field has inside, of which the step is none.
func (f Field) wantInside(step any) string {
	_, isKey := step.(string)
	switch {
	case f.Type == Map && isKey:
		return "one of " + listed(f.Names())
	case f.Type == Map:
		return "a key, as in every map"
	case f.Type == List:
		return "an index, as in every list"
	}
	return "nothing inside " + f.want()
}

func listed(names []string) string {
	if len(names) == 0 {
		return "(there are none)"
	}
	return shorten(strings.Join(names, ", "), 200)
}

func root(collection, entity string, path value.Path) value.Path {
	return slices.Concat(value.Path{collection, entity}, path)
}

// CheckEntity returns all that is not as the schema has it in an entity as it stands.
// What the schema does not name is no violation.
func (s *Schema) CheckEntity(collection, entity string, v any) Violations {
	f, ok := s.Field(collection, nil)
	if !ok {
		return nil
	}
	c := checker{collection: collection, entity: entity}
	c.value(f, v)
	return c.violations()
}
