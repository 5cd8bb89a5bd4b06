package crdt

import (
	"errors"
	"fmt"

	"syncline/crdt/value"
)

// The values of a document are those of package value.
type (
	// Counter is a number that concurrent increments add up in.
	Counter = value.Counter
	// Scalar is a string that is replaced as a whole.
	Scalar = value.Scalar
	// Unknown is a value of a type that this version does not know.
	Unknown = value.Unknown
	// OpID names an operation: its counter, and the actor that made it.
	OpID = value.OpID
	// Path leads from an entity, or from the root, to a value.
	Path = value.Path
)

// MaxDepth is how deep maps and lists may be nested in each other, from the
// root on. Documents of others that go deeper are kept and synced, and not
// read at that place.
const MaxDepth = 1000

// Conflict is one of the values that concurrent changes have given a field.
type Conflict struct {
	ID    OpID
	Value any
}

// AppendJSON appends a value of a document as JSON.stringify would write it in
// JavaScript; see [value.AppendJSON].
func AppendJSON(b []byte, v any) []byte { return value.AppendJSON(b, v) }

// ParseFields reads a JSON object as the fields of an entity, values as in the
// JSON of operations ([value.AppendTyped]).
func ParseFields(b []byte) (map[string]any, error) {
	m, err := value.ParseFields(b)
	return m, invalid(err)
}

// ParseValue reads a JSON value as it stands in the JSON of operations.
func ParseValue(b []byte) (any, error) {
	v, err := value.ParseValue(b)
	return v, invalid(err)
}

// invalid says of an error of package value that no operation can have it either.
func invalid(err error) error {
	if errors.Is(err, value.ErrInvalid) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}
