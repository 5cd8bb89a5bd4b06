package value

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"syncline/crdt/digest"
)

// AppendJSON appends a value of a document as JSON, as JSON.stringify would
// write it in JavaScript: keys in order of their bytes, times as
// 2006-01-02T15:04:05.000Z, counters as numbers, NaN and infinities as null.
// Bytes are base64. Equal documents give equal JSON.
//
// The kinds of numbers are not told apart; [AppendTyped] keeps them.
func AppendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case Counter:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return appendFloat(b, v)
	case []byte:
		return appendString(b, base64.StdEncoding.EncodeToString(v))
	case time.Time:
		return appendTime(b, v)
	case map[string]any:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = AppendJSON(b, v[k])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, e)
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// appendFloat writes a number as JavaScript does, which encoding/json follows
// but for minus zero.
func appendFloat(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0')
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	s, err := json.Marshal(f)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, s...)
}

// appendTime writes a time as JavaScript's Date does: years beyond four digits
// with a sign and six, and what Date cannot hold as null.
func appendTime(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms > digest.MaxMillis || ms < -digest.MaxMillis {
		return append(b, "null"...)
	}
	t = time.UnixMilli(ms).UTC()
	b = append(b, '"')
	switch y := t.Year(); {
	case y < 0:
		b = fmt.Appendf(b, "-%06d", -y)
	case y > 9999:
		b = fmt.Appendf(b, "+%06d", y)
	default:
		b = fmt.Appendf(b, "%04d", y)
	}
	return append(t.AppendFormat(b, "-01-02T15:04:05.000Z"), '"')
}
