package digest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"syncline/bench/js"
)

// A value in these tests is nil, bool, int64, uint64, float64, string, []byte,
// millis, counter, []any or map[string]any.
type (
	millis  int64
	counter int64
)

// vector is one of testdata/vectors.json; see the README there.
type vector struct {
	Name   string
	Value  json.RawMessage
	CBOR   *string
	SHA256 string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

// described reads a value in the vectors' notation.
func described(raw json.RawMessage) (any, error) {
	switch raw[0] {
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		list := make([]any, len(items))
		for i, item := range items {
			v, err := described(item)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case '{':
		var one map[string]json.RawMessage
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, err
		}
		for kind, inner := range one {
			return ofKind(kind, inner)
		}
	}
	var v any
	err := json.Unmarshal(raw, &v)
	return v, err
}

func ofKind(kind string, raw json.RawMessage) (any, error) {
	switch kind {
	case "map":
		var entries [][2]json.RawMessage
		if err := json.Unmarshal(raw, &entries); err != nil {
			return nil, err
		}
		m := map[string]any{}
		for _, e := range entries {
			var key string
			if err := json.Unmarshal(e[0], &key); err != nil {
				return nil, err
			}
			v, err := described(e[1])
			if err != nil {
				return nil, err
			}
			m[key] = v
		}
		return m, nil
	case "repeat":
		var r []any
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, err
		}
		return strings.Repeat(r[0].(string), int(r[1].(float64))), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	i, intErr := strconv.ParseInt(s, 10, 64)
	switch kind {
	case "int":
		return i, intErr
	case "time":
		return millis(i), intErr
	case "counter":
		return counter(i), intErr
	case "uint":
		return strconv.ParseUint(s, 10, 64)
	case "float":
		return strconv.ParseFloat(s, 64)
	case "bits":
		bits, err := strconv.ParseUint(s, 16, 64)
		return math.Float64frombits(bits), err
	case "bytes":
		return hex.DecodeString(s)
	}
	return nil, fmt.Errorf("no such kind of value: %s", kind)
}

// write hands a value to the encoder.
func write(e *Encoder, v any) {
	switch v := v.(type) {
	case nil:
		e.Null()
	case bool:
		e.Bool(v)
	case int64:
		e.Int(v)
	case uint64:
		e.Uint(v)
	case float64:
		e.Float(v)
	case string:
		e.Text([]byte(v))
	case []byte:
		e.Bytes(v)
	case millis:
		e.Time(int64(v))
	case counter:
		e.Counter(int64(v))
	case []any:
		e.List(len(v))
		for _, item := range v {
			write(e, item)
		}
	case map[string]any:
		var keys [][]byte
		for k := range v {
			keys = append(keys, []byte(k))
		}
		slices.SortFunc(keys, CompareKeys)
		e.Map(len(v))
		for _, k := range keys {
			e.Text(k)
			write(e, v[string(k)])
		}
	default:
		panic(fmt.Sprintf("no value: %T", v))
	}
}

// tap keeps what is hashed.
type tap struct {
	bytes.Buffer
}

func (t *tap) Sum(b []byte) []byte { s := sha256.Sum256(t.Bytes()); return append(b, s[:]...) }
func (t *tap) Size() int           { return sha256.Size }
func (t *tap) BlockSize() int      { return sha256.BlockSize }

// encoded returns a value's bytes and digest.
func encoded(v any) ([]byte, Sum) {
	e, kept := New(), &tap{}
	e.hash = kept
	write(e, v)
	e.Sum()
	whole := New()
	write(whole, v)
	return kept.Bytes(), whole.Sum()
}

// reference is fxamacker/cbor in its core deterministic mode, but for floats,
// which keep their width.
func reference(t testing.TB) func(any) []byte {
	t.Helper()
	o := cbor.CoreDetEncOptions()
	o.ShortestFloat = cbor.ShortestFloatNone
	o.NaNConvert = cbor.NaNConvertNone
	o.InfConvert = cbor.InfConvertNone
	mode, err := o.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	return func(v any) []byte {
		b, err := mode.Marshal(foreign(v))
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		return b
	}
}

// foreign writes a value in the reference's types.
func foreign(v any) any {
	switch v := v.(type) {
	case millis:
		if v > MaxMillis || v < -MaxMillis {
			return cbor.Tag{Number: 1, Content: math.Float64frombits(0x7ff8000000000000)}
		}
		return cbor.Tag{Number: 1, Content: int64(v)}
	case counter:
		return cbor.Tag{Number: 40501, Content: int64(v)}
	case float64:
		if math.IsNaN(v) {
			return math.Float64frombits(0x7ff8000000000000)
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = foreign(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k := range v {
			m[k] = foreign(v[k])
		}
		return m
	}
	return v
}

func TestVectors(t *testing.T) {
	ref := reference(t)
	vs := vectors(t)
	if len(vs) < 60 {
		t.Fatalf("%d vectors", len(vs))
	}
	for _, v := range vs {
		value, err := described(v.Value)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		got, sum := encoded(value)
		if v.CBOR != nil && hex.EncodeToString(got) != *v.CBOR {
			t.Errorf("%s: got %x, want %s", v.Name, got, *v.CBOR)
		}
		if sum.String() != v.SHA256 {
			t.Errorf("%s: got %s, want %s", v.Name, sum, v.SHA256)
		}
		if want := ref(value); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, the reference %x", v.Name, got, want)
		}
	}
}

func TestVectorsInJavaScript(t *testing.T) {
	js.Require(t)
	ctx := context.Background()
	worker, err := js.Start(ctx, "digest.mjs")
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	vs := vectors(t)
	var values []json.RawMessage
	for _, v := range vs {
		values = append(values, v.Value)
	}
	var reply struct {
		Digests []struct {
			Sum  string
			CBOR []byte
		}
	}
	if err := worker.Call(ctx, "describe", map[string]any{"values": values}, &reply); err != nil {
		t.Fatal(err)
	}
	for i, v := range vs {
		if got := reply.Digests[i]; got.Sum != v.SHA256 {
			t.Errorf("%s: got %.200x, %s, want %s", v.Name, got.CBOR, got.Sum, v.SHA256)
		}
	}
}

// Whatever a document may hold, the reference writes the same.
func TestRandomValuesAsTheReference(t *testing.T) {
	ref := reference(t)
	for seed := range uint64(2000) {
		same(t, ref, seed, rand.New(rand.NewPCG(seed, 5)))
	}
}

func FuzzAsTheReference(f *testing.F) {
	f.Add(uint64(1), "", []byte{}, uint64(0))
	f.Add(uint64(2), "key", []byte("ü"), uint64(0x7ff0000000000001))
	ref := reference(f)
	f.Fuzz(func(t *testing.T, seed uint64, key string, b []byte, bits uint64) {
		v := map[string]any{
			strings.ToValidUTF8(key, "?"):       []any{b, math.Float64frombits(bits), int64(bits), bits, counter(bits), millis(bits)},
			strings.ToValidUTF8(string(b), "?"): randomValue(rand.New(rand.NewPCG(seed, 6)), 0),
		}
		if got, sum := encoded(v); !bytes.Equal(got, ref(v)) || sum != Sum(sha256.Sum256(got)) {
			t.Fatalf("%#v:\n got %x\nwant %x", v, got, ref(v))
		}
	})
}

func same(t *testing.T, ref func(any) []byte, seed uint64, r *rand.Rand) {
	t.Helper()
	v := randomValue(r, 0)
	got, sum := encoded(v)
	if want := ref(v); !bytes.Equal(got, want) {
		t.Fatalf("seed %d: %#v:\n got %x\nwant %x", seed, v, got, want)
	}
	if sum != Sum(sha256.Sum256(got)) {
		t.Fatalf("seed %d: the digest is not that of the bytes", seed)
	}
}

func randomValue(r *rand.Rand, depth int) any {
	kinds := 12
	if depth > 3 {
		kinds = 9
	}
	number := r.Uint64() >> r.IntN(64)
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return number&1 == 0
	case 2:
		return int64(number) * int64(1-2*r.IntN(2))
	case 3:
		return number
	case 4:
		return []float64{float64(number), math.Float64frombits(number), r.NormFloat64(), math.NaN(), math.Inf(-1), math.Copysign(0, -1)}[r.IntN(6)]
	case 5:
		return millis(int64(number) >> r.IntN(20))
	case 6:
		return counter(number)
	case 7:
		return randomText(r)
	case 8:
		return []byte(randomText(r))
	case 9:
		list := make([]any, r.IntN(40)>>r.IntN(6))
		for i := range list {
			list[i] = randomValue(r, depth+1)
		}
		return list
	default:
		m := map[string]any{}
		for range r.IntN(40) >> r.IntN(6) {
			m[randomText(r)] = randomValue(r, depth+1)
		}
		return m
	}
}

// randomText is short but for one in a hundred, which outgrows the encoder's
// buffer or just fits.
func randomText(r *rand.Rand) string {
	n := r.IntN(30)
	if r.IntN(100) == 0 {
		n = spill - 20 + r.IntN(40)
	}
	s := make([]rune, n)
	for i := range s {
		s[i] = []rune{'a', 'b', 'z', 'ü', '水', '～', '🔑', 0}[r.IntN(8)]
	}
	return string(s)
}

func TestAnEncoderDoesNotAllocateForValues(t *testing.T) {
	e := New()
	key, texts := []byte("title"), [][]byte{bytes.Repeat([]byte("x"), 2*spill), bytes.Repeat([]byte("x"), spill/3)}
	if n := testing.AllocsPerRun(1000, func() {
		e.Map(1)
		e.Text(key)
		e.List(7)
		e.Int(-5)
		e.Float(1.5)
		e.Counter(1 << 40)
		e.Time(1700000000123)
		for _, text := range texts {
			e.Text(text)
		}
		e.Bytes(key)
		e.Null()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnEncoderHoldsBackNoMoreThanItsBuffer(t *testing.T) {
	half := bytes.Repeat([]byte("x"), spill/2)
	for name, write := range map[string]func(*Encoder){
		"simple values": func(e *Encoder) { e.Null() },
		"heads":         func(e *Encoder) { e.Int(math.MinInt64) },
		"floats":        func(e *Encoder) { e.Float(1.5) },
		"texts":         func(e *Encoder) { e.Text(half) },
	} {
		e := New()
		for range spill + 1 {
			write(e)
			if cap(e.b) != spill {
				t.Errorf("%s: it holds back %d bytes, want %d at most", name, cap(e.b), spill)
				break
			}
		}
	}
}

// A full buffer is where a head, a float or a text might be torn or lost.
func TestAnEncoderSpillsBetweenAnyTwoBytes(t *testing.T) {
	ref := reference(t)
	items := []any{int64(5), int64(-1000), uint64(math.MaxUint64), 1.5, "text", []byte{1}, counter(1 << 40), millis(1 << 40), nil}
	for fill := spill - 40; fill <= spill; fill++ {
		v := append([]any{strings.Repeat("x", fill)}, items...)
		if got, _ := encoded(v); !bytes.Equal(got, ref(v)) {
			t.Errorf("behind %d bytes: %x", fill, got[fill:])
		}
		items = append(items[1:], items[0])
	}
}
