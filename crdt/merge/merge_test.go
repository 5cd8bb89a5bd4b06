package merge_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/merge"
	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

func rule(t testing.TB, name string) merge.Rule {
	t.Helper()
	r, err := merge.ParseRule(name)
	if err != nil {
		t.Fatal(err)
	}
	if r.Name == merge.Ranked {
		r.States = states
	}
	return r
}

func counters(ids []value.OpID) (counters []int) {
	for _, o := range ids {
		counters = append(counters, int(o.Counter))
	}
	return counters
}

func TestWhatTheRulesChoose(t *testing.T) {
	f := functions()
	for _, c := range cases() {
		before := fmt.Sprint(c.set)
		got := f.Merge(rule(t, c.rule), c.set)
		if show(got.Value) != show(c.want) || got.Reason != c.reason || got.Settled != (c.reason == "") ||
			got.Conflict != (c.from != nil) || !slices.Equal(counters(got.From), c.from) || !slices.Equal(counters(got.Misfits), c.misfits) {
			t.Errorf("%s: %s of %v:\n got %s %+v\nwant %s %q from %v without %v", c.name, c.rule, c.set, show(got.Value), got, show(c.want), c.reason, c.from, c.misfits)
		}
		if fmt.Sprint(c.set) != before {
			t.Errorf("%s: the set has changed", c.name)
		}
		if (got.Reason.Words() == "") != got.Settled {
			t.Errorf("%s: %q says %q", c.name, got.Reason, got.Reason.Words())
		}
	}
}

// show writes a value so that its types are told apart.
func show(v any) string { return fmt.Sprint(valuetest.Describe(v)) }

func anyRule(r *rand.Rand) merge.Rule {
	name := []string{"", "winner", "counter", "max", "min", "union", "ranked", "last", "first", "all", "sum@1", "longest@1", "absent@1"}[r.IntN(13)]
	m, _ := merge.ParseRule(name)
	if name == merge.Ranked {
		m.States = []string{"", "b", "a", "aa"}
	}
	return m
}

// anySet draws a set in which values are alike: a rule has something to do.
func anySet(r *rand.Rand) []merge.Candidate {
	of := []func(*rand.Rand) any{
		valuetest.Random, valuetest.Number, func(r *rand.Rand) any { return valuetest.Text(r) },
		func(r *rand.Rand) any { return valuetest.List(r, valuetest.Number) },
		func(r *rand.Rand) any { return map[string]any{valuetest.Text(r): r.IntN(2) == 0} },
		func(r *rand.Rand) any { return value.Counter(r.IntN(3)) },
		func(r *rand.Rand) any { return int64(r.IntN(3)) },
	}[r.IntN(7)]
	var set []merge.Candidate
	for i := range r.IntN(6) {
		v := of(r)
		if r.IntN(8) == 0 {
			v = valuetest.Random(r)
		}
		set = append(set, at(uint64(1+i/2), byte(0x7e+i%2*r.IntN(200)), int64(r.IntN(3)), v))
	}
	return set
}

// Whatever the order, and however often a candidate comes, the result is one.
func TestTheSetAloneDecides(t *testing.T) {
	f := functions()
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 3))
		rule, set := anyRule(r), anySet(r)
		want := f.Merge(rule, set)
		other := append(slices.Clone(set), set[:r.IntN(len(set)+1)]...)
		r.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		got := f.Merge(rule, other)
		if resultText(got) != resultText(want) {
			t.Fatalf("seed %d: %s of %v: %s; of %v: %s", seed, rule, set, resultText(want), other, resultText(got))
		}
		checkResult(t, seed, rule, set, got)
	}
}

func resultText(r merge.Result) string {
	return fmt.Sprint(show(r.Value), r.Conflict, r.Settled, r.Reason, r.From, r.Misfits)
}

// checkResult holds what is true of every result.
func checkResult(t *testing.T, seed uint64, rule merge.Rule, set []merge.Candidate, r merge.Result) {
	t.Helper()
	values := map[string]bool{}
	for _, c := range set {
		values[show(c.Value)] = true
	}
	switch {
	case r.Settled != (r.Reason == ""), r.Conflict != (r.From != nil), !r.Conflict && r.Misfits != nil,
		!slices.IsSortedFunc(r.From, value.OpID.Compare), !slices.IsSortedFunc(r.Misfits, value.OpID.Compare):
		t.Fatalf("seed %d: %s of %v: %+v contradicts itself", seed, rule, set, r)
	case len(values) > 1 && !slices.Contains([]string{merge.All, merge.Union, "sum"}, rule.Name) && !values[show(r.Value)]:
		t.Fatalf("seed %d: %s of %v: %s is nobody's", seed, rule, set, show(r.Value))
	}
}

// A settled value that is written, and meets a value that it was made of, stands: who
// settles and who comes late do not go on for ever.
func TestASettledValueStands(t *testing.T) {
	f := functions()
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 4))
		rule, set := anyRule(r), anySet(r)
		was := f.Merge(rule, set)
		// The first writer stays the first, whatever is written later.
		if !was.Settled || !was.Conflict || rule.Name == merge.First || rule.Name == "sum" {
			continue
		}
		written := at(100, 0xff, 3, was.Value)
		late := set[r.IntN(len(set))]
		if now := f.Merge(rule, []merge.Candidate{late, written}); !value.Equal(now.Value, was.Value) || !now.Settled {
			t.Fatalf("seed %d: %s of %v is %s, and with %v %s", seed, rule, set, show(was.Value), late, resultText(now))
		}
	}
}

func TestParseRule(t *testing.T) {
	for _, s := range []string{"", "winner", "counter", "max", "min", "union", "ranked", "last", "first", "all", "a@1", "a-b2@2147483647"} {
		if r, err := merge.ParseRule(s); err != nil || r.String() != s {
			t.Errorf("%q became %q, %v", s, r, err)
		}
	}
	for _, s := range []string{"maximum", "Max", "max@1", "@1", "a@", "a@0", "a@-1", "a@01", "a@+1", "a@1.0", "a@2147483648", "a@99999999999999999999", "1a@1", "A@1", "a b@1", "a@1@2", strings.Repeat("a", 65) + "@1"} {
		if r, err := merge.ParseRule(s); !errors.Is(err, merge.ErrRule) {
			t.Errorf("%q became %q, %v", s, r, err)
		}
	}
}

func TestRegister(t *testing.T) {
	var f merge.Functions
	fn := func(set []merge.Candidate) (any, bool) { return nil, true }
	if err := errors.Join(f.Register("a", 2, fn), f.Register("a", 1, fn), f.Register("b", 1, fn)); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{f.Register("a", 1, fn), f.Register("c", 1, nil), f.Register("max", 1, fn), f.Register("A", 1, fn), f.Register("c", 0, fn)} {
		if !errors.Is(err, merge.ErrRule) {
			t.Errorf("registered: %v", err)
		}
	}
	if got := f.Versions("a"); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("versions %v", got)
	}
	for name, want := range map[string]bool{"a@1": true, "a@3": false, "c@1": false, "max": true, "": true} {
		if f.Has(rule(t, name)) != want {
			t.Errorf("Has(%q) is not %v", name, want)
		}
	}
	var none *merge.Functions
	if none.Has(rule(t, "a@1")) || !none.Has(rule(t, "max")) || none.Versions("a") != nil {
		t.Error("nil is not what is built in")
	}
	if none.Has(merge.Rule{Name: "other"}) || none.Merge(merge.Rule{Name: "other"}, of("x", "y")).Reason != merge.UnknownFunction {
		t.Error("a rule of a newer version is not left for a person")
	}
}

// Reading what is not in conflict costs nothing but the call.
func TestMergeOfOneDoesNotAllocate(t *testing.T) {
	set := of("x")
	if n := testing.AllocsPerRun(100, func() { (*merge.Functions)(nil).Merge(merge.Rule{Name: merge.Max}, set) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
