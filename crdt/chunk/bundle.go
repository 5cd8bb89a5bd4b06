package chunk

import (
	"fmt"
	"iter"
	"sync"

	"syncline/crdt/id"
)

// A bundle (type 3) holds any set of changes in columns, like a document chunk
// but without the document's state: every operation stands as its change has it,
// deletions and predecessors too. No hash stands in it but those of deps outside
// of it; the others come from writing the changes again.
//
// Its body: deps outside (number, hashes), actors (number, then length and bytes
// of each), columns of the changes, columns of their operations; each set is a
// table followed by its data. A change names a dep by its position in the bundle
// or, from the number of changes upwards, by that of a dep outside.
//
// An operation's counter stands in its row, or follows from a column that gives
// for each operation in the order of actors and sequence numbers the row it is in.

// The columns of a bundle: id<<4 | type. The others are those of a change.
const (
	colBundleActor      = 0x01
	colBundleSeq        = 0x03
	colBundleStartOp    = 0x13
	colBundleMaxOp      = 0x23
	colBundleTime       = 0x33
	colBundleMessage    = 0x45
	colBundleDepCount   = 0x50
	colBundleDepIndex   = 0x53
	colBundleExtraCount = 0x60
	colBundleExtra      = 0x67

	colBundleObjCtr  = 0x03
	colBundleIDActor = 0x21
	colBundleIDCtr   = 0x23
	colBundleRow     = 0xb3
)

// Limits on a bundle. Each is what any bundle may have, and so much more for each
// byte that came over the wire: a text typed letter by letter has two changes and
// operations, twelve inflated bytes and two hundred bytes of changes for each.
const (
	freeBundleChanges    = 1 << 17
	freeBundleRows       = 1 << 19 // operations, and as many deps and predecessors
	bundleRowsPerByte    = 4       // changes too
	freeBundleBytes      = 16 << 20
	bundleBytesPerByte   = 64
	freeExpandedBytes    = 64 << 20
	expandedBytesPerByte = 512
)

// bundleLimits are those of one bundle. No bytes are more than MaxDocumentBytes.
type bundleLimits struct {
	changes, rows uint64
	inflated      int // bytes of its columns
	expanded      int // bytes of its changes
}

// limitsOfBundle returns the limits of a bundle whose body has size bytes.
func limitsOfBundle(size int) bundleLimits {
	return bundleLimits{
		changes:  freeBundleChanges + bundleRowsPerByte*uint64(size),
		rows:     freeBundleRows + bundleRowsPerByte*uint64(size),
		inflated: min(freeBundleBytes+bundleBytesPerByte*size, MaxDocumentBytes),
		expanded: min(freeExpandedBytes+expandedBytesPerByte*size, MaxDocumentBytes),
	}
}

// Bundle is a bundle chunk with its columns decoded, from which any of its changes
// can be written again. It takes some fifty bytes for each operation and each
// change, beside the inflated columns. Its methods may be called concurrently.
type Bundle struct {
	actors   []id.Actor // ascending
	external []id.Hash
	members  []member
	deps     []uint32 // of all members, one after the other
	messages []string // named by index from members
	extra    []byte

	ops   []bundleOp // by row
	preds []opID     // of all rows, one after the other
	rows  []uint32   // from the place of an operation to its row; nil if they are the same
	keys  []string   // of map keys and mark names, named by index from ops
	value []byte

	limits  bundleLimits
	writers sync.Pool // of *bundleWriter
}

// member is what the change columns say of one change.
type member struct {
	time           int64
	actor          uint32
	seq            uint32
	startOp        uint32
	numOps         uint32
	ops            uint32 // the place of its first operation in the order of actors and counters
	deps, depsEnd  uint32 // in Bundle.deps
	message        int32  // in Bundle.messages, -1 if there is none
	extra, extraTo uint32 // in Bundle.extra
}

// Member is what a bundle says of a change without its operations. Its hash is
// not among it.
type Member struct {
	Actor   id.Actor
	Seq     uint64
	StartOp uint64
	NumOps  uint64
	Time    int64 // as the author wrote it
	Message string
}

// OpenBundle decodes the columns of one bundle chunk; nothing may follow it. Each
// change is validated when it is built. The result keeps b, which must not be
// modified afterwards.
func OpenBundle(b []byte) (*Bundle, error) {
	typ, whole, body, rest, err := split(b)
	if err != nil {
		return nil, err
	}
	if typ != typeBundle || len(rest) > 0 {
		return nil, malformed("it is not one bundle chunk")
	}
	if _, err := hashOf(whole); err != nil {
		return nil, err
	}
	return openBundle(body, actorTable{})
}

// ParseBundle decodes one bundle chunk into its changes, each validated like one
// that ParseChange takes, in the bundle's order, in which deps come first.
func ParseBundle(b []byte) ([]*Change, error) {
	bundle, err := OpenBundle(b)
	if err != nil {
		return nil, err
	}
	return collect(bundle.Changes())
}

func openBundle(body []byte, actors actorTable) (*Bundle, error) {
	b := &Bundle{limits: limitsOfBundle(len(body))}
	r := &reader{buf: body}
	if err := b.readHeader(r, actors); err != nil {
		return nil, malformed("bundle: %w", err)
	}
	budget := b.limits.inflated
	changeCols, err := readColumnSet(r, &budget)
	if err != nil {
		return nil, malformed("bundle changes: %w", err)
	}
	opCols, err := readColumnSet(r, &budget)
	if err != nil {
		return nil, malformed("bundle operations: %w", err)
	}
	if !r.done() {
		return nil, malformed("bundle: %d bytes follow its columns", r.rest())
	}
	if err := b.readMembers(changeCols); err != nil {
		return nil, malformed("bundle changes: %w", err)
	}
	if err := b.readOps(opCols); err != nil {
		return nil, malformed("bundle operations: %w", err)
	}
	return b, nil
}

// readHeader reads what comes before the columns.
func (b *Bundle) readHeader(r *reader, actors actorTable) error {
	n, err := r.uint()
	if err != nil || n > uint64(r.rest())/32 {
		return fmt.Errorf("number of deps outside: %w", orRange(err))
	}
	b.external = make([]id.Hash, n)
	for i := range b.external {
		h, _ := r.take(32)
		b.external[i] = id.Hash(h)
	}
	if n, err = r.uint(); err != nil || n > uint64(r.rest()) {
		return fmt.Errorf("number of actors: %w", orRange(err))
	}
	for range n {
		a, err := r.actor(actors)
		if err != nil {
			return fmt.Errorf("actors: %w", err)
		}
		if k := len(b.actors); k > 0 && b.actors[k-1] >= a {
			return fmt.Errorf("actors are not in ascending order")
		}
		b.actors = append(b.actors, a)
	}
	return nil
}

// readColumnSet reads a table of columns and their data, inflated, which it takes
// off the budget of bytes.
func readColumnSet(r *reader, budget *int) (columnSet, error) {
	n, err := r.uint()
	if err != nil || n > uint64(r.rest())/2 {
		return nil, fmt.Errorf("column table: %w", orRange(err))
	}
	table := *r
	for range 2 * n {
		if _, err := r.uint(); err != nil {
			return nil, fmt.Errorf("column table: %w", err)
		}
	}
	set := columnSet{}
	last := uint64(0)
	for i := range n {
		spec, _ := table.uint()
		size, _ := table.uint()
		data, err := r.take(size)
		if err != nil {
			return nil, fmt.Errorf("column %#x: %w", spec, err)
		}
		if spec&deflatedColumn != 0 {
			if data, err = inflate(data, *budget); err != nil {
				return nil, fmt.Errorf("column %#x: %w", spec, err)
			}
			spec &^= deflatedColumn
		}
		if *budget -= len(data); *budget < 0 {
			return nil, fmt.Errorf("column %#x: inflates past the limit for a bundle of this size", spec)
		}
		if i > 0 && spec <= last {
			return nil, fmt.Errorf("columns are not in ascending order")
		}
		set[spec], last = data, spec
	}
	return set, nil
}

// Len is the number of changes.
func (b *Bundle) Len() int { return len(b.members) }

// Member describes change i without building it.
func (b *Bundle) Member(i int) Member {
	m := &b.members[i]
	return Member{Actor: b.actors[m.actor], Seq: uint64(m.seq), StartOp: uint64(m.startOp), NumOps: uint64(m.numOps),
		Time: m.time, Message: b.message(m)}
}

func (b *Bundle) message(m *member) string {
	if m.message < 0 {
		return ""
	}
	return b.messages[m.message]
}

// Deps names the deps of change i: d < Len is change d of this bundle, which is
// before i, and any other is External()[d-Len]. It must not be modified.
func (b *Bundle) Deps(i int) []uint32 {
	m := &b.members[i]
	return b.deps[m.deps:m.depsEnd]
}

// External lists the hashes of deps that are outside of the bundle. It must not
// be modified.
func (b *Bundle) External() []id.Hash { return b.external }

// Changes builds all changes, in order, in which deps come first. It ends after an
// error, which may be that they take more bytes than those of a bundle of this size
// may; what came before it was valid.
func (b *Bundle) Changes() iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		hashes := make([]id.Hash, len(b.members))
		w := b.writer()
		defer b.writers.Put(w)
		total := 0
		for i := range b.members {
			c, err := w.change(i, hashes)
			if err == nil {
				if total += len(c.raw); total > b.limits.expanded {
					err = malformed("bundle: its changes expand past the limit of %d bytes for a bundle of its size", b.limits.expanded)
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			hashes[i] = c.Hash
			if !yield(c, nil) {
				return
			}
		}
	}
}

// Change builds change i alone. hashes holds, for each dep that is in the bundle,
// that change's hash at its place: the caller knows it, or has it from building
// that change. What comes out has the hash that it had when it was bundled, unless
// one of these is wrong: compare.
func (b *Bundle) Change(i int, hashes []id.Hash) (*Change, error) {
	if i < 0 || i >= len(b.members) {
		return nil, fmt.Errorf("change %d of a bundle of %d", i, len(b.members))
	}
	for _, d := range b.Deps(i) {
		if int(d) < len(b.members) && int(d) >= len(hashes) {
			return nil, fmt.Errorf("change %d of a bundle: the hash of its dep, change %d, is not given", i, d)
		}
	}
	w := b.writer()
	defer b.writers.Put(w)
	return w.change(i, hashes)
}
