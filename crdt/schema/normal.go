package schema

import (
	"maps"
	"slices"
	"time"

	"syncline/crdt/digest"
	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// normal is the schema's normal form.
func (s *Schema) normal() map[string]any {
	collections := map[string]any{}
	for name, c := range s.collections {
		n := map[string]any{"fields": normalFields(c.Fields)}
		flag(n, "open", c.Open)
		collections[name] = n
	}
	n := map[string]any{"schema": int64(form), "id": s.id, "version": int64(s.version), "collections": collections}
	flag(n, "open", s.open)
	return n
}

func normalFields(fields map[string]Field) map[string]any {
	all := map[string]any{}
	for name, f := range fields {
		all[name] = f.normal()
	}
	return all
}

func (f Field) normal() map[string]any {
	n := map[string]any{"type": string(f.Type)}
	flag(n, "required", f.Required)
	flag(n, "search", f.Search)
	flag(n, "open", f.Open)
	if f.Enum != nil {
		var l []any
		for _, v := range f.Enum {
			l = append(l, v)
		}
		n["enum"] = l
	}
	if f.Default != nil {
		n["default"] = f.Default
	}
	if f.Merge != merge.None && f.Merge != merge.Counter {
		n["merge"] = f.Merge
	}
	if f.Of != nil {
		n["of"] = f.Of.normal()
	}
	if f.Fields != nil {
		n["fields"] = normalFields(f.Fields)
	}
	return n
}

func flag(n map[string]any, name string, set bool) {
	if set {
		n[name] = true
	}
}

// MarshalJSON writes the schema as Parse reads it, in its normal form.
func (s *Schema) MarshalJSON() ([]byte, error) {
	return value.AppendTyped(nil, s.normal()), nil
}

// sum is the digest of a normal form.
func sum(v any) digest.Sum {
	e := digest.New()
	encode(e, v)
	return e.Sum()
}

func encode(e *digest.Encoder, v any) {
	switch v := v.(type) {
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
	case value.Scalar:
		e.Text([]byte(v))
	case []byte:
		e.Bytes(v)
	case time.Time:
		e.Time(v.UnixMilli())
	case []any:
		e.List(len(v))
		for _, item := range v {
			encode(e, item)
		}
	case map[string]any:
		keys := slices.SortedFunc(maps.Keys(v), func(a, b string) int {
			return digest.CompareKeys([]byte(a), []byte(b))
		})
		e.Map(len(v))
		for _, k := range keys {
			e.Text([]byte(k))
			encode(e, v[k])
		}
	}
}
