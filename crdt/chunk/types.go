package chunk

import (
	"fmt"

	"syncline/crdt/id"
)

// Action says what an operation does.
type Action uint8

// The actions, with their numbers on the wire.
const (
	MakeMap Action = iota
	Set
	MakeList
	Delete
	MakeText
	Increment
	MakeTable
	Mark
	lastAction = Mark
)

var actionNames = [...]string{"make map", "set", "make list", "delete", "make text", "increment", "make table", "mark"}

func (a Action) String() string {
	if a > lastAction {
		return fmt.Sprintf("action %d", uint8(a))
	}
	return actionNames[a]
}

// Makes reports the kind of object that the action creates.
func (a Action) Makes() (Kind, bool) {
	switch a {
	case MakeMap:
		return KindMap, true
	case MakeList:
		return KindList, true
	case MakeText:
		return KindText, true
	case MakeTable:
		return KindTable, true
	}
	return 0, false
}

// Kind is the kind of an object.
type Kind uint8

// The kinds of objects. The root of a document is a map.
const (
	KindMap Kind = iota
	KindList
	KindText
	KindTable
)

func (k Kind) String() string { return [...]string{"map", "list", "text", "table"}[k&3] }

// Sequence reports whether elements of the object are named by the operations
// that inserted them, and not by strings.
func (k Kind) Sequence() bool { return k == KindList || k == KindText }

// Make is an operation of a change that creates an object.
type Make struct {
	Counter uint64
	Kind    Kind
}

// ValueType is the low four bits of a value's metadata.
type ValueType uint8

// The value types; those above Timestamp are kept as they are.
const (
	Null ValueType = iota
	False
	True
	Uint
	Int
	Float
	String
	Bytes
	Counter
	Timestamp
)

// Value is a primitive as it stands on the wire: LEB128 for the integers, eight
// little-endian bytes for a float, UTF-8 for a string, nothing for null and the
// booleans.
type Value struct {
	Type ValueType
	Raw  []byte
}

// Ref names an operation from within a change: its counter, and its actor as an
// index into the change's actors, 0 being the author and i > 0 OtherActors[i-1].
// Counter 0 stands for the root object or the head of a list.
type Ref struct {
	Actor uint32
	Ctr   uint64
}

// Op is one operation of a change. Its own counter is the change's StartOp plus
// its index.
type Op struct {
	Obj    Ref
	Key    string // the map key, unless IsElem
	Elem   Ref    // the list element, if IsElem
	IsElem bool
	Insert bool // a new element behind Elem
	Action Action
	Value  Value
	Pred   []Ref // the operations it overwrites, ascending

	// For marks: Expand, and the name that only the start of a mark has.
	Expand   bool
	MarkName string
	HasMark  bool
}

// Change is a decoded change that is well formed when looked at alone.
type Change struct {
	Hash        id.Hash
	Actor       id.Actor
	Seq         uint64 // 1 for the actor's first change
	StartOp     uint64 // the counter of the first operation, at least 1
	NumOps      uint64
	Time        int64  // as the author wrote it, in seconds by convention
	Message     string // "" if there is none
	Deps        []id.Hash
	OtherActors []id.Actor

	raw   []byte // the type 1 chunk
	body  int    // where the body starts in raw
	cols  int    // where the column table starts in raw
	makes []Make
}

// Raw returns the uncompressed chunk, header included: what is hashed, journaled
// and sent. It must not be modified.
func (c *Change) Raw() []byte { return c.raw }

// MaxOp is the counter of the last operation. For a change without operations it
// is one less than StartOp.
func (c *Change) MaxOp() uint64 { return c.StartOp + c.NumOps - 1 }

// Makes lists the operations that create objects, ascending. It must not be
// modified.
func (c *Change) Makes() []Make { return c.makes }

// ActorOf resolves the actor index of a Ref.
func (c *Change) ActorOf(i uint32) id.Actor {
	if i == 0 {
		return c.Actor
	}
	return c.OtherActors[i-1]
}
