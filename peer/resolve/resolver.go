package resolve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
)

// Options of New. The zero is usable. The schema is that of peer.Options; without one
// nothing is settled by itself.
type Options struct {
	// Rest is for how long a conflict must have had the same values before anything is
	// done about it. 0: 10 s, in which peers that come back have sent what they have.
	Rest time.Duration
	// Poll is how often the store is looked at for changes. 0: 250 ms.
	Poll time.Duration
	// Webhook is told of conflicts that are left for a person. Its zero: nobody is.
	Webhook Webhook
	// Log is told what is settled and what is held. nil: silent.
	Log *slog.Logger
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Rest <= 0 {
		o.Rest = 10 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Resolver settles the conflicts of a peer.
type Resolver struct {
	p    *peer.Peer
	o    Options
	hook *hook // nil: none

	// Owned by Run.
	row  int64
	next time.Time              // when something may be due; zero: when something changes
	told bool                   // the counts
	held map[id.Document]string // what was said of documents

	fresh chan struct{} // holds a token when there may be more to tell
	mu    sync.Mutex
	book  *book
}

// New returns the resolver of a peer, of which there is one at most. The error is about
// the webhook.
func New(p *peer.Peer, o Options) (*Resolver, error) {
	o = o.withDefaults()
	r := &Resolver{p: p, o: o, held: map[id.Document]string{}, book: newBook(o.Rest), fresh: make(chan struct{}, 1)}
	if o.Webhook.URL == "" {
		return r, nil
	}
	if err := o.Webhook.Check(); err != nil {
		return nil, err
	}
	r.hook = newHook(o.Webhook, p.StorageID(), o.Now, o.Log)
	return r, nil
}

// Run reads, settles and tells until ctx ends. It opens each document once to begin with,
// and from then on reads what has changed. An error is of the store as a whole; what is
// wrong with one document is logged, and tried again when that changes.
func (r *Resolver) Run(ctx context.Context) error {
	var telling sync.WaitGroup
	defer telling.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.hook != nil {
		telling.Go(func() { r.tell(ctx) })
	}
	tick := time.NewTicker(r.o.Poll)
	defer tick.Stop()
	for {
		if err := r.step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// step reads what has changed, and settles what is due.
func (r *Resolver) step(ctx context.Context) error {
	docs, through, err := r.p.StoredSince(ctx, r.row)
	if err != nil {
		return fmt.Errorf("look for conflicts: %w", err)
	}
	for _, doc := range docs {
		if err := r.read(ctx, doc); err != nil {
			return err
		}
	}
	r.row = through
	now := r.o.Now()
	if len(docs) > 0 {
		select {
		case r.fresh <- struct{}{}:
		default:
		}
	} else if r.told && (r.next.IsZero() || now.Before(r.next)) {
		return nil
	}
	r.mu.Lock()
	due, next := r.book.due(now)
	r.mu.Unlock()
	if r.next = next; len(due) > 0 {
		r.next = now // not all of them may be settled at once
	}
	for doc, conflicts := range due {
		if err := r.settle(ctx, doc, conflicts); err != nil {
			return err
		}
	}
	r.mu.Lock()
	counts := r.book.counts()
	r.mu.Unlock()
	if last := r.p.Resolving(); last == nil || *last != counts {
		r.p.SetResolving(counts)
	}
	r.told = true
	return nil
}

// read brings the book up to a document.
func (r *Resolver) read(ctx context.Context, doc id.Document) error {
	d, err := r.p.OpenDocument(ctx, doc)
	var reading peer.ConflictReading
	if err == nil {
		r.mu.Lock()
		since := slices.Clone(r.book.heads(doc))
		r.mu.Unlock()
		reading, err = d.ReadConflicts(ctx, peer.ConflictQuery{Since: since})
	}
	if err != nil {
		return r.failed(ctx, doc, "conflicts not read", err)
	}
	r.mu.Lock()
	r.book.update(doc, reading, r.o.Now())
	held := r.book.docs[doc].held
	r.mu.Unlock()
	if held != r.held[doc] {
		r.held[doc] = held
		if held != "" {
			r.o.Log.Warn("conflicts of a document are not settled", "doc", doc.String(), "err", held)
		}
	}
	return nil
}

// settle settles conflicts of one document by the rules.
func (r *Resolver) settle(ctx context.Context, doc id.Document, conflicts []peer.Conflict) error {
	d, err := r.p.OpenDocument(ctx, doc)
	if err == nil {
		_, err = d.MarkSchema(ctx)
	}
	if errors.Is(err, crdt.ErrNoChange) {
		err = nil
	}
	var settled []peer.Conflict
	if err == nil {
		settled, _, err = d.SettleDeclared(ctx, conflicts)
	}
	if len(settled) > 0 {
		r.o.Log.Info("conflicts settled by rule", "doc", doc.String(), "conflicts", len(settled))
	}
	if len(settled) == 0 {
		// Also if it is of places in others, which come first.
		r.mu.Lock()
		r.book.put(doc, r.o.Now())
		r.mu.Unlock()
	}
	if err != nil && !errors.Is(err, crdt.ErrNoChange) {
		return r.failed(ctx, doc, "conflicts not settled", err)
	}
	return r.read(ctx, doc)
}

// failed logs what went wrong with one document; the error is returned if it ends all.
func (r *Resolver) failed(ctx context.Context, doc id.Document, what string, err error) error {
	if ctx.Err() != nil || errors.Is(err, peer.ErrClosed) {
		return err
	}
	r.o.Log.Warn(what, "doc", doc.String(), "err", err)
	return nil
}

// tell tells the webhook, until ctx ends. Nothing else waits for it.
func (r *Resolver) tell(ctx context.Context) {
	for {
		now := r.o.Now()
		r.mu.Lock()
		list, next := r.book.untold(now, deliveryMost)
		r.mu.Unlock()
		if len(list) > 0 {
			if r.hook.deliver(ctx, list) != nil {
				return // ctx has ended
			}
			r.mu.Lock()
			r.book.tell(list)
			r.mu.Unlock()
			continue
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(max(next.Sub(now), r.o.Poll))
		}
		select {
		case <-r.fresh:
		case <-due:
		case <-ctx.Done():
			return
		}
	}
}
