package session

import (
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// savedType is the first byte of a saved state, as Automerge writes it.
const savedType = 0x43

// ErrSaved is what errors about malformed saved states wrap.
var ErrSaved = errors.New("malformed saved sync state")

// Save returns what the next session with the same other end starts from: the
// shared heads, in the form of Automerge's encoded sync states.
func (s *Session) Save() []byte {
	return appendHashes([]byte{savedType}, s.shared)
}

// Resume makes a session that has not begun start from a saved state. What the
// graph no longer has of it is left out.
func (s *Session) Resume(saved []byte) error {
	shared, err := Shared(saved)
	if err != nil {
		return err
	}
	s.shared = s.known(shared)
	return nil
}

// Shared returns the shared heads in a saved state, ascending.
func Shared(saved []byte) ([]id.Hash, error) {
	if len(saved) == 0 || saved[0] != savedType {
		return nil, fmt.Errorf("%w: its type is missing or unknown", ErrSaved)
	}
	r := reader{buf: saved[1:]}
	shared := r.hashes("shared heads")
	if r.err == nil && len(r.buf) > 0 {
		r.fail("%d bytes follow it", len(r.buf))
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSaved, r.err)
	}
	return shared, nil
}
