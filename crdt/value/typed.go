package value

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// In typed JSON, which operations and schemas use, values keep their types:
//
//	5, 18446744073709551615    int64, or uint64 if too large for that
//	5.0, 1e3                   float64: a point or an exponent
//	"text"                     text
//	{"$uint": 5}               uint64
//	{"$float": "NaN"}          float64: NaN, Infinity, -Infinity
//	{"$counter": 5}            Counter
//	{"$time": "2006-01-02T15:04:05.000Z"}
//	{"$bytes": "base64"}
//	{"$scalar": "immutable"}   Scalar
//	{"$map": {…}}              a map whose only key starts with $

// ParseFields reads a JSON object as the fields of an entity, values as in the
// JSON of operations.
func ParseFields(b []byte) (map[string]any, error) {
	v, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	m, isMap := v.(map[string]any)
	if !isMap {
		return nil, fmt.Errorf("%w: fields are a JSON object, like {\"title\": \"Hello\"}", ErrInvalid)
	}
	for k, e := range m {
		if m[k], err = fromJSON(e); err != nil {
			return nil, fmt.Errorf("field %q: %w", k, err)
		}
	}
	return m, nil
}

// ParseValue reads a JSON value as it stands in the JSON of operations.
func ParseValue(b []byte) (any, error) {
	v, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	return fromJSON(v)
}

// parseJSON reads one JSON value and nothing behind it.
func parseJSON(b []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("read JSON: something follows the value")
	}
	return v, nil
}

// fromJSON turns what encoding/json has read into a value, in place.
func fromJSON(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i, e := range v {
			if v[i], err = fromJSON(e); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		if len(v) == 1 {
			for k, e := range v {
				if strings.HasPrefix(k, "$") {
					return tagged(k, e)
				}
			}
		}
		for k, e := range v {
			if v[k], err = fromJSON(e); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return v, nil
}

func number(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return u, nil
		}
		return nil, fmt.Errorf("%w: the whole number %.40s does not fit 64 bits", ErrInvalid, s)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: the number %.40s: %w", ErrInvalid, s, err)
	}
	return f, nil
}

// tagged reads a value whose type is named.
func tagged(tag string, v any) (any, error) {
	text, isText := v.(string)
	digits, isNumber := v.(json.Number)
	entries, isMap := v.(map[string]any)
	var err error
	switch {
	case tag == "$uint" && isNumber:
		var u uint64
		if u, err = strconv.ParseUint(string(digits), 10, 64); err == nil {
			return u, nil
		}
	case tag == "$counter" && isNumber:
		var i int64
		if i, err = strconv.ParseInt(string(digits), 10, 64); err == nil {
			return Counter(i), nil
		}
	case tag == "$float" && isText && slices.Contains([]string{"NaN", "Infinity", "-Infinity"}, text):
		return strconv.ParseFloat(text, 64)
	case tag == "$time" && isText:
		var t time.Time
		if t, err = parseTime(text); err == nil {
			return t, nil
		}
	case tag == "$bytes" && isText:
		var b []byte
		if b, err = base64.StdEncoding.DecodeString(text); err == nil {
			return b, nil
		}
	case tag == "$scalar" && isText:
		return Scalar(text), nil
	case tag == "$map" && isMap:
		for k, e := range entries {
			if entries[k], err = fromJSON(e); err != nil {
				return nil, err
			}
		}
		return entries, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, tag, err)
	}
	return nil, fmt.Errorf("%w: {%q: …}: want $uint, $counter, $float, $time, $bytes, $scalar or $map with a fitting value", ErrInvalid, tag)
}

// parseTime reads what appendTime writes, and RFC 3339.
func parseTime(s string) (time.Time, error) {
	if len(s) > 7 && (s[0] == '+' || s[0] == '-') {
		year, err := strconv.Atoi(s[:7])
		if err != nil {
			return time.Time{}, fmt.Errorf("year %q: %w", s[:7], err)
		}
		// Any leap year will do for reading the rest.
		t, err := time.Parse(time.RFC3339, "2000"+s[7:])
		if err != nil {
			return time.Time{}, err
		}
		return time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location()).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err
}

// AppendTyped appends a value as typed JSON. What is no value is written as null.
func AppendTyped(b []byte, v any) []byte {
	tag := func(name string, v any) []byte {
		b = append(append(append(b, `{"`...), name...), `":`...)
		return append(AppendJSON(b, v), '}')
	}
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int8:
		return strconv.AppendInt(b, int64(v), 10)
	case int16:
		return strconv.AppendInt(b, int64(v), 10)
	case int32:
		return strconv.AppendInt(b, int64(v), 10)
	case uint:
		return AppendTyped(b, uint64(v))
	case uint8:
		return AppendTyped(b, uint64(v))
	case uint16:
		return AppendTyped(b, uint64(v))
	case uint32:
		return AppendTyped(b, uint64(v))
	case uint64:
		if v > math.MaxInt64 {
			return strconv.AppendUint(b, v, 10)
		}
		return tag("$uint", v)
	case float32:
		return AppendTyped(b, float64(v))
	case float64:
		return appendTypedFloat(b, v)
	case Counter:
		return tag("$counter", v)
	case time.Time:
		return tag("$time", v)
	case []byte:
		return tag("$bytes", v)
	case Scalar:
		return tag("$scalar", string(v))
	case map[string]any:
		for k := range v {
			if len(v) == 1 && strings.HasPrefix(k, "$") {
				return append(AppendFields(append(b, `{"$map":`...), v), '}')
			}
		}
		return AppendFields(b, v)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendTyped(b, e)
		}
		return append(b, ']')
	}
	return AppendJSON(b, v)
}

// AppendFields appends the fields of an entity as typed JSON.
func AppendFields(b []byte, m map[string]any) []byte {
	b = append(b, '{')
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		b = AppendTyped(b, m[k])
	}
	return append(b, '}')
}

// appendTypedFloat writes a float so that its JSON is not that of an integer.
func appendTypedFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `{"$float":"NaN"}`...)
	case math.IsInf(f, 1):
		return append(b, `{"$float":"Infinity"}`...)
	case math.IsInf(f, -1):
		return append(b, `{"$float":"-Infinity"}`...)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[from:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}
