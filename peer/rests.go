package peer

import (
	"slices"
	"sync"
	"time"

	"syncline/crdt/id"
)

const (
	// compareAfter is for how long nothing may have happened to a document before
	// ends compare what they read in it: nobody types on after five seconds.
	compareAfter = 5 * time.Second
	// compareEvery is the least time between two comparisons of one document, and
	// between two in which a mismatch has it loaded anew.
	compareEvery = time.Minute
	// compareShare is the part of the time that may go into computing digests: one in
	// so many. The digest of a document of 10,000 entities takes some 100 ms, so 10 s pass
	// before the next.
	compareShare = 100
)

// rests decides when documents have come to rest, and are compared. It is as pure as a
// thing with a lock can be: it is told the time.
type rests struct {
	after time.Duration
	every time.Duration
	wake  chan struct{} // holds a token when a document was stirred that may be due first

	mu   sync.Mutex
	due  map[id.Document]time.Time // documents that were stirred and not compared since
	last map[id.Document]time.Time // when they were compared, of those that were lately
	free time.Time                 // none is compared before
	next time.Time                 // when somebody looks again; zero: not by itself
}

func newRests(after, every time.Duration) *rests {
	return &rests{after: after, every: every, wake: make(chan struct{}, 1), due: map[id.Document]time.Time{}, last: map[id.Document]time.Time{}}
}

// stir says that something has happened to a document that is open on a connection.
func (r *rests) stir(doc id.Document, now time.Time) {
	if r.after <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now.Add(r.after)
	if last, ok := r.last[doc]; ok && last.Add(r.every).After(at) {
		at = last.Add(r.every)
	}
	r.setLocked(doc, at)
}

func (r *rests) setLocked(doc id.Document, at time.Time) {
	r.due[doc] = at
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// take returns the documents that are to be compared now, by their ids, and how long
// it is to the next; 0 if there is none. They are compared again only once they have
// been stirred again.
func (r *rests) take(now time.Time) (docs []id.Document, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for doc, last := range r.last {
		if now.Sub(last) >= r.every {
			delete(r.last, doc)
		}
	}
	r.next = time.Time{}
	for doc, at := range r.due {
		if !at.After(now) {
			docs = append(docs, doc)
			delete(r.due, doc)
		} else if r.next.IsZero() || at.Before(r.next) {
			r.next = at
		}
	}
	slices.SortFunc(docs, compareDocuments)
	if r.next.IsZero() {
		return docs, 0
	}
	return docs, r.next.Sub(now)
}

// afford reports whether there is time for a digest. If not, the document is compared
// when there is.
func (r *rests) afford(doc id.Document, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free.After(now) {
		r.setLocked(doc, r.free)
		return false
	}
	return true
}

// spent says that a document's digest was computed, and what it has cost.
func (r *rests) spent(doc id.Document, now time.Time, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[doc] = now
	r.free = now.Add(took * (compareShare - 1))
}

// compareAtRest has documents compared until the peer closes.
func (p *Peer) compareAtRest() {
	for {
		docs, wait := p.rests.take(p.o.Now())
		for _, doc := range docs {
			p.desks.tell(doc, compareNow{})
		}
		if wait == 0 {
			wait = time.Hour // unless somebody stirs a document
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-p.rests.wake:
		case <-p.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// Compare has the documents compared that have come to rest, as a Peer does by itself.
// It returns in how long there are more, 0 if that depends on what happens.
func (s *Stepped) Compare() time.Duration {
	docs, wait := s.rests.take(s.o.Now())
	for _, doc := range docs {
		s.desks.tell(doc, compareNow{})
	}
	return wait
}
