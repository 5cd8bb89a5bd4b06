package crdt

import (
	"fmt"

	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
)

// Rules are what an app says of its documents: the schema, and the merge functions
// that it names. Without a schema anything may be written, and every conflict is left
// for a person.
type Rules struct {
	Schema    *schema.Schema
	Functions *merge.Functions
}

// Check says which of the operations the schema refuses, before they are handed to
// Document.Do. The error is an *OperationError of the first, and has all that is wrong
// with that one as schema.Violations.
func (r Rules) Check(ops ...Operation) error {
	if r.Schema == nil {
		return nil
	}
	for i, o := range ops {
		err := o.check()
		if err == nil {
			err = r.check(o)
		}
		if err != nil {
			return &OperationError{Index: i, Operation: o, Err: err}
		}
	}
	return nil
}

func (r Rules) check(o Operation) error {
	s := r.Schema
	switch o.Verb {
	case VerbCreate:
		return s.CheckCreate(o.Collection, o.ID, o.Fields)
	case VerbUpdate:
		return s.CheckUpdate(o.Collection, o.ID, o.Fields)
	case VerbDelete:
		return s.CheckDelete(o.Collection, o.ID)
	case VerbSet:
		return s.CheckSet(o.Collection, o.ID, o.Path, o.Value)
	case VerbUnset:
		return s.CheckUnset(o.Collection, o.ID, o.Path)
	case VerbIncrement:
		return s.CheckIncrement(o.Collection, o.ID, o.Path)
	case VerbSplice:
		return s.CheckSplice(o.Collection, o.ID, o.Path)
	case VerbListInsert:
		return s.CheckElements(o.Collection, o.ID, o.Path, o.Values)
	case VerbListSet:
		return s.CheckElements(o.Collection, o.ID, o.Path, []any{o.Value})
	case VerbListDelete:
		return s.CheckElements(o.Collection, o.ID, o.Path, nil)
	}
	return fmt.Errorf("%w: unknown verb %q", ErrInvalid, o.Verb)
}

// field is what the schema says of a place in an entity; of one that it does not name,
// that anything may be there and no rule chooses.
func (r Rules) field(collection string, path value.Path) schema.Field {
	if r.Schema != nil {
		if f, ok := r.Schema.Field(collection, path); ok {
			return f
		}
	}
	return schema.Field{Type: schema.Any}
}
