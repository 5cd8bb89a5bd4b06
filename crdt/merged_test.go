package crdt_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/crdttest"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

var mergesFlag = flag.Int("merges", 150, "random concurrent histories that all peers must read alike by the merge rules")

// mergeDump is all that the rules read of a document.
func mergeDump(t testing.TB, d *crdt.Document, r crdt.Rules) string {
	t.Helper()
	names, err := d.Collections()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = d.SelectMerged(r, crdt.Selection{Collections: names}, func(m crdt.MergedEntity) error {
		fmt.Fprintf(&b, "%s/%s %v", m.Collection, m.ID, valuetest.Describe(m.Value))
		for _, p := range m.Contested {
			fmt.Fprintf(&b, " [%s by %q: %v %+v]", p.Path, p.Rule, valuetest.Describe(p.Result.Value), p.Result)
		}
		fmt.Fprintln(&b, " ", m.Violations)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// All peers read the same merged values, in whatever order they have learnt of the
// changes, and so does one that opens the document anew.
//
//	go test ./crdt -run TestAllPeersReadTheSameMergedValues -merges 10000 -timeout 1h
func TestAllPeersReadTheSameMergedValues(t *testing.T) {
	r := crdttest.Rules(t)
	conflicts := map[string]int{}
	for seed := range uint64(*mergesFlag) {
		s := crdttest.New(t, *seedFlag<<32+seed)
		s.Run()
		want := mergeDump(t, s.Peers[0].Doc, r)
		for i, p := range s.Peers[1:] {
			if got := mergeDump(t, p.Doc, r); got != want {
				t.Fatalf("seed %d: peer %d reads\n%s\npeer 0\n%s", seed, i+1, got, want)
			}
		}
		saved, err := s.Peers[len(s.Peers)-1].Doc.Save()
		if err != nil {
			t.Fatal(err)
		}
		again, err := crdt.Load("reader", saved)
		if err != nil {
			t.Fatal(err)
		}
		if got := mergeDump(t, again, r); got != want {
			t.Fatalf("seed %d: opened anew it is\n%s\nnot\n%s", seed, got, want)
		}
		countConflicts(t, again, r, conflicts)
		again.Close()
		s.Close()
	}
	// A test in which nothing was in conflict would show nothing.
	t.Logf("conflicts by rule: %v", conflicts)
	for _, name := range []string{"", "winner", "counter", "max", "min", "union", "ranked", "last", "first", "all", "sum@1"} {
		if conflicts[name] == 0 && *mergesFlag >= 100 {
			t.Errorf("there was no conflict for the rule %q", name)
		}
	}
}

// countConflicts counts conflicts by their rules, and looks at each chosen state.
func countConflicts(t *testing.T, d *crdt.Document, r crdt.Rules, conflicts map[string]int) {
	t.Helper()
	names, err := d.Collections()
	if err != nil {
		t.Fatal(err)
	}
	err = d.SelectMerged(r, crdt.Selection{Collections: names}, func(m crdt.MergedEntity) error {
		for _, p := range m.Contested {
			if !p.Result.Conflict {
				continue
			}
			conflicts[p.Rule.String()]++
			paid := func(c crdt.Conflict) bool { return c.Value == "paid" }
			if p.Rule.Name == merge.Ranked && slices.ContainsFunc(p.Values, paid) && p.Result.Value != "paid" {
				t.Errorf("paid was undone by %v", p.Values)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What was merged is what the entity has at the place, and the core's other values
// stay where they are.
func TestMergedReadsPlacesWithinPlaces(t *testing.T) {
	r := crdttest.Rules(t)
	s := crdttest.New(t, 1)
	defer s.Close()
	one, two := s.Peers[0], s.Peers[1]
	one.Clock, two.Clock = 2000, 1000
	inner := func(p *crdttest.Peer, n int) { s.Do(p, crdt.Set("c", "e0", crdt.Path{"inner", "max"}, n)) }
	inner(one, 7)
	inner(two, 5)
	inner(two, 5+1)
	s.Deliver(one, 2)
	m, err := one.Doc.Merged(r, "c", "e0")
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Value.(map[string]any)["inner"]; !value.Equal(got, map[string]any{"max": 7, "tag": "none"}) {
		t.Errorf("inner is %v", got)
	}
	if len(m.Contested) != 1 || !slices.Equal(m.Contested[0].Path, crdt.Path{"inner", "max"}) || m.Unsettled() {
		t.Errorf("contested: %+v", m.Contested)
	}
	if got := m.Value.(map[string]any)["state"]; got != "draft" {
		t.Errorf("the default of state is %v", got)
	}

	// Whole maps: the later writer's is not what the core shows, and what is contested
	// inside the core's is not shown any more.
	s.Do(one, crdt.Set("c", "e0", "inner", map[string]any{"max": 1}))
	for range 4 {
		s.Do(two, crdt.Set("c", "e0", "inner", map[string]any{"max": 2}))
	}
	s.Deliver(one, 2)
	if m, err = one.Doc.Merged(r, "c", "e0"); err != nil {
		t.Fatal(err)
	}
	if got := m.Value.(map[string]any)["inner"]; !value.Equal(got, map[string]any{"max": 1, "tag": "none"}) {
		t.Errorf("inner is %v, want what was written last", got)
	}
	if core := must(one.Doc.Get("c", "e0", "inner", "max")); core != int64(2) {
		t.Errorf("the core shows %v: the test shows nothing", core)
	}
}

// What is contested inside a map that was not chosen is nobody's business.
func TestMergedPassesOverWhatWasNotChosen(t *testing.T) {
	r := crdttest.Rules(t)
	s := crdttest.New(t, 1)
	defer s.Close()
	one, two, three := s.Peers[0], s.Peers[1], s.Peers[2]
	inner := func(p *crdttest.Peer, n int) { s.Do(p, crdt.Set("c", "e0", crdt.Path{"inner", "max"}, n)) }
	two.Clock, one.Clock, three.Clock = 1000, 2000, 3000
	for range 4 {
		s.Do(two, crdt.Set("c", "e0", "inner", map[string]any{"max": 2}))
	}
	s.Deliver(three, 2)
	inner(two, 3)
	inner(three, 4)
	s.Do(one, crdt.Set("c", "e0", "inner", map[string]any{"max": 1}))
	s.Deliver(one, 2)
	s.Deliver(two, 2)
	for _, p := range []*crdttest.Peer{one, two} {
		var contested []crdt.Contested
		err := p.Doc.Select(crdt.Selection{Entities: map[string][]string{"c": {"e0"}}, Conflicts: true}, func(e crdt.Entity) error {
			contested = e.Contested
			return nil
		})
		if err != nil || len(contested) != 2 {
			t.Fatalf("the core has %v, %v: the test shows nothing", contested, err)
		}
		m, err := p.Doc.Merged(r, "c", "e0")
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Value.(map[string]any)["inner"]; !value.Equal(got, map[string]any{"max": 1, "tag": "none"}) {
			t.Errorf("inner is %v", got)
		}
		if len(m.Contested) != 1 || !slices.Equal(m.Contested[0].Path, crdt.Path{"inner"}) {
			t.Errorf("contested: %+v", m.Contested)
		}
	}
}

func TestMergedWithoutRules(t *testing.T) {
	s := crdttest.New(t, 2)
	defer s.Close()
	one, two := s.Peers[0], s.Peers[1]
	s.Do(one, crdt.Set("c", "e0", "max", 1000))
	s.Do(two, crdt.Set("c", "e0", "max", 2))
	s.Deliver(one, 2)
	m, err := one.Doc.Merged(crdt.Rules{}, "c", "e0")
	if err != nil || len(m.Contested) != 1 || m.Contested[0].Result.Reason != merge.NoRule || !m.Unsettled() || m.Violations != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if core := must(one.Doc.Get("c", "e0", "max")); !value.Equal(core, m.Value.(map[string]any)["max"]) {
		t.Errorf("without rules it is %v, and the core shows %v", m.Value, core)
	}
	if _, err := one.Doc.Merged(crdt.Rules{}, "c", "none"); !errors.Is(err, crdt.ErrNotFound) {
		t.Errorf("an entity that is not there: %v", err)
	}
	if err := (crdt.Rules{}).Check(crdt.Create("any", "thing", nil)); err != nil {
		t.Error(err)
	}
}

// The past is read with the times of its changes.
func TestMergedAsItWas(t *testing.T) {
	r := crdttest.Rules(t)
	s := crdttest.New(t, 3)
	defer s.Close()
	one, two := s.Peers[0], s.Peers[1]
	one.Clock, two.Clock = 1000, 2000
	s.Do(one, crdt.Set("c", "e0", "first", "early"))
	s.Do(two, crdt.Set("c", "e0", "first", "late"))
	s.Deliver(one, 2)
	then, err := one.Doc.At(one.Doc.Heads())
	if err != nil {
		t.Fatal(err)
	}
	s.Do(one, crdt.Set("c", "e0", "first", "now"))
	for want, read := range map[string]func(crdt.Rules, string, string) (crdt.MergedEntity, error){"early": then.Merged, "now": one.Doc.Merged} {
		if m, err := read(r, "c", "e0"); err != nil || m.Value.(map[string]any)["first"] != want {
			t.Errorf("%v, %v: want %s", m.Value, err, want)
		}
	}
}

func TestViolationsOfOthersAreShownAndNotDropped(t *testing.T) {
	r := crdttest.Rules(t)
	d := crdt.New("a")
	defer d.Close()
	_, err := d.Do(time.Unix(1, 0), crdt.Create("c", "e", map[string]any{
		"max": "high", "state": "refunded", "new": 1, "inner": map[string]any{"max": 1.5}, "texts": map[string]any{"a": nil},
	}))
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Merged(r, "c", "e")
	if err != nil {
		t.Fatal(err)
	}
	const want = "not as the schema has it: c/e/inner/max: the float 1.5: want a whole number (int); c/e/max: the text \"high\": want a number; " +
		"c/e/state: the text \"refunded\": want one of draft, sent, paid; c/e/texts/a: null: want a text"
	if m.Violations.Error() != want {
		t.Errorf("got  %v\nwant %s", m.Violations, want)
	}
	if m.Value.(map[string]any)["max"] != "high" || m.Value.(map[string]any)["new"] != int64(1) {
		t.Errorf("the value is %v", m.Value)
	}
}

func TestRulesCheckEveryVerb(t *testing.T) {
	r := crdttest.Rules(t)
	p := func(steps ...any) crdt.Path { return steps }
	for _, o := range []crdt.Operation{
		crdt.Create("c", "e", map[string]any{"max": 5, "state": "draft", "none": nil}), crdt.Create("d", "e", map[string]any{"any": 1}),
		crdt.Update("c", "e", map[string]any{"union": []any{"a"}}), crdt.Delete("c", "e"),
		crdt.Set("c", "e", p("inner", "max"), 5), crdt.Set("c", "e", p("union", 0), crdt.Scalar("a")), crdt.Set("d", "e", p("any", "thing"), 5),
		crdt.Unset("c", "e", "max"), crdt.Increment("c", "e", "counter", 1), crdt.Splice("c", "e", p("texts", "a"), 0, 0, "x"),
		crdt.ListInsert("c", "e", "union", 0, "a"), crdt.ListSet("c", "e", "union", 0, "a"), crdt.ListDelete("c", "e", "union", 0, 1),
	} {
		if err := r.Check(o); err != nil {
			t.Errorf("%v: %v", o, err)
		}
	}
	for want, o := range map[string]crdt.Operation{
		"c/e/max: the text \"high\": want a number":                                           crdt.Create("c", "e", map[string]any{"max": "high"}),
		"c/e/maximum: no such field: want one of all, counter,":                               crdt.Update("c", "e", map[string]any{"maximum": 1}),
		"x: no such collection: want one of c, d":                                             crdt.Delete("x", "e"),
		"_syncline: Syncline's own collection: want another one":                              crdt.Set("_syncline", "e", "a", 1),
		"c/e/inner/max: the float 5: want a whole number (int)":                               crdt.Set("c", "e", p("inner", "max"), 5.0),
		"c/e/union[0]: null: want a string":                                                   crdt.Set("c", "e", p("union", 0), nil),
		"c/e/max/a: no such place: want nothing inside a number":                              crdt.Set("c", "e", p("max", "a"), 1),
		"c/e/inner[0]: no such place: want a key, as in every map":                            crdt.Set("c", "e", p("inner", 0), 1),
		"c/e/maximum: no such place: want one of all, counter,":                               crdt.Unset("c", "e", "maximum"),
		"c/e/max: an increment, which is for a counter: want a number":                        crdt.Increment("c", "e", "max", 1),
		"c/e/winner: a splice, which is for a text: want a string":                            crdt.Splice("c", "e", "winner", 0, 0, "x"),
		"c/e/union[1]: the whole number 5: want a string":                                     crdt.ListInsert("c", "e", "union", 0, "a", 5),
		"c/e/union[0]: true: want a string":                                                   crdt.ListSet("c", "e", "union", 0, true),
		"c/e/max: a list edit, which is for a list: want a number":                            crdt.ListDelete("c", "e", "max", 0, 1),
		"c/e/counter: the whole number 5: want a counter":                                     crdt.Set("c", "e", "counter", 5),
		"c/e/texts/a: the scalar \"x\": want a text":                                          crdt.Set("c", "e", p("texts", "a"), crdt.Scalar("x")),
		"c/e/state: the text \"refunded\": want one of draft, sent, paid; c/e/sum: the float": crdt.Update("c", "e", map[string]any{"state": "refunded", "sum": 1.5}),
	} {
		err := r.Check(crdt.Delete("c", "e"), o)
		var op *crdt.OperationError
		if !errors.As(err, &op) || op.Index != 1 || !errors.Is(err, schema.ErrViolation) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if err := r.Check(crdt.Operation{Verb: "other"}); !errors.Is(err, crdt.ErrInvalid) {
		t.Error(err)
	}
}

// Who edits an entity that was made twice is read with what he has written, though
// the other one has more: it is one place, left for a person with both in it.
func TestMergedReadsOneOfAnEntityThatWasMadeTwice(t *testing.T) {
	r := crdttest.Rules(t)
	s := crdttest.New(t, 4)
	defer s.Close()
	one, two := s.Peers[0], s.Peers[1]
	s.Do(one, crdt.Create("c", "e9", map[string]any{"max": 9}))
	s.Do(two, crdt.Create("c", "e9", map[string]any{"max": 8}))
	s.Deliver(one, 2)
	s.Do(one, crdt.Set("c", "e9", "max", 1))
	s.Deliver(two, 2)
	for _, p := range []*crdttest.Peer{one, two} {
		m, err := p.Doc.Merged(r, "c", "e9")
		if err != nil || !value.Equal(m.Value.(map[string]any)["max"], 1) {
			t.Fatalf("%v, %v: want what was written last, by who had seen both", m.Value, err)
		}
		if len(m.Contested) != 1 || len(m.Contested[0].Path) > 0 || len(m.Contested[0].Values) != 2 || !m.Unsettled() || m.Contested[0].Losers() != nil {
			t.Errorf("contested: %+v", m.Contested)
		}
	}
}
