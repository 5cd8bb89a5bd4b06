package crdt

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"syncline/crdt/id"
)

// Opener opens a document for a cache, most often with Open or Load under a
// freshly minted actor.
type Opener func(ctx context.Context, doc id.Document) (*Document, error)

// CacheOptions bounds a cache. The zero value is usable.
type CacheOptions struct {
	// Documents is how many documents stay open while nobody uses them; 0 means
	// 64, negative none.
	Documents int
	// Bytes is how much memory in C all open documents may take by estimate
	// before unused ones are closed; 0 means 256 MiB.
	Bytes int64
}

const (
	defaultCacheDocuments = 64
	defaultCacheBytes     = 256 << 20
	// trimAfter is how much the closed documents of a cache must have taken
	// before the system is given the memory back: that walks all of C's heap.
	trimAfter = 32 << 20
)

// Cache keeps documents open between uses, within bounds, and closes the least
// recently used ones on purpose: their memory is not Go's and no collector
// would ever miss it. Documents in use are never closed; they count.
//
// A Cache is safe for concurrent use. Its documents are not: two holders of
// the same document have to agree, which Use does for them.
type Cache struct {
	open  Opener
	limit CacheOptions

	mu     sync.Mutex
	docs   map[id.Document]*entry
	unused *list.List // of *entry, the least recently used in front
	bytes  int64      // of open documents, as last looked at
	freed  int64      // since memory was last given back
	closed bool
}

// entry is a document in the cache, or on its way there.
type entry struct {
	id    id.Document
	ready chan struct{} // closed when doc or err is there
	doc   *Document
	err   error
	use   sync.Mutex // held by Use

	// Guarded by the cache's mu.
	holders int
	bytes   int64         // as counted in the cache's bytes
	place   *list.Element // in unused, nil while there are holders
	gone    bool          // no longer in docs
}

// NewCache returns an empty cache.
func NewCache(open Opener, o CacheOptions) *Cache {
	if o.Documents == 0 {
		o.Documents = defaultCacheDocuments
	}
	if o.Bytes == 0 {
		o.Bytes = defaultCacheBytes
	}
	return &Cache{open: open, limit: o, docs: map[id.Document]*entry{}, unused: list.New()}
}

// Lease is the right to use a document of the cache until Release.
type Lease struct {
	c    *Cache
	e    *entry
	once sync.Once
}

// Document is the leased document. It must not be closed.
func (l *Lease) Document() *Document { return l.e.doc }

// Release ends the lease. It may be called again.
func (l *Lease) Release() { l.once.Do(func() { l.c.release(l.e) }) }

// Acquire leases a document, opening it if need be; while it is being opened
// others who ask for it wait. Who has acquired must release.
func (c *Cache) Acquire(ctx context.Context, doc id.Document) (*Lease, error) {
	for {
		e, mine, err := c.enter(doc)
		if err != nil {
			return nil, fmt.Errorf("open document %s: %w", doc, err)
		}
		if mine {
			c.fill(ctx, e)
		}
		select {
		case <-e.ready:
			err = e.err
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err == nil {
			return &Lease{c: c, e: e}, nil
		}
		c.release(e)
		// Who opened it may have been called off; that is nothing to us.
		if mine || ctx.Err() != nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("open document %s: %w", doc, err)
		}
	}
}

// fill opens the document of a new entry. Whatever the opener does, those who
// wait are told.
func (c *Cache) fill(ctx context.Context, e *entry) {
	e.err = errors.New("the opener has not returned")
	defer close(e.ready)
	defer c.opened(e)
	e.doc, e.err = c.open(ctx, e.id)
	if e.err == nil && e.doc == nil {
		e.err = errors.New("the opener has returned no document")
	}
}

// Use leases a document and calls f with it, alone among all that call Use for
// it. If the document closes itself meanwhile, the next one opens it anew.
func (c *Cache) Use(ctx context.Context, doc id.Document, f func(*Document) error) error {
	l, err := c.Acquire(ctx, doc)
	if err != nil {
		return err
	}
	defer l.Release()
	l.e.use.Lock()
	defer l.e.use.Unlock()
	err = f(l.e.doc)
	if l.e.doc.Closed() {
		c.mu.Lock()
		c.forgetLocked(l.e)
		c.mu.Unlock()
	}
	return err
}

// enter makes the caller a holder of the entry, which it has to open if it is
// its own.
func (c *Cache) enter(doc id.Document) (e *entry, mine bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, errors.New("the cache is closed")
	}
	if e = c.docs[doc]; e == nil {
		e, mine = &entry{id: doc, ready: make(chan struct{})}, true
		c.docs[doc] = e
	}
	e.holders++
	if e.place != nil {
		c.unused.Remove(e.place)
		e.place = nil
	}
	return e, mine, nil
}

// opened counts what the opener has brought. What failed is forgotten, so that
// the next one tries again.
func (c *Cache) opened(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.err != nil {
		c.forgetLocked(e)
		return
	}
	c.countLocked(e, e.doc.MemoryBytes())
	c.shrinkLocked()
}

func (c *Cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.holders--
	if e.holders > 0 {
		return
	}
	// Only the last holder may look at the document.
	if e.doc == nil || c.closed || e.gone || e.doc.Closed() {
		c.closeLocked(e)
		return
	}
	c.countLocked(e, e.doc.MemoryBytes())
	e.place = c.unused.PushBack(e)
	c.shrinkLocked()
}

// Forget takes a document out of the cache: the next to acquire it opens it
// anew. Who has it keeps it until it is released. That is for documents that
// have closed themselves, and for those that were deleted.
func (c *Cache) Forget(doc id.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.docs[doc]; e != nil {
		c.forgetLocked(e)
		if e.holders == 0 {
			c.closeLocked(e)
		}
	}
}

// Len is how many documents are open, and MemoryBytes what they take in C by
// estimate.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.docs)
}

// MemoryBytes estimates what the open documents take in C, those in use as they
// were when last released.
func (c *Cache) MemoryBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// Close closes the unused documents and lets no one acquire any more; those in
// use are closed as they are released. It may be called again.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.unused.Len() > 0 {
		c.closeLocked(c.unused.Front().Value.(*entry))
	}
}

// shrinkLocked closes unused documents until the rest is within bounds.
func (c *Cache) shrinkLocked() {
	for c.unused.Len() > 0 && (c.unused.Len() > c.limit.Documents || c.bytes > c.limit.Bytes) {
		c.closeLocked(c.unused.Front().Value.(*entry))
	}
}

// closeLocked closes the document of an entry without holders.
func (c *Cache) closeLocked(e *entry) {
	c.forgetLocked(e)
	if e.place != nil {
		c.unused.Remove(e.place)
		e.place = nil
	}
	if e.doc == nil {
		return
	}
	c.freed += e.bytes
	c.countLocked(e, 0)
	e.doc.Close()
	if c.freed > trimAfter {
		c.freed = 0
		trim()
	}
}

func (c *Cache) forgetLocked(e *entry) {
	if !e.gone {
		e.gone = true
		delete(c.docs, e.id)
	}
}

func (c *Cache) countLocked(e *entry, bytes int64) {
	c.bytes += bytes - e.bytes
	e.bytes = bytes
}
