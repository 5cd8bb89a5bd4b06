package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
	"syncline/storage"
)

// deletions are the documents that are being deleted. The store wants nobody to use
// one meanwhile, and a client whose connection is closed for it may be back at once.
type deletions struct {
	mu   sync.RWMutex
	docs map[id.Document]chan struct{} // closed at the end
}

// begin has nobody enter a document until end is called. ok is false if somebody
// else is deleting it.
func (d *deletions) begin(doc id.Document) (end func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.docs[doc]; ok {
		return nil, false
	}
	if d.docs == nil {
		d.docs = make(map[id.Document]chan struct{})
	}
	ended := make(chan struct{})
	d.docs[doc] = ended
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.docs, doc)
		close(ended)
	}, true
}

// hold waits until a document is not being deleted, and has nobody begin to until
// release is called. ok is false if ctx ends before that.
func (d *deletions) hold(ctx context.Context, doc id.Document) (release func(), ok bool) {
	for {
		d.mu.RLock()
		ended := d.docs[doc]
		if ended == nil {
			return d.mu.RUnlock, true
		}
		d.mu.RUnlock()
		select {
		case <-ctx.Done():
			return nil, false
		case <-ended:
		}
	}
}

// DeleteDocument closes the connections that have a document open and deletes it.
// Those who ask for it meanwhile are answered when it is gone. A client that keeps
// it may bring it again.
func (r *Relay) DeleteDocument(ctx context.Context, doc id.Document) (admin.Deleted, error) {
	end, ok := r.deletions.begin(doc)
	if !ok {
		return admin.Deleted{}, fmt.Errorf("delete document %s: %w", doc, storage.ErrDeleting)
	}
	defer end()
	if _, err := r.o.Store.DocumentStat(ctx, doc); err != nil {
		return admin.Deleted{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 4*r.o.CloseTimeout)
	defer cancel()
	for r.halls.has(doc) {
		r.halls.tell(doc, evict{})
		select {
		case <-ctx.Done():
			return admin.Deleted{}, fmt.Errorf("delete document %s: connections still have it open; try again: %w", doc, ctx.Err())
		case <-time.After(evictEvery):
		}
	}
	n, err := r.o.Store.DeleteDocument(ctx, doc)
	if err != nil {
		return admin.Deleted{}, err
	}
	return admin.Deleted{ID: doc.String(), Changes: n}, nil
}

// evictEvery is how often it is seen whether a document has been left.
const evictEvery = 20 * time.Millisecond

// evict is an input of a hall: its connections are closed.
type evict struct{}

var errDeleted = errors.New("a document that this connection has open was deleted by the relay's operator")
