package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"syncline/crdt/schema"
	"syncline/crdt/value"
)

// version is a schema in a version, with the functions that it names.
func version(t testing.TB, n int, functions ...string) *schema.Schema {
	var fields []string
	for i, f := range functions {
		fields = append(fields, fmt.Sprintf(`"f%d": {"type": "int", "merge": "%s"}`, i, f))
	}
	return parse(t, fmt.Sprintf(`{"schema": 1, "id": "org.example.shop", "version": %d, "collections": {"c": {"fields": {%s}}}}`, n, strings.Join(fields, ",")))
}

// marks are those of schemas, as a document has them.
func marks(schemas ...*schema.Schema) map[string][]any {
	all := map[string][]any{}
	for _, s := range schemas {
		m := s.Mark()
		all[m.Field] = append(all[m.Field], string(m.Value))
	}
	return all
}

func TestMark(t *testing.T) {
	s := version(t, 3, "b@2", "a@1", "b@2")
	m := s.Mark()
	if m.Entity != "schema:org.example.shop" || m.Field != "3" || m.Value != value.Scalar(s.Hash().String()+" a@1 b@2") {
		t.Errorf("%+v", m)
	}
}

func TestPeersCanTellWhenTheirSchemasDiffer(t *testing.T) {
	one, two, three := version(t, 1, "a@1"), version(t, 2, "a@1"), version(t, 3, "a@2", "b@1")
	other := version(t, 2, "a@3")
	for _, c := range []struct {
		ours     *schema.Schema
		there    map[string][]any
		relation schema.Relation
		marked   bool
		newest   int
		words    string
	}{
		{two, nil, schema.Unmarked, false, 0, ""},
		{two, map[string][]any{"2": {"no mark"}, "02": {one.Mark().Value}, "x": {1}, "0": {one.Mark().Value}}, schema.Unmarked, false, 0, ""},
		{two, marks(two), schema.Same, true, 2, ""},
		{two, marks(one, two), schema.Same, true, 2, ""},
		{two, marks(two, two), schema.Same, true, 2, ""},
		{two, marks(one), schema.Older, false, 1, "was used with version 1 of the schema org.example.shop, and this peer has version 2"},
		{one, marks(one, two), schema.Newer, true, 2, "is used with version 2 of the schema org.example.shop, and this peer has version 1"},
		{two, marks(three), schema.Newer, false, 3, "function a is used there in version 2, and here in another"},
		{three, marks(two), schema.Older, false, 2, "function a is used there in version 1, and here in another"},
		{two, marks(other), schema.Differs, false, 2, "another schema that calls itself org.example.shop version 2 too: values may be read differently there; one of the two needs a higher version; the merge function a is used there in version 3"},
		{two, marks(two, other), schema.Differs, true, 2, "function a is used there in version 3"},
		{two, marks(two, other, three), schema.Differs, true, 3, "function a is used there in version 2"},
	} {
		at := c.ours.Compare(c.there)
		if at.Relation != c.relation || at.Marked != c.marked || at.Newest != c.newest || !strings.Contains(at.Words(), c.words) || (at.Words() == "") != (c.words == "") {
			t.Errorf("%s at %v:\n got %+v: %q\nwant %s %v %d: %s", c.ours, c.there, at, at.Words(), c.relation, c.marked, c.newest, c.words)
		}
	}
}

func TestMissingFunctions(t *testing.T) {
	s := version(t, 1, "b@2", "a@1", "b@1")
	if got := fmt.Sprint(s.Missing(nil)); got != "[a@1 b@1 b@2]" {
		t.Error(got)
	}
}
