package doctor

import (
	"bytes"
	"errors"
	"fmt"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/storage"
)

// CheckRow holds a row of the journal against the bytes of its change: the part of an
// examination that is cheap and needs no other row. It is what a running peer does in
// the background.
func CheckRow(e *storage.Entry) error {
	c, err := chunk.ParseChange(e.Body)
	switch {
	case err != nil:
		return fmt.Errorf("the stored change does not decode: %w", err)
	case c.Hash != e.Hash:
		return fmt.Errorf("the row names change %s, and its bytes are change %s", e.Hash, c.Hash)
	case c.Actor != e.Actor || c.Seq != e.ActorSeq || !bytes.Equal(graph.MetaOf(c).Encode(), e.Head):
		return errors.New("what is noted beside the change is not what its bytes say")
	}
	return nil
}
