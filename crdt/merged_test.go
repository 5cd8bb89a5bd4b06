package crdt_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

var mergesFlag = flag.Int("merges", 150, "random concurrent histories that all peers must read alike by the merge rules")

// mergeRules are a schema with every rule, and its functions.
func mergeRules(t testing.TB) crdt.Rules {
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

// mergePeer is one of those who edit a document and tell each other at random.
type mergePeer struct {
	doc   *crdt.Document
	clock int64
	known map[id.Hash]bool
}

// mergeSim is a document and those who edit it.
type mergeSim struct {
	t     testing.TB
	r     *rand.Rand
	peers []*mergePeer
	all   []*chunk.Change
}

func newMergeSim(t testing.TB, seed uint64) *mergeSim {
	s := &mergeSim{t: t, r: rand.New(rand.NewPCG(seed, 6))}
	for i := range 2 + s.r.IntN(5) {
		p := &mergePeer{doc: crdt.New(id.Actor([]byte{byte(i*97 + 1), byte(s.r.Uint32())})), known: map[id.Hash]bool{}}
		// A clock may be far off.
		p.clock = []int64{1_700_000_000, 1_700_000_000, 1_700_000_100, 0, -5, 4_000_000_000}[s.r.IntN(6)]
		s.peers = append(s.peers, p)
	}
	s.do(s.peers[0], crdt.Create("c", "e0", map[string]any{
		"counter": crdt.Counter(1), "max": 1, "union": []any{"a"}, "inner": map[string]any{"max": 0}, "texts": map[string]any{}, "set": map[string]any{},
	}), crdt.Create("c", "e1", nil), crdt.Create("d", "e0", nil))
	for _, p := range s.peers[1:] {
		s.deliver(p, 1)
	}
	return s
}

func (s *mergeSim) close() {
	for _, p := range s.peers {
		p.doc.Close()
	}
}

func (s *mergeSim) do(p *mergePeer, ops ...crdt.Operation) {
	s.t.Helper()
	p.clock += int64(s.r.IntN(3))
	c, err := p.doc.Do(time.Unix(p.clock, 0), ops...)
	switch {
	case err == nil:
		p.known[c.Hash] = true
		s.all = append(s.all, c)
	case errors.Is(err, crdt.ErrBroken):
		s.t.Fatal(err)
	}
	// Any other operation may find that what it works on is not there.
}

// deliver hands a peer some of what it lacks, in an order that chance and the
// dependencies have made.
func (s *mergeSim) deliver(p *mergePeer, share float64) {
	s.t.Helper()
	for {
		var ready []*chunk.Change
		for _, c := range s.all {
			has := func(h id.Hash) bool { return p.known[h] }
			if !p.known[c.Hash] && !slices.ContainsFunc(c.Deps, func(h id.Hash) bool { return !has(h) }) {
				ready = append(ready, c)
			}
		}
		if len(ready) == 0 || s.r.Float64() > share {
			return
		}
		s.r.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
		ready = ready[:1+s.r.IntN(len(ready))]
		if err := p.doc.Apply(ready); err != nil {
			s.t.Fatal(err)
		}
		for _, c := range ready {
			p.known[c.Hash] = true
		}
	}
}

// edit does something that the schema allows, or now and then what another version of
// the app would do.
func (s *mergeSim) edit(p *mergePeer) {
	r := s.r
	e := []string{"e0", "e0", "e1", "e2"}[r.IntN(4)]
	text := func() string { return []string{"a", "b", "c", "\uffff", "\U0001f600"}[r.IntN(5)] }
	set := func(field string, v any) { s.do(p, crdt.Set("c", e, field, v)) }
	switch r.IntN(20) {
	case 0:
		set("none", valuetest.Random(r))
	case 1:
		set("winner", text())
	case 2:
		s.do(p, crdt.Increment("c", e, "counter", int64(r.IntN(5))))
	case 3:
		set("counter", crdt.Counter(r.IntN(5)))
	case 4:
		set("max", valuetest.Number(r))
	case 5:
		set("min", r.IntN(9))
	case 6:
		set("union", valuetest.List(r, func(*rand.Rand) any { return text() }))
	case 7:
		s.do(p, crdt.ListInsert("c", e, "union", 0, text()))
	case 8:
		s.do(p, crdt.ListSet("c", e, "union", 0, text()))
	case 9:
		set("set", map[string]any{text(): true})
	case 10:
		set("state", []string{"draft", "sent", "paid", "refunded"}[min(r.IntN(10), 3)])
	case 11:
		set("last", valuetest.Random(r))
	case 12:
		set("first", valuetest.Random(r))
	case 13:
		set("all", valuetest.Random(r))
	case 14:
		set("sum", r.IntN(9))
	case 15:
		set("inner", map[string]any{"max": r.IntN(9)})
	case 16:
		s.do(p, crdt.Set("c", e, crdt.Path{"inner", "max"}, r.IntN(9)))
	case 17:
		s.do(p, crdt.Set("c", e, crdt.Path{"texts", text()}, text()))
	case 18:
		s.do(p, crdt.Create("c", e, map[string]any{"max": r.IntN(9), "sum": 1}))
	case 19:
		if r.IntN(4) == 0 {
			s.do(p, crdt.Delete("c", e))
		} else {
			set([]string{"max", "state", "sum", "union"}[r.IntN(4)], valuetest.Random(r))
		}
	}
}

// run edits and tells at random, and at last tells all to all.
func (s *mergeSim) run() {
	for range 10 + s.r.IntN(50) {
		p := s.peers[s.r.IntN(len(s.peers))]
		if s.r.IntN(8) == 0 {
			s.deliver(p, 0.5)
		} else {
			s.edit(p)
		}
	}
	for _, p := range s.peers {
		s.deliver(p, 2)
	}
}

// All peers read the same merged values, in whatever order they have learnt of the
// changes, and so does one that opens the document anew.
//
//	go test ./crdt -run TestAllPeersReadTheSameMergedValues -merges 10000 -timeout 1h
func TestAllPeersReadTheSameMergedValues(t *testing.T) {
	r := mergeRules(t)
	conflicts := map[string]int{}
	for seed := range uint64(*mergesFlag) {
		s := newMergeSim(t, *seedFlag<<32+seed)
		s.run()
		want := mergeDump(t, s.peers[0].doc, r)
		for i, p := range s.peers[1:] {
			if got := mergeDump(t, p.doc, r); got != want {
				t.Fatalf("seed %d: peer %d reads\n%s\npeer 0\n%s", seed, i+1, got, want)
			}
		}
		saved, err := s.peers[len(s.peers)-1].doc.Save()
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
		s.close()
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
	r := mergeRules(t)
	s := newMergeSim(t, 1)
	defer s.close()
	one, two := s.peers[0], s.peers[1]
	one.clock, two.clock = 2000, 1000
	inner := func(p *mergePeer, n int) { s.do(p, crdt.Set("c", "e0", crdt.Path{"inner", "max"}, n)) }
	inner(one, 7)
	inner(two, 5)
	inner(two, 5+1)
	s.deliver(one, 2)
	m, err := one.doc.Merged(r, "c", "e0")
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
	s.do(one, crdt.Set("c", "e0", "inner", map[string]any{"max": 1}))
	for range 4 {
		s.do(two, crdt.Set("c", "e0", "inner", map[string]any{"max": 2}))
	}
	s.deliver(one, 2)
	if m, err = one.doc.Merged(r, "c", "e0"); err != nil {
		t.Fatal(err)
	}
	if got := m.Value.(map[string]any)["inner"]; !value.Equal(got, map[string]any{"max": 1, "tag": "none"}) {
		t.Errorf("inner is %v, want what was written last", got)
	}
	if core := must(one.doc.Get("c", "e0", "inner", "max")); core != int64(2) {
		t.Errorf("the core shows %v: the test shows nothing", core)
	}
}

// What is contested inside a map that was not chosen is nobody's business.
func TestMergedPassesOverWhatWasNotChosen(t *testing.T) {
	r := mergeRules(t)
	s := newMergeSim(t, 1)
	defer s.close()
	one, two, three := s.peers[0], s.peers[1], s.peers[2]
	inner := func(p *mergePeer, n int) { s.do(p, crdt.Set("c", "e0", crdt.Path{"inner", "max"}, n)) }
	two.clock, one.clock, three.clock = 1000, 2000, 3000
	for range 4 {
		s.do(two, crdt.Set("c", "e0", "inner", map[string]any{"max": 2}))
	}
	s.deliver(three, 2)
	inner(two, 3)
	inner(three, 4)
	s.do(one, crdt.Set("c", "e0", "inner", map[string]any{"max": 1}))
	s.deliver(one, 2)
	s.deliver(two, 2)
	for _, p := range []*mergePeer{one, two} {
		var contested []crdt.Contested
		err := p.doc.Select(crdt.Selection{Entities: map[string][]string{"c": {"e0"}}, Conflicts: true}, func(e crdt.Entity) error {
			contested = e.Contested
			return nil
		})
		if err != nil || len(contested) != 2 {
			t.Fatalf("the core has %v, %v: the test shows nothing", contested, err)
		}
		m, err := p.doc.Merged(r, "c", "e0")
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
	s := newMergeSim(t, 2)
	defer s.close()
	one, two := s.peers[0], s.peers[1]
	s.do(one, crdt.Set("c", "e0", "max", 1000))
	s.do(two, crdt.Set("c", "e0", "max", 2))
	s.deliver(one, 2)
	m, err := one.doc.Merged(crdt.Rules{}, "c", "e0")
	if err != nil || len(m.Contested) != 1 || m.Contested[0].Result.Reason != merge.NoRule || !m.Unsettled() || m.Violations != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if core := must(one.doc.Get("c", "e0", "max")); !value.Equal(core, m.Value.(map[string]any)["max"]) {
		t.Errorf("without rules it is %v, and the core shows %v", m.Value, core)
	}
	if _, err := one.doc.Merged(crdt.Rules{}, "c", "none"); !errors.Is(err, crdt.ErrNotFound) {
		t.Errorf("an entity that is not there: %v", err)
	}
	if err := (crdt.Rules{}).Check(crdt.Create("any", "thing", nil)); err != nil {
		t.Error(err)
	}
}

// The past is read with the times of its changes.
func TestMergedAsItWas(t *testing.T) {
	r := mergeRules(t)
	s := newMergeSim(t, 3)
	defer s.close()
	one, two := s.peers[0], s.peers[1]
	one.clock, two.clock = 1000, 2000
	s.do(one, crdt.Set("c", "e0", "first", "early"))
	s.do(two, crdt.Set("c", "e0", "first", "late"))
	s.deliver(one, 2)
	then, err := one.doc.At(one.doc.Heads())
	if err != nil {
		t.Fatal(err)
	}
	s.do(one, crdt.Set("c", "e0", "first", "now"))
	for want, read := range map[string]func(crdt.Rules, string, string) (crdt.MergedEntity, error){"early": then.Merged, "now": one.doc.Merged} {
		if m, err := read(r, "c", "e0"); err != nil || m.Value.(map[string]any)["first"] != want {
			t.Errorf("%v, %v: want %s", m.Value, err, want)
		}
	}
}

func TestViolationsOfOthersAreShownAndNotDropped(t *testing.T) {
	r := mergeRules(t)
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
	r := mergeRules(t)
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
