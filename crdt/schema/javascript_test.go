package schema_test

import (
	"encoding/json"
	"os"
	"testing"

	"syncline/bench/js"
)

// JavaScript's digest of the normal forms is the hash of the schemas.
func TestJavaScriptHasTheSameHashes(t *testing.T) {
	js.Require(t)
	worker, err := js.Start(t.Context(), "digest.mjs")
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Schemas []struct {
			File, Hash string
			Normal     json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	var values []json.RawMessage
	for _, s := range all.Schemas {
		values = append(values, s.Normal)
	}
	var reply struct{ Digests []struct{ Sum string } }
	if err := worker.Call(t.Context(), "describe", map[string]any{"values": values}, &reply); err != nil {
		t.Fatal(err)
	}
	for i, s := range all.Schemas {
		if got := reply.Digests[i].Sum; got != s.Hash {
			t.Errorf("%s: %s, in JavaScript %s", s.File, s.Hash, got)
		}
	}
}
