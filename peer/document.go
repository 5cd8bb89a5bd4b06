package peer

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Document is a document of a peer: a name for it, which holds no memory and
// needs no closing. Its content is opened when it is used, and closed when others
// are used more (Options.Cache). All reads see what is durable and nothing else.
type Document struct {
	p   *Peer
	doc id.Document
}

// ID names the document.
func (d *Document) ID() id.Document { return d.doc }

// URL is the form of its name that is passed to others.
func (d *Document) URL() string { return d.doc.URL() }

// Do applies operations as one change. When it returns, the change is durable and
// visible, and on its way to every connection. With an error nothing has happened
// — crdt.ErrNoChange if there was nothing to do, a *crdt.OperationError if it is
// about one operation, which wraps schema.ErrViolation if Options.Schema refuses it, or
// an error of package storage — and the call may be repeated. If ctx ends before the
// work has begun, its error is returned; later it is not heeded.
func (d *Document) Do(ctx context.Context, ops ...crdt.Operation) (Receipt, error) {
	if err := d.p.o.rules().Check(ops...); err != nil {
		return Receipt{}, err
	}
	return d.submit(ctx, &doing{claim: newClaim(), ops: ops})
}

// submit has the document's desk do what is ours.
func (d *Document) submit(ctx context.Context, in *doing) (Receipt, error) {
	if err := d.p.desks.post(ctx, d.doc, in, 0); err != nil {
		return Receipt{}, err
	}
	if err := d.p.await(ctx, &in.claim); err != nil {
		return Receipt{}, err
	}
	return d.p.receipt(in.made)
}

// Read calls fn with the document, for several reads of one and the same state.
// fn must not keep the document, change it or call methods of the peer: the
// document is nobody else's meanwhile.
func (d *Document) Read(ctx context.Context, fn func(*crdt.Document) error) error {
	in := &reading{claim: newClaim(), core: fn}
	if err := d.p.desks.post(ctx, d.doc, in, 0); err != nil {
		return err
	}
	return d.p.await(ctx, &in.claim)
}

func read[T any](ctx context.Context, d *Document, fn func(*crdt.Document) (T, error)) (v T, err error) {
	err = d.Read(ctx, func(c *crdt.Document) (err error) {
		v, err = fn(c)
		return err
	})
	return v, err
}

// Value returns the whole document; for the types see package crdt.
func (d *Document) Value(ctx context.Context) (map[string]any, error) {
	return read(ctx, d, (*crdt.Document).Value)
}

// JSON returns the whole document as JSON with sorted keys.
func (d *Document) JSON(ctx context.Context) ([]byte, error) {
	return read(ctx, d, (*crdt.Document).JSON)
}

// Collection returns a collection's entities by their ids; none if it is not there.
func (d *Document) Collection(ctx context.Context, name string) (map[string]any, error) {
	return read(ctx, d, func(c *crdt.Document) (map[string]any, error) { return c.Collection(name) })
}

// Entity returns an entity's fields. The error wraps crdt.ErrNotFound if it is not
// there.
func (d *Document) Entity(ctx context.Context, collection, entity string) (map[string]any, error) {
	return read(ctx, d, func(c *crdt.Document) (map[string]any, error) { return c.Entity(collection, entity) })
}

// Save returns the whole document as one document chunk, as Automerge's save does.
func (d *Document) Save(ctx context.Context) ([]byte, error) {
	return read(ctx, d, (*crdt.Document).Save)
}

// Heads lists the changes that nothing in the document depends on, ascending. It
// does not open the document.
func (d *Document) Heads(ctx context.Context) (heads []id.Hash, err error) {
	err = d.p.ask(ctx, d.doc, func(desk *desk) error {
		heads = slices.Clone(desk.r.graph.Heads())
		return nil
	})
	return heads, err
}

// Changes lists the document's changes that are neither among the given ones nor
// their ancestors, dependencies first. It does not open the document.
func (d *Document) Changes(ctx context.Context, since ...id.Hash) (changes []*chunk.Change, err error) {
	err = d.p.ask(ctx, d.doc, func(desk *desk) error {
		return desk.changes(ctx, desk.r.graph.Since(since), func(_ int, c *chunk.Change) error {
			changes = append(changes, c)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the changes of %s: %w", d.doc, err)
	}
	return changes, nil
}

// History lists all changes as people look at them, dependencies first.
func (d *Document) History(ctx context.Context) ([]crdt.Entry, error) {
	changes, err := d.Changes(ctx)
	return crdt.History(changes), err
}

// Changed returns a channel that is closed when the document changes next, from
// whatever side. Take it before looking at the document.
func (d *Document) Changed() <-chan struct{} { return d.p.changed.channel(d.doc) }

// Watch yields the document's heads now and after each change, until ctx ends or
// the document cannot be read, which is then the error of the last pair. Changes
// that come faster than they are looked at are seen as one.
func (d *Document) Watch(ctx context.Context) iter.Seq2[[]id.Hash, error] {
	return func(yield func([]id.Hash, error) bool) {
		var last []id.Hash
		for first := true; ; first = false {
			changed := d.Changed()
			heads, err := d.Heads(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			if first || !slices.Equal(heads, last) {
				last = heads
				if !yield(heads, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			case <-d.p.ctx.Done():
				yield(nil, ErrClosed)
				return
			}
		}
	}
}

func sameHashes(a, b []id.Hash) bool { return slices.Equal(a, b) }
