package crdt

import (
	"fmt"
	"unicode/utf8"
)

// Verb says what an operation does.
type Verb string

// The verbs. What each needs is said at its constructor.
const (
	VerbCreate     Verb = "create"
	VerbUpdate     Verb = "update"
	VerbDelete     Verb = "delete"
	VerbSet        Verb = "set"
	VerbUnset      Verb = "unset"
	VerbIncrement  Verb = "increment"
	VerbSplice     Verb = "splice"
	VerbListInsert Verb = "list-insert"
	VerbListSet    Verb = "list-set"
	VerbListDelete Verb = "list-delete"
)

// Operation is one step of a batch: data, so that it can be kept, sent and
// carried out again. Use the constructors; the zero value is invalid.
type Operation struct {
	Verb       Verb
	Collection string
	ID         string         // of the entity
	Path       Path           // from the entity on; of all verbs but create, update and delete
	Fields     map[string]any // create, update
	Value      any            // set, list-set
	Values     []any          // list-insert
	By         int64          // increment
	Pos        int            // splice: code points; list verbs: elements
	Del        int            // splice, list-delete: how many
	Text       string         // splice
}

// Place is where in an entity an operation works: the name of a field, or a
// path that starts with one.
type Place interface{ string | Path }

func pathOf[P Place](p P) Path {
	switch p := any(p).(type) {
	case string:
		return Path{p}
	case Path:
		return p
	}
	return nil
}

// Create makes an entity that is not there yet, and its collection if that is
// not there either.
//
// Two peers who make the same collection at the same time make two, of which
// one wins with all that is in it, as in every Automerge document: make a new
// document's collections before sharing it.
func Create(collection, id string, fields map[string]any) Operation {
	return Operation{Verb: VerbCreate, Collection: collection, ID: id, Fields: fields}
}

// Update replaces the given fields of an entity and leaves the others.
func Update(collection, id string, fields map[string]any) Operation {
	return Operation{Verb: VerbUpdate, Collection: collection, ID: id, Fields: fields}
}

// Delete removes an entity.
func Delete(collection, id string) Operation {
	return Operation{Verb: VerbDelete, Collection: collection, ID: id}
}

// Set replaces a field, a key of a nested map or an element of a list. What it
// lies in must be there.
func Set[P Place](collection, id string, field P, value any) Operation {
	return Operation{Verb: VerbSet, Collection: collection, ID: id, Path: pathOf(field), Value: value}
}

// Unset removes a field, or a key of a nested map.
func Unset[P Place](collection, id string, field P) Operation {
	return Operation{Verb: VerbUnset, Collection: collection, ID: id, Path: pathOf(field)}
}

// Increment adds n to a counter.
func Increment[P Place](collection, id string, field P, n int64) Operation {
	return Operation{Verb: VerbIncrement, Collection: collection, ID: id, Path: pathOf(field), By: n}
}

// Splice deletes del code points of a text at position pos and puts text there.
func Splice[P Place](collection, id string, field P, pos, del int, text string) Operation {
	return Operation{Verb: VerbSplice, Collection: collection, ID: id, Path: pathOf(field), Pos: pos, Del: del, Text: text}
}

// ListInsert puts values into a list, before the element at pos.
func ListInsert[P Place](collection, id string, field P, pos int, values ...any) Operation {
	return Operation{Verb: VerbListInsert, Collection: collection, ID: id, Path: pathOf(field), Pos: pos, Values: values}
}

// ListSet replaces the element at pos of a list.
func ListSet[P Place](collection, id string, field P, pos int, value any) Operation {
	return Operation{Verb: VerbListSet, Collection: collection, ID: id, Path: pathOf(field), Pos: pos, Value: value}
}

// ListDelete removes n elements of a list from pos on.
func ListDelete[P Place](collection, id string, field P, pos, n int) Operation {
	return Operation{Verb: VerbListDelete, Collection: collection, ID: id, Path: pathOf(field), Pos: pos, Del: n}
}

// Validate says why no document could carry the operation out; the error wraps
// ErrInvalid, ErrTooDeep or ErrTooLarge. Whether this document can is found
// out by Do.
func (o Operation) Validate() error {
	_, err := o.encode(nil, 0)
	return err
}

// place is the whole path that the operation works on, from the root.
func (o Operation) place() Path {
	p := append(Path{o.Collection, o.ID}, o.Path...)
	if o.Verb == VerbListSet {
		p = append(p, o.Pos)
	}
	return p
}

// check looks at everything but the values.
func (o Operation) check() error {
	if err := checkName("collection", o.Collection); err != nil {
		return err
	}
	if err := checkName("entity id", o.ID); err != nil {
		return err
	}
	switch o.Verb {
	case VerbCreate, VerbUpdate, VerbDelete:
		if len(o.Path) > 0 {
			return fmt.Errorf("%w: %s takes no path", ErrInvalid, o.Verb)
		}
		if o.Verb == VerbUpdate && len(o.Fields) == 0 {
			return fmt.Errorf("%w: update without fields", ErrInvalid)
		}
		return nil
	}
	if o.Verb.instruction() == 0 {
		return fmt.Errorf("%w: unknown verb %q", ErrInvalid, o.Verb)
	}
	if err := checkPath(o.Path); err != nil {
		return err
	}
	switch {
	case o.Pos < 0 || o.Del < 0:
		return fmt.Errorf("%w: negative position or count", ErrInvalid)
	case o.Verb == VerbListInsert && len(o.Values) == 0:
		return fmt.Errorf("%w: list-insert without values", ErrInvalid)
	case o.Verb == VerbListDelete && o.Del == 0:
		return fmt.Errorf("%w: list-delete of no elements", ErrInvalid)
	case o.Verb == VerbSplice && o.Del == 0 && o.Text == "":
		return fmt.Errorf("%w: splice without anything to delete or insert", ErrInvalid)
	case o.Verb == VerbUnset:
		if _, isKey := o.Path[len(o.Path)-1].(string); !isKey {
			return fmt.Errorf("%w: unset of a list element: use list-delete", ErrInvalid)
		}
	}
	return nil
}

// maxName is a limit on names in bytes: they are repeated in paths, errors and
// intents.
const maxName = 4096

func checkName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: empty %s", ErrInvalid, what)
	case len(s) > maxName:
		return fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrInvalid, what, len(s), maxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %s %q is not valid UTF-8", ErrInvalid, what, s)
	}
	return nil
}

// checkPath looks at a path from an entity on.
func checkPath(p Path) error {
	if len(p) == 0 {
		return fmt.Errorf("%w: no field", ErrInvalid)
	}
	if _, isKey := p[0].(string); !isKey {
		return fmt.Errorf("%w: a path starts with the name of a field, not with %v", ErrInvalid, p[0])
	}
	for _, s := range p {
		if key, isKey := s.(string); isKey {
			if err := checkName("key", key); err != nil {
				return err
			}
		}
	}
	return checkSteps(p)
}

// checkSteps looks at the types of a path's steps. Others may have used keys
// that we would not write, and those can be read.
func checkSteps(p Path) error {
	for _, s := range p {
		switch s := s.(type) {
		case string:
		case int:
			if s < 0 {
				return fmt.Errorf("%w: negative index %d", ErrInvalid, s)
			}
		default:
			return fmt.Errorf("%w: a path has string keys and int indexes, not %T", ErrInvalid, s)
		}
	}
	return nil
}
