package merge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"syncline/crdt/digest"
	"syncline/crdt/value"
)

// choice is what a rule makes of an ordered set that holds several values.
type choice struct {
	value   any
	of      []Candidate // it was made of
	misfits []Candidate
	reason  Reason
}

// pick is the choice of one candidate.
func pick(c Candidate, reason Reason) choice {
	return choice{value: c.Value, of: []Candidate{c}, reason: reason}
}

func (f *Functions) choose(rule Rule, set []Candidate) choice {
	if rule.IsFunction() {
		return f.call(rule, set)
	}
	switch rule.Name {
	case None:
		return pick(winner(set), NoRule)
	case Winner:
		return pick(winner(set), NoReason)
	case Last:
		return pick(slices.MaxFunc(set, byTime), NoReason)
	case First:
		return pick(slices.MinFunc(set, byTime), NoReason)
	case All:
		return choice{value: distinct(set), of: set, reason: Asked}
	case Counter:
		return among(set, isCounter, counters)
	case Max:
		return among(set, comparable(set), largest)
	case Min:
		return among(set, comparable(set), smallest)
	case Ranked:
		return among(set, rule.isState, rule.highest)
	case Union:
		return union(set)
	}
	return pick(winner(set), UnknownFunction)
}

// among lets a rule choose among the candidates that fit it.
func among(set []Candidate, fits func(any) bool, choose func([]Candidate) choice) choice {
	var fit, misfits []Candidate
	for _, c := range set {
		if fits(c.Value) {
			fit = append(fit, c)
		} else {
			misfits = append(misfits, c)
		}
	}
	if len(fit) == 0 {
		return choice{value: winner(set).Value, misfits: misfits}
	}
	c := choose(fit)
	c.misfits = misfits
	return c
}

// byTime orders as the last writer does. The ids of a set differ.
func byTime(a, b Candidate) int {
	return cmp.Or(cmp.Compare(counted(a.Time), counted(b.Time)), a.ID.Compare(b.ID))
}

// maxTime is the largest number of seconds that JavaScript counts exactly.
const maxTime = 1<<53 - 1

// counted is a time as JavaScript can count it.
func counted(seconds int64) int64 { return min(max(seconds, -maxTime), maxTime) }

func byValue(a, b Candidate) int { return value.Compare(a.Value, b.Value) }

// distinct returns the values of a set in their order, each as the largest operation
// id wrote it.
func distinct(set []Candidate) []any {
	set = slices.Clone(set)
	slices.Reverse(set)
	slices.SortStableFunc(set, byValue)
	set = slices.CompactFunc(set, func(a, b Candidate) bool { return byValue(a, b) == 0 })
	values := make([]any, len(set))
	for i, c := range set {
		values[i] = c.Value
	}
	return values
}

func isCounter(v any) bool { return value.KindOf(v) == value.KindCounter }

func counters(set []Candidate) choice {
	if oneValue(set) {
		return pick(winner(set), NoReason)
	}
	return pick(winner(set), CounterSet)
}

// comparable returns what fits Max and Min: the values of the first of these kinds
// that the set has.
func comparable(set []Candidate) func(any) bool {
	for _, k := range []value.Kind{value.KindNumber, value.KindTime, value.KindText, value.KindBytes, value.KindBool} {
		fits := func(v any) bool { return value.KindOf(v) == k && hasPlace(v) }
		if slices.ContainsFunc(set, func(c Candidate) bool { return fits(c.Value) }) {
			return fits
		}
	}
	return func(any) bool { return false }
}

// hasPlace is false for what value.Compare has a place for only because it must.
func hasPlace(v any) bool {
	switch v := v.(type) {
	case float64:
		return !math.IsNaN(v)
	case time.Time:
		ms := v.UnixMilli()
		return ms >= -digest.MaxMillis && ms <= digest.MaxMillis
	}
	return true
}

func largest(set []Candidate) choice {
	best := set[0]
	for _, c := range set[1:] {
		if byValue(c, best) >= 0 {
			best = c
		}
	}
	return pick(best, NoReason)
}

func smallest(set []Candidate) choice {
	best := set[0]
	for _, c := range set[1:] {
		if byValue(c, best) <= 0 {
			best = c
		}
	}
	return pick(best, NoReason)
}

// rank is where a value stands among the states, -1 if it is none.
func (r Rule) rank(v any) int {
	text, isText := value.Text(v)
	if !isText {
		return -1
	}
	return slices.Index(r.States, text)
}

func (r Rule) isState(v any) bool { return r.rank(v) >= 0 }

func (r Rule) highest(set []Candidate) choice {
	best := set[0]
	for _, c := range set[1:] {
		if r.rank(c.Value) >= r.rank(best.Value) {
			best = c
		}
	}
	return pick(best, NoReason)
}
