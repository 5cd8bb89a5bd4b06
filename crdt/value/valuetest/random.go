package valuetest

import (
	"math"
	"math/rand/v2"
	"time"

	"syncline/crdt/value"
)

// Random returns a value of any kind but the unknown, nested a little. Values repeat
// often, and numbers meet where their types differ.
func Random(r *rand.Rand) any { return random(r, 2) }

func random(r *rand.Rand, depth int) any {
	kinds := 10
	if depth > 0 {
		kinds += 2
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return Number(r)
	case 3, 4:
		return int64(r.IntN(5) - 1)
	case 5:
		return time.UnixMilli(pick[int64](r, -1, 0, 1, 1_700_000_000_000, 8_640_000_000_000_000)).UTC()
	case 6, 7:
		return Text(r)
	case 8:
		return []byte(pick(r, "", "\x00", "\x00\x01", "\xff"))
	case 9:
		return value.Counter(r.IntN(4))
	case 10:
		return List(r, func(r *rand.Rand) any { return random(r, depth-1) })
	}
	m := map[string]any{}
	for range r.IntN(3) {
		m[Text(r)] = random(r, depth-1)
	}
	return m
}

// Text returns a short text. The last ones are those whose order differs between code
// points and UTF-16.
func Text(r *rand.Rand) string { return pick(r, "", "a", "aa", "b", "é", "\uffff", "\U0001f600") }

// List returns a list of up to three elements.
func List(r *rand.Rand, element func(*rand.Rand) any) []any {
	l := []any{}
	for range r.IntN(4) {
		l = append(l, element(r))
	}
	return l
}

// Number returns a number of any type, often one that another type has too.
func Number(r *rand.Rand) any {
	edge := pick[int64](r, 0, 1, 5, 1<<53-1, 1<<53, 1<<53+1, math.MaxInt64)
	if r.IntN(2) == 0 {
		edge = -edge
	}
	switch r.IntN(4) {
	case 0:
		return uint64(edge)
	case 1:
		return float64(edge)
	case 2:
		return pick(r, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0.5, 1e300)
	}
	return edge
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }
