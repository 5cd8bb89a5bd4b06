package schema

import "syncline/crdt/value"

// Complete puts the defaults of fields that are absent into an entity, and into the
// maps in it, and returns it. It changes the entity.
func (s *Schema) Complete(collection string, entity any) any {
	if c, ok := s.collections[collection]; ok {
		complete(c.Fields, entity)
	}
	return entity
}

func complete(fields map[string]Field, in any) {
	m, isMap := in.(map[string]any)
	if !isMap {
		return
	}
	for name, f := range fields {
		v, there := m[name]
		if !there && f.Default != nil {
			// A copy, since who reads an entity may keep it and write into it.
			m[name], _ = value.Normal(f.Default)
		} else if there {
			f.complete(v)
		}
	}
}

func (f Field) complete(v any) {
	if f.Of == nil {
		complete(f.Fields, v)
		return
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			f.Of.complete(e)
		}
	case map[string]any:
		for _, e := range v {
			f.Of.complete(e)
		}
	}
}
