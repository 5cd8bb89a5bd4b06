package graph

import (
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// ErrKnown is returned by Add for a change that is there already.
var ErrKnown = errors.New("change is known already")

// RefusedError says why a change cannot belong to the document. No order of
// arrival would make it acceptable.
type RefusedError struct {
	Hash   id.Hash
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("change %s does not fit its document: %s", e.Hash, e.Reason)
}

func refused(h id.Hash, format string, args ...any) error {
	return &RefusedError{Hash: h, Reason: fmt.Sprintf(format, args...)}
}

// MissingError says that a change depends on others that are not there: it has
// to wait for them (see Orphans).
type MissingError struct {
	Hash    id.Hash
	Missing []id.Hash
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("change %s waits for %d changes that are not here, the first is %s", e.Hash, len(e.Missing), e.Missing[0])
}
