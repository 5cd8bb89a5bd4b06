package interop

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
)

// tree is a value of a native document as JavaScript's JSON in the notation of
// js.Dump would be decoded.
func tree(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil // as JSON.stringify
		}
		return v + 0 // minus zero is written as zero
	case crdt.Counter:
		return map[string]any{"$counter": float64(v)}
	case time.Time:
		return map[string]any{"$date": float64(v.UnixMilli())}
	case []byte:
		return map[string]any{"$bytes": hex.EncodeToString(v)}
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = tree(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = tree(e)
		}
		return out
	}
	return v
}

// single returns the value of a map that has the given key and no other.
func single(v any, key string) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return nil, false
	}
	inner, ok := m[key]
	return inner, ok
}

// unscalar turns immutable strings into strings, which native reads do not tell
// apart.
func unscalar(v any) any {
	if s, ok := single(v, "$scalar"); ok {
		return s
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = unscalar(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = unscalar(e)
		}
		return out
	}
	return v
}

// plain is JavaScript's document as crdt's JSON has it: times as text, counters as
// numbers, bytes as base64.
func plain(v any) any {
	if n, ok := single(v, "$counter"); ok {
		return n
	}
	if ms, ok := single(v, "$date"); ok {
		return time.UnixMilli(int64(ms.(float64))).UTC()
	}
	if digits, ok := single(v, "$bytes"); ok {
		b, err := hex.DecodeString(digits.(string))
		if err != nil {
			return err.Error()
		}
		return b
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	}
	return v
}

func decode(b []byte) (v any, err error) {
	if err = json.Unmarshal(b, &v); err != nil {
		err = fmt.Errorf("%w: %s", err, b)
	}
	return v, err
}

// sameContent says how a native document, by its value and its JSON, differs from
// what JavaScript has dumped.
func sameContent(value map[string]any, native []byte, dumped json.RawMessage) error {
	theirs, err := decode(dumped)
	if err != nil {
		return err
	}
	theirs = unscalar(theirs)
	if ours := tree(value); !reflect.DeepEqual(ours, theirs) {
		return fmt.Errorf("the native document is\n%s\nand JavaScript's\n%s", show(ours), show(theirs))
	}
	ours, err := decode(native)
	if err != nil {
		return err
	}
	if theirs, err = decode(crdt.AppendJSON(nil, plain(theirs))); err != nil {
		return err
	}
	if !reflect.DeepEqual(ours, theirs) {
		return fmt.Errorf("the native JSON is\n%s\nand JavaScript's\n%s", show(ours), show(theirs))
	}
	return nil
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// kinds writes a value so that every kind looks different.
func kinds(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, fmt.Sprintf("%q:%s", k, kinds(v[k])))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, kinds(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case time.Time:
		return fmt.Sprintf("time(%d)", v.UnixMilli())
	case string, []byte:
		return fmt.Sprintf("%T(%q)", v, v)
	}
	return fmt.Sprintf("%T(%v)", v, v)
}

// anchor begins every immutable string that the native generator writes, and is in
// no text.
const anchor = "⚓"

// stringsAreStrings says which string of a native document JavaScript does not see
// as the kind that it was written as.
func stringsAreStrings(v any) error {
	if s, ok := single(v, "$scalar"); ok {
		if !strings.HasPrefix(s.(string), anchor) {
			return fmt.Errorf("JavaScript sees an immutable string %q, which was written as text", s)
		}
		return nil
	}
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, anchor) {
			return fmt.Errorf("JavaScript sees a string %q, which was written as an immutable one", v)
		}
	case map[string]any:
		for _, e := range v {
			if err := stringsAreStrings(e); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := stringsAreStrings(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestTheNotationTellsWhatDiffers(t *testing.T) {
	value := map[string]any{
		"i": int64(7), "u": uint64(7), "f": 7.5, "c": crdt.Counter(-1), "t": time.UnixMilli(-1).UTC(), "b": []byte{0, 255},
		"s": "é", "l": []any{nil, true, math.Inf(1), map[string]any{}},
	}
	same := `{"b":{"$bytes":"00ff"},"c":{"$counter":-1},"f":7.5,"i":7,"l":[null,true,null,{}],"s":"é","t":{"$date":-1},"u":7}`
	if err := sameContent(value, crdt.AppendJSON(nil, value), json.RawMessage(same)); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{
		{`00ff`, `00fe`}, {`{"$counter":-1}`, `-1`}, {`7.5`, `7`}, {`"i":7`, `"i":"7"`}, {`{"$date":-1}`, `{"$date":-2}`},
		{`é`, `e`}, {`null,true`, `null`}, {`"u":7`, `"v":7`},
	} {
		other := strings.Replace(same, change[0], change[1], 1)
		if err := sameContent(value, crdt.AppendJSON(nil, value), json.RawMessage(other)); err == nil {
			t.Errorf("%s passes for the same", other)
		}
	}
	if kinds(map[string]any{"n": int64(7)}) == kinds(map[string]any{"n": 7.0}) || kinds(uint64(7)) == kinds(int64(7)) || kinds("a") == kinds([]byte("a")) {
		t.Error("kinds look alike")
	}
	if stringsAreStrings(map[string]any{"a": []any{map[string]any{"$scalar": "a"}}}) == nil || stringsAreStrings([]any{anchor}) == nil {
		t.Error("strings of the wrong kind pass")
	}
	if err := stringsAreStrings([]any{"a", map[string]any{"$scalar": anchor + "a"}}); err != nil {
		t.Error(err)
	}
}
