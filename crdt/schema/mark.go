package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// Mark is what a version of a schema leaves in a document that it is used on: one
// field of the entity "schema:<id>" in the collection [Reserved]. A JavaScript app sees
// a plain map of strings there:
//
//	{"_syncline": {"schema:org.example.shop": {"1": "<hash>", "2": "<hash> discount@2"}}}
//
// Each version has a field of its own, so that peers who mark different versions at the
// same time do not meet, and those who mark the same one write the same. A mark that
// is lost (two peers have made the entity at once, of which one is hidden) is found
// missing and made again. Marks are never removed.
type Mark struct {
	Entity string
	Field  string       // the version
	Value  value.Scalar // the hash, and the functions that the version names
}

// Mark returns the schema's mark.
func (s *Schema) Mark() Mark {
	words := []string{s.hash.String()}
	for _, r := range s.functions {
		words = append(words, r.String())
	}
	return Mark{Entity: "schema:" + s.id, Field: strconv.Itoa(s.version), Value: value.Scalar(strings.Join(words, " "))}
}

// Relation is how a document stands to a schema.
type Relation string

// The relations. In all but Same and Newer the schema's mark is still to be written.
const (
	Unmarked Relation = "unmarked" // no version of this schema has been used on it
	Same     Relation = "same"     // this version is the newest that has
	Older    Relation = "older"    // an older version is: this one is to be marked
	Newer    Relation = "newer"    // a newer version has been used
	Differs  Relation = "differs"  // another schema has been used under this id and version
)

// Standing is how a document stands to a schema.
type Standing struct {
	Relation Relation
	Marked   bool // the schema's own mark is there
	Newest   int  // the newest version that is marked, 0 if none is
	// Functions are the functions of which the newest version names another version
	// than the schema does, as the document has them: values that both read may differ.
	Functions []merge.Rule

	schema *Schema
}

// Compare reads the marks of a document: the fields of the mark's entity, each with all
// the values that concurrent changes have given it. What is no mark is passed over.
func (s *Schema) Compare(marks map[string][]any) Standing {
	at := Standing{Relation: Unmarked, schema: s}
	own := s.Mark()
	for field, values := range marks {
		version, err := strconv.Atoi(field)
		if err != nil || version < 1 || version > maxVersion || strconv.Itoa(version) != field {
			continue
		}
		for _, v := range values {
			text, isText := value.Text(v)
			hash, functions := parseMark(text)
			if !isText || hash == "" {
				continue
			}
			switch {
			case version == s.version && text == string(own.Value):
				at.Marked = true
			case version == s.version:
				at.Relation = Differs
			}
			if version > at.Newest {
				at.Newest, at.Functions = version, nil
			}
			if version == at.Newest {
				at.Functions = append(at.Functions, functions...)
			}
		}
	}
	at.Functions = s.others(at.Functions)
	switch {
	case at.Relation == Differs || at.Newest == 0:
	case at.Newest > s.version:
		at.Relation = Newer
	case at.Newest == s.version:
		at.Relation = Same
	default:
		at.Relation = Older
	}
	return at
}

// others are those of a version's functions that the schema names in another version.
func (s *Schema) others(functions []merge.Rule) (others []merge.Rule) {
	for _, f := range functions {
		names := func(own merge.Rule) bool { return own.Name == f.Name }
		same := func(own merge.Rule) bool { return own.String() == f.String() }
		if slices.ContainsFunc(s.functions, names) && !slices.ContainsFunc(s.functions, same) {
			others = append(others, f)
		}
	}
	slices.SortFunc(others, func(a, b merge.Rule) int { return cmp.Compare(a.String(), b.String()) })
	return slices.CompactFunc(others, func(a, b merge.Rule) bool { return a.String() == b.String() })
}

// parseMark splits a mark; hash is empty if it is none.
func parseMark(text string) (hash string, functions []merge.Rule) {
	words := strings.Split(text, " ")
	if len(words[0]) != 64 || strings.Trim(words[0], "0123456789abcdef") != "" {
		return "", nil
	}
	for _, w := range words[1:] {
		if r, err := merge.ParseRule(w); err == nil && r.IsFunction() {
			functions = append(functions, r)
		}
	}
	return words[0], functions
}

// Words says for a person how the document stands, as one sentence; nothing if it is
// as the schema has it.
func (at Standing) Words() string {
	var s string
	switch at.Relation {
	case Newer:
		s = fmt.Sprintf("the document is used with version %d of the schema %s, and this peer has version %d: "+
			"what the newer one has added is kept and shown as it is", at.Newest, at.schema.id, at.schema.version)
	case Differs:
		s = fmt.Sprintf("the document is used with another schema that calls itself %s too: "+
			"values may be read differently there; one of the two needs a higher version", at.schema)
	case Older:
		s = fmt.Sprintf("the document was used with version %d of the schema %s, and this peer has version %d: "+
			"peers with the older one see what is added without knowing it", at.Newest, at.schema.id, at.schema.version)
	default:
		return ""
	}
	for _, f := range at.Functions {
		s += fmt.Sprintf("; the merge function %s is used there in version %d, and here in another: "+
			"conflicts of its fields may be read differently", f.Name, f.Version)
	}
	return s
}
