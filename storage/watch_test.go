package storage

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"syncline/crdt/id"
)

// watching runs Watch until the test ends and returns what it tells.
func watching(t *testing.T, s *Store, after int64) <-chan Arrival {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan Arrival, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.Watch(ctx, after, func(a Arrival) error { told <- a; return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	for { // until it is among those that are told
		s.watchers.mu.Lock()
		n := len(s.watchers.all)
		s.watchers.mu.Unlock()
		if n > 0 {
			return told
		}
		yield()
	}
}

func TestRowsOfAnotherStoreAreNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	ours := openAt(t, path, Options{Poll: time.Millisecond})
	theirs := openAt(t, path, Options{})
	a, b := id.Document{1}, id.Document{2}
	mustAppend(t, ours, entries(a, 0, 3)...)
	told := watching(t, ours, ours.LastRow())

	// Without any write of ours.
	rows := mustAppend(t, theirs, entry(b, 0), entry(a, 10), entry(b, 1))
	if got := <-told; got != (Arrival{rows[0] - 1, rows[2]}) {
		t.Errorf("told of %+v, want rows %d", got, rows)
	}
	docs, err := ours.DocumentsBetween(context.Background(), rows[0]-1, rows[2])
	if err != nil || !slices.Equal(docs, []id.Document{b, a}) {
		t.Errorf("documents %v (%v), want %v and %v", docs, err, b, a)
	}
	// Before our own next commit returns, whatever the poll does; and our own
	// rows, before and after, are not told.
	rows = mustAppend(t, theirs, entry(a, 11))
	own := mustAppend(t, ours, entry(a, 12))
	if got := <-told; got != (Arrival{rows[0] - 1, rows[0]}) || own[0] <= rows[0] {
		t.Errorf("told of %+v, want row %d; ours is %d", got, rows[0], own[0])
	}
	// What both appended is one row, and nobody is told of it again.
	if again := mustAppend(t, ours, entry(a, 11)); again[0] != rows[0] {
		t.Errorf("row %d, they were given %d", again[0], rows[0])
	}
	if err := ours.poll(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-told:
		t.Errorf("told of %+v once more", got)
	default:
	}
}

func TestWatchBeginsWithWhatWasMissed(t *testing.T) {
	s := openTemp(t)
	rows := mustAppend(t, s, entries(id.Document{1}, 0, 5)...)
	if got := <-watching(t, s, rows[1]); got != (Arrival{rows[1], rows[4]}) {
		t.Errorf("told of %+v", got)
	}
}

func TestArrivalsAreJoinedWhileOneIsHandled(t *testing.T) {
	s := openTemp(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := true
	stop := errors.New("stop")
	err := s.Watch(ctx, -1, func(a Arrival) error {
		if first {
			first = false
			s.watchers.tell(3, 5)
			s.watchers.tell(8, 9)
			return nil
		}
		if a != (Arrival{3, 9}) {
			t.Errorf("told of %+v, want rows 4 to 9", a)
		}
		return stop
	})
	if err != stop {
		t.Errorf("Watch ended with %v, want the callback's error", err)
	}
}

// Two stores append to the same documents as fast as they can. Each, by its own
// appends and what Watch tells it, learns of every row.
func TestTwoStoresTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	const n = 100
	var wg sync.WaitGroup
	for side := range 2 {
		s := openAt(t, path, Options{Poll: time.Millisecond})
		known := struct {
			sync.Mutex
			rows map[int64]bool
		}{rows: make(map[int64]bool)}
		ctx, cancel := context.WithCancel(context.Background())
		all := func() bool { known.Lock(); defer known.Unlock(); return len(known.rows) == 2*n }
		wg.Go(func() {
			err := s.Watch(ctx, 0, func(a Arrival) error {
				docs, err := s.DocumentsBetween(ctx, a.After, a.Through)
				for _, doc := range docs {
					err = errors.Join(err, s.Journal(ctx, doc, a.After, func(row int64, _ id.Hash, _ []byte) error {
						known.Lock()
						defer known.Unlock()
						known.rows[row] = true
						return nil
					}))
				}
				if all() {
					cancel()
				}
				return err
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("side %d: %v", side, err)
			}
		})
		wg.Go(func() {
			for i := range n {
				row := mustAppend(t, s, entry(id.Document{byte(i % 3)}, side*n+i))[0]
				known.Lock()
				known.rows[row] = true
				known.Unlock()
			}
			if all() {
				cancel()
			}
		})
	}
	wg.Wait()
}
