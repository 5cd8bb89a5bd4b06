package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"syncline/crdt/id"
	"syncline/storage"
)

// halls are the documents that have sessions. A hall is there from the first
// connection's first message until the last connection has left and what it
// brought is stored; only then may the next hall of the same document read the
// journal.
type halls struct {
	relay *Relay
	all   sync.WaitGroup // the halls' goroutines

	mu    sync.Mutex
	byDoc map[id.Document]*hall
}

// open returns the hall of a document and counts the caller's connection in. It
// fails only when ctx ends.
func (hs *halls) open(ctx context.Context, doc id.Document) (*hall, error) {
	for {
		h, mine := hs.find(doc)
		if mine {
			return h, nil
		}
		select {
		case <-h.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// find returns the hall of a document, made if there is none. If it is just
// closing, the caller is not counted in and has to wait until it is done.
func (hs *halls) find(doc id.Document) (h *hall, mine bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h = hs.byDoc[doc]
	if h != nil && h.connections == 0 {
		return h, false
	}
	if h == nil {
		h = &hall{
			relay: hs.relay,
			doc:   doc,
			log:   hs.relay.o.Log.With("doc", doc.String()),
			space: semaphore.NewWeighted(hs.relay.o.MaxInbox),
			ready: make(chan struct{}, 1),
			done:  make(chan struct{}),
			conns: make(map[connID]*conn),
		}
		hs.byDoc[doc] = h
		hs.relay.count.openRooms.Add(1)
		hs.all.Go(h.run)
	}
	h.connections++
	return h, true
}

// release counts a connection out. It has posted its leave.
func (hs *halls) release(h *hall) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h.connections--
	if h.connections == 0 {
		h.mu.Lock()
		h.closed = true
		h.mu.Unlock()
		h.wake()
	}
}

// closed is what a hall's goroutine says when it ends.
func (hs *halls) closed(h *hall) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.byDoc, h.doc)
	hs.relay.count.openRooms.Add(-1)
	close(h.done)
}

// elsewhere has the halls of the documents look for rows of other processes.
func (hs *halls) elsewhere(docs []id.Document, after int64) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, doc := range docs {
		if h := hs.byDoc[doc]; h != nil {
			h.put(parcel{in: lookElsewhere{after: after}})
		}
	}
}

// watch tells the halls of rows that other processes append, until ctx ends. A
// failure, such as a file that is locked for long, is reported and tried again.
func (hs *halls) watch(ctx context.Context, store *storage.Store, log *slog.Logger) {
	told := store.LastRow()
	for ctx.Err() == nil {
		err := store.Watch(ctx, told, func(a storage.Arrival) error {
			docs, err := store.DocumentsBetween(ctx, a.After, a.Through)
			if err != nil {
				return err
			}
			hs.elsewhere(docs, a.After)
			told = a.Through
			return nil
		})
		if ctx.Err() != nil || errors.Is(err, storage.ErrClosed) {
			return
		}
		log.Warn("changes that other processes store are noticed late", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(watchAgain):
		}
	}
}

// watchAgain is how long after a failure the journal is watched again.
const watchAgain = time.Second
