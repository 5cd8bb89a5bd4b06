package value

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"syncline/crdt/digest"
)

// Kind is what kind of value it is, as the order sees it: an int, a uint and a float
// are all numbers, a text and a Scalar both text.
type Kind uint8

// The kinds, in their order.
const (
	KindNull Kind = iota
	KindBool
	KindNumber
	KindTime
	KindText
	KindBytes
	KindList
	KindMap
	KindCounter
	KindUnknown // of a newer writer, and whatever else is no value
)

// KindOf returns the kind of a value.
func KindOf(v any) Kind {
	switch Widen(v).(type) {
	case nil:
		return KindNull
	case bool:
		return KindBool
	case int64, uint64, float64:
		return KindNumber
	case time.Time:
		return KindTime
	case string, Scalar:
		return KindText
	case []byte:
		return KindBytes
	case []any:
		return KindList
	case map[string]any:
		return KindMap
	case Counter:
		return KindCounter
	}
	return KindUnknown
}

// Compare is a total order over all values, the same in every language that has it.
// Two values of which none comes first are one value: of those, only ints and uints
// of one amount, texts and Scalars of one content, and NaNs differ in Go.
//
// The kinds come as their constants stand. Within a kind:
//
//	bool      false, true
//	number    NaN, then by their exact amount, as if no number were rounded: 2^53+1
//	          as an int comes after 2^53 as a float. Of one amount, the whole number
//	          comes before the float, and -0.0 before 0.0
//	time      what JavaScript has no Date for (all of those are one), then by milliseconds
//	text      by code points, which is the order of its bytes in UTF-8 and not that of
//	          UTF-16
//	bytes     byte by byte, the end before any
//	list      element by element, the end before any
//	map       as the list of its entries in the order of their keys, each the key and
//	          then the value
//	counter   by amount
//	unknown   by type code, then as bytes
func Compare(a, b any) int {
	a, b = Widen(a), Widen(b)
	if c := cmp.Compare(KindOf(a), KindOf(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case bool:
		return compareBools(a, b.(bool))
	case int64, uint64, float64:
		return compareNumbers(a, b)
	case time.Time:
		return compareTimes(a, b.(time.Time))
	case string, Scalar:
		one, _ := Text(a)
		two, _ := Text(b)
		return strings.Compare(one, two)
	case []byte:
		return bytes.Compare(a, b.([]byte))
	case []any:
		return slices.CompareFunc(a, b.([]any), Compare)
	case map[string]any:
		return compareMaps(a, b.(map[string]any))
	case Counter:
		return cmp.Compare(a, b.(Counter))
	case Unknown:
		if b, ok := b.(Unknown); ok {
			return cmp.Or(cmp.Compare(a.Type, b.Type), bytes.Compare(a.Raw, b.Raw))
		}
	}
	return 0
}

// Equal reports whether two values are one to [Compare].
func Equal(a, b any) bool { return Compare(a, b) == 0 }

// Text returns the characters of a text or a Scalar.
func Text(v any) (text string, isText bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Scalar:
		return string(v), true
	}
	return "", false
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func compareTimes(a, b time.Time) int {
	return cmp.Compare(dateOf(a), dateOf(b))
}

// dateOf is a time in milliseconds; those beyond what JavaScript can count are one,
// before all others.
func dateOf(t time.Time) int64 {
	if ms := t.UnixMilli(); ms >= -digest.MaxMillis && ms <= digest.MaxMillis {
		return ms
	}
	return math.MinInt64
}

func compareMaps(a, b map[string]any) int {
	return slices.CompareFunc(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)), func(x, y string) int {
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		return Compare(a[x], b[y])
	})
}

// compareNumbers compares two of int64, uint64 and float64.
func compareNumbers(a, b any) int {
	f, isFloat := a.(float64)
	g, bothFloat := b.(float64)
	switch {
	case isFloat && bothFloat:
		return cmp.Or(cmp.Compare(f, g), compareBools(math.Signbit(g), math.Signbit(f)))
	case isFloat:
		return -compareWhole(b, f)
	case bothFloat:
		return compareWhole(a, g)
	}
	i, u := wholeOf(a)
	j, w := wholeOf(b)
	return cmp.Or(cmp.Compare(i, j), cmp.Compare(u, w))
}

// wholeOf splits a whole number into a part below zero and one that is not, so that
// both orders together are that of int64 and uint64.
func wholeOf(v any) (below int64, amount uint64) {
	switch v := v.(type) {
	case uint64:
		return 0, v
	case int64:
		if v >= 0 {
			return 0, uint64(v)
		}
		return v, 0
	}
	return 0, 0
}

// compareWhole compares a whole number with a float without rounding either.
func compareWhole(v any, f float64) int {
	const two63, two64 = 1 << 63, 1 << 64
	switch {
	case math.IsNaN(f) || f < -two63:
		return 1
	case f >= two64:
		return -1
	}
	// What is left of the point fits one of the two exactly.
	whole, part := math.Modf(f)
	var c int
	if whole < 0 {
		c = compareNumbers(v, int64(whole))
	} else {
		c = compareNumbers(v, uint64(whole))
	}
	switch {
	case c != 0:
		return c
	case part < 0:
		return 1
	}
	return -1 // the whole number comes first of one amount
}
