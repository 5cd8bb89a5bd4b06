// Package value is what the values of a document are in Go, before any document is
// there: their types, one order over all of them, and two forms in JSON, of which
// one keeps the types. It is pure and stands beside digest, below the merge
// functions, the schemas and the document, which all speak of these values.
//
// The values of a document, as Go sees them:
//
//	string          text: a mutable sequence of characters; JavaScript sees a string
//	Scalar          an immutable string; read back as string
//	int64, uint64   kept apart; other integer types are widened
//	float64         float32 is widened
//	bool, nil, []byte
//	time.Time       a timestamp in milliseconds; read back in UTC
//	Counter         a number that concurrent increments add up in
//	map[string]any, []any    of the same
//	Unknown         read only: what a newer writer has made
//
// Other integer types and float32 are taken where a value is given; [Widen] says what
// they become.
package value

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"syncline/crdt/id"
)

// ErrInvalid: JSON that stands for no value, or a Go value that no document can hold.
var ErrInvalid = errors.New("invalid value")

// Counter is a number that is incremented and not replaced: concurrent
// increments add up.
type Counter int64

// Scalar is a string that is replaced as a whole and has no positions.
type Scalar string

// Unknown is a value of a type that this version does not know.
type Unknown struct {
	Type uint8
	Raw  []byte
}

// OpID names an operation: its counter, and the actor that made it.
type OpID struct {
	Counter uint64
	Actor   id.Actor
}

// String returns the id as counter@actor.
func (o OpID) String() string { return fmt.Sprintf("%d@%s", o.Counter, o.Actor) }

// Compare orders ids as the core does: the larger of concurrent ones wins.
func (o OpID) Compare(p OpID) int {
	if o.Counter != p.Counter {
		if o.Counter < p.Counter {
			return -1
		}
		return 1
	}
	return strings.Compare(string(o.Actor), string(p.Actor))
}

// Path leads from an entity, or from the root, to a value: string keys of maps
// and int positions in lists.
type Path []any

// String joins the steps as people write them: notes/n1/tags[2].
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch s := s.(type) {
		case string:
			if i > 0 {
				b.WriteByte('/')
			}
			b.WriteString(s)
		case int:
			b.WriteString("[" + strconv.Itoa(s) + "]")
		default:
			fmt.Fprintf(&b, "/%v", s)
		}
	}
	if b.Len() == 0 {
		return "the document"
	}
	return b.String()
}
