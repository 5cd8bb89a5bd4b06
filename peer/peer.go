package peer

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/storage"
	"syncline/storage/query"
)

// Errors that callers branch on, beside those of packages crdt and storage.
var (
	// ErrClosed: the peer was closed.
	ErrClosed = errors.New("the peer is closed")
	// ErrUnknown: the document is not in this store; Fetch asks others for it.
	ErrUnknown = errors.New("the document is not in this store")
	// ErrRunning: Run is running already.
	ErrRunning = errors.New("the peer is running already")
)

// keySecret is where the store keeps the device's secret, and deviceSecret its
// length in bytes.
const (
	keySecret    = "device-secret"
	deviceSecret = 32
)

// Peer is a store with the documents in it. Its methods may be called from any
// goroutine.
type Peer struct {
	// Static after Open.
	o      Options
	store  Store
	secret []byte
	self   string // our peer id
	cache  *crdt.Cache
	desks  desks
	turns  *semaphore.Weighted // to parse large messages
	pump   func()              // does what waits, in a simulation; else nil
	after  func(time.Duration, func())

	// ctx ends when Close begins, io when the store must not be waited for any
	// longer.
	ctx    context.Context
	cancel context.CancelFunc
	io     context.Context
	stopIO context.CancelFunc

	workspaceSet chan struct{} // holds a token when a workspace was set

	lastConn   atomic.Uint64
	background sync.WaitGroup
	serving    sync.WaitGroup // connections; Add under mu

	mu        sync.Mutex
	known     map[id.Document]struct{} // documents in the store
	order     []id.Document            // as they became known
	wanted    map[id.Document]struct{} // what Fetch was called for
	conns     map[*conn]struct{}
	links     []*link
	run       func(*link) // starts a link; nil while Run is not running
	workspace *Workspace

	changed bells // documents that have changed
	moved   bells // documents of which more is known where they are
	others  others
	keeper  keeper
	rests   *rests
	tally   tally

	sql       *query.Engine          // nil of a stepped peer, whose store need not be a file
	tables    atomic.Pointer[tables] // nil while they are not kept
	tabling   sync.Mutex             // while they are opened
	tablesErr error                  // why they are not kept any more; guarded by tabling

	mismatches mismatches
	resolving  atomic.Pointer[Resolving] // nil: it settles no conflicts

	watch   sync.Mutex
	stirred chan struct{} // guarded by watch; nil while nobody waits

	closing sync.Once
	closed  error
}

// Open opens the store at path, or makes one if there is no file; the directory
// must exist. Close it. Errors are those of storage.Open.
//
// If the last process died while it gave changes to the core, Open finds out
// which one it was: see Status.
func Open(ctx context.Context, path string, o Options) (_ *Peer, err error) {
	o = o.withDefaults()
	store, err := storage.Open(ctx, path, storage.Options{Log: o.Log, Poll: o.Poll})
	if err != nil {
		return nil, err
	}
	p := makePeer(o, store, "syncline-"+rand.Text())
	p.desks.spawn = p.desks.all.Go
	fresh := make([]byte, deviceSecret)
	rand.Read(fresh)
	last := store.LastRow()
	if err := p.begin(ctx, fresh); err != nil {
		return nil, errors.Join(fmt.Errorf("open peer on %s: %w", path, err), p.Close())
	}
	if err := p.openSQL(ctx, store); err != nil {
		return nil, errors.Join(fmt.Errorf("open peer on %s: %w", path, err), p.Close())
	}
	p.background.Go(p.keep)
	p.background.Go(p.compareAtRest)
	p.background.Go(func() { p.sweep(store) })
	p.background.Go(func() {
		err := p.store.Watch(p.ctx, last, p.elsewhere)
		if err != nil && p.ctx.Err() == nil {
			p.o.Log.Error("changes that other processes store are not noticed any more", "err", err)
		}
	})
	return p, nil
}

// makePeer returns a peer in which nothing runs yet.
func makePeer(o Options, store Store, self string) *Peer {
	p := &Peer{
		o: o, store: store, self: self,
		turns:  semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		known:  make(map[id.Document]struct{}),
		wanted: make(map[id.Document]struct{}),
		conns:  make(map[*conn]struct{}),
		keeper: newKeeper(),
		rests:  newRests(o.CompareAfter, o.compareEvery),
		after:  func(d time.Duration, fn func()) { time.AfterFunc(d, fn) },
		others: others{byURL: map[string]string{}, byID: map[string]int{}, peerID: map[string]bool{}},

		workspaceSet: make(chan struct{}, 1),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.io, p.stopIO = context.WithCancel(context.Background())
	p.desks = desks{p: p, byDoc: make(map[id.Document]*desk), idle: make(map[*desk]struct{})}
	p.cache = crdt.NewCache(p.openCore, o.Cache)
	return p
}

// begin takes up what the store has. secret becomes the device's, if it has none.
func (p *Peer) begin(ctx context.Context, secret []byte) error {
	var err error
	if p.secret, err = p.store.InitValue(ctx, keySecret, secret); err != nil {
		return err
	}
	if err := p.others.load(ctx, p.store); err != nil {
		return err
	}
	err = p.store.KnownDocuments(ctx, func(d storage.DocumentInfo) error {
		p.learn(d.Doc)
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range p.o.Remotes {
		if err := p.Connect(r); err != nil {
			return err
		}
	}
	return p.recover(ctx)
}

// elsewhere acts on rows that another process has appended.
func (p *Peer) elsewhere(a storage.Arrival) error {
	docs, err := p.store.DocumentsBetween(p.ctx, a.After, a.Through)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		p.learn(doc)
		switch {
		case p.desks.get(doc) != nil:
			p.desks.tell(doc, look{})
		case len(p.connections()) > 0 || p.tables.Load() != nil:
			if err := p.desks.post(p.ctx, doc, look{}, 0); err != nil {
				return err
			}
		}
		p.notify(doc)
	}
	return nil
}

// Close stores what has been said, ends Run and every listener and connection,
// and closes the store. Options.CloseTimeout bounds the wait for network and disk,
// each. It may be called again, and returns the same.
func (p *Peer) Close() error {
	p.closing.Do(func() {
		for _, c := range p.connections() {
			c.closeDown()
		}
		p.mu.Lock()
		p.cancel() // under mu: nobody is counted in from here on
		p.mu.Unlock()
		impatient := time.AfterFunc(p.o.CloseTimeout, p.stopIO)
		defer impatient.Stop()
		p.serving.Wait()
		if p.sql != nil {
			p.closed = p.sql.Close()
		}
		p.desks.finish()
		p.background.Wait()
		p.cache.Close()
		p.stopIO()
		p.closed = errors.Join(p.closed, p.store.Close())
	})
	return p.closed
}

// PeerID is what the peer calls itself on connections: new with each Open.
func (p *Peer) PeerID() string { return p.self }

// StorageID names the data in the file: the same for as long as there is the file.
func (p *Peer) StorageID() string { return p.store.StorageID() }

// Path is the absolute path of the file.
func (p *Peer) Path() string { return p.store.Path() }

// learn notes that a document is in the store. It reports false if that is known.
func (p *Peer) learn(doc id.Document) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.known[doc]; ok {
		return false
	}
	p.known[doc] = struct{}{}
	p.order = append(p.order, doc)
	return true
}

func (p *Peer) knows(doc id.Document) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.known[doc]
	return ok
}

// knownDocuments lists the documents in the order in which they became known.
func (p *Peer) knownDocuments() []id.Document {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]id.Document(nil), p.order...)
}

// register counts a connection in. It reports false when the peer is closing.
func (p *Peer) register(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.conns[c] = struct{}{}
	p.serving.Add(1)
	p.stir()
	return true
}

func (p *Peer) unregister(c *conn) {
	p.tally.mu.Lock()
	defer p.tally.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.conns[c]; ok {
		p.tally.past.addConn(c)
		delete(p.conns, c)
		p.serving.Done()
		p.stir()
	}
}

// connections lists those that there are, the oldest first.
func (p *Peer) connections() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return list
}

// notify tells who watches a document that it has changed.
func (p *Peer) notify(doc id.Document) {
	p.changed.ring(doc)
	p.moved.ring(doc)
}

// StatusChanged returns a channel that is closed when next a connection comes or
// goes, or a document comes to stand differently with another end.
func (p *Peer) StatusChanged() <-chan struct{} {
	p.watch.Lock()
	defer p.watch.Unlock()
	if p.stirred == nil {
		p.stirred = make(chan struct{})
	}
	return p.stirred
}

func (p *Peer) stir() {
	p.watch.Lock()
	defer p.watch.Unlock()
	if p.stirred != nil {
		close(p.stirred)
		p.stirred = nil
	}
}

// await is c.wait.
func (p *Peer) await(ctx context.Context, c *claim) error {
	if p.pump != nil {
		p.pump()
	}
	return c.wait(ctx)
}

// ask has fn look at a document's desk, on its goroutine.
func (p *Peer) ask(ctx context.Context, doc id.Document, fn func(*desk) error) error {
	in := &reading{claim: newClaim(), replica: fn}
	if err := p.desks.post(ctx, doc, in, 0); err != nil {
		return err
	}
	return p.await(ctx, &in.claim)
}
