package relay

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/storage"
)

// halls are the documents that have sessions. A document that something happens in
// has a hall. One in which nothing happens keeps it while there is room, and rests
// otherwise: what remains of it is who is there.
type halls struct {
	relay   *Relay
	running sync.WaitGroup // the halls' goroutines
	spawn   func(func())   // has a hall run: in a goroutine, but in a simulation

	// Neither is there in a simulation.
	here bool                 // readers drive a room for a round
	turn func() *storage.Turn // the store's

	mu     sync.Mutex // before hall.mu
	byDoc  map[id.Document]*hall
	asleep map[id.Document]resting
	quiet  *list.List // of *hall: those that could rest, the one that ran last in front
	held   int64      // bytes that they hold, about
}

// idleEntry is the place of a hall among the quiet ones.
type idleEntry struct {
	at   *list.Element // nil if it is not among them
	cost int64
}

func (hs *halls) init(r *Relay) {
	hs.relay = r
	hs.byDoc, hs.asleep, hs.quiet = make(map[id.Document]*hall), make(map[id.Document]resting), list.New()
}

// open returns the hall of a document, made or woken if there is none.
func (hs *halls) open(doc id.Document) *hall {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byDoc[doc]
	if h != nil {
		hs.stir(h)
		return h
	}
	h = &hall{relay: hs.relay, doc: doc, space: semaphore.NewWeighted(hs.relay.o.MaxInbox), conns: make(map[connID]*conn)}
	if at, ok := hs.asleep[doc]; ok {
		delete(hs.asleep, doc)
		h.at = &at
	}
	hs.byDoc[doc] = h
	return h
}

// stir takes a hall from among the quiet ones.
func (hs *halls) stir(h *hall) {
	if h.idle.at != nil {
		hs.quiet.Remove(h.idle.at)
		hs.held -= h.idle.cost
		h.idle = idleEntry{}
	}
}

// pause ends the goroutine of a hall, unless something has come in meanwhile. The
// hall closes if nobody is in it, and becomes one of the quiet ones otherwise.
func (hs *halls) pause(h *hall) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.inbox) > 0 {
		return false
	}
	h.running = false
	if len(h.conns) == 0 {
		hs.close(h)
		return true
	}
	if h.room != nil {
		h.weight = weight{sessions: len(h.conns), changes: h.room.graph.Len(), orphans: h.room.orphans.Len(), bytes: h.room.graph.Bytes()}
	}
	if h.broken == nil {
		hs.stir(h)
		h.idle = idleEntry{at: hs.quiet.PushFront(h), cost: h.room.cost()}
		hs.held += h.idle.cost
		hs.shrink(h)
	}
	return true
}

// shrink sends the quietest to rest until the others fit. The caller holds h.mu
// of the one that has just come.
func (hs *halls) shrink(just *hall) {
	for hs.held > hs.relay.o.IdleBytes && hs.quiet.Len() > 0 {
		h := hs.quiet.Back().Value.(*hall)
		if h != just {
			h.mu.Lock()
		}
		hs.sleep(h)
		if h != just {
			h.mu.Unlock()
		}
	}
}

// sleep has a quiet hall rest if it can. Both mutexes are held.
func (hs *halls) sleep(h *hall) {
	hs.stir(h)
	if h.running || len(h.inbox) > 0 {
		return // something is on its way to it
	}
	at, ok := h.room.rest(h.conns)
	if !ok {
		return // it stays, and is looked at again when something has happened in it
	}
	hs.asleep[h.doc] = at
	hs.close(h)
}

// close takes a hall out. Both mutexes are held.
func (hs *halls) close(h *hall) {
	h.closed = true
	delete(hs.byDoc, h.doc)
}

// count is how many documents with sessions are in memory, and how many rest.
func (hs *halls) count() (awake, asleep int64) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return int64(len(hs.byDoc)), int64(len(hs.asleep))
}

// weigh adds up what the halls have in memory: graphs, their bytes, and changes
// that wait for others.
func (hs *halls) weigh() (graphs, bytes, orphans int64) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, h := range hs.byDoc {
		graphs++
		bytes += h.weight.bytes
		orphans += int64(h.weight.orphans)
	}
	return graphs, bytes, orphans
}

// rooms calls yield with the documents in memory.
func (hs *halls) rooms(yield func(id.Document, weight, *operate.Rate)) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for doc, h := range hs.byDoc {
		yield(doc, h.weight, &h.rate)
	}
}

// has reports whether a connection has the document open.
func (hs *halls) has(doc id.Document) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	_, asleep := hs.asleep[doc]
	return asleep || hs.byDoc[doc] != nil
}

// leave takes a connection out of a document. One that rests is not woken for it.
func (hs *halls) leave(doc id.Document, c *conn) {
	hs.mu.Lock()
	if at, ok := hs.asleep[doc]; ok {
		if at.leave(c) {
			hs.asleep[doc] = at
		} else {
			delete(hs.asleep, doc)
		}
		hs.mu.Unlock()
		return
	}
	hs.mu.Unlock()
	hs.tell(doc, leave{conn: c.id})
}

// tell queues a small input, if the document has a hall or rests.
func (hs *halls) tell(doc id.Document, in input) {
	for {
		hs.mu.Lock()
		_, asleep := hs.asleep[doc]
		awake := hs.byDoc[doc] != nil
		hs.mu.Unlock()
		if !asleep && !awake {
			return
		}
		if hs.open(doc).put(parcel{in: in}) {
			return
		}
	}
}

// tellAwake queues a small input, if the document is in memory.
func (hs *halls) tellAwake(doc id.Document, in input) {
	hs.mu.Lock()
	awake := hs.byDoc[doc] != nil
	hs.mu.Unlock()
	if awake {
		hs.tell(doc, in)
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
			for _, doc := range docs {
				hs.tell(doc, lookElsewhere{after: a.After})
			}
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
