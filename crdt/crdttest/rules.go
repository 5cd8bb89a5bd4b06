package crdttest

import (
	"testing"

	"syncline/crdt"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
)

// Rules are a schema with every rule, and its functions.
func Rules(t testing.TB) crdt.Rules {
	t.Helper()
	s, err := schema.Parse([]byte(`{
		"schema": 1, "id": "org.example.test", "version": 1,
		"collections": {"c": {"fields": {
			"none": {"type": "any"}, "winner": {"type": "string", "merge": "winner"}, "counter": {"type": "counter"},
			"max": {"type": "number", "merge": "max"}, "min": {"type": "int", "merge": "min"},
			"union": {"type": "list", "of": {"type": "string", "merge": "max"}, "merge": "union"},
			"set": {"type": "map", "merge": "union"},
			"state": {"type": "string", "enum": ["draft", "sent", "paid"], "default": "draft", "merge": "ranked"},
			"last": {"type": "any", "merge": "last"}, "first": {"type": "any", "merge": "first"},
			"all": {"type": "any", "merge": "all"}, "sum": {"type": "int", "merge": "sum@1"},
			"inner": {"type": "map", "merge": "last", "fields": {"max": {"type": "int", "merge": "max"}, "tag": {"type": "string", "default": "none"}}},
			"texts": {"type": "map", "of": {"type": "text", "merge": "all"}}
		}}, "d": {"open": true}}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	var f merge.Functions
	err = f.Register("sum", 1, func(set []merge.Candidate) (any, bool) {
		var n int64
		for _, c := range set {
			n += c.Value.(int64)
		}
		return n, true
	})
	if err != nil {
		t.Fatal(err)
	}
	return crdt.Rules{Schema: s, Functions: &f}
}
