package schema_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/schema"
)

// next is a newer version with the given fields in its collection.
func next(fields string) string {
	return strings.Replace(file(`{"c": {"fields": {`+fields+`}}}`), `"version": 1`, `"version": 2`, 1)
}

const before = `"f": {"type": "string", "enum": ["a", "b"]}, "n": {"type": "number", "merge": "f@1"}, "m": {"type": "map", "fields": {"i": {"type": "int"}}}, "l": {"type": "list", "of": {"type": "int"}}`

func TestWhatANewerVersionMayAdd(t *testing.T) {
	older := parse(t, oldFile())
	for _, newer := range additions() {
		if problems := schema.Compatible(older, parse(t, newer)); problems != nil {
			t.Errorf("%s: %q", newer, problems)
		}
	}
	if problems := schema.Compatible(older, older); problems != nil {
		t.Errorf("with itself: %q", problems)
	}
}

func oldFile() string { return file(`{"c": {"fields": {` + before + `}}}`) }

// additions are newer versions that go with the old one.
func additions() []string {
	return []string{
		next(before),
		next(before + `, "g": {"type": "int", "merge": "max"}, "h": {"type": "string", "required": true, "default": ""}`),
		next(strings.Replace(before, `["a", "b"]`, `["x", "a", "y", "b", "z"]`, 1)),
		next(strings.Replace(before, `f@1`, `f@2`, 1)),
		next(strings.Replace(before, `{"i": {"type": "int"}}`, `{"i": {"type": "int"}, "j": {"type": "int"}}, "open": true`, 1)),
		next(strings.Replace(before, `"enum"`, `"search": true, "enum"`, 1)),
		strings.Replace(next(before), `"c": {`, `"d": {}, "c": {"open": true, `, 1),
		strings.Replace(next(before), `"schema"`, `"open": true, "schema"`, 1),
	}
}

// breaches are newer versions that do not go with the old one, and why.
func breaches() map[string]string {
	return map[string]string{
		strings.Replace(next(before), "shop", "other", 1):                                   `id: "org.example.other" was "org.example.shop"`,
		file(`{"c": {"fields": {` + before + `, "g": {"type": "int"}}}}`):                   "version: 1, and the schema is not that of version 1",
		strings.Replace(next(before), `"c": {`, `"d": {`, 1):                                "collections/c: it is not there any more",
		next(strings.Replace(before, `"f"`, `"g"`, 1)):                                      "collections/c/fields/f: it is not there any more",
		next(before + `, "g": {"type": "int", "required": true}`):                           "collections/c/fields/g: it is new and required",
		next(strings.Replace(before, `"number"`, `"int"`, 1)):                               "collections/c/fields/n: its type was number, and is int",
		next(strings.Replace(before, `"enum"`, `"required": true, "enum"`, 1)):              "collections/c/fields/f: it was required for one version",
		next(strings.Replace(before, `"enum"`, `"default": "a", "enum"`, 1)):                `collections/c/fields/f: its default was null, and is the text "a"`,
		next(strings.Replace(before, `["a", "b"]`, `["a"]`, 1)):                             `collections/c/fields/f: the enum value "b" is not there any more`,
		next(strings.Replace(before, `["a", "b"]`, `["b", "a"]`, 1)):                        `collections/c/fields/f: the enum value "b" is not where it was`,
		next(strings.Replace(before, `, "enum": ["a", "b"]`, ``, 1)):                        "collections/c/fields/f: an enum was added to it, or taken away",
		next(strings.Replace(before, `"f@1"`, `"max"`, 1)):                                  `collections/c/fields/n: its merge rule was "f@1", and is "max"`,
		next(strings.Replace(before, `"f@1"`, `"g@1"`, 1)):                                  `collections/c/fields/n: its merge rule was "f@1", and is "g@1"`,
		next(strings.Replace(before, `"i": {"type": "int"}`, `"i": {"type": "uint"}`, 1)):   "collections/c/fields/m/fields/i: its type was int, and is uint",
		next(strings.Replace(before, `"of": {"type": "int"}`, `"of": {"type": "uint"}`, 1)): "collections/c/fields/l/of: its type was int, and is uint",
		next(strings.Replace(before, `, "of": {"type": "int"}`, ``, 1)):                     "collections/c/fields/l: what it holds was described in another way",
	}
}

// versions are pairs of an older and a newer file.
func versions() (all [][2]string) {
	for _, newer := range slices.Concat(additions(), slices.Sorted(maps.Keys(breaches()))) {
		all = append(all, [2]string{oldFile(), newer})
	}
	return all
}

func TestWhatANewerVersionMayNot(t *testing.T) {
	older := parse(t, oldFile())
	for newer, want := range breaches() {
		problems := schema.Compatible(older, parse(t, newer))
		if len(problems) != 1 || !strings.HasPrefix(problems[0], want) {
			t.Errorf("%s:\n got %q\nwant %s", newer, problems, want)
		}
	}
	open := parse(t, strings.Replace(file(`{"c": {"open": true, "fields": {"m": {"type": "map", "fields": {}, "open": true}, "f": {"type": "int", "merge": "f@2"}}}}`), `"schema"`, `"open": true, "schema"`, 1))
	closed := parse(t, next(`"m": {"type": "map", "fields": {}}, "f": {"type": "int", "merge": "f@1"}`))
	if problems := schema.Compatible(open, closed); len(problems) != 4 {
		t.Errorf("closed, and an older function: %q", problems)
	}
}
