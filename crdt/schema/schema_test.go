package schema_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
)

// file is a schema's file with the given collections.
func file(collections string) string {
	return `{"schema": 1, "id": "org.example.shop", "version": 1, "collections": ` + collections + `}`
}

// fieldFile is one with a single field.
func fieldFile(field string) string { return file(`{"c": {"fields": {"f": ` + field + `}}}`) }

func parse(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

const shop = `{
  "schema": 1, "id": "org.example.shop", "version": 2, "open": true,
  "collections": {
    "orders": {"fields": {
      "customer": {"type": "string", "required": true},
      "note":     {"type": "text", "search": true},
      "state":    {"type": "string", "enum": ["draft", "sent", "paid"], "default": "draft", "merge": "ranked"},
      "paidAt":   {"type": "timestamp", "merge": "first", "default": {"$time": "2020-01-02T03:04:05.678Z"}},
      "tags":     {"type": "list", "of": {"type": "string"}, "merge": "union"},
      "address":  {"type": "map", "open": true, "fields": {"zip": {"type": "string", "required": true}}},
      "prices":   {"type": "map", "of": {"type": "number", "merge": "max"}},
      "discount": {"type": "number", "merge": "discount@2", "default": 0.5},
      "key":      {"type": "bytes", "default": {"$bytes": "AAE="}}
    }},
    "items": {"open": true, "fields": {"stock": {"type": "counter"}, "extra": {"type": "any"}, "id": {"type": "uint", "default": {"$uint": 5}}}}
  }
}`

// inGo is the same schema, written in code.
func inGo() schema.Definition {
	return schema.Definition{ID: "org.example.shop", Version: 2, Open: true, Collections: map[string]schema.Collection{
		"orders": {Fields: map[string]schema.Field{
			"customer": {Type: schema.String, Required: true},
			"note":     {Type: schema.Text, Search: true},
			"state":    {Type: schema.String, Enum: []string{"draft", "sent", "paid"}, Default: "draft", Merge: merge.Ranked},
			"paidAt":   {Type: schema.Timestamp, Merge: merge.First, Default: time.UnixMilli(1577934245678)},
			"tags":     {Type: schema.List, Of: &schema.Field{Type: schema.String}, Merge: merge.Union},
			"address":  {Type: schema.Map, Open: true, Fields: map[string]schema.Field{"zip": {Type: schema.String, Required: true}}},
			"prices":   {Type: schema.Map, Of: &schema.Field{Type: schema.Number, Merge: merge.Max}},
			"discount": {Type: schema.Number, Merge: "discount@2", Default: 0.5},
			"key":      {Type: schema.Bytes, Default: []byte{0, 1}},
		}},
		"items": {Open: true, Fields: map[string]schema.Field{
			"stock": {Type: schema.Counter, Merge: merge.Counter}, "extra": {Type: schema.Any}, "id": {Type: schema.Uint, Default: 5},
		}},
	}}
}

func TestAFileAndCodeMakeTheSameSchema(t *testing.T) {
	s := parse(t, shop)
	g, err := schema.New(inGo())
	if err != nil {
		t.Fatal(err)
	}
	if s.Hash() != g.Hash() {
		t.Errorf("%s and %s", must(s.MarshalJSON()), must(g.MarshalJSON()))
	}
	if again := parse(t, string(must(json.Marshal(s)))); again.Hash() != s.Hash() {
		t.Errorf("written and read again it is %s", must(again.MarshalJSON()))
	}
	if s.String() != "org.example.shop version 2" || s.ID() != "org.example.shop" || s.Version() != 2 || !s.Open() {
		t.Error(s)
	}
	if got := fmt.Sprint(s.Collections(), s.Functions()); got != "[items orders] [discount@2]" {
		t.Error(got)
	}
	c, _ := s.Collection("items")
	if got := fmt.Sprint(c.Names()); got != "[extra id stock]" {
		t.Error(got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What a schema says is part of its hash; how it is written is not.
func TestTheHashIsOfWhatIsSaid(t *testing.T) {
	base := fieldFile(`{"type": "string"}`)
	for _, same := range []string{
		fieldFile(`{"type": "string", "required": false, "search": false, "merge": ""}`),
		strings.ReplaceAll(base, `"schema": 1, `, "\n") + " ",
		file(`{"c": {"open": false, "fields": {"f": {"type": "string"}}}}`),
	} {
		if !strings.Contains(same, `"schema"`) {
			same = strings.TrimSuffix(strings.TrimSpace(same), "}") + `, "schema": 1}`
		}
		if parse(t, same).Hash() != parse(t, base).Hash() {
			t.Errorf("%s is another schema than %s", same, base)
		}
	}
	seen := map[any]string{}
	for _, text := range []string{
		base, strings.Replace(base, `"version": 1`, `"version": 2`, 1), strings.Replace(base, "shop", "other", 1),
		file(`{"c": {"fields": {"f": {"type": "string"}}, "open": true}}`), file(`{"c": {"fields": {"f": {"type": "string"}}}, "d": {}}`),
		fieldFile(`{"type": "text"}`), fieldFile(`{"type": "string", "required": true}`), fieldFile(`{"type": "string", "search": true}`),
		fieldFile(`{"type": "string", "merge": "max"}`), fieldFile(`{"type": "string", "merge": "f@1"}`), fieldFile(`{"type": "string", "merge": "f@2"}`),
		fieldFile(`{"type": "string", "enum": ["a", "b"]}`), fieldFile(`{"type": "string", "enum": ["b", "a"]}`),
		fieldFile(`{"type": "string", "default": ""}`), fieldFile(`{"type": "string", "default": "a"}`),
		fieldFile(`{"type": "number", "default": 1}`), fieldFile(`{"type": "number", "default": 1.0}`), fieldFile(`{"type": "bool", "default": false}`),
		fieldFile(`{"type": "map"}`), fieldFile(`{"type": "map", "of": {"type": "any"}}`), fieldFile(`{"type": "map", "fields": {}}`),
		fieldFile(`{"type": "map", "fields": {}, "open": true}`), fieldFile(`{"type": "list"}`), fieldFile(`{"type": "list", "of": {"type": "any"}}`),
	} {
		h := parse(t, text).Hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s are one schema", text, other)
		}
		seen[h] = text
	}
}

// malformed are files that are refused, and what the error says.
var malformed = map[string]string{
	``:                   "the file: not JSON: unexpected EOF",
	`[]`:                 "the file: want a JSON object",
	`null`:               "the file: want a JSON object",
	`{"schema": 1`:       "the file: not JSON",
	file(`{}`) + `x`:     "the file: something follows the schema",
	"{\"id\": \"\xff\"}": "the file: it is not valid UTF-8",
	`{"schema": 1}`:      "id: it is missing",
	`{"schema": 2, "id": "a", "version": 1, "collections": {}}`: "schema: the form 2: this version reads 1",
	`{"schema": "1"}`: `schema: "1": want a whole number`,
	`{"schema": 1.0}`: `schema: 1.0: want a whole number`,
	`{"schema": 1, "id": "", "version": 1, "collections": {}}`:              "id: an empty name",
	`{"schema": 1, "id": "a", "version": 0, "collections": {}}`:             "version: 0: want a whole number from 1",
	`{"schema": 1, "id": "a", "version": 1, "collections": {}, "extra": 1}`: "extra: no such key",
	`{"schema": 1, "id": "a", "id": "b", "version": 1, "collections": {}}`:  "id: it is there twice",
	file(`[]`):                                                                      "collections: want a JSON object",
	file(`{"": {}}`):                                                                "collections/: an empty name",
	file(`{"_syncline": {}}`):                                                       "collections/_syncline: names that begin with _syncline are Syncline's own",
	file(`{"a\u0000b": {}}`):                                                        "control characters",
	file(`{"c": {}, "c": {}}`):                                                      "collections/c: it is there twice",
	file(`{"c": {"field": {}}}`):                                                    "collections/c/field: no such key",
	file(`{"c": {"open": 1}}`):                                                      "collections/c/open: 1: want true or false",
	file(`{"c": {"open": null}}`):                                                   "collections/c/open: null: want true or false",
	file(`{"c": {"fields": {"": {"type": "int"}}}}`):                                "collections/c/fields/: an empty name",
	fieldFile(`{}`):                                                                 "collections/c/fields/f: no type",
	fieldFile(`"int"`):                                                              "collections/c/fields/f: want a JSON object",
	fieldFile(`{"type": "integer"}`):                                                `collections/c/fields/f: no such type as "integer"`,
	fieldFile(`{"type": 5}`):                                                        "collections/c/fields/f/type: 5: want the name of a type",
	fieldFile(`{"type": "int", "kind": 1}`):                                         "collections/c/fields/f/kind: no such key",
	fieldFile(`{"type": "int", "of": {"type": "int"}}`):                             "of is for lists and maps, and not for int",
	fieldFile(`{"type": "list", "fields": {}}`):                                     "fields are for maps, and not for list",
	fieldFile(`{"type": "map", "fields": {}, "of": {"type": "int"}}`):               "and not both",
	fieldFile(`{"type": "map", "open": true}`):                                      "open is for maps with fields",
	fieldFile(`{"type": "int", "search": true}`):                                    "search is for texts and strings, and not for int",
	fieldFile(`{"type": "int", "enum": ["a"]}`):                                     "enum is for strings, and not for int",
	fieldFile(`{"type": "string", "enum": []}`):                                     "an enum of 0 values",
	fieldFile(`{"type": "string", "enum": ["a", "a"]}`):                             `f/enum: "a" is there twice`,
	fieldFile(`{"type": "string", "enum": ["a", 5]}`):                               "f/enum: [\"a\", 5]: want a list of strings",
	fieldFile(`{"type": "string", "enum": "a"}`):                                    "want a list of strings",
	fieldFile(`{"type": "int", "merge": "best"}`):                                   `f/merge: not a merge rule: "best": want one of winner, counter,`,
	fieldFile(`{"type": "int", "merge": "f@0"}`):                                    "f/merge: not a merge rule: version 0 of f",
	fieldFile(`{"type": "int", "merge": "counter"}`):                                "f/merge: counter for int",
	fieldFile(`{"type": "counter", "merge": "max"}`):                                "f/merge: max for counter",
	fieldFile(`{"type": "list", "merge": "max"}`):                                   "f/merge: max for list, which has no order",
	fieldFile(`{"type": "string", "merge": "ranked"}`):                              "f/merge: ranked needs the states as enum",
	fieldFile(`{"type": "int", "merge": "union"}`):                                  "f/merge: union is for lists, and for maps without fields",
	fieldFile(`{"type": "map", "fields": {}, "merge": "union"}`):                    "f/merge: union is for lists",
	fieldFile(`{"type": "int", "default": "x"}`):                                    `f/default: the text "x": want a whole number`,
	fieldFile(`{"type": "int", "default": null}`):                                   "f/default: invalid value: null",
	fieldFile(`{"type": "int", "default": {"$int": 5}}`):                            "f/default: invalid value",
	fieldFile(`{"type": "counter", "default": {"$counter": 5}}`):                    "f/default: a counter has none",
	fieldFile(`{"type": "string", "enum": ["a"], "default": "b"}`):                  "f/default: the text \"b\": want one of a",
	fieldFile(`{"type": "list", "of": {"type": "int", "required": true}}`):          "f/of: required, default and search are for fields",
	fieldFile(`{"type": "list", "of": {"type": "whole"}}`):                          `f/of: no such type as "whole"`,
	fieldFile(`{"type": "map", "fields": {"g": {"type": "int", "merge": "best"}}}`): "f/fields/g/merge: not a merge rule",
	fieldFile(strings.Repeat(`{"type": "list", "of": `, 20) + `{"type": "int"}` + strings.Repeat("}", 20)): "nested deeper than 16 levels",
	file(`{"c": {"fields": ` + manyFields(1001) + `}}`):                                                    "1001 fields, at most 1000 are allowed",
	strings.Repeat(" ", schema.MaxBytes+1):                                                                 "at most 1048576 are allowed",
}

func manyFields(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"f%d": {"type": "int"}`, i))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestMalformedSchemasAreRefusedWithTheirPlace(t *testing.T) {
	for text, want := range malformed {
		_, err := schema.Parse([]byte(text))
		if !errors.Is(err, schema.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s:\n got %v\nwant %s", text, err, want)
		}
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("%.200s: an error of %d bytes", text, len(err.Error()))
		}
	}
}

// A file is read or refused, and what is read can be written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(shop))
	for text := range malformed {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := schema.Parse(b)
		if err != nil {
			if !errors.Is(err, schema.ErrSchema) || len(err.Error()) > 4000 {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := schema.Parse(must(s.MarshalJSON()))
		if err != nil || again.Hash() != s.Hash() {
			t.Fatalf("%s: %v", must(s.MarshalJSON()), err)
		}
		if problems := schema.Compatible(s, again); problems != nil {
			t.Fatal(problems)
		}
	})
}

func TestField(t *testing.T) {
	s := parse(t, shop)
	for path, want := range map[string]string{
		"orders": "map", "orders/note": "text", "orders/tags": "list", "orders/tags/0": "string", "orders/address/zip": "string",
		"orders/address/street": "any", "orders/prices/eur": "number", "orders/prices/eur/x": "", "orders/other": "", "orders/tags/x": "",
		"items/other": "any", "items/other/0/deep": "any", "other/a/b": "any", "items/extra/0": "any", "orders/address/0": "",
	} {
		steps := strings.Split(path, "/")
		var p value.Path
		for _, s := range steps[1:] {
			if s == "0" {
				p = append(p, 0)
			} else {
				p = append(p, s)
			}
		}
		if f, ok := s.Field(steps[0], p); ok != (want != "") || string(f.Type) != want {
			t.Errorf("%s: %q, %v, want %q", path, f.Type, ok, want)
		}
	}
	if f, _ := s.Field("orders", value.Path{"state"}); f.Rule().String() != "ranked" || !slices.Equal(f.Rule().States, f.Enum) {
		t.Errorf("state: %v", f.Rule())
	}
	if f, _ := s.Field("items", value.Path{"stock"}); f.Rule().Name != merge.Counter {
		t.Errorf("stock: %v", f.Rule())
	}
}

// A schema is what it was, whatever becomes of the definition.
func TestASchemaKeepsACopy(t *testing.T) {
	d := inGo()
	s := must(schema.New(d))
	f := d.Collections["orders"].Fields["state"]
	f.Enum[0] = "changed"
	d.Collections["orders"].Fields["address"].Fields["zip"] = schema.Field{Type: schema.Int}
	d.Collections["orders"].Fields["tags"].Of.Type = schema.Int
	delete(d.Collections, "items")
	if again := must(schema.New(inGo())); string(must(s.MarshalJSON())) != string(must(again.MarshalJSON())) {
		t.Errorf("it became %s", must(s.MarshalJSON()))
	}
}

func TestComplete(t *testing.T) {
	s := parse(t, file(`{"c": {"fields": {
		"a": {"type": "int", "default": 1}, "b": {"type": "int"},
		"m": {"type": "map", "fields": {"a": {"type": "int", "default": 2}}},
		"l": {"type": "list", "of": {"type": "map", "fields": {"a": {"type": "int", "default": 3}}}},
		"k": {"type": "map", "of": {"type": "map", "fields": {"a": {"type": "int", "default": 4}}}}
	}}}`))
	got := s.Complete("c", map[string]any{"a": nil, "m": map[string]any{}, "l": []any{map[string]any{}, 5, map[string]any{"a": 9}}, "k": map[string]any{"x": map[string]any{}}})
	want := map[string]any{"a": nil, "m": map[string]any{"a": 2}, "l": []any{map[string]any{"a": 3}, 5, map[string]any{"a": 9}}, "k": map[string]any{"x": map[string]any{"a": 4}}}
	if !value.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := s.Complete("c", map[string]any{}); !value.Equal(got, map[string]any{"a": 1}) {
		t.Errorf("got %v", got)
	}
	for _, v := range []any{nil, 5, []any{}} {
		if got := s.Complete("c", v); !value.Equal(got, v) {
			t.Errorf("%v became %v", v, got)
		}
	}
}

// Every entity that is read is checked: one that is as it should be takes no memory
// but for the way to what is nested in it.
func TestCheckingWhatFitsHardlyAllocates(t *testing.T) {
	s := parse(t, shop)
	order := map[string]any{"customer": "a", "state": "paid", "tags": []any{"x", "y"}, "prices": map[string]any{"eur": 5.0}, "address": map[string]any{"zip": "1"}}
	if vs := s.CheckEntity("orders", "1", order); vs != nil {
		t.Fatal(vs)
	}
	if n := testing.AllocsPerRun(100, func() { s.CheckEntity("orders", "1", order) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
