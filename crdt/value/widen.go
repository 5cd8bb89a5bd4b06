package value

import (
	"fmt"
	"time"
	"unicode/utf8"

	"syncline/crdt/digest"
)

// Widen returns what a document makes of a value that is no map and no list:
// integers of other widths become int64 or uint64, float32 becomes float64.
func Widen(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint:
		return uint64(v)
	case uint8:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case float32:
		return float64(v)
	}
	return v
}

// maxDepth is how deep maps and lists may be nested for Normal: as deep as in a
// document.
const maxDepth = 1000

// Normal returns a copy of a value in the types that a document gives back, but for
// Scalar, which it keeps; times are in UTC and in milliseconds. The error wraps
// [ErrInvalid] if no document can hold it.
func Normal(v any) (any, error) { return normal(v, 0) }

func normal(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d levels", ErrInvalid, maxDepth)
	}
	switch v := Widen(v).(type) {
	case nil, bool, int64, uint64, float64, Counter:
		return v, nil
	case string:
		return v, valid(v)
	case Scalar:
		return v, valid(string(v))
	case []byte:
		return append([]byte{}, v...), nil
	case time.Time:
		// Before milliseconds are counted, which a far year would overflow.
		if v.After(time.UnixMilli(digest.MaxMillis)) || v.Before(time.UnixMilli(-digest.MaxMillis)) {
			return nil, fmt.Errorf("%w: the time %s is further from 1970 than JavaScript can count", ErrInvalid, v)
		}
		return time.UnixMilli(v.UnixMilli()).UTC(), nil
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			var err error
			if l[i], err = normal(e, depth+1); err != nil {
				return nil, err
			}
		}
		return l, nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			if err := valid(k); err != nil {
				return nil, err
			}
			var err error
			if m[k], err = normal(e, depth+1); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return nil, fmt.Errorf("%w: the Go type %T", ErrInvalid, v)
}

func valid(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: a string that is not valid UTF-8", ErrInvalid)
	}
	return nil
}
