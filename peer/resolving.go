package peer

import (
	"context"

	"syncline/crdt/id"
)

// Resolving is how the settling of conflicts stands at a peer that does it: see package
// resolve.
type Resolving struct {
	Unsettled int // conflicts that are left for a person
	Due       int // conflicts that the rules decide and that are not at rest yet
	Held      int // documents that are not settled by this schema
}

// SetResolving has Status say how the settling of conflicts stands.
func (p *Peer) SetResolving(r Resolving) {
	p.resolving.Store(&r)
	p.stir()
}

// Resolving is what SetResolving was last called with, nil if it never was.
func (p *Peer) Resolving() *Resolving { return p.resolving.Load() }

// StoredSince lists the documents that have got changes after a row of the journal, from
// whatever side and process; zero is before all. through is the row to ask for next.
// It costs nothing if there are none.
func (p *Peer) StoredSince(ctx context.Context, after int64) (docs []id.Document, through int64, err error) {
	if through = p.store.LastRow(); through <= after {
		return nil, after, nil
	}
	docs, err = p.store.DocumentsBetween(ctx, after, through)
	return docs, through, err
}
