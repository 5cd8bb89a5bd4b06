package mergetest

import (
	"fmt"
	"slices"

	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// property looks for what does not hold on a set.
type property func(*trial, []merge.Candidate) *Failure

var properties = []property{sound, again, inAnyOrder, twice, absorbed}

// outcome is what the function makes of a set.
type outcome struct {
	value   any
	settled bool
	panics  any
}

func (t *trial) call(set []merge.Candidate) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = outcome{panics: p}
		}
	}()
	out.value, out.settled = t.fn(set)
	return out
}

func (o outcome) String() string {
	switch {
	case o.panics != nil:
		return fmt.Sprintf("a panic: %v", o.panics)
	case !o.settled:
		return fmt.Sprintf("%s, left for a person", value.AppendTyped(nil, o.value))
	}
	return string(value.AppendTyped(nil, o.value))
}

// same compares types too: all peers are to write alike what they settle.
func (o outcome) same(p outcome) bool { return o.String() == p.String() }

func failure(property string, set []merge.Candidate, got outcome) *Failure {
	return &Failure{Property: property, Set: set, Got: got.String()}
}

// sound: no panic, a value of a document, and the set as it was.
func sound(t *trial, set []merge.Candidate) *Failure {
	given := clone(set)
	out := t.call(given)
	if out.panics != nil {
		return failure("it panics", set, out)
	}
	if _, err := value.Normal(out.value); err != nil {
		f := failure("what it returns is no value of a document: "+err.Error(), set, out)
		f.Got = fmt.Sprintf("%#v", out.value)
		return f
	}
	if show(given) != show(set) {
		f := failure("it changes the set that it is given", set, out)
		f.Other = given
		return f
	}
	return nil
}

// again: one set, one result, whatever comes in between.
func again(t *trial, set []merge.Candidate) *Failure {
	first := t.call(clone(set))
	if t.before != nil {
		t.call(clone(t.before))
	}
	if second := t.call(clone(set)); !first.same(second) {
		f := failure("it does not make the same of the same set when it is called again", set, first)
		f.Then = second.String()
		return f
	}
	return nil
}

func inAnyOrder(t *trial, set []merge.Candidate) *Failure {
	want := t.call(clone(set))
	for order := range orders(len(set)) {
		other := make([]merge.Candidate, len(set))
		for i, n := range order {
			other[i] = set[n]
		}
		if got := t.call(clone(other)); !want.same(got) {
			f := failure("the order of the set matters", set, want)
			f.Other, f.Then = other, got.String()
			return f
		}
	}
	return nil
}

// orders yields every order of up to four, and rotations both ways of more.
func orders(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		if n <= 4 {
			permute(all, 0, yield)
			return
		}
		for range n {
			all = append(all[1:], all[0])
			back := slices.Clone(all)
			slices.Reverse(back)
			if !yield(all) || !yield(back) {
				return
			}
		}
	}
}

func permute(all []int, from int, yield func([]int) bool) bool {
	if from == len(all) {
		return yield(all)
	}
	for i := from; i < len(all); i++ {
		all[from], all[i] = all[i], all[from]
		more := permute(all, from+1, yield)
		all[from], all[i] = all[i], all[from]
		if !more {
			return false
		}
	}
	return true
}

// twice: a candidate that is given twice is one.
func twice(t *trial, set []merge.Candidate) *Failure {
	if t.options.Counts {
		return nil
	}
	want := t.call(clone(set))
	for i := range set {
		other := append(slices.Clone(set), set[i])
		if got := t.call(clone(other)); !want.same(got) {
			f := failure("a candidate that is given twice counts twice (Options.Counts allows it)", set, want)
			f.Other, f.Then = other, got.String()
			return f
		}
	}
	return nil
}

// absorbed: what was settled stands against what it was made of.
func absorbed(t *trial, set []merge.Candidate) *Failure {
	want := t.call(clone(set))
	if !t.options.Absorbs || !want.settled {
		return nil
	}
	last := slices.MaxFunc(set, func(a, b merge.Candidate) int { return a.ID.Compare(b.ID) })
	settled := merge.Candidate{ID: value.OpID{Counter: last.ID.Counter + 1, Actor: id.Actor("s")}, Value: want.value}
	for _, c := range set {
		settled.Time = max(settled.Time, c.Time)
	}
	for _, c := range set {
		other := []merge.Candidate{c, settled}
		if !contested(other) {
			continue
		}
		if got := t.call(clone(other)); !want.same(got) {
			f := failure("a settled value does not stand against one that it was made of", set, want)
			f.Other, f.Then = other, got.String()
			return f
		}
	}
	return nil
}

// clone copies a set with all that is in it.
func clone(set []merge.Candidate) []merge.Candidate {
	set = slices.Clone(set)
	for i, c := range set {
		if v, err := value.Normal(c.Value); err == nil {
			set[i].Value = v
		}
	}
	return set
}
