package valuetest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"syncline/crdt/value"
)

// Describe returns a value in the notation, for encoding/json.
func Describe(v any) any {
	one := func(kind string, v any) any { return map[string]any{kind: v} }
	switch v := value.Widen(v).(type) {
	case int64:
		return one("int", strconv.FormatInt(v, 10))
	case uint64:
		return one("uint", strconv.FormatUint(v, 10))
	case float64:
		return describeFloat(v)
	case value.Scalar:
		return one("scalar", string(v))
	case value.Counter:
		return one("counter", strconv.FormatInt(int64(v), 10))
	case value.Unknown:
		return one("unknown", []any{v.Type, hex.EncodeToString(v.Raw)})
	case time.Time:
		return one("time", strconv.FormatInt(v.UnixMilli(), 10))
	case []byte:
		return one("bytes", hex.EncodeToString(v))
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = Describe(e)
		}
		return l
	case map[string]any:
		entries := [][2]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			entries = append(entries, [2]any{k, Describe(v[k])})
		}
		return one("map", entries)
	}
	return v
}

func describeFloat(f float64) any {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	switch {
	case math.IsNaN(f) && math.Float64bits(f) != math.Float64bits(math.NaN()):
		return map[string]any{"bits": fmt.Sprintf("%016x", math.Float64bits(f))}
	case math.IsInf(f, 0):
		s = strings.TrimPrefix(s, "+") + "inity"
	}
	return map[string]any{"float": s}
}

// Read reads a value in the notation.
func Read(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, fmt.Errorf("no value")
	}
	switch raw[0] {
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		l := make([]any, len(items))
		for i, item := range items {
			var err error
			if l[i], err = Read(item); err != nil {
				return nil, err
			}
		}
		return l, nil
	case '{':
		var one map[string]json.RawMessage
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, err
		}
		for kind, inner := range one {
			if len(one) == 1 {
				return readKind(kind, inner)
			}
		}
		return nil, fmt.Errorf("%s: want one kind", raw)
	}
	var v any
	err := json.Unmarshal(raw, &v)
	if _, isNumber := v.(float64); isNumber {
		err = fmt.Errorf("the number %s: say of what kind", raw)
	}
	return v, err
}

func readKind(kind string, raw json.RawMessage) (any, error) {
	switch kind {
	case "map":
		return readMap(raw)
	case "unknown":
		var typeCode uint8
		var digits string
		if err := json.Unmarshal(raw, &[]any{&typeCode, &digits}); err != nil {
			return nil, err
		}
		b, err := hex.DecodeString(digits)
		return value.Unknown{Type: typeCode, Raw: b}, err
	case "repeat":
		var text string
		var n int
		err := json.Unmarshal(raw, &[]any{&text, &n})
		return strings.Repeat(text, n), err
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
		return time.UnixMilli(i).UTC(), intErr
	case "counter":
		return value.Counter(i), intErr
	case "scalar":
		return value.Scalar(s), nil
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

func readMap(raw json.RawMessage) (any, error) {
	var entries [][]json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, err
	}
	m := make(map[string]any, len(entries))
	for _, e := range entries {
		var key string
		if len(e) != 2 || json.Unmarshal(e[0], &key) != nil {
			return nil, fmt.Errorf("%s: want [key, value]", e)
		}
		v, err := Read(e[1])
		if err != nil {
			return nil, err
		}
		m[key] = v
	}
	return m, nil
}
