package schema

import (
	"maps"
	"slices"

	"syncline/crdt/merge"
)

// Definition is a schema as an app writes it in Go. The comment of the package says
// what each part means.
type Definition struct {
	ID          string
	Version     int
	Open        bool
	Collections map[string]Collection
}

// Collection describes the entities of a collection.
type Collection struct {
	Fields map[string]Field
	Open   bool
}

// Names lists the fields, ascending.
func (c Collection) Names() []string { return slices.Sorted(maps.Keys(c.Fields)) }

// Type is the type of a field.
type Type string

// The types.
const (
	Text      Type = "text"
	String    Type = "string"
	Int       Type = "int"
	Uint      Type = "uint"
	Float     Type = "float"
	Number    Type = "number"
	Bool      Type = "bool"
	Bytes     Type = "bytes"
	Timestamp Type = "timestamp"
	Counter   Type = "counter"
	List      Type = "list"
	Map       Type = "map"
	Any       Type = "any"
)

var types = []Type{Text, String, Int, Uint, Float, Number, Bool, Bytes, Timestamp, Counter, List, Map, Any}

// Field describes a field of an entity, a key of a map or the elements of a list.
type Field struct {
	Type     Type
	Required bool
	Enum     []string
	Default  any // nil: none
	Merge    string
	Search   bool
	Of       *Field
	Fields   map[string]Field
	Open     bool

	rule merge.Rule
}

// Rule is the field's rule for concurrent values. It is known once the field is part
// of a Schema.
func (f Field) Rule() merge.Rule { return f.rule }

// Names lists the fields of a map, ascending.
func (f Field) Names() []string { return slices.Sorted(maps.Keys(f.Fields)) }
