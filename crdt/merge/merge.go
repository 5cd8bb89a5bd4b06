package merge

import (
	"cmp"
	"slices"

	"syncline/crdt/value"
)

// Candidate is one of the values that concurrent changes have given a field.
type Candidate struct {
	ID    value.OpID
	Time  int64 // of its change, in seconds since 1970
	Value any   // as package value has it; of a map or list, with all that is in it
}

// Result is what a set is read as.
type Result struct {
	Value any
	// Conflict: there is more than one value.
	Conflict bool
	// Settled: the rule has decided, and nothing is left for a person. Only a conflict
	// that is settled may be written by itself; of which rules, crdt says (settle.go).
	Settled bool
	Reason  Reason // why it is not settled
	// From are the operations whose value it is; if it is nobody's, those that it is
	// made of. Ascending; nil if there is no conflict.
	From []value.OpID
	// Misfits are the operations whose values the rule was not made for, ascending.
	Misfits []value.OpID
}

// Reason says why a result is left for a person.
type Reason string

// The reasons.
const (
	NoReason        Reason = ""
	NoRule          Reason = "no-rule"
	Misfit          Reason = "misfit"
	CounterSet      Reason = "counter-set"
	EntriesDiffer   Reason = "entries-differ"
	Asked           Reason = "asked"
	UnknownFunction Reason = "unknown-function"
	FunctionFailed  Reason = "function-failed"
)

// Words says it for people, as the end of a sentence about a field.
func (r Reason) Words() string {
	switch r {
	case NoRule:
		return "no rule says which of the values stands"
	case Misfit:
		return "the rule was not made for one of the values, which may be of a newer version"
	case CounterSet:
		return "the counter was set to different values at the same time, which increments cannot mend"
	case EntriesDiffer:
		return "the maps have different entries of the same key"
	case Asked:
		return "the rule leaves the choice to a person"
	case UnknownFunction:
		return "this peer does not have the function in the version that the schema names"
	case FunctionFailed:
		return "the app's function failed, or gave what is no value"
	}
	return ""
}

// Merge reads a set. It does not change the set; the result may share values with it.
// The result of no candidates is null, settled.
//
// A rule that is none that this version knows is a function that it does not have.
func (f *Functions) Merge(rule Rule, set []Candidate) Result {
	set = ordered(set)
	if oneValue(set) {
		return alone(rule, set)
	}
	c := f.choose(rule, set)
	r := Result{Value: c.value, Conflict: true, Reason: c.reason, From: idsOf(c.of), Misfits: idsOf(c.misfits)}
	if len(c.misfits) > 0 && r.Reason == NoReason {
		r.Reason = Misfit
	}
	r.Settled = r.Reason == NoReason
	var own []value.OpID
	for _, m := range set {
		if value.Equal(m.Value, c.value) {
			own = append(own, m.ID)
		}
	}
	if own != nil {
		r.From = own
	}
	return r
}

// ordered returns the set in the order of operation ids, each once. If one id comes
// with two values, which only a mistake can bring about, the larger one stands.
func ordered(set []Candidate) []Candidate {
	ascending := true
	for i := 1; i < len(set) && ascending; i++ {
		ascending = set[i-1].ID.Compare(set[i].ID) < 0
	}
	if ascending {
		return set
	}
	set = slices.Clone(set)
	slices.SortStableFunc(set, func(a, b Candidate) int {
		if c := a.ID.Compare(b.ID); c != 0 {
			return c
		}
		return -cmp.Or(value.Compare(a.Value, b.Value), cmp.Compare(a.Time, b.Time))
	})
	return slices.CompactFunc(set, func(a, b Candidate) bool { return a.ID == b.ID })
}

func oneValue(set []Candidate) bool {
	for i := 1; i < len(set); i++ {
		if !value.Equal(set[0].Value, set[i].Value) {
			return false
		}
	}
	return true
}

func alone(rule Rule, set []Candidate) Result {
	r := Result{Settled: true}
	if len(set) > 0 {
		r.Value = winner(set).Value
		if rule.Name == All {
			r.Value = []any{r.Value}
		}
	}
	return r
}

// winner is the candidate of the largest operation id in an ordered set.
func winner(set []Candidate) Candidate { return set[len(set)-1] }

func idsOf(set []Candidate) (ids []value.OpID) {
	for _, c := range set {
		ids = append(ids, c.ID)
	}
	return ids
}
