package mergetest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

// Options say what a function is tried with.
type Options struct {
	// Values draws a value that the function may meet. Without it, values of all
	// kinds are drawn: in a document, anybody can write anything.
	Values func(r *rand.Rand) any
	// Sets is how many sets are tried, 2,000 if it is 0: about a tenth of a second.
	Sets int
	// Most is how many candidates a set has at most, 4 if it is 0. More than that are
	// rare in documents, and every order of four can be tried.
	Most int
	// Seed is of what is drawn; the same seed draws the same.
	Seed uint64
	// Counts says that the function may count a candidate that it is given twice, as a
	// sum does. It never is, by package merge; functions that do not mind are safer.
	Counts bool
	// Absorbs also asks that a merged value stands when it is written, and then meets
	// one of the values it was made of: that who settles a conflict and who comes late
	// with an old value do not go on for ever.
	Absorbs bool
}

// Failure says what a function does that it should not, on a set that was made as
// small as could be found.
type Failure struct {
	Property string // what does not hold
	Set      []merge.Candidate
	Other    []merge.Candidate // another form of the set, if there is one
	Got      string            // what Set gives
	Then     string            // what Other, or the second call, gives
	Seed     uint64
}

func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "merge function: %s (seed %d)\n  of %s\n  it makes %s", f.Property, f.Seed, show(f.Set), f.Got)
	if f.Other != nil {
		fmt.Fprintf(&b, "\n  of %s", show(f.Other))
	}
	if f.Then != "" {
		fmt.Fprintf(&b, "\n  it makes %s", f.Then)
	}
	return b.String()
}

// show writes a set for people.
func show(set []merge.Candidate) string {
	var parts []string
	for _, c := range set {
		parts = append(parts, fmt.Sprintf("%s by %s at %d", value.AppendTyped(nil, c.Value), c.ID, c.Time))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Check tries a function. The error is a *Failure.
func Check(fn merge.Func, o Options) error {
	if o.Values == nil {
		o.Values = valuetest.Random
	}
	if o.Sets == 0 {
		o.Sets = 2000
	}
	if o.Most < 2 {
		o.Most = 4
	}
	r := rand.New(rand.NewPCG(o.Seed, 0x6d65726765))
	t := trial{fn: fn, options: o}
	for range o.Sets {
		set := t.draw(r)
		if !contested(set) {
			continue
		}
		// What the function has met before must not matter.
		t.before, t.last = t.last, set
		for _, p := range properties {
			if f := p(&t, set); f != nil {
				f = t.shrink(p, f)
				f.Seed = o.Seed
				return f
			}
		}
	}
	return nil
}

// trial is a function that is tried.
type trial struct {
	fn           merge.Func
	options      Options
	before, last []merge.Candidate
	drawn        []any // values that shrinking may put in
}

// draw makes a set as package merge hands it over, but for equal values.
func (t *trial) draw(r *rand.Rand) []merge.Candidate {
	set := make([]merge.Candidate, 2+r.IntN(t.options.Most-1))
	for i := range set {
		set[i] = merge.Candidate{
			ID:    value.OpID{Counter: uint64(1 + i/2), Actor: id.Actor([]byte{byte(1 + i%2)})},
			Time:  int64(r.IntN(3)),
			Value: t.options.Values(r),
		}
	}
	return set
}

// contested reports whether a set is one that functions are asked about.
func contested(set []merge.Candidate) bool {
	for _, c := range set {
		if !value.Equal(c.Value, set[0].Value) {
			return true
		}
	}
	return false
}
