package peer

import (
	"context"
	"errors"

	"syncline/crdt/id"
	"syncline/storage"
)

// census is what the store knows of all documents, read at once for a reading of them
// all: with very many of them, asking for each costs a second and more.
type census struct {
	states      map[id.Document]map[string][]byte // sync states, by remote
	quarantined map[id.Document]bool              // has changes in quarantine
}

// counting is a store that can be asked so.
type counting interface {
	AllSyncStates(ctx context.Context, fn func(doc id.Document, remote string, state []byte) error) error
	QuarantinedDocuments(ctx context.Context) (map[id.Document]bool, error)
}

// takeCensus returns nil if the store cannot be asked for all documents at once; then
// it is asked for each.
func (p *Peer) takeCensus(ctx context.Context) (*census, error) {
	store, ok := p.store.(counting)
	if !ok {
		return nil, nil
	}
	c := &census{states: make(map[id.Document]map[string][]byte)}
	err := store.AllSyncStates(ctx, func(doc id.Document, remote string, state []byte) error {
		if c.states[doc] == nil {
			c.states[doc] = make(map[string][]byte, 1)
		}
		c.states[doc][remote] = state
		return nil
	})
	if err == nil {
		c.quarantined, err = store.QuarantinedDocuments(ctx)
	}
	return c, err
}

// clean reports whether it is known that a document has nothing in quarantine.
func (c *census) clean(doc id.Document) bool { return c != nil && !c.quarantined[doc] }

// unmet reports whether it is known that no end has ever acknowledged anything of a
// document, so that all its changes are pending everywhere.
func (c *census) unmet(doc id.Document) bool { return c.clean(doc) && len(c.states[doc]) == 0 }

// syncState is Store.SyncState.
func (p *Peer) syncState(ctx context.Context, c *census, doc id.Document, remote string) ([]byte, error) {
	if c != nil {
		return c.states[doc][remote], nil
	}
	return p.store.SyncState(ctx, doc, remote)
}

// errFirst ends a scan with its first row.
var errFirst = errors.New("first")

// unacknowledgedAll is unacknowledged, of a document that no end has anything of and
// that nobody uses.
func (p *Peer) unacknowledgedAll(ctx context.Context, d *DocumentStatus) error {
	d.Unacknowledged = int(d.Changes)
	err := p.store.Operations(ctx, d.ID, 0, func(o storage.Operation) error {
		d.Oldest = o.Time
		return errFirst
	})
	if errors.Is(err, errFirst) {
		return nil
	}
	return err
}
