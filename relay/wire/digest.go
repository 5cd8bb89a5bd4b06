package wire

import (
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// digest makes the message of a frame. What it allocates is bounded by the frame's
// caps, which are checked before.
func (f *frame) digest(r Route, doc id.Document) (Message, error) {
	m := &Digest{Route: r, Document: doc}
	if len(f.Digest) != len(m.Sum) {
		return nil, fmt.Errorf("digest has %d bytes, want %d", len(f.Digest), len(m.Sum))
	}
	copy(m.Sum[:], f.Digest)
	m.Heads = make([]id.Hash, len(f.Heads))
	for i, h := range f.Heads {
		if len(h) != len(id.Hash{}) {
			return nil, fmt.Errorf("a head has %d bytes, want %d", len(h), len(id.Hash{}))
		}
		m.Heads[i] = id.Hash(h)
	}
	return m, checkDigestHeads(m.Heads)
}

// checkDigestHeads refuses heads that no document has.
func checkDigestHeads(heads []id.Hash) error {
	if len(heads) == 0 {
		return errors.New("no heads")
	}
	if len(heads) > MaxDigestHeads {
		return fmt.Errorf("%d heads, more than %d", len(heads), MaxDigestHeads)
	}
	for i := 1; i < len(heads); i++ {
		if heads[i-1].Compare(heads[i]) >= 0 {
			return errors.New("the heads are not in ascending order, or one is named twice")
		}
	}
	return nil
}
