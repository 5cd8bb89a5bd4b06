package storage

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Arrival tells of rows (After, Through] of the journal that another store of
// this file has appended. Arrivals that come while one is being handled are
// told as one, which may then also span rows of this store.
type Arrival struct{ After, Through int64 }

// Watch calls fn with rows that appear in the journal from elsewhere, within
// about Options.Poll of their commit or before this store's next own commit
// returns, whichever is first. It blocks until ctx ends, the store closes
// (ErrClosed), the file cannot be looked at or fn returns an error, and returns
// that. While a long transaction of this store runs, it tells nothing.
//
// after is the last row the caller has taken notice of: if there are rows
// above it when Watch begins, the first call tells of them all, whoever
// appended them. Take LastRow, read what is needed, then Watch from it, and
// nothing is missed. DocumentsBetween says whom a range concerns, and Journal
// reads it.
func (s *Store) Watch(ctx context.Context, after int64, fn func(Arrival) error) error {
	if s.stopped.Err() != nil {
		return ErrClosed
	}
	w := &watcher{woken: make(chan struct{}, 1)}
	s.watchers.add(w)
	defer s.watchers.remove(w)
	// Added first, looked second: what comes between is told twice, never missed.
	if last := s.LastRow(); last > after {
		s.watchers.tellOne(w, after, last)
	}
	tick := time.NewTicker(s.o.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.stopped.Done():
			return ErrClosed
		case <-w.woken:
			if a := s.watchers.collect(w); a.Through > a.After {
				if err := fn(a); err != nil {
					return err
				}
			}
		case <-tick.C:
			if err := s.poll(ctx); err != nil {
				return fmt.Errorf("watch %s: %w", s.path, err)
			}
		}
	}
}

// poll asks the writer to look, because data_version is only comparable on one
// connection and only the writer's has no commits of ours in it.
func (s *Store) poll(ctx context.Context) error {
	return s.writer.queue.do(&job{ctx: ctx, outside: true, run: s.writer.poll})
}

// watchers are the Watch calls that are under way.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
}

// watcher holds what one Watch call has not handled yet, as a single range, so
// that a slow one costs nothing.
type watcher struct {
	woken   chan struct{} // capacity 1
	pending Arrival       // guarded by watchers.mu; empty if Through is 0
}

func (ws *watchers) add(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = make(map[*watcher]struct{})
	}
	ws.all[w] = struct{}{}
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

// tell tells every watcher of rows (after, through].
func (ws *watchers) tell(after, through int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		w.addLocked(after, through)
	}
}

func (ws *watchers) tellOne(w *watcher, after, through int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.addLocked(after, through)
}

func (w *watcher) addLocked(after, through int64) {
	if w.pending.Through == 0 {
		w.pending = Arrival{after, through}
	} else {
		w.pending = Arrival{min(after, w.pending.After), max(through, w.pending.Through)}
	}
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// collect takes what a watcher has pending.
func (ws *watchers) collect(w *watcher) Arrival {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	a := w.pending
	w.pending = Arrival{}
	return a
}
