package schema_test

import (
	"encoding/json"
	"flag"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vectors is testdata/vectors.json; see the README there.
type vectors struct {
	Schemas    []schemaVector     `json:"schemas"`
	Malformed  []string           `json:"malformed"`
	Fits       []fitVector        `json:"fits"`
	Choices    []choiceVector     `json:"choices"`
	Compatible []compatibleVector `json:"compatible"`
}

type schemaVector struct {
	File   string    `json:"file"`
	Normal any       `json:"normal"`
	Hash   string    `json:"hash"`
	Mark   [3]string `json:"mark"`
}

type fitVector struct {
	Field string `json:"field"`
	Fit   []any  `json:"fit"`
	Not   []any  `json:"not"`
}

type choiceVector struct {
	Name     string       `json:"name"`
	Field    string       `json:"field"`
	Set      []any        `json:"set"`
	Value    any          `json:"value"`
	Conflict bool         `json:"conflict"`
	Reason   merge.Reason `json:"reason"`
	From     []string     `json:"from"`
	Misfits  []string     `json:"misfits"`
}

type compatibleVector struct {
	Older string `json:"older"`
	Newer string `json:"newer"`
	May   bool   `json:"may"`
}

// samples are values of every kind, and those at the edge between types.
var samples = []any{
	nil, true, int64(0), int64(-1), int64(5), int64(math.MaxInt64), uint64(5), uint64(1 << 63), 5.0, 0.5, math.NaN(),
	time.UnixMilli(0).UTC(), "a", "c", value.Scalar("a"), []byte{1}, []any{}, []any{int64(1)}, []any{"x"}, []any{nil},
	map[string]any{}, map[string]any{"a": int64(1)}, map[string]any{"a": "x"}, map[string]any{"b": int64(1)}, map[string]any{"a": nil}, value.Counter(5),
	value.Unknown{Type: 15, Raw: []byte{1}},
}

var sampled = []string{
	`{"type": "text"}`, `{"type": "string"}`, `{"type": "int"}`, `{"type": "uint"}`, `{"type": "float"}`, `{"type": "number"}`, `{"type": "bool"}`,
	`{"type": "bytes"}`, `{"type": "timestamp"}`, `{"type": "counter"}`, `{"type": "list"}`, `{"type": "map"}`, `{"type": "any"}`,
	`{"type": "any", "required": true}`, `{"type": "int", "required": true}`, `{"type": "int", "required": true, "default": 1}`,
	`{"type": "string", "enum": ["a", "b"]}`, `{"type": "list", "of": {"type": "int"}}`, `{"type": "map", "of": {"type": "int"}}`,
	`{"type": "map", "fields": {"a": {"type": "int"}}}`, `{"type": "map", "fields": {"a": {"type": "int", "required": true}}}`,
	`{"type": "map", "open": true, "fields": {"a": {"type": "int"}}}`,
}

func newVectors(t *testing.T) vectors {
	var all vectors
	read := func(text string) any {
		v, err := value.ParseValue([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return valuetest.Describe(v)
	}
	for _, text := range slices.Concat([]string{shop, file(`{}`), string(must(version(t, 7, "b@2", "a@1").MarshalJSON()))}, files(sampled)) {
		s := parse(t, text)
		m := s.Mark()
		all.Schemas = append(all.Schemas, schemaVector{File: text, Normal: read(string(must(s.MarshalJSON()))), Hash: s.Hash().String(), Mark: [3]string{m.Entity, m.Field, string(m.Value)}})
	}
	for _, text := range slices.Sorted(maps.Keys(malformed)) {
		if len(text) < 1000 && strings.ToValidUTF8(text, "") == text {
			all.Malformed = append(all.Malformed, text)
		}
	}
	for _, text := range sampled {
		s := parse(t, fieldFile(text))
		v := fitVector{Field: text}
		for _, sample := range samples {
			// As a part of an operation, where names that the schema lacks count too.
			if s.CheckSet("c", "e", value.Path{"f"}, sample) == nil {
				v.Fit = append(v.Fit, valuetest.Describe(sample))
			} else {
				v.Not = append(v.Not, valuetest.Describe(sample))
			}
		}
		all.Fits = append(all.Fits, v)
	}
	for _, c := range choices() {
		r := theField(t, c.field).Choose(nil, c.set())
		v := choiceVector{Name: c.name, Field: c.field, Value: valuetest.Describe(r.Value), Conflict: r.Conflict, Reason: r.Reason, From: names(r.From), Misfits: names(r.Misfits)}
		for _, k := range c.set() {
			v.Set = append(v.Set, map[string]any{"id": k.ID.String(), "time": "0", "value": valuetest.Describe(k.Value)})
		}
		all.Choices = append(all.Choices, v)
	}
	for _, c := range versions() {
		may := schema.Compatible(parse(t, c[0]), parse(t, c[1])) == nil
		all.Compatible = append(all.Compatible, compatibleVector{c[0], c[1], may})
	}
	return all
}

func files(fields []string) (all []string) {
	for _, f := range fields {
		all = append(all, fieldFile(f))
	}
	return all
}

func names(ids []value.OpID) []string {
	all := []string{}
	for _, o := range ids {
		all = append(all, o.String())
	}
	return all
}

// The vectors are what this package makes of the cases of its tests. A change shows
// here, and has to be made in TypeScript too.
func TestVectorsAreUpToDate(t *testing.T) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(newVectors(t)); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/vectors.json"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the package makes: %v; if it was meant to change: go test ./crdt/schema -update", path, err)
	}
}

func TestWhatFits(t *testing.T) {
	for field, want := range map[string]int{
		`{"type": "text"}`: 3, `{"type": "string"}`: 4, `{"type": "int"}`: 6, `{"type": "uint"}`: 6, `{"type": "float"}`: 4, `{"type": "number"}`: 10,
		`{"type": "counter"}`: 1, `{"type": "any"}`: len(samples), `{"type": "any", "required": true}`: len(samples) - 1, `{"type": "int", "required": true}`: 5,
		`{"type": "int", "required": true, "default": 1}`: 5, `{"type": "string", "enum": ["a", "b"]}`: 3, `{"type": "list", "of": {"type": "int"}}`: 3,
		`{"type": "map", "of": {"type": "int"}}`: 4, `{"type": "map", "fields": {"a": {"type": "int"}}}`: 4,
		`{"type": "map", "fields": {"a": {"type": "int", "required": true}}}`: 2, `{"type": "map", "open": true, "fields": {"a": {"type": "int"}}}`: 5,
	} {
		s := parse(t, fieldFile(field))
		n := 0
		for _, sample := range samples {
			if s.CheckSet("c", "e", value.Path{"f"}, sample) == nil {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d of the samples fit, want %d", field, n, want)
		}
	}
}
