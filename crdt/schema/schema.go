package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"syncline/crdt/digest"
	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// Schema is a definition that holds together. It is not changed any more, and may be
// used by several goroutines.
type Schema struct {
	id          string
	version     int
	open        bool
	collections map[string]Collection
	hash        digest.Sum
	functions   []merge.Rule
}

// ErrSchema is what the error of a malformed schema wraps.
var ErrSchema = errors.New("malformed schema")

// Limits of a schema: what a person may write by hand many times over, and what the
// tables of a store can hold (SQLite has at most 2,000 columns).
const (
	maxVersion     = 1<<31 - 1
	maxName        = 200 // bytes
	maxCollections = 1000
	maxFields      = 1000
	maxEnum        = 1000
	maxDepth       = 16
)

// Reserved is the collection that Syncline keeps for itself in every document.
const Reserved = "_syncline"

// New returns the schema of a definition, of which it keeps a copy. The error wraps
// [ErrSchema] and names the place.
func New(d Definition) (*Schema, error) {
	s := &Schema{id: d.ID, version: d.Version, open: d.Open, collections: make(map[string]Collection, len(d.Collections))}
	if err := checkName(d.ID); err != nil {
		return nil, malformed("id", "%w", err)
	}
	if d.Version < 1 || d.Version > maxVersion {
		return nil, malformed("version", "%d: want a whole number from 1 to %d", d.Version, maxVersion)
	}
	if len(d.Collections) > maxCollections {
		return nil, malformed("collections", "%d of them, at most %d are allowed", len(d.Collections), maxCollections)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Collections)) {
		at := "collections/" + name
		if err := checkName(name); err != nil {
			return nil, malformed(at, "%w", err)
		}
		if strings.HasPrefix(name, Reserved) {
			return nil, malformed(at, "names that begin with %s are Syncline's own", Reserved)
		}
		c := d.Collections[name]
		fields, err := s.fields(at+"/fields", c.Fields, 1)
		if err != nil {
			return nil, err
		}
		s.collections[name] = Collection{Fields: fields, Open: c.Open}
	}
	slices.SortFunc(s.functions, func(a, b merge.Rule) int { return strings.Compare(a.String(), b.String()) })
	s.functions = slices.CompactFunc(s.functions, func(a, b merge.Rule) bool { return a.String() == b.String() })
	s.hash = sum(s.normal())
	return s, nil
}

// ID names the schema among those of other apps.
func (s *Schema) ID() string { return s.id }

// Version counts up with what the schema has come to describe.
func (s *Schema) Version() int { return s.version }

// Hash is the hash of the schema's normal form.
func (s *Schema) Hash() digest.Sum { return s.hash }

// String names the schema as people do: its id and version.
func (s *Schema) String() string { return fmt.Sprintf("%s version %d", s.id, s.version) }

// Open reports whether collections that the schema does not name may be written.
func (s *Schema) Open() bool { return s.open }

// Collections lists the names of the collections, ascending.
func (s *Schema) Collections() []string { return slices.Sorted(maps.Keys(s.collections)) }

// Collection returns what is said of a collection. It must not be modified.
func (s *Schema) Collection(name string) (Collection, bool) {
	c, ok := s.collections[name]
	return c, ok
}

// Functions lists the functions of the app that the schema names, ascending.
func (s *Schema) Functions() []merge.Rule { return slices.Clone(s.functions) }

// Missing lists the functions that the schema names and the peer does not have: where
// they should choose, the winner is shown and the choice is left for a person.
func (s *Schema) Missing(f *merge.Functions) (missing []merge.Rule) {
	for _, r := range s.functions {
		if !f.Has(r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// Field returns what is said of a field, or of what lies deeper in it. Where the schema
// lets anything be written, that is a field of type Any.
func (s *Schema) Field(collection string, path value.Path) (Field, bool) {
	c, ok := s.collections[collection]
	if !ok {
		return Field{Type: Any}, s.open
	}
	at := Field{Type: Map, Fields: c.Fields, Open: c.Open}
	for _, step := range path {
		if at, ok = at.inner(step); !ok {
			return Field{}, false
		}
	}
	return at, true
}

// inner returns what is said of what is found in a field under a key or index.
func (f Field) inner(step any) (Field, bool) {
	key, isKey := step.(string)
	switch {
	case f.Type == Any:
		return Field{Type: Any}, true
	case f.Type == Map && isKey && f.Fields != nil:
		in, ok := f.Fields[key]
		if !ok {
			in = Field{Type: Any}
		}
		return in, ok || f.Open
	case f.Type == Map && isKey, f.Type == List && !isKey:
		if f.Of == nil {
			return Field{Type: Any}, true
		}
		return *f.Of, true
	}
	return Field{}, false
}

// fields checks and copies the fields of a collection or map.
func (s *Schema) fields(at string, fields map[string]Field, depth int) (map[string]Field, error) {
	if len(fields) > maxFields {
		return nil, malformed(at, "%d fields, at most %d are allowed", len(fields), maxFields)
	}
	all := make(map[string]Field, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := checkName(name); err != nil {
			return nil, malformed(at+"/"+name, "%w", err)
		}
		f, err := s.field(at+"/"+name, fields[name], depth)
		if err != nil {
			return nil, err
		}
		all[name] = f
	}
	return all, nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("an empty name")
	case len(name) > maxName:
		return fmt.Errorf("a name of %d bytes, at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name):
		return errors.New("a name that is not valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("a name with control characters")
	}
	return nil
}

// malformed says what is wrong with a schema and where.
func malformed(at, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", ErrSchema, at, fmt.Errorf(format, args...))
}
