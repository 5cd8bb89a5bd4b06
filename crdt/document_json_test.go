package crdt_test

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt"
)

// An operation that went through JSON does what it did before.
func TestOperationJSONKeepsTypes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := docModel{"notes": map[string]any{"a": map[string]any{
			"x": "text", "y": []any{int64(1), "two"}, "z": crdt.Counter(1)}}}
		o := docGenOperation(t, m)
		if o.Validate() != nil {
			return
		}
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var again crdt.Operation
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if b2 := docMust(json.Marshal(again)); string(b) != string(b2) {
			t.Fatalf("%s became %s", b, b2)
		}
		one, two := m.clone(), m.clone()
		err1, err2 := one.apply(o), two.apply(again)
		if err1 != err2 || !reflect.DeepEqual(one, two) {
			t.Fatalf("%s: %v %v\n%#v\n%#v", b, err1, err2, one, two)
		}
	})
}

func TestParseValue(t *testing.T) {
	for in, want := range map[string]any{
		`5`:                                    int64(5),
		`18446744073709551615`:                 uint64(math.MaxUint64),
		`5.0`:                                  5.0,
		`1e3`:                                  1000.0,
		`{"$uint":5}`:                          uint64(5),
		`{"$counter":-5}`:                      crdt.Counter(-5),
		`{"$scalar":"s"}`:                      crdt.Scalar("s"),
		`{"$bytes":"AQI="}`:                    []byte{1, 2},
		`{"$time":"2020-01-02T03:04:05.678Z"}`: time.UnixMilli(1577934245678).UTC(),
		`{"$time":"+012020-01-02T03:04:05.678Z"}`: time.Date(12020, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		`{"$time":"-000001-01-02T03:04:05.000Z"}`: time.Date(-1, 1, 2, 3, 4, 5, 0, time.UTC),
		`{"$map":{"$uint":5}}`:                    map[string]any{"$uint": int64(5)},
		`{"$a":1,"b":2}`:                          map[string]any{"$a": int64(1), "b": int64(2)},
		`[null,true,"x"]`:                         []any{nil, true, "x"},
	} {
		got, err := crdt.ParseValue([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v %v, want %#v", in, got, err, want)
		}
	}
	for _, in := range []string{``, `{`, `1 2`, `{"$uint":-1}`, `{"$uint":"1"}`, `{"$nope":1}`, `{"$time":"now"}`, `123456789012345678901`} {
		if v, err := crdt.ParseValue([]byte(in)); err == nil {
			t.Errorf("%s: read as %#v", in, v)
		}
	}
	if _, err := crdt.ParseFields([]byte(`[1]`)); err == nil {
		t.Error("a list was read as fields")
	}
}

func TestOperationFromJSONIsValidated(t *testing.T) {
	for _, in := range []string{
		`{"verb":"create","collection":"c"}`,
		`{"verb":"nope","collection":"c","id":"i","path":["f"]}`,
		`{"verb":"set","collection":"c","id":"i","path":[1.5],"value":1}`,
		`{"verb":"set","collection":"c","id":"i","path":["f"],"value":1,"more":2}`,
		`{"verb":"list-insert","collection":"c","id":"i","path":["f"],"values":{}}`,
	} {
		var o crdt.Operation
		if err := json.Unmarshal([]byte(in), &o); err == nil {
			t.Errorf("%s: read as %+v", in, o)
		}
	}
}

// What JSON.stringify would write.
func TestAppendJSON(t *testing.T) {
	for want, v := range map[string]any{
		`{"a":1,"b":[null,true]}`:       map[string]any{"b": []any{nil, true}, "a": uint64(1)},
		`"a\"\\\n\t\u0001é😀</>"`:        "a\"\\\n\t\x01é😀</>",
		`1`:                             1.0,
		`1e+21`:                         1e21,
		`0`:                             math.Copysign(0, -1),
		`null`:                          math.Inf(1),
		`-3`:                            crdt.Counter(-3),
		`"AQI="`:                        []byte{1, 2},
		`"2020-01-02T03:04:05.678Z"`:    time.UnixMilli(1577934245678),
		`"+275760-09-13T00:00:00.000Z"`: time.UnixMilli(8_640_000_000_000_000),
		`"-271821-04-20T00:00:00.000Z"`: time.UnixMilli(-8_640_000_000_000_000),
	} {
		if got := string(crdt.AppendJSON(nil, v)); got != want {
			t.Errorf("%#v: got %s, want %s", v, got, want)
		}
	}
}
