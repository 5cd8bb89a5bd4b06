package storage

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"syncline/crdt/id"
)

// hold keeps the writer busy until release is called. What is submitted
// meanwhile becomes one group, if it is small enough.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.writer.queue.do(&job{ctx: context.Background(), outside: true, run: func(*tx) error {
			close(begun)
			<-end
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	return func() { close(end); wg.Wait() }
}

// waiting blocks until n jobs wait for the writer.
func waiting(s *Store, n int) {
	q := s.writer.queue
	for {
		q.mu.Lock()
		have := len(q.small) + len(q.large)
		q.mu.Unlock()
		if have >= n {
			return
		}
		// A yield, not a sleep: the callers are runnable.
		yield()
	}
}

func TestCallersShareATransaction(t *testing.T) {
	s := openTemp(t)
	release := hold(t, s)
	before := s.Stats()
	const callers = 64
	rows := make([]int64, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { rows[i] = mustAppend(t, s, entry(id.Document{byte(i)}, 0))[0] })
	}
	waiting(s, callers)
	release()
	wg.Wait()
	after := s.Stats()
	if after.Commits != before.Commits+1 || after.Batches != before.Batches+callers {
		t.Errorf("%d appends took %d transactions", after.Batches-before.Batches, after.Commits-before.Commits)
	}
	slices.Sort(rows)
	if len(slices.Compact(rows)) != callers {
		t.Errorf("rows were given twice: %d", rows)
	}
}

func TestABadBatchFailsAlone(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	release := hold(t, s)
	commits := s.Stats().Commits
	const callers = 12
	rows := make([][]int64, callers)
	errs := make([]error, callers)
	broken := errors.New("broken")
	cancelled, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			switch i % 4 {
			case 0: // appends, and is then refused by the schema
				errs[i] = s.write(context.Background(), 1, func(t *tx) error {
					b := Batch{Entries: entries(doc, 1000*i, 100)}
					if _, err := t.append(&b); err != nil {
						return err
					}
					return t.exec(`UPDATE journal SET body = x'' WHERE seq = 1 OR seq = ?`, t.next-1)
				})
			case 1: // appends, and then says itself that it failed
				errs[i] = s.write(context.Background(), 1, func(t *tx) error {
					b := Batch{Entries: entries(doc, 1000*i, 100), Heads: map[id.Document][]id.Hash{doc: {{0xff}}}}
					if _, err := t.append(&b); err != nil {
						return err
					}
					return broken
				})
			case 2: // has gone before it is begun
				rows[i], errs[i] = s.Append(cancelled, Batch{Entries: entries(doc, 1000*i, 100)})
			default:
				rows[i], errs[i] = s.Append(context.Background(), Batch{Entries: entries(doc, 1000*i, 100)})
			}
		})
	}
	waiting(s, callers)
	cancel()
	release()
	wg.Wait()
	var want []int64
	for i, err := range errs {
		switch i % 4 {
		case 0:
			if err == nil || !strings.Contains(err.Error(), "never updated") {
				t.Errorf("caller %d: %v", i, err)
			}
		case 1:
			if !errors.Is(err, broken) {
				t.Errorf("caller %d: %v", i, err)
			}
		case 2:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("caller %d: %v", i, err)
			}
		default:
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			want = append(want, rows[i]...)
		}
	}
	slices.Sort(want)
	got, _ := journalOf(t, s, doc, 0)
	if !slices.Equal(got, want) {
		t.Errorf("the journal has %d rows, the callers were given %d", len(got), len(want))
	}
	if n := s.Stats().Commits - commits; n != 1 {
		t.Errorf("%d transactions, want 1", n)
	}
	d, err := s.Document(context.Background(), doc)
	if err != nil || d.Changes != int64(len(want)) || len(d.Heads) != 0 {
		t.Errorf("document %+v (%v), want %d changes and no heads", d, err, len(want))
	}
}

func TestACancelledAppendTellsTheTruth(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Append(ctx, Batch{Entries: entries(doc, 0, 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	// Cancelled while it waits: its caller is let go at once, though the writer is busy.
	release := hold(t, s)
	ctx, cancel = context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := s.Append(ctx, Batch{Entries: entries(doc, 0, 1)})
		done <- err
	}()
	waiting(s, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while waiting: %v", err)
	}
	if n := len(s.writer.queue.small); n != 0 {
		t.Errorf("the queue keeps %d abandoned batches", n)
	}
	release()
	// Cancelled after it has begun: stored, and so it says.
	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	var rows []int64
	err := s.write(ctx, 1, func(t *tx) (err error) {
		cancel()
		rows, err = t.append(&Batch{Entries: entries(doc, 1, 1)})
		return err
	})
	if err != nil {
		t.Errorf("cancelled after the beginning: %v", err)
	}
	if got, _ := journalOf(t, s, doc, 0); !slices.Equal(got, rows) {
		t.Errorf("the journal has rows %d, want %d", got, rows)
	}
}

func TestLargeAndSmallBatchesTakeTurns(t *testing.T) {
	q := newQueue(100)
	for range 3 {
		q.put(&job{size: 500})
	}
	for range 5 {
		q.put(&job{size: 40})
	}
	var got []int64
	for range 6 {
		group := q.take()
		for _, j := range group {
			got = append(got, j.size)
		}
		got = append(got, 0)
	}
	if want := []int64{500, 0, 40, 40, 0, 500, 0, 40, 40, 0, 500, 0, 40, 0}; !slices.Equal(got, want) {
		t.Errorf("groups %d, want %d", got, want)
	}
}

func TestCloseStoresWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc := id.Document{1}
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { mustAppend(t, s, entry(doc, i)) })
	}
	waiting(s, 20)
	for range 3 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	<-s.stopped.Done()
	if err := s.Journal(context.Background(), doc, 0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Journal of a closed store: %v", err)
	}
	release()
	wg.Wait()
	if _, err := s.Append(context.Background(), Batch{Entries: entries(doc, 0, 1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append to a closed store: %v", err)
	}
	if err := s.SaveSyncState(context.Background(), doc, "r", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("SaveSyncState of a closed store: %v", err)
	}
	if err := s.Watch(context.Background(), 0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Watch of a closed store: %v", err)
	}
	if rows, _ := journalOf(t, openAt(t, path, Options{}), doc, 0); len(rows) != 20 {
		t.Errorf("%d rows after Close, want 20", len(rows))
	}
}

func TestArgumentsThatCannotBeStored(t *testing.T) {
	s := openTemp(t)
	long := strings.Repeat("x", MaxName+1)
	bad := func(change func(*Entry)) Batch {
		e := entry(id.Document{1}, 0)
		change(&e)
		return Batch{Entries: []Entry{entry(id.Document{1}, 1), e}}
	}
	for name, b := range map[string]Batch{
		"actor":    bad(func(e *Entry) { e.Actor = id.Actor(long) }),
		"origin":   bad(func(e *Entry) { e.Origin = long }),
		"sequence": bad(func(e *Entry) { e.ActorSeq = 1 << 63 }),
		"body":     bad(func(e *Entry) { e.Body = make([]byte, MaxBody+1) }),
		"reason":   {Quarantine: []Evidence{{Reason: long}}},
	} {
		if _, err := s.Append(context.Background(), b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"remote":  s.SaveSyncState(context.Background(), id.Document{}, long, nil),
		"key":     s.SetValue(context.Background(), long, nil),
		"own key": s.SetValue(context.Background(), keyStorageID, []byte("x")),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.LastRow(); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// The journal is opaque: what is empty or absent comes back as empty.
func TestExtremeEntries(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{}
	big := entry(doc, 1)
	big.Body = make([]byte, 9<<20)
	big.Body[len(big.Body)-1] = 1
	rows := mustAppend(t, s, Entry{}, big, Entry{Hash: id.Hash{1}, ActorSeq: 1<<63 - 1, Head: make([]byte, 5<<20)}, entry(doc, 2))
	if got, _ := journalOf(t, s, doc, 0); !slices.Equal(got, rows) {
		t.Errorf("rows %d, want %d", got, rows)
	}
	var sizes []int
	err := s.Bodies(context.Background(), doc, rows, func(_ int64, body []byte) error { sizes = append(sizes, len(body)); return nil })
	if want := []int{0, 9 << 20, 0, len(entry(doc, 2).Body)}; err != nil || !slices.Equal(sizes, want) {
		t.Errorf("bodies of %d bytes (%v), want %d", sizes, err, want)
	}
}
