package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"

	"syncline/crdt/id"
	"syncline/storage"
)

// SyncOptions say what Sync does.
type SyncOptions struct {
	// Remotes are whom to sync with. nil: those of Options.Remotes and Connect. A
	// remote's own Documents are not looked at if Documents is set.
	Remotes []Remote
	// Documents are what to sync, those included that are to be fetched. nil: all
	// that the store has, and what its workspace comes to list.
	Documents []id.Document
	// Progress is called, if set, whenever a document has come to an end with a
	// remote or has to go on: done of total. Calls do not overlap.
	Progress func(done, total int)
}

// SyncOutcome says how it ended for a document with a remote.
type SyncOutcome string

// The outcomes.
const (
	// SyncDone: all that we have is acknowledged, and we have all that it has.
	SyncDone SyncOutcome = "synced"
	// SyncMissing: neither we nor the remote has the document.
	SyncMissing SyncOutcome = "missing"
	// SyncFailed: see Err, which may be ErrApart, ErrDeclined, ErrReadOnly, ErrHeld or
	// a *Fault.
	SyncFailed SyncOutcome = "failed"
	// SyncPending: time was up, or the connection lost.
	SyncPending SyncOutcome = "pending"
)

// SyncResult is what became of one document with one remote.
type SyncResult struct {
	Remote   string // URL
	Document id.Document
	Outcome  SyncOutcome
	Err      error // with SyncFailed and SyncPending
}

// ErrHeld: the document is dead or dropped in the outbox of the remote, and was not
// offered. Outbox says why in full, and Retry has it offered again.
var ErrHeld = errors.New("held back in the outbox")

// ErrNotSynced: Sync has ended, and some documents have not come to SyncDone. The
// results say which and why.
var ErrNotSynced = errors.New("not everything is synced")

// Sync connects to remotes once and comes back when there is nothing left to send
// or to receive: each of our changes is acknowledged, that is durable at the
// remote. It needs no Run and does not disturb one. The error is nil only if every
// document has come to SyncDone with every remote, those aside that are empty and
// that nobody has asked for; it wraps ErrNotSynced, or is those of the remotes
// that could not be reached. ctx bounds it all.
func (p *Peer) Sync(ctx context.Context, o SyncOptions) ([]SyncResult, error) {
	remotes := o.Remotes
	if remotes == nil {
		p.mu.Lock()
		for _, l := range p.links {
			remotes = append(remotes, l.spec)
		}
		p.mu.Unlock()
	}
	if len(remotes) == 0 {
		return nil, fmt.Errorf("%w: no remote to sync with is given", ErrNotSynced)
	}
	s := &syncing{p: p, o: o, counts: make([][2]int, len(remotes))}
	results := make([][]SyncResult, len(remotes))
	errs := make([]error, len(remotes))
	var all sync.WaitGroup
	for i, r := range remotes {
		if o.Documents != nil {
			r.Documents = o.Documents
		}
		all.Go(func() { results[i], errs[i] = s.with(ctx, i, r) })
	}
	all.Wait()
	var list []SyncResult
	for i := range results {
		list = append(list, results[i]...)
	}
	if err := errors.Join(errs...); err != nil {
		return list, err // each names its remote
	}
	failed := 0
	for _, r := range list {
		if r.Outcome != SyncDone && (r.Outcome != SyncMissing || p.wants(r.Document) || o.Documents != nil) {
			failed++
		}
	}
	if failed > 0 {
		return list, fmt.Errorf("%w: %d of %d documents", ErrNotSynced, failed, len(list))
	}
	return list, nil
}

// wants reports whether a document was asked for.
func (p *Peer) wants(doc id.Document) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.wanted[doc]
	return ok
}

type syncing struct {
	p *Peer
	o SyncOptions

	mu     sync.Mutex
	counts [][2]int // by remote: done, total
}

// progress reports the sums over all remotes.
func (s *syncing) progress(remote, done, total int) {
	if s.o.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[remote] == [2]int{done, total} {
		return
	}
	s.counts[remote] = [2]int{done, total}
	done, total = 0, 0
	for _, c := range s.counts {
		done += c[0]
		total += c[1]
	}
	s.o.Progress(done, total)
}

// with syncs with one remote, over a connection of its own.
func (s *syncing) with(ctx context.Context, n int, r Remote) ([]SyncResult, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	held, err := s.held(ctx, r)
	if err != nil {
		return nil, err
	}
	// Its own peer id: a second connection of the same peer would end the first.
	c, err := s.p.dial(ctx, r, s.p.self+"-sync-"+rand.Text()[:8], nil, held)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.run() }()
	for {
		total := s.count(r)
		resting, changed := c.resting()
		s.progress(n, min(resting, total), total)
		if docs, all, ok := s.rest(c, r, resting >= total); ok {
			// What came may have brought a workspace that lists more.
			more, err := s.p.followWorkspaceOnce(ctx)
			if err == nil && more {
				continue
			}
			c.closeDown()
			return s.results(r, docs, all, err), errors.Join(err, <-ended)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.closeDown()
			<-ended
			return s.now(c, r, context.Cause(ctx)), nil
		case err := <-ended:
			if err == nil {
				err = fmt.Errorf("%s has closed the connection", r.URL)
			}
			return s.now(c, r, err), err
		}
	}
}

// held are the documents that are not offered to a remote, and why.
func (s *syncing) held(ctx context.Context, r Remote) (map[id.Document]error, error) {
	held := map[id.Document]error{}
	err := s.p.store.Undelivered(ctx, func(u storage.Undelivered) error {
		f, _, dropped := decodeDead(u.Record)
		switch {
		case u.Remote != r.URL || r.Documents != nil && !slices.Contains(r.Documents, u.Doc):
		case dropped:
			held[u.Doc] = fmt.Errorf("%w, because it was dropped: %w", ErrHeld, f.Err)
		case !f.Receives:
			held[u.Doc] = fmt.Errorf("%w: %w", ErrHeld, f.Err)
		}
		return nil
	})
	return held, err
}

// rest reports whether all documents have come to rest. It looks only if they may
// have: there can be very many.
func (s *syncing) rest(c *conn, r Remote, may bool) (docs []id.Document, all []carried, ok bool) {
	if !may {
		return nil, nil, false
	}
	docs = s.documents(r)
	all = c.standings(docs)
	return docs, all, !slices.ContainsFunc(all, func(d carried) bool { return d.now == standingBusy })
}

// now is how things stand when there is no more time.
func (s *syncing) now(c *conn, r Remote, why error) []SyncResult {
	docs := s.documents(r)
	return s.results(r, docs, c.standings(docs), why)
}

// count is how many documents are to be synced with a remote.
func (s *syncing) count(r Remote) int {
	if r.Documents != nil {
		return len(r.Documents)
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return len(s.p.order)
}

// documents lists what is to be synced with a remote as things are.
func (s *syncing) documents(r Remote) []id.Document {
	if r.Documents != nil {
		return r.Documents
	}
	return s.p.knownDocuments()
}

func (s *syncing) results(r Remote, docs []id.Document, all []carried, err error) []SyncResult {
	list := make([]SyncResult, len(docs))
	for i, doc := range docs {
		res := SyncResult{Remote: r.URL, Document: doc}
		switch all[i].now {
		case standingSynced:
			res.Outcome = SyncDone
		case standingMissing:
			res.Outcome = SyncMissing
		case standingBarred, standingApart:
			res.Outcome, res.Err = SyncFailed, all[i].err
		default:
			res.Outcome, res.Err = SyncPending, err
		}
		list[i] = res
	}
	return list
}
