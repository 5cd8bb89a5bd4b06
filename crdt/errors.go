package crdt

import (
	"errors"
	"fmt"
)

// Errors of operations and reads, wrapped in what they were met on.
var (
	// ErrEmpty: a batch without operations.
	ErrEmpty = errors.New("a batch needs at least one operation")
	// ErrNoChange: the document is already as the batch would have it, so no
	// change was written.
	ErrNoChange = errors.New("the batch changes nothing")
	// ErrInvalid: an operation that no document could carry out.
	ErrInvalid = errors.New("invalid operation")
	// ErrNotFound: there is no such entity, field or element.
	ErrNotFound = errors.New("not found")
	// ErrExists: the entity to be created is there already.
	ErrExists = errors.New("exists already")
	// ErrKind: what is there is of another kind than the operation needs.
	ErrKind = errors.New("wrong kind")
	// ErrRange: a position beyond the end.
	ErrRange = errors.New("out of range")
	// ErrTooLarge: more than one change, or one document, can hold.
	ErrTooLarge = errors.New("too large")
	// ErrTooDeep: nested deeper than MaxDepth.
	ErrTooDeep = errors.New("nested too deep")
	// ErrUnknownHeads: the document has no such change.
	ErrUnknownHeads = errors.New("not a change of this document")
	// ErrClosed: the document was closed.
	ErrClosed = errors.New("the document is closed")
	// ErrBroken: the core and the changes at hand disagree. The document has
	// closed itself; open it again from its changes.
	ErrBroken = errors.New("the document is broken and was closed")
	// ErrCore: the core refuses, in its own words.
	ErrCore = errors.New("core")
)

// OperationError says which operation of a batch failed, and why. Nothing of
// the batch was written.
type OperationError struct {
	Index     int // in the batch
	Operation Operation
	Err       error // wraps one of the errors above
}

func (e *OperationError) Error() string {
	return fmt.Sprintf("operation %d (%s): %v", e.Index+1, e.Operation.intent(), e.Err)
}

func (e *OperationError) Unwrap() error { return e.Err }

// err turns a failed outcome into an error about the given place.
func (o outcome) err(at Path) error {
	where := at
	if o.step < len(at) {
		where = at[:o.step+1]
	}
	// What is at fault with a wrong kind is what the step before led to.
	holder := at[:min(o.step, len(at))]
	switch o.status {
	case statusOK:
		return nil
	case statusNoMemory:
		return errors.New("out of memory")
	case statusNotFound:
		return fmt.Errorf("%s: %w", where, ErrNotFound)
	case statusExists:
		return fmt.Errorf("%s: %w", where, ErrExists)
	case statusNotMap:
		return fmt.Errorf("%s: %w: not a map", holder, ErrKind)
	case statusNotList:
		return fmt.Errorf("%s: %w: not a list", holder, ErrKind)
	case statusNotText:
		return fmt.Errorf("%s: %w: not a text", holder, ErrKind)
	case statusNotCounter:
		return fmt.Errorf("%s: %w: not a counter", where, ErrKind)
	case statusRange:
		return fmt.Errorf("%s: %w: there are %d elements", where, ErrRange, o.n)
	case statusNoChange:
		return ErrNoChange
	case statusUnknownHead:
		return ErrUnknownHeads
	case statusDeep:
		return fmt.Errorf("%s: %w (more than %d levels)", at, ErrTooDeep, MaxDepth)
	case statusBroken:
		return ErrBroken
	}
	return fmt.Errorf("%w: %s", ErrCore, o.data)
}
