package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// What was done in this store is undone by new operations, which travel like all
// others; no history is rewritten. What an undo means while others edit is written at
// crdt.Document.Invert. The stack of what there is to undo and to redo is not kept:
// it is read off the records of operations, so that it is there after a restart, and
// the same for every process on the file.

// ErrNothingToUndo: nothing that was done in this store is left to undo, or to redo.
var ErrNothingToUndo = errors.New("nothing of what was done here is left to undo or redo")

// ErrNotOurs: the change to be undone was not made in this store.
var ErrNotOurs = errors.New("not an operation that was done in this store and still stands")

// Undone is the outcome of an undo or a redo.
type Undone struct {
	// Receipt is of the change that undoes. Its Undoes is the one that is undone.
	Receipt Receipt
	// Kept are the places that were left as they are, for what others did there.
	Kept []crdt.Kept
}

// plan decides what operations are when their turn has come: nothing happens between
// that and their being done.
type plan func(*desk, *crdt.Document, *doing) error

// undoNote is what the record of an undo has beside the operations.
type undoNote struct {
	_     struct{} `cbor:",toarray"`
	Of    []byte   // hash of the change that is undone
	Redo  bool     // that one was an undo
	Again []madeAgain
}

// madeAgain is a crdt.IDRun.
type madeAgain struct {
	_       struct{} `cbor:",toarray"`
	Actor   []byte
	Counter uint64
	N       uint64
}

// maxAgain is how many runs a note keeps: 30 bytes each. Without them an undo of what
// came before finds less of its own to take back.
const maxAgain = 1 << 14

func (n *undoNote) hash() (h id.Hash) {
	copy(h[:], n.Of)
	return h
}

func newUndoNote(of id.Hash, redo bool, again []crdt.IDRun) *undoNote {
	n := &undoNote{Of: of[:], Redo: redo}
	if len(again) > maxAgain {
		again = nil
	}
	for _, r := range again {
		n.Again = append(n.Again, madeAgain{Actor: []byte(r.Actor), Counter: r.Counter, N: r.N})
	}
	return n
}

func (n *undoNote) runs() []crdt.IDRun {
	runs := make([]crdt.IDRun, len(n.Again))
	for i, r := range n.Again {
		runs[i] = crdt.IDRun{Actor: id.Actor(r.Actor), Counter: r.Counter, N: r.N}
	}
	return runs
}

// Undo undoes what was done last in this store on the document and is not undone,
// and of which something is left to undo. The error wraps ErrNothingToUndo if there is
// no such thing, and is otherwise as that of Do.
//
// What others have done since is kept, and what was not undone for that is named:
// see crdt.Document.Invert.
func (d *Document) Undo(ctx context.Context) (Undone, error) {
	return d.revert(ctx, "undo", func(s *stack) ([]*act, error) { return s.undo, nil })
}

// UndoChange undoes one change that was done in this store, whatever was done since.
// The error wraps ErrNotOurs if it was not done here, ErrNothingToUndo if it is undone
// or nothing of it is left.
func (d *Document) UndoChange(ctx context.Context, change id.Hash) (Undone, error) {
	return d.revert(ctx, "undo "+change.String(), func(s *stack) ([]*act, error) {
		if i := slices.IndexFunc(s.undo, func(e *act) bool { return e.hash == change }); i >= 0 {
			return s.undo[i : i+1], nil
		}
		if s.known[change] == nil {
			return nil, ErrNotOurs
		}
		return nil, nil
	})
}

// Redo undoes the last undo, if nothing else was done since.
func (d *Document) Redo(ctx context.Context) (Undone, error) {
	return d.revert(ctx, "redo", func(s *stack) ([]*act, error) { return s.redo, nil })
}

// revert undoes the last of the acts that are chosen of which something is left.
func (d *Document) revert(ctx context.Context, what string, choose func(*stack) ([]*act, error)) (Undone, error) {
	var out Undone
	in := &doing{claim: newClaim()}
	in.plan = func(desk *desk, doc *crdt.Document, in *doing) error {
		s, err := desk.stack()
		if err != nil {
			return err
		}
		from, err := choose(s)
		if err != nil {
			return err
		}
		for _, e := range slices.Backward(from) {
			u, err := desk.invert(doc, s, e)
			if err != nil {
				return err
			}
			out.Kept = append(out.Kept, u.Kept...)
			if len(u.Operations) > 0 {
				in.ops, in.undo = u.Operations, newUndoNote(e.hash, e.note != nil && !e.note.Redo, u.Again)
				return nil
			}
		}
		return ErrNothingToUndo
	}
	r, err := d.submit(ctx, in)
	out.Receipt = r
	if err != nil {
		return out, fmt.Errorf("%s in %s: %w", what, d.doc, err)
	}
	return out, nil
}

// Restore makes an entity again what it was at some heads, as one change of ours. The
// error is that of crdt.Document.Restore, or of Do; crdt.ErrNoChange if it is that.
func (d *Document) Restore(ctx context.Context, heads []id.Hash, collection, entity string) (Receipt, error) {
	in := &doing{claim: newClaim()}
	in.plan = func(_ *desk, doc *crdt.Document, in *doing) (err error) {
		in.ops, err = doc.Restore(heads, collection, entity)
		if err == nil && len(in.ops) == 0 {
			err = crdt.ErrNoChange
		}
		return err
	}
	return d.submit(ctx, in)
}

// act is something that was done in this store.
type act struct {
	hash id.Hash
	note *undoNote // of an undo or a redo
}

// stack is what there is to undo and to redo, the last in the order of doing at the
// end of each.
type stack struct {
	undo, redo []*act
	undos      []*act // all undos and redos, in order
	known      map[id.Hash]*act
}

// add goes on with what was done next.
func (s *stack) add(e *act) {
	s.known[e.hash] = e
	switch {
	case e.note == nil:
		s.undo, s.redo = append(s.undo, e), nil
		return
	case e.note.Redo:
		s.redo = without(s.redo, e.note.hash())
		s.undo = append(s.undo, e)
	default:
		s.undo = without(s.undo, e.note.hash())
		s.redo = append(s.redo, e)
	}
	s.undos = append(s.undos, e)
}

func without(list []*act, h id.Hash) []*act {
	return slices.DeleteFunc(list, func(e *act) bool { return e.hash == h })
}

// stack reads the records. What does not stand is left out.
func (d *desk) stack() (*stack, error) {
	s := &stack{known: map[id.Hash]*act{}}
	err := d.p.store.Operations(d.p.io, d.doc, 0, func(o storage.Operation) error {
		if !d.r.graph.Has(o.Hash) {
			return nil
		}
		r, err := decodeRecord(o.Record)
		if err != nil {
			d.log.Warn("operation left out", "sequence", o.Row, "err", err)
			return nil
		}
		if r.settles() || r.marks() {
			return nil // nobody's act: it took away what a rule had passed over, or names a schema
		}
		s.add(&act{o.Hash, r.undo})
		return nil
	})
	return s, err
}

// invert works out what undoes an act.
func (d *desk) invert(doc *crdt.Document, s *stack, e *act) (u crdt.Undoing, err error) {
	nodes := make([]int, 0, len(s.undos)+1)
	for _, e := range append(slices.Clone(s.undos), e) {
		if n, ok := d.r.graph.Lookup(e.hash); ok {
			nodes = append(nodes, n)
		}
	}
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	bodies := map[id.Hash]*chunk.Change{}
	err = d.changes(d.p.io, nodes, func(_ int, c *chunk.Change) error {
		bodies[c.Hash] = c
		return nil
	})
	if err != nil {
		return u, err
	}
	var revived crdt.Revived
	for _, e := range s.undos {
		revived.Add(e.note.runs(), bodies[e.hash])
	}
	return doc.Invert(bodies[e.hash], crdt.InvertOptions{Own: d.again.dev.wrote, Revived: &revived})
}
