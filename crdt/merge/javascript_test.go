package merge_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"syncline/bench/js"
)

var setsFlag = flag.Int("sets", 2000, "random sets that are also merged in JavaScript")

// JavaScript makes the same of the vectors and of random sets.
//
//	go test ./crdt/merge -run JavaScript -sets 1000000
func TestJavaScriptReadsTheSame(t *testing.T) {
	js.Require(t)
	ctx := context.Background()
	worker, err := js.Start(ctx, "merge.mjs")
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(*setsFlag) {
		r := rand.New(rand.NewPCG(seed, 8))
		rule, set := anyRule(r), anySet(r)
		r.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
		all = append(all, newVector(fmt.Sprintf("seed %d", seed), rule, set))
		if len(all) == 2000 {
			compareWithJavaScript(t, worker, all)
			all = nil
		}
	}
	compareWithJavaScript(t, worker, all)
}

func compareWithJavaScript(t *testing.T, worker *js.Worker, all []vector) {
	t.Helper()
	var reply struct{ Results []map[string]any }
	if err := worker.Call(t.Context(), "merge", map[string]any{"vectors": all}, &reply); err != nil {
		t.Fatal(err)
	}
	for i, v := range all {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		for key, got := range reply.Results[i] {
			if !reflect.DeepEqual(got, want[key]) {
				t.Fatalf("%s: %s is %v\n%s", v.Name, key, got, b)
			}
		}
	}
}

func TestJavaScriptHasTheSameOrder(t *testing.T) {
	js.Require(t)
	worker, err := js.Start(t.Context(), "merge.mjs")
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	b, err := os.ReadFile("../value/testdata/order.json")
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ Ascend bool }
	err = worker.Call(t.Context(), "ascend", map[string]any{"values": json.RawMessage(b)}, &reply)
	if err != nil || !reply.Ascend {
		t.Errorf("the values do not ascend in JavaScript: %v", err)
	}
}
