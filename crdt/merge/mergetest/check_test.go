package mergetest_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"syncline/crdt/merge"
	"syncline/crdt/merge/mergetest"
	"syncline/crdt/value"
)

func whole(r *rand.Rand) any { return int64(r.IntN(50)) }

func sum(set []merge.Candidate) (any, bool) {
	var n int64
	for _, c := range set {
		n += c.Value.(int64)
	}
	return n, true
}

func highest(set []merge.Candidate) (any, bool) {
	best := set[0]
	for _, c := range set {
		if d := value.Compare(c.Value, best.Value); d > 0 || d == 0 && c.ID.Compare(best.ID) > 0 {
			best = c
		}
	}
	return best.Value, true
}

func TestGoodFunctionsPass(t *testing.T) {
	if err := mergetest.Check(highest, mergetest.Options{Absorbs: true}); err != nil {
		t.Error(err)
	}
	if err := mergetest.Check(highest, mergetest.Options{Most: 8, Sets: 300}); err != nil {
		t.Error(err)
	}
	if err := mergetest.Check(sum, mergetest.Options{Values: whole, Counts: true}); err != nil {
		t.Error(err)
	}
}

// Every rule that is built in would pass as a function of an app.
func TestTheBuiltInRulesPass(t *testing.T) {
	for _, rule := range []merge.Rule{
		{Name: merge.None}, {Name: merge.Winner}, {Name: merge.Counter}, {Name: merge.Max}, {Name: merge.Min}, {Name: merge.Union},
		{Name: merge.Last}, {Name: merge.First}, {Name: merge.All}, {Name: merge.Ranked, States: []string{"b", "a", ""}},
	} {
		err := mergetest.Check(func(set []merge.Candidate) (any, bool) {
			r := (*merge.Functions)(nil).Merge(rule, set)
			return r.Value, r.Settled
		}, mergetest.Options{Absorbs: rule.Name != merge.First, Sets: 300})
		if err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

// ticked is the time of now, and never that of the call before: clocks may be coarse.
func ticked() int64 {
	for begun := time.Now().UnixNano(); ; {
		if now := time.Now().UnixNano(); now != begun {
			return now
		}
	}
}

// What is wrong with a function is found, and shown on a small set.
func TestMistakesAreFound(t *testing.T) {
	calls := 0
	var before any
	for name, mistake := range map[string]struct {
		fn      merge.Func
		options mergetest.Options
		want    string
		most    int // candidates of the set that is shown
	}{
		"order": {
			fn:   func(set []merge.Candidate) (any, bool) { return set[0].Value, true },
			want: "order of the set matters", most: 2,
		},
		"ties": {
			fn: func(set []merge.Candidate) (any, bool) {
				last := set[0]
				for _, c := range set {
					if c.Time > last.Time {
						last = c
					}
				}
				return last.Value, true
			},
			want: "order of the set matters", most: 2,
		},
		"calls":      {fn: func([]merge.Candidate) (any, bool) { calls++; return calls, true }, want: "called again", most: 2},
		"clock":      {fn: func([]merge.Candidate) (any, bool) { return ticked(), true }, want: "called again", most: 2},
		"chance":     {fn: func([]merge.Candidate) (any, bool) { return rand.Uint64(), true }, want: "called again", most: 2},
		"duplicates": {fn: sum, options: mergetest.Options{Values: whole}, want: "counts twice", most: 2},
		"absorbs":    {fn: sum, options: mergetest.Options{Values: whole, Counts: true, Absorbs: true}, want: "does not stand", most: 2},
		"changes": {
			fn: func(set []merge.Candidate) (any, bool) {
				for _, c := range set {
					if l, ok := c.Value.([]any); ok && len(l) > 0 {
						l[0] = "changed"
					}
				}
				return nil, true
			},
			want: "changes the set", most: 2,
		},
		"panics":   {fn: sum, want: "it panics", most: 2},
		"no value": {fn: func([]merge.Candidate) (any, bool) { return struct{}{}, true }, want: "no value of a document", most: 2},
		"state": {
			fn: func(set []merge.Candidate) (any, bool) {
				v := before
				before = set[0].Value
				return v, true
			},
			options: mergetest.Options{Values: whole}, want: "it makes", most: 2,
		},
	} {
		err := mergetest.Check(mistake.fn, mistake.options)
		var f *mergetest.Failure
		if !errors.As(err, &f) || !strings.Contains(err.Error(), mistake.want) || len(f.Set) > mistake.most {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFailureIsReadable(t *testing.T) {
	err := mergetest.Check(sum, mergetest.Options{Values: whole})
	want := "merge function: a candidate that is given twice counts twice (Options.Counts allows it) (seed 0)\n" +
		"  of {0 by 1@01 at 0, 1 by 1@02 at 0}\n  it makes 1\n  of {0 by 1@01 at 0, 1 by 1@02 at 0, 1 by 1@02 at 0}\n  it makes 2"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %v", err, want)
	}
}
