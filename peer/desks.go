package peer

import (
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"syncline/crdt/id"
)

// desks are the documents in use. A desk is there from the first input until it
// is parked, or the peer closes: when it has been idle for longest and there are more than
// Options.MaxIdle of those. Only when it has ended may the next one of the same
// document read the journal.
type desks struct {
	p     *Peer
	all   sync.WaitGroup // the desks' goroutines
	spawn func(func())   // has a desk run: in a goroutine, but in a simulation

	mu    sync.Mutex // before desk.mu
	byDoc map[id.Document]*desk
	idle  map[*desk]struct{}
	turn  uint64
}

// get returns the desk of a document if there is one.
func (ds *desks) get(doc id.Document) *desk {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.byDoc[doc]
}

// post queues an input for a document, whose desk is set up if there is none. It
// blocks while the inbox is full, and fails when ctx ends or the peer closes.
func (ds *desks) post(ctx context.Context, doc id.Document, in any, cost int64) error {
	cost = min(cost, ds.p.o.MaxInbox)
	for {
		d, err := ds.open(doc)
		if err != nil {
			return err
		}
		// What costs nothing, as our own operations, does not wait behind the rest.
		if cost > 0 && d.space.Acquire(ctx, cost) != nil {
			return context.Cause(ctx)
		}
		if d.put(parcel{in: in, cost: cost}) {
			return nil
		}
		if cost > 0 {
			d.space.Release(cost)
		}
		select {
		case <-d.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tell queues an input for a document if it is in use.
func (ds *desks) tell(doc id.Document, in any) {
	if d := ds.get(doc); d != nil {
		d.put(parcel{in: in})
	}
}

// tellAll queues an input for all documents in use.
func (ds *desks) tellAll(in any) {
	for _, d := range ds.active() {
		d.put(parcel{in: in})
	}
}

// active lists the desks that there are, by their documents.
func (ds *desks) active() []*desk {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return slices.SortedFunc(maps.Values(ds.byDoc), func(a, b *desk) int { return compareDocuments(a.doc, b.doc) })
}

// finish ends all desks, after what waits for them. There are no new ones: the
// peer's context has ended.
func (ds *desks) finish() {
	ds.tellAll(finish{})
	ds.all.Wait()
}

func (ds *desks) open(doc id.Document) (*desk, error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.p.ctx.Err() != nil {
		return nil, ErrClosed
	}
	d := ds.byDoc[doc]
	if d == nil {
		d = &desk{
			p: ds.p, doc: doc, log: ds.p.o.Log.With("doc", doc.String()),
			space: semaphore.NewWeighted(ds.p.o.MaxInbox),
			done:  make(chan struct{}), conns: make(map[connID]*conn),
		}
		ds.byDoc[doc] = d
	}
	delete(ds.idle, d)
	return d, nil
}

// rested is what a desk says after each round. If too many are idle, the one that
// is for longest is asked to park.
func (ds *desks) rested(d *desk, idle bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if !idle {
		delete(ds.idle, d)
		return
	}
	ds.turn++
	d.turn = ds.turn
	ds.idle[d] = struct{}{}
	for len(ds.idle) > ds.p.o.MaxIdle {
		oldest := d
		for o := range ds.idle {
			if o.turn < oldest.turn {
				oldest = o
			}
		}
		delete(ds.idle, oldest)
		oldest.put(parcel{in: park{}})
	}
}

// ended is what a desk says when it ends.
func (ds *desks) ended(d *desk) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	delete(ds.byDoc, d.doc)
	delete(ds.idle, d)
	close(d.done)
}
