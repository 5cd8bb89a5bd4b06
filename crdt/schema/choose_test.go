package schema_test

import (
	"slices"
	"testing"

	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
)

// choice is a set of one field and what is chosen.
type choice struct {
	name    string
	field   string
	values  []any // with the counters 1, 2 and so on
	want    any
	reason  merge.Reason
	from    []int
	misfits []int
}

func choices() []choice {
	return []choice{
		{name: "all fit", field: `{"type": "int", "merge": "max"}`, values: []any{7, 5}, want: 7, from: []int{1}},
		{name: "one does not fit the type", field: `{"type": "int", "merge": "max"}`, values: []any{7, 5, 9.5}, want: 7, reason: merge.Misfit, from: []int{1}, misfits: []int{3}},
		{name: "what is left is one value", field: `{"type": "int", "merge": "last"}`, values: []any{5, "x"}, want: 5, reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "without a rule too", field: `{"type": "int"}`, values: []any{5, "x"}, want: 5, reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "without a rule", field: `{"type": "int"}`, values: []any{5, 6, "x"}, want: 6, reason: merge.NoRule, from: []int{2}, misfits: []int{3}},
		{name: "none fits", field: `{"type": "int", "merge": "winner"}`, values: []any{"x", "y"}, want: "y", from: []int{2}},
		{name: "one alone that does not fit", field: `{"type": "int", "merge": "winner"}`, values: []any{"x"}, want: "x"},
		{name: "an enum value of a newer version", field: `{"type": "string", "enum": ["a", "b"], "merge": "winner"}`, values: []any{"a", "c"}, want: "a", reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "states", field: `{"type": "string", "enum": ["a", "b"], "merge": "ranked"}`, values: []any{"b", "a", "c"}, want: "b", reason: merge.Misfit, from: []int{1}, misfits: []int{3}},
		{name: "null where something is required", field: `{"type": "int", "required": true, "merge": "last"}`, values: []any{5, nil}, want: 5, reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "null where nothing is", field: `{"type": "int", "merge": "winner"}`, values: []any{5, nil}, want: nil, from: []int{2}},
		{name: "a misfit of the type and one of the rule", field: `{"type": "number", "merge": "max"}`, values: []any{"x", 5, nil}, want: 5, reason: merge.Misfit, from: []int{2}, misfits: []int{1, 3}},
		{name: "all of those that fit", field: `{"type": "int", "merge": "all"}`, values: []any{7, 5, "x"}, want: []any{5, 7}, reason: merge.Asked, from: []int{1, 2}, misfits: []int{3}},
		{name: "all of one that fits", field: `{"type": "int", "merge": "all"}`, values: []any{7, "x"}, want: []any{7}, reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "what lists hold is not looked at", field: `{"type": "list", "of": {"type": "int"}, "merge": "union"}`, values: []any{[]any{"x"}, []any{1}, "y"}, want: []any{1, "x"}, reason: merge.Misfit, from: []int{1, 2}, misfits: []int{3}},
		{name: "a counter and a number", field: `{"type": "counter"}`, values: []any{value.Counter(5), 7}, want: value.Counter(5), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "two counters", field: `{"type": "counter"}`, values: []any{value.Counter(5), value.Counter(4)}, want: value.Counter(4), reason: merge.CounterSet, from: []int{2}},
		{name: "two of one value that fit, and one that does not", field: `{"type": "int", "merge": "min"}`, values: []any{5, 5, "x"}, want: 5, reason: merge.Misfit, from: []int{1, 2}, misfits: []int{3}},
	}
}

func (c choice) set() (set []merge.Candidate) {
	for i, v := range c.values {
		set = append(set, merge.Candidate{ID: value.OpID{Counter: uint64(i + 1), Actor: id.Actor("\xaa")}, Value: value.Widen(v)})
	}
	return set
}

func theField(t testing.TB, text string) schema.Field {
	t.Helper()
	f, ok := parse(t, fieldFile(text)).Field("c", value.Path{"f"})
	if !ok {
		t.Fatal(text)
	}
	return f
}

func TestAFieldChoosesAmongWhatFits(t *testing.T) {
	counters := func(ids []value.OpID) (all []int) {
		for _, o := range ids {
			all = append(all, int(o.Counter))
		}
		return all
	}
	for _, c := range choices() {
		f := theField(t, c.field)
		set := c.set()
		got := f.Choose(nil, set)
		if !value.Equal(got.Value, c.want) || got.Reason != c.reason || got.Settled != (c.reason == "") || got.Conflict != (c.from != nil) ||
			!slices.Equal(counters(got.From), c.from) || !slices.Equal(counters(got.Misfits), c.misfits) {
			t.Errorf("%s: %+v\nwant %+v", c.name, got, c)
		}
		slices.Reverse(set)
		again := f.Choose(nil, append(set, set[:len(set)/2]...))
		if !value.Equal(got.Value, again.Value) || !slices.Equal(got.From, again.From) || !slices.Equal(got.Misfits, again.Misfits) {
			t.Errorf("%s: in another order %+v", c.name, again)
		}
	}
}
