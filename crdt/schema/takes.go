package schema

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"syncline/crdt/value"
)

// takes reports whether a value fits the field, not looking into maps and lists.
func (f Field) takes(v any) bool {
	v = value.Widen(v)
	if v == nil {
		return !f.Required && f.Type != Counter
	}
	switch f.Type {
	case Any:
		return true
	case Text:
		_, ok := v.(string)
		return ok
	case String:
		text, ok := value.Text(v)
		return ok && (f.Enum == nil || slices.Contains(f.Enum, text))
	case Int:
		u, isUint := v.(uint64)
		_, isInt := v.(int64)
		return isInt || isUint && u <= math.MaxInt64
	case Uint:
		i, isInt := v.(int64)
		_, isUint := v.(uint64)
		return isUint || isInt && i >= 0
	case Float:
		_, ok := v.(float64)
		return ok
	case Timestamp:
		_, ok := v.(time.Time)
		return ok
	}
	return value.KindOf(v) == kinds[f.Type]
}

// kinds are of the types that take all values of one kind.
var kinds = map[Type]value.Kind{
	Number: value.KindNumber, Bool: value.KindBool, Bytes: value.KindBytes,
	Counter: value.KindCounter, List: value.KindList, Map: value.KindMap,
}

// want says what the field takes, for people.
func (f Field) want() string {
	s := map[Type]string{
		Text: "a text", String: "a string", Int: "a whole number (int)", Uint: "a whole number from 0 on (uint)",
		Float: "a float", Number: "a number", Bool: "true or false", Bytes: "bytes", Timestamp: "a timestamp",
		Counter: "a counter", List: "a list", Map: "a map", Any: "any value",
	}[f.Type]
	if f.Enum != nil {
		s = "one of " + shorten(strings.Join(f.Enum, ", "), 200)
	}
	if f.Required && f.Default == nil {
		s += ", which is required"
	}
	return s
}

// describe says what a value is, for people, in a bounded number of words.
func describe(v any) string {
	switch v := value.Widen(v).(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case string:
		return fmt.Sprintf("the text %q", shorten(v, 60))
	case value.Scalar:
		return fmt.Sprintf("the scalar %q", shorten(string(v), 60))
	case int64, uint64:
		return fmt.Sprintf("the whole number %d", v)
	case float64:
		return fmt.Sprintf("the float %v", v)
	case value.Counter:
		return fmt.Sprintf("the counter %d", v)
	case time.Time:
		return "the time " + v.UTC().Format(time.RFC3339Nano)
	case []byte:
		return fmt.Sprintf("%d bytes", len(v))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("a map of %d", len(v))
	case value.Unknown:
		return fmt.Sprintf("a value of the unknown type %d", v.Type)
	}
	return fmt.Sprintf("a value of Go type %T", v)
}

func shorten(s string, most int) string {
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}
