package crdt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

func docID(i int) id.Document {
	return id.Document{byte(i), byte(i >> 8), byte(i >> 16)}
}

// openerOf opens documents that all have the same changes.
func openerOf(opened *atomic.Int64, changes ...*chunk.Change) crdt.Opener {
	return func(_ context.Context, doc id.Document) (*crdt.Document, error) {
		opened.Add(1)
		return crdt.Open(crdt.MintActor([]byte("secret"), doc), changes)
	}
}

func TestCacheKeepsTheLastUsed(t *testing.T) {
	var opened atomic.Int64
	c := crdt.NewCache(openerOf(&opened), crdt.CacheOptions{Documents: 2})
	defer c.Close()
	use := func(i int, opens int64) *crdt.Document {
		t.Helper()
		l, err := c.Acquire(t.Context(), docID(i))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		if got := opened.Load(); got != opens {
			t.Fatalf("document %d: opened %d so far, want %d", i, got, opens)
		}
		return l.Document()
	}
	one, two := use(1, 1), use(2, 2)
	use(1, 2)
	use(3, 3) // 2 is the least recently used
	if !two.Closed() || one.Closed() {
		t.Error("the wrong document was closed")
	}
	use(1, 3)
	use(2, 4)
	if c.Len() != 2 {
		t.Errorf("%d documents open", c.Len())
	}
	c.Forget(docID(1))
	if !one.Closed() {
		t.Error("a forgotten document is still open")
	}
	use(1, 5)
}

func TestCacheNeverClosesWhatIsInUse(t *testing.T) {
	var opened atomic.Int64
	c := crdt.NewCache(openerOf(&opened), crdt.CacheOptions{Documents: -1, Bytes: 1})
	a := docMust(c.Acquire(t.Context(), docID(1)))
	b := docMust(c.Acquire(t.Context(), docID(1)))
	if a.Document() != b.Document() || opened.Load() != 1 {
		t.Fatal("two holders have two documents")
	}
	a.Release()
	a.Release()
	if b.Document().Closed() || c.MemoryBytes() == 0 {
		t.Fatal("closed while in use")
	}
	c.Close()
	if b.Document().Closed() {
		t.Fatal("closed while in use")
	}
	b.Release()
	if !b.Document().Closed() || c.MemoryBytes() != 0 || c.Len() != 0 {
		t.Fatalf("still open after the last release: %d bytes, %d documents", c.MemoryBytes(), c.Len())
	}
	if _, err := c.Acquire(t.Context(), docID(1)); err == nil {
		t.Fatal("acquired from a closed cache")
	}
	c.Close()
}

func TestCacheClosesByBytes(t *testing.T) {
	var opened atomic.Int64
	big := docDo(t, openDoc(t, "author"), crdt.Create("c", "i", map[string]any{"t": strings.Repeat("x", 10_000)}))
	c := crdt.NewCache(openerOf(&opened, big), crdt.CacheOptions{Bytes: 10 << 20})
	defer c.Close()
	for i := range 20 {
		docMust(c.Acquire(t.Context(), docID(i))).Release()
	}
	if c.Len() == 0 || c.Len() == 20 || c.MemoryBytes() > 10<<20 {
		t.Errorf("%d documents of %d bytes stayed open", c.Len(), c.MemoryBytes())
	}
}

// A failed opening is told to all who waited, and tried again by the next.
func TestCacheForgetsFailures(t *testing.T) {
	fail := errors.New("no such document")
	var calls atomic.Int64
	entered, proceed := make(chan struct{}), make(chan struct{})
	c := crdt.NewCache(func(context.Context, id.Document) (*crdt.Document, error) {
		if calls.Add(1) == 1 {
			close(entered)
			<-proceed
			return nil, fail
		}
		return crdt.New("author"), nil
	}, crdt.CacheOptions{})
	defer c.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Acquire(t.Context(), docID(1)); !errors.Is(err, fail) {
			t.Errorf("the opener's caller: %v", err)
		}
	})
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Acquire(gone, docID(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("who cannot wait: %v", err)
	}
	close(proceed)
	wg.Wait()
	docMust(c.Acquire(t.Context(), docID(1))).Release()
}

// Who waits for an opening that its caller called off opens it himself.
func TestCacheOutlivesACancelledOpening(t *testing.T) {
	var calls atomic.Int64
	entered, proceed := make(chan struct{}), make(chan struct{})
	c := crdt.NewCache(func(ctx context.Context, _ id.Document) (*crdt.Document, error) {
		if calls.Add(1) == 1 {
			close(entered)
			<-proceed
			return nil, ctx.Err()
		}
		return crdt.New("author"), nil
	}, crdt.CacheOptions{})
	defer c.Close()
	first, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Acquire(first, docID(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
	})
	<-entered
	cancel()
	wg.Go(func() {
		if l, err := c.Acquire(t.Context(), docID(1)); err != nil {
			t.Errorf("the second: %v", err)
		} else {
			l.Release()
		}
	})
	close(proceed)
	wg.Wait()
}

func TestCacheUseIsExclusive(t *testing.T) {
	var opened atomic.Int64
	c := crdt.NewCache(openerOf(&opened), crdt.CacheOptions{Documents: 1})
	defer c.Close()
	var wg sync.WaitGroup
	const each = 50
	for w := range 8 {
		wg.Go(func() {
			for i := range each {
				err := c.Use(t.Context(), docID(w%3), func(d *crdt.Document) error {
					_, err := d.Do(docTime, crdt.Create("c", fmt.Sprintf("%d-%d", w, i), nil))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A document that broke is not handed out again.
func TestCacheDropsBrokenDocuments(t *testing.T) {
	var opened atomic.Int64
	c := crdt.NewCache(openerOf(&opened), crdt.CacheOptions{})
	defer c.Close()
	a := openDoc(t, "a")
	docDo(t, a, crdt.Create("c", "i", nil))
	orphan := docDo(t, a, crdt.Create("c", "j", nil))
	for range 2 {
		err := c.Use(t.Context(), docID(1), func(d *crdt.Document) error { return d.Apply([]*chunk.Change{orphan}) })
		if !errors.Is(err, crdt.ErrBroken) {
			t.Fatal(err)
		}
	}
	if opened.Load() != 2 {
		t.Errorf("opened %d times", opened.Load())
	}
}

// rssBytes is the resident memory of this process.
func rssBytes(t testing.TB) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatal("no VmRSS in /proc/self/status")
	return 0
}

// Ten thousand documents opened one after the other leave nothing behind:
// memory goes back because the cache closes, and not because a collector ran.
func TestTenThousandDocumentsInBoundedMemory(t *testing.T) {
	var history []*chunk.Change
	d := openDoc(t, "author")
	for i := range 6 {
		history = append(history, docDo(t, d, crdt.Create("notes", fmt.Sprint(i), map[string]any{
			"title": "A note", "n": i, "tags": []any{"a", "b"}})))
	}
	var opened atomic.Int64
	c := crdt.NewCache(openerOf(&opened, history...), crdt.CacheOptions{Documents: 50})
	defer c.Close()
	before := rssBytes(t)
	var most int64
	for i := range 10_000 {
		err := c.Use(t.Context(), docID(i), func(d *crdt.Document) error {
			_, err := d.Entity("notes", "5")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if i%500 == 0 {
			most = max(most, rssBytes(t)-before)
		}
	}
	t.Logf("%d documents: at most %d MB more resident, %d MB in the end", opened.Load(), most>>20, (rssBytes(t)-before)>>20)
	if most > 200<<20 {
		t.Errorf("resident memory grew by %d MB", most>>20)
	}
}

// Close gives the memory back by itself: no run of the collector in between.
func TestCloseFrees(t *testing.T) {
	d := openDoc(t, "author")
	c := docDo(t, d, crdt.Create("c", "i", map[string]any{"t": strings.Repeat("some text ", 400)}))
	cycle := func() {
		o := docMust(crdt.Open("reader", []*chunk.Change{c}))
		docMust(o.Value())
		docMust(o.Conflicts("c", "i", "t"))
		docMust(docMust(o.At([]id.Hash{c.Hash})).JSON())
		docMust(o.Save())
		docMust(o.Do(docTime, crdt.Splice("c", "i", "t", 5, 5, "new")))
		if _, err := o.Do(docTime, crdt.Delete("c", "j")); err == nil {
			t.Fatal("deleted nothing")
		}
		o.Close()
	}
	for range 5 {
		cycle()
	}
	runtime.GC()
	before := rssBytes(t)
	const rounds = 60 // one document of this size takes 1 MB
	for range rounds {
		cycle()
	}
	grown := rssBytes(t) - before
	t.Logf("%d documents opened and closed: %d KB more resident", rounds, grown>>10)
	if grown > 30<<20 {
		t.Errorf("resident memory grew by %d MB", grown>>20)
	}
}
