package value_test

import (
	"encoding/json"
	"flag"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

var update = flag.Bool("update", false, "write testdata/order.json anew")

// ascending is one value of each place in the order, as the comment of Compare has it.
func ascending() []any {
	return []any{
		nil, false, true,
		math.NaN(), math.Inf(-1), -math.MaxFloat64, -0x1p63 - 0x800, int64(math.MinInt64), -0x1p63, int64(math.MinInt64 + 1),
		int64(-2), -1.5, int64(-1), -1.0, -math.SmallestNonzeroFloat64,
		int64(0), math.Copysign(0, -1), 0.0, math.SmallestNonzeroFloat64, 0.5, int64(1), 1.0, 1.5, int64(2),
		int64(1<<53 - 1), int64(1 << 53), float64(1 << 53), int64(1<<53 + 1), float64(1<<53 + 2),
		int64(math.MaxInt64), uint64(1 << 63), 0x1p63, uint64(1<<63 + 1), uint64(math.MaxUint64), 0x1p64, math.MaxFloat64, math.Inf(1),
		time.UnixMilli(math.MaxInt64), time.UnixMilli(-8_640_000_000_000_000), time.UnixMilli(-1), time.UnixMilli(0),
		time.UnixMilli(1), time.UnixMilli(8_640_000_000_000_000),
		"", "a", "aa", "b", "é", "\ue000", "\uffff", "\U0001f600",
		[]byte{}, []byte{0}, []byte{0, 0}, []byte{1},
		[]any{}, []any{nil}, []any{nil, nil}, []any{int64(1)}, []any{int64(1), "a"}, []any{1.0},
		map[string]any{}, map[string]any{"": nil}, map[string]any{"a": int64(1)}, map[string]any{"a": int64(1), "b": nil},
		map[string]any{"a": int64(2)}, map[string]any{"b": nil},
		value.Counter(-1), value.Counter(5),
		value.Unknown{Type: 10, Raw: []byte{2}}, value.Unknown{Type: 11, Raw: []byte{1}}, value.Unknown{Type: 11, Raw: []byte{1, 1}},
	}
}

func TestCompareIsTheOrderOfItsComment(t *testing.T) {
	vs := ascending()
	for i, a := range vs {
		for j, b := range vs {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := value.Compare(a, b); got != want {
				t.Errorf("Compare(%#v, %#v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestOneValueOfSeveralTypes(t *testing.T) {
	for _, same := range [][2]any{
		{int64(5), uint64(5)}, {5, int8(5)}, {float32(0.5), 0.5}, {"a", value.Scalar("a")},
		{math.NaN(), math.Float64frombits(0x7ff0000000000001)}, {[]any{int64(1)}, []any{uint64(1)}},
		{time.UnixMilli(math.MaxInt64), time.UnixMilli(math.MinInt64)},
		{time.Unix(5, 1000), time.Unix(5, 0).In(time.FixedZone("", 3600))},
	} {
		if !value.Equal(same[0], same[1]) {
			t.Errorf("%#v and %#v are not one value", same[0], same[1])
		}
	}
}

// Numbers compare as if they had all digits.
func TestNumbersCompareExactly(t *testing.T) {
	exact := func(v any) *big.Float {
		f := new(big.Float).SetPrec(2000)
		switch v := v.(type) {
		case int64:
			return f.SetInt64(v)
		case uint64:
			return f.SetUint64(v)
		}
		return f.SetFloat64(v.(float64))
	}
	number := rapid.Custom(func(t *rapid.T) any {
		i := rapid.Int64().Draw(t, "i")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return i
		case 1:
			return uint64(i)
		case 2:
			return float64(i)
		}
		return rapid.Float64().Draw(t, "f")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		got := value.Compare(a, b)
		if want := exact(a).Cmp(exact(b)); want != 0 && got != want {
			t.Fatalf("Compare(%#v, %#v) = %d, want %d", a, b, got, want)
		}
		if got != -value.Compare(b, a) {
			t.Fatalf("%#v and %#v each come before the other", a, b)
		}
	})
}

func TestNormalRefusesWhatNoDocumentHolds(t *testing.T) {
	deep := any(nil)
	for range 1001 {
		deep = []any{deep}
	}
	for _, v := range []any{"\xff", value.Scalar("\xff"), struct{}{}, []any{map[string]any{"a": make(chan int)}},
		map[string]any{"\xff": 1}, time.UnixMilli(8_640_000_000_000_001), value.Unknown{}, deep} {
		if got, err := value.Normal(v); err == nil {
			t.Errorf("%T became %#v", v, got)
		}
	}
	for _, v := range ascending() {
		if value.KindOf(v) == value.KindUnknown || value.Equal(v, time.UnixMilli(math.MaxInt64)) {
			continue
		}
		if got, err := value.Normal(v); err != nil || !value.Equal(got, v) {
			t.Errorf("%#v became %#v, %v", v, got, err)
		}
	}
}

// The order is in a file for other languages.
func TestOrderIsUpToDate(t *testing.T) {
	var lines []string
	for _, v := range ascending() {
		b, err := json.Marshal(valuetest.Describe(v))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	want := "[\n" + strings.Join(lines, ",\n") + "\n]\n"
	const path = "testdata/order.json"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not the order: %v; if it was meant to change: go test ./crdt/value -update", path, err)
	}
}
