package merge_test

import (
	"errors"
	"math"
	"time"

	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// at is a candidate: the counter and actor of its operation, its time, its value.
func at(counter uint64, actor byte, seconds int64, v any) merge.Candidate {
	return merge.Candidate{ID: value.OpID{Counter: counter, Actor: id.Actor([]byte{actor})}, Time: seconds, Value: v}
}

// of is a set whose candidates have the counters 1, 2 and so on and are each a second
// younger than the one before.
func of(values ...any) []merge.Candidate {
	var set []merge.Candidate
	for i, v := range values {
		set = append(set, at(uint64(i+1), 0xaa, int64(100-i), v))
	}
	return set
}

// kase is a set and what it is read as.
type kase struct {
	name    string
	rule    string
	set     []merge.Candidate
	want    any
	reason  merge.Reason
	from    []int // counters
	misfits []int // counters
}

var states = []string{"draft", "sent", "paid"}

func ms(n int64) time.Time { return time.UnixMilli(n).UTC() }

// cases are the rules as the package's comment has them, by hand.
func cases() []kase {
	nan, minusZero := math.NaN(), math.Copysign(0, -1)
	const farTime = 8_640_000_000_000_001
	one, two := []any{"a", "b"}, []any{"c", "b", "a"}
	return []kase{
		{name: "no candidate", rule: "max"},
		{name: "one candidate, which no rule is asked about", rule: "max", set: of(nil)},
		{name: "one candidate that is no state", rule: "ranked", set: of("lost"), want: "lost"},
		{name: "one candidate of an unknown function", rule: "absent@1", set: of(int64(1)), want: int64(1)},
		{name: "one value, written twice", rule: "", set: of("x", "x"), want: "x"},
		{name: "one value as int and as uint: as the larger id wrote it", rule: "min", set: of(int64(5), uint64(5)), want: uint64(5)},
		{name: "a candidate that is given twice", rule: "winner", set: append(of("x", "y"), of("x")...), want: "y", from: []int{2}},

		{name: "no rule", rule: "", set: of("x", "y"), want: "y", reason: merge.NoRule, from: []int{2}},
		{name: "no rule: not the later time", rule: "", set: []merge.Candidate{at(1, 0xaa, 50, "x"), at(2, 0xaa, 10, "y")}, want: "y", reason: merge.NoRule, from: []int{2}},
		{name: "winner by counter", rule: "winner", set: []merge.Candidate{at(9, 0x01, 0, "x"), at(10, 0x00, 0, "y")}, want: "y", from: []int{10}},
		{name: "winner by actor", rule: "winner", set: []merge.Candidate{at(9, 0x80, 0, "x"), at(9, 0x7f, 0, "y")}, want: "x", from: []int{9}},
		{name: "what others have written too", rule: "winner", set: of("y", "x", "y"), want: "y", from: []int{1, 3}},

		{name: "counters", rule: "counter", set: of(value.Counter(9), value.Counter(3)), want: value.Counter(3), reason: merge.CounterSet, from: []int{2}},
		{name: "counters that agree", rule: "counter", set: of(value.Counter(3), value.Counter(3)), want: value.Counter(3)},
		{name: "a counter and a number", rule: "counter", set: of(value.Counter(3), int64(9)), want: value.Counter(3), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "numbers where a counter should be", rule: "counter", set: of(int64(3), int64(9)), want: int64(9), reason: merge.Misfit, from: []int{2}, misfits: []int{1, 2}},

		{name: "max", rule: "max", set: of(int64(7), int64(9), int64(8)), want: int64(9), from: []int{2}},
		{name: "min", rule: "min", set: of(int64(7), int64(9), int64(8)), want: int64(7), from: []int{1}},
		{name: "max of several who wrote it", rule: "max", set: of(int64(9), int64(7), uint64(9)), want: uint64(9), from: []int{1, 3}},
		{name: "max is exact: 2^53 as a float, 2^53+1", rule: "max", set: of(int64(1<<53+1), float64(1<<53)), want: int64(1<<53 + 1), from: []int{1}},
		{name: "max is exact: 2^63-1, 2^63 as uint and as float", rule: "max", set: of(uint64(1<<63), int64(math.MaxInt64), 0x1p63), want: 0x1p63, from: []int{3}},
		{name: "min is exact below zero", rule: "min", set: of(int64(-1<<53-1), float64(-1<<53)), want: int64(-1<<53 - 1), from: []int{1}},
		{name: "of one amount the float is larger", rule: "max", set: of(5.0, int64(5)), want: 5.0, from: []int{1}},
		{name: "of one amount the whole number is smaller", rule: "min", set: of(5.0, int64(5)), want: int64(5), from: []int{2}},
		{name: "zeros", rule: "max", set: of(0.0, minusZero, int64(0)), want: 0.0, from: []int{1}},
		{name: "zeros, min", rule: "min", set: of(0.0, minusZero), want: minusZero, from: []int{2}},
		{name: "infinities", rule: "max", set: of(math.Inf(1), uint64(math.MaxUint64), math.Inf(-1)), want: math.Inf(1), from: []int{1}},
		{name: "NaN is no number", rule: "max", set: of(int64(1), nan), want: int64(1), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "NaN alone is one value", rule: "max", set: of(nan, math.Float64frombits(0x7ff0000000000001)), want: math.Float64frombits(0x7ff0000000000001)},
		{name: "NaN beside a text", rule: "max", set: of("x", nan), want: "x", reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "numbers before texts", rule: "max", set: of(int64(1), "zzz"), want: int64(1), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "times before texts", rule: "min", set: of("", ms(5)), want: ms(5), reason: merge.Misfit, from: []int{2}, misfits: []int{1}},
		{name: "bytes before bools", rule: "min", set: of(false, []byte{1}), want: []byte{1}, reason: merge.Misfit, from: []int{2}, misfits: []int{1}},
		{name: "bools", rule: "max", set: of(true, false), want: true, from: []int{1}},
		{name: "texts by code points, not UTF-16", rule: "max", set: of("\U0001f600", "\uffff"), want: "\U0001f600", from: []int{1}},
		{name: "a text and a scalar", rule: "max", set: of(value.Scalar("b"), "a"), want: value.Scalar("b"), from: []int{1}},
		{name: "bytes", rule: "max", set: of([]byte{1, 0}, []byte{1}), want: []byte{1, 0}, from: []int{1}},
		{name: "times", rule: "max", set: of(ms(-1), ms(0)), want: ms(0), from: []int{2}},
		{name: "a time that JavaScript has no Date for", rule: "max", set: of(ms(1), ms(farTime)), want: ms(1), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "null and a number", rule: "min", set: of(int64(1), nil), want: int64(1), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "nothing with an order", rule: "max", set: of(one, map[string]any{}, nil), want: nil, reason: merge.Misfit, from: []int{3}, misfits: []int{1, 2, 3}},
		{name: "a counter has no order", rule: "max", set: of(int64(1), value.Counter(5)), want: int64(1), reason: merge.Misfit, from: []int{1}, misfits: []int{2}},

		{name: "union: the winner's order, then the others'", rule: "union", set: of([]any{"z", "d", "a"}, two), want: []any{"c", "b", "a", "d", "z"}, from: []int{1, 2}},
		{name: "union that the winner has already", rule: "union", set: of(one, two), want: two, from: []int{2}},
		{name: "union keeps what the winner has twice", rule: "union", set: of([]any{"b", "b"}, []any{"a", "a"}), want: []any{"a", "a", "b"}, from: []int{1, 2}},
		{name: "union of elements that are one value", rule: "union", set: of([]any{int64(1)}, []any{uint64(1), 1.0}, []any{}), want: []any{uint64(1), 1.0}, from: []int{2}},
		{name: "union of maps", rule: "union", set: of(map[string]any{"a": true}, map[string]any{"b": true}), want: map[string]any{"a": true, "b": true}, from: []int{1, 2}},
		{name: "union of maps that differ in an entry", rule: "union", set: of(map[string]any{"a": int64(2), "b": nil}, map[string]any{"a": int64(1)}), want: map[string]any{"a": int64(1), "b": nil}, reason: merge.EntriesDiffer, from: []int{1, 2}},
		{name: "union of a list and a map", rule: "union", set: of([]any{"a"}, map[string]any{"b": true}), want: map[string]any{"b": true}, reason: merge.Misfit, from: []int{2}, misfits: []int{1}},
		{name: "union beside a text", rule: "union", set: of([]any{"a"}, []any{"b"}, "c"), want: []any{"b", "a"}, reason: merge.Misfit, from: []int{1, 2}, misfits: []int{3}},
		{name: "union of texts", rule: "union", set: of("a", "b"), want: "b", reason: merge.Misfit, from: []int{2}, misfits: []int{1, 2}},
		{name: "union reads no nested unions", rule: "union", set: of([]any{one}, []any{two}), want: []any{two, one}, from: []int{1, 2}},

		{name: "ranked", rule: "ranked", set: of("paid", "draft", "sent"), want: "paid", from: []int{1}},
		{name: "ranked, a scalar", rule: "ranked", set: of(value.Scalar("sent"), "draft"), want: value.Scalar("sent"), from: []int{1}},
		{name: "ranked, a text and a scalar of one state", rule: "ranked", set: of("sent", value.Scalar("sent"), "draft"), want: value.Scalar("sent"), from: []int{1, 2}},
		{name: "ranked, a state of a newer version", rule: "ranked", set: of("sent", "refunded"), want: "sent", reason: merge.Misfit, from: []int{1}, misfits: []int{2}},
		{name: "ranked, no state at all", rule: "ranked", set: of("lost", int64(1)), want: int64(1), reason: merge.Misfit, from: []int{2}, misfits: []int{1, 2}},

		{name: "last", rule: "last", set: []merge.Candidate{at(1, 0xaa, 50, "x"), at(2, 0xaa, 10, "y")}, want: "x", from: []int{1}},
		{name: "last, a tie by counter", rule: "last", set: []merge.Candidate{at(1, 0xbb, 10, "x"), at(2, 0xaa, 10, "y")}, want: "y", from: []int{2}},
		{name: "last, a tie by actor", rule: "last", set: []merge.Candidate{at(2, 0xbb, 10, "x"), at(2, 0xaa, 10, "y")}, want: "x", from: []int{2}},
		{name: "last, before 1970", rule: "last", set: []merge.Candidate{at(1, 0xaa, -1, "x"), at(2, 0xaa, -2, "y")}, want: "x", from: []int{1}},
		{name: "last, a clock that is ahead", rule: "last", set: []merge.Candidate{at(1, 0xaa, 1<<53-1, "x"), at(2, 0xaa, 1<<53-2, "y")}, want: "x", from: []int{1}},
		{name: "last, times that JavaScript cannot count", rule: "last", set: []merge.Candidate{at(1, 0xaa, 1<<60, "x"), at(2, 0xaa, 1<<53, "y")}, want: "y", from: []int{2}},
		{name: "last takes any value", rule: "last", set: of(nil, "x"), want: nil, from: []int{1}},
		{name: "first", rule: "first", set: []merge.Candidate{at(1, 0xaa, 50, "x"), at(2, 0xaa, 10, "y")}, want: "y", from: []int{2}},
		{name: "first, a tie by counter", rule: "first", set: []merge.Candidate{at(1, 0xbb, 10, "x"), at(2, 0xaa, 10, "y")}, want: "x", from: []int{1}},

		{name: "all", rule: "all", set: of("b", "a", "b"), want: []any{"a", "b"}, reason: merge.Asked, from: []int{1, 2, 3}},
		{name: "all, of one", rule: "all", set: of("b"), want: []any{"b"}},
		{name: "all, of one value", rule: "all", set: of(int64(5), uint64(5)), want: []any{uint64(5)}},
		{name: "all, of none", rule: "all"},
		{name: "all, of every kind", rule: "all", set: of(one, "x", nil, true, 5.0, int64(5), ms(1), []byte{}, map[string]any{}, value.Counter(0), value.Unknown{Type: 15, Raw: []byte{1}}),
			want:   []any{nil, true, int64(5), 5.0, ms(1), "x", []byte{}, one, map[string]any{}, value.Counter(0), value.Unknown{Type: 15, Raw: []byte{1}}},
			reason: merge.Asked, from: []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},

		{name: "a function", rule: "sum@1", set: of(int64(1), int64(2)), want: int64(3), from: []int{1, 2}},
		{name: "a function that chooses", rule: "longest@1", set: of("aaa", "b"), want: "aaa", from: []int{1}},
		{name: "a function that leaves it", rule: "longest@1", set: of("aa", "bb"), want: "bb", reason: merge.Asked, from: []int{2}},
		{name: "a function in a version that is not there", rule: "sum@2", set: of(int64(1), int64(2)), want: int64(2), reason: merge.UnknownFunction, from: []int{2}},
		{name: "a function that is not there", rule: "absent@1", set: of(int64(1), int64(2)), want: int64(2), reason: merge.UnknownFunction, from: []int{2}},
		{name: "a function that fails", rule: "sum@1", set: of(int64(1), "x"), want: "x", reason: merge.FunctionFailed, from: []int{2}},
	}
}

// functions are those that the vectors name; the README says what they do.
func functions() *merge.Functions {
	var f merge.Functions
	err := errors.Join(
		f.Register("sum", 1, func(set []merge.Candidate) (any, bool) {
			var n int64
			for _, c := range set {
				n += c.Value.(int64)
			}
			return n, true
		}),
		f.Register("longest", 1, func(set []merge.Candidate) (any, bool) {
			longest := func(c merge.Candidate) int { return len([]rune(c.Value.(string))) }
			best, tied := set[0], false
			for _, c := range set[1:] {
				n, most := longest(c), longest(best)
				if n >= most {
					best, tied = c, n == most
				}
			}
			return best.Value, !tied
		}))
	if err != nil {
		panic(err)
	}
	return &f
}
