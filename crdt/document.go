package crdt

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
)

// Document is one document in the C core. Its memory is not Go's: it is freed
// by Close and by nothing else.
//
// It is not safe for concurrent use, Close included; Cache.Use serialises.
type Document struct {
	core  *core // nil once closed
	why   error // ErrClosed, or why it is broken
	actor id.Actor
	heads []id.Hash
	maxOp uint64 // the largest operation counter
	seq   uint64 // of the actor's last change
	bytes int64  // estimate of C memory

	places  *dirty.Index        // nil until Touched is asked
	founded map[string]struct{} // keys of the root that Foundings has met
	times   times
}

// What a document takes in C, measured as resident memory of documents of
// typed text (60,000 changes: 98 MB), entities (10,000 changes of 6 operations:
// 46 MB) and pasted text (200,000 operations: 115 MB).
const (
	documentBytes  = 16 << 10
	changeBytes    = 1200 // beside its raw bytes
	operationBytes = 450
)

// New returns an empty document that is edited as the given actor, which must
// have made no change yet (MintActor). It panics if the actor is empty or
// longer than chunk.MaxActorBytes.
func New(actor id.Actor) *Document {
	d, err := open(actor)
	if err != nil {
		panic(err)
	}
	return d
}

func open(actor id.Actor) (*Document, error) {
	if len(actor) == 0 || len(actor) > chunk.MaxActorBytes {
		return nil, fmt.Errorf("open document: an actor of %d bytes, want 1 to %d", len(actor), chunk.MaxActorBytes)
	}
	c, err := newCore(actor)
	if err != nil {
		return nil, fmt.Errorf("open document: %w", err)
	}
	return &Document{core: c, actor: actor, bytes: documentBytes}, nil
}

// Open returns the document that the changes make, edited as the given actor.
// The rules of Apply hold for the changes.
func Open(actor id.Actor, changes []*chunk.Change) (*Document, error) {
	d, err := open(actor)
	if err != nil {
		return nil, err
	}
	if err := d.Apply(changes); err != nil {
		d.Close()
		return nil, fmt.Errorf("open document: %w", err)
	}
	return d, nil
}

// Load is Open from bytes: chunks of any of the types 0, 1 and 2, each element
// one or several of them. It is for what this store has checked and written
// itself; nothing is checked here, and malformed bytes end the process.
func Load(actor id.Actor, chunks ...[]byte) (*Document, error) {
	d, err := open(actor)
	if err != nil {
		return nil, err
	}
	if all := slices.Concat(chunks...); len(all) > 0 {
		ops, err := d.load(all, nil)
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("load document: %w", err)
		}
		// How many changes there are was not counted; some have one operation
		// and some have many.
		d.bytes += changeBytes * ops / 4
	}
	return d, nil
}

// Apply takes in changes, in an order in which deps come first; those that are
// there already are skipped.
//
// Each must have passed chunk.ParseChange and check.Checker.Check, or come
// from Do: the core ends the process on some of those that would not have
// passed. If it refuses the changes nevertheless, or does not have them
// afterwards (a dependency was missing), the document closes itself with
// ErrBroken and has to be opened again without them.
func (d *Document) Apply(changes []*chunk.Change) error {
	if d.core == nil {
		return fmt.Errorf("apply changes: %w", d.why)
	}
	if len(changes) == 0 {
		return nil
	}
	size := 0
	for _, c := range changes {
		size += len(c.Raw())
	}
	all := make([]byte, 0, size)
	tips := make(map[id.Hash]struct{}, 1)
	for _, c := range changes {
		all = append(all, c.Raw()...)
		tips[c.Hash] = struct{}{}
		for _, dep := range c.Deps {
			delete(tips, dep)
		}
	}
	hashes := make([]id.Hash, 0, len(tips))
	for h := range tips {
		hashes = append(hashes, h)
	}
	if _, err := d.load(all, hashes); err != nil {
		return fmt.Errorf("apply %d changes: %w", len(changes), err)
	}
	d.bytes += changeBytes * int64(len(changes))
	d.learn(changes...)
	return nil
}

// load hands chunks to the core, which must have the tips then, and returns how
// many operations came in.
func (d *Document) load(chunks []byte, tips []id.Hash) (ops int64, err error) {
	out := d.core.apply(chunks, tips)
	defer out.free()
	switch out.status {
	case statusOK:
	case statusUnknownHead:
		return 0, d.fail(errors.New("the core has not taken a change, probably because what it depends on is missing"))
	default:
		return 0, d.fail(out.err(nil))
	}
	d.heads = out.hashes()
	d.bytes += int64(len(chunks)) + operationBytes*int64(out.n)
	d.maxOp = out.maxOp
	return int64(out.n), nil
}

// fail closes a document that is not what it should be.
func (d *Document) fail(why error) error {
	d.Close()
	d.why = fmt.Errorf("%w: %w", ErrBroken, why)
	return d.why
}

// Do carries out a batch as one change and returns it. The change is in the
// document; keeping and sending it is the caller's work. at is the time of the
// change, kept in whole seconds. A collection that is not there is made with it,
// and is another one than somebody else makes meanwhile: see Foundings.
//
// If it fails, nothing of the batch is in the document. The error is an
// *OperationError where it is about one operation; it is ErrNoChange if all
// fields have the values already. Only after ErrBroken the document is closed
// and has to be opened again from its changes.
func (d *Document) Do(at time.Time, ops ...Operation) (*chunk.Change, error) {
	b, err := d.batch(ops)
	if err != nil {
		return nil, err
	}
	out := d.core.do(b.bytes, intentOf(ops), at.Unix())
	defer out.free()
	if err := d.refused(out, ops); err != nil {
		return nil, err
	}
	return d.committed(slices.Clone(out.data))
}

// try says whether Do would carry a batch out, and leaves the document as it is.
func (d *Document) try(ops []Operation) error {
	b, err := d.batch(ops)
	if err != nil {
		return err
	}
	out := d.core.try(b.bytes)
	defer out.free()
	return d.refused(out, ops)
}

// batch is what the core is given of operations.
func (d *Document) batch(ops []Operation) (batch, error) {
	if d.core == nil {
		return batch{}, d.why
	}
	if len(ops) == 0 {
		return batch{}, ErrEmpty
	}
	b, err := encodeBatch(ops)
	if err != nil {
		return batch{}, err
	}
	if d.maxOp+b.cost > chunk.MaxCounter {
		return batch{}, fmt.Errorf("%w: the document has used up its %d operation counters", ErrTooLarge, uint64(chunk.MaxCounter))
	}
	return b, nil
}

// refused is what the core has against a batch.
func (d *Document) refused(out outcome, ops []Operation) error {
	switch out.status {
	case statusOK:
		return nil
	case statusNoChange:
		return ErrNoChange
	case statusBroken:
		return d.fail(errors.New("a batch could neither be committed nor undone"))
	}
	return &OperationError{Index: out.op, Operation: ops[out.op], Err: out.err(ops[out.op].place())}
}

// committed takes over the change that the core has made.
func (d *Document) committed(raw []byte) (*chunk.Change, error) {
	c, err := chunk.ParseChange(raw)
	switch {
	case err != nil:
		return nil, d.fail(fmt.Errorf("the core wrote a change that is not valid: %w", err))
	case c.Actor != d.actor:
		return nil, d.fail(fmt.Errorf("the core wrote change %s as actor %s and not %s", c.Hash, c.Actor, d.actor))
	case !d.follows(c):
		return nil, d.fail(fmt.Errorf("the core wrote change %s on %v and not on the heads %v", c.Hash, c.Deps, d.heads))
	}
	d.heads = []id.Hash{c.Hash}
	d.maxOp = max(d.maxOp, c.MaxOp())
	d.seq = c.Seq
	d.bytes += changeBytes + int64(len(raw)) + operationBytes*int64(c.NumOps)
	d.learn(c)
	return c, nil
}

// follows reports whether a change of ours depends on the heads. The core also
// names our last change, whether it is a head or not.
func (d *Document) follows(c *chunk.Change) bool {
	for _, h := range d.heads {
		if !slices.Contains(c.Deps, h) {
			return false
		}
	}
	return len(c.Deps) <= len(d.heads)+1
}

// Actor is who the document is edited as.
func (d *Document) Actor() id.Actor { return d.actor }

// Heads lists the changes that nothing in the document depends on, ascending.
// It must not be modified.
func (d *Document) Heads() []id.Hash { return d.heads }

// MemoryBytes estimates the memory that the document takes in C.
func (d *Document) MemoryBytes() int64 { return d.bytes }

// Save returns the whole document as one chunk of type 0.
func (d *Document) Save() ([]byte, error) {
	if d.core == nil {
		return nil, fmt.Errorf("save document: %w", d.why)
	}
	out := d.core.save()
	defer out.free()
	if err := out.err(nil); err != nil {
		return nil, fmt.Errorf("save document: %w", err)
	}
	return slices.Clone(out.data), nil
}

// Close frees the document's memory at once. It may be called again.
func (d *Document) Close() {
	if d.core == nil {
		return
	}
	d.core.close()
	d.core, d.why = nil, ErrClosed
}

// Closed reports whether the document was closed, by Close or by itself.
func (d *Document) Closed() bool { return d.core == nil }
