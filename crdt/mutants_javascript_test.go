package crdt_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"syncline/bench/js"
	"syncline/crdt/id"
)

var jsMutantsFlag = flag.Int("js-mutants", 300, "mutated histories that are given to @automerge/automerge; some 300 a second")

// javaScriptDefects are errors that @automerge/automerge 3.5.0 gives on honest
// histories of automerge-go too: on some increments of a counter in a list, and of
// one past 2^53. The last is the worker's own.
var javaScriptDefects = []string{"_am_raw_value_", "cannot increment a non-numeric value", "serialize a BigInt"}

// What passes a peer, and what a relay lets through to stock clients, must not hurt
// those either: they apply it, save it and load it again.
//
//	go test ./crdt -run TestMutantsInJavaScript -js-mutants 10000 -seed 7 -timeout 1h
func TestMutantsInJavaScript(t *testing.T) {
	js.Require(t)
	pool := basePool(t, *seedFlag)
	ctx := context.Background()
	var worker *js.Automerge
	defer func() {
		if worker != nil {
			worker.Close()
		}
	}()
	given, defects, bad := 0, 0, 0
	for i := range *jsMutantsFlag {
		m := makeMutant(pool, changeMutators(), *seedFlag, i)
		if throughChecks(m); !m.passed {
			continue
		}
		if worker == nil {
			var err error
			if worker, err = js.StartAutomerge(ctx); err != nil {
				t.Fatal(err)
			}
		}
		given++
		err := bearable(ctx, worker, m)
		if err == nil {
			continue
		}
		// After an error the WebAssembly memory may be in any state.
		worker.Close()
		worker = nil
		if slices.ContainsFunc(javaScriptDefects, func(d string) bool { return strings.Contains(err.Error(), d) }) {
			defects++
			continue
		}
		if bad++; bad <= 20 {
			t.Errorf("seed %d, mutant %d (%s): %.300v", *seedFlag, i, m.mutator, err)
		}
	}
	t.Logf("%d mutants, %d let through, %d harmful, %d met a defect that honest histories meet too", *jsMutantsFlag, given, bad, defects)
}

// bearable lets JavaScript apply what was let through, save it and load it again.
func bearable(ctx context.Context, w *js.Automerge, m *mutant) error {
	first, err := w.Inspect(ctx, m.accepted...)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	if want := hexes(m.heads); !slices.Equal(first.Heads, want) {
		return fmt.Errorf("heads %v, not %v", first.Heads, want)
	}
	again, err := w.Inspect(ctx, first.Saved)
	if err != nil {
		return fmt.Errorf("load what it saved: %w", err)
	}
	if !slices.Equal(again.Heads, first.Heads) || string(again.Doc) != string(first.Doc) {
		return fmt.Errorf("what it saved loads to something else")
	}
	return nil
}

func hexes(hs []id.Hash) []string {
	out := []string{}
	for _, h := range hs {
		out = append(out, h.String())
	}
	return out
}
