package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestOperations(t *testing.T) {
	db, doc := newStore(t)
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "items", "milk", `{"text":"Milk","count":{"$counter":1}}`}, `{"items":{"milk":{"count":1,"text":"Milk"}}}`},
		{[]string{"update", "items", "milk", `{"done":true}`}, `{"items":{"milk":{"count":1,"done":true,"text":"Milk"}}}`},
		{[]string{"increment", "items", "milk", "count", "5"}, `{"items":{"milk":{"count":6,"done":true,"text":"Milk"}}}`},
		{[]string{"increment", "items", "milk", "count", "-3"}, `{"items":{"milk":{"count":3,"done":true,"text":"Milk"}}}`},
		{[]string{"splice", "items", "milk", "text", "0", "1", "-s"}, `{"items":{"milk":{"count":3,"done":true,"text":"-silk"}}}`},
		{[]string{"splice", "items", "milk", "text", "2", "3", ""}, `{"items":{"milk":{"count":3,"done":true,"text":"-s"}}}`},
		{[]string{"create", "items", "-1", `{}`}, `{"items":{"-1":{},"milk":{"count":3,"done":true,"text":"-s"}}}`},
		{[]string{"delete", "items", "milk"}, `{"items":{"-1":{}}}`},
	} {
		hash := op(t, db, doc, step.args...)
		if got := compact(done(t, "doc", "show", "--db", db, doc)); got != step.want {
			t.Errorf("after %v:\n%s\nwant\n%s", step.args, got, step.want)
		}
		if heads := done(t, "doc", "heads", "--db", db, doc); heads != hash {
			t.Errorf("heads %s after change %s", heads, hash)
		}
	}
	stdin(t, []byte(`{"text":"from standard input"}`))
	op(t, db, doc, "create", "items", "in", "-")
	// A text that looks like a flag, and flags behind the operands.
	done(t, "op", "--db", db, "--", doc, "splice", "items", "in", "text", "0", "16", "--db")
	done(t, "op", doc, "delete", "items", "-1", "--db="+db)
	if got := compact(done(t, "doc", "show", "--db", db, doc)); got != `{"items":{"in":{"text":"--dbput"}}}` {
		t.Error(got)
	}
}

func TestOperationsThatAreRefusedChangeNothing(t *testing.T) {
	db, doc := newStore(t)
	head := op(t, db, doc, "create", "items", "milk", `{"text":"Milk","done":true,"count":{"$counter":1}}`)
	for _, tt := range []struct {
		args  string // separated by spaces
		code  int
		words []string
	}{
		{"", 2, []string{"name a document and an operation"}},
		{"crate items x {}", 2, []string{`"crate"`, "create, update"}},
		{"create items x", 2, []string{"JSON is missing", "COLLECTION ID JSON"}},
		{"create items x {} {}", 2, []string{"one argument too many"}},
		{"create items x {", 2, []string{`"{"`, "JSON"}},
		{"create items x [1]", 2, []string{"JSON object"}},
		{`create items x {"a":{"$time":"today"}}`, 2, []string{`"a"`, "$time"}},
		{"create items milk {}", 1, []string{"items/milk", "exists already", "update"}},
		{`update items tea {"a":1}`, 1, []string{"items/tea", "not found", "doc show"}},
		{"update items milk {}", 2, []string{"update without fields"}},
		{`update items milk {"done":true}`, 1, []string{"nothing to change"}},
		{"increment items milk count", 2, []string{"N is missing"}},
		{"increment items milk count 1.5", 2, []string{"1.5", "whole number"}},
		{"increment items milk count 99999999999999999999", 2, []string{"whole number"}},
		{"increment items milk text 1", 1, []string{"items/milk/text", "not a counter"}},
		{"increment items milk price 1", 1, []string{"items/milk/price", "not found"}},
		{"splice items milk text -1 0 x", 2, []string{"-1", "POS"}},
		{"splice items milk text 0 -1 x", 2, []string{"-1", "DELETE"}},
		{"splice items milk text 0 five x", 2, []string{"five", "DELETE"}},
		{"splice items milk text 9 0 x", 1, []string{"out of range"}},
		{"splice items milk count 0 0 x", 1, []string{"not a text"}},
		{"delete items tea", 1, []string{"items/tea", "not found"}},
		{"delete nothing tea", 1, []string{"not found"}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			args := append([]string{"op", "--db", db, doc}, strings.Fields(tt.args)...)
			refused(t, tt.code, tt.words, args...)
		})
	}
	refused(t, 2, []string{"--db"}, "op", doc, "create", "items", "x", "{}")
	refused(t, 2, []string{"--dbb"}, "op", "--dbb", db, doc, "create", "items", "x", "{}")
	if heads := done(t, "doc", "heads", "--db", db, doc); heads != head {
		t.Errorf("heads %s, want %s", heads, head)
	}
}

func TestManyWritersOfOneFile(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", `{"count":{"$counter":0}}`)
	const writers, each = 4, 5
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				code, _, errs := cli(t, "op", "--db", db, doc, "increment", "items", "milk", "count", fmt.Sprint(1+w))
				if code != 0 {
					t.Errorf("writer %d, operation %d: exit code %d: %s", w, i, code, errs)
				}
			}
		})
	}
	all.Wait()
	if got, want := compact(done(t, "doc", "show", "--db", db, doc)), `{"items":{"milk":{"count":50}}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := len(strings.Split(done(t, "doc", "log", "--db", db, doc), "\n")); got != 1+writers*each {
		t.Errorf("%d changes, want %d", got, 1+writers*each)
	}
}
