package crdt

import (
	"fmt"
	"strconv"
	"strings"

	"syncline/crdt/id"
)

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

// MaxDepth is how deep maps and lists may be nested in each other, from the
// root on. Documents of others that go deeper are kept and synced, and not
// read at that place.
const MaxDepth = 1000

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

// Conflict is one of the values that concurrent changes have given a field.
type Conflict struct {
	ID    OpID
	Value any
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
