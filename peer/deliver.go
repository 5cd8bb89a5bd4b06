package peer

import (
	"context"
	"errors"
	"time"

	"syncline/crdt/id"
	"syncline/storage"
)

// heldLook is how often a link that has something held back looks whether another
// process has called Retry or Drop.
const heldLook = 2 * time.Second

// admits reports whether a document is offered to the remote.
func (l *link) admits(doc id.Document) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.box.admits(doc)
}

// order divides documents into those that a connection begins with, and those that
// it takes up one at a time.
func (l *link) order(docs []id.Document) (first, suspects []id.Document) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.box.order(docs)
}

// stood acts on how far a document has come on the connection.
func (l *link) stood(doc id.Document, now standing, err error) {
	switch {
	case now == standingSynced:
		l.mu.Lock()
		l.box.settled(doc)
		l.mu.Unlock()
	case now == standingBarred:
		f := faultOf(err)
		if f.Class == ClassLost {
			f.Class = ClassProtocol // it is about what was said
		}
		l.documentFailed(doc, f)
	case now == standingApart && errors.Is(err, ErrDeclined):
		l.documentFailed(doc, &Fault{Class: ClassForbidden, Err: err})
	}
}

// documentFailed notes that a document went wrong at the remote.
func (l *link) documentFailed(doc id.Document, f *Fault) {
	ctx := l.p.io
	if f.Class == ClassForbidden {
		// Who has nothing of it only asked for it.
		if d, err := l.p.store.Document(ctx, doc); err != nil || d.Changes == 0 {
			return
		}
	}
	now := l.p.o.Now()
	l.mu.Lock()
	dead := l.box.fail(doc, f, now, l.p.o.Rand())
	l.retries[f.Class]++
	l.mu.Unlock()
	l.p.o.Log.Warn("document not delivered", "url", l.spec.URL, "doc", doc.String(), "class", string(f.Class), "err", f.Err, "dead", dead)
	if dead {
		l.hold(ctx, doc, f, now)
	}
	l.poke() // after it is kept, so that what others do about it is looked for
	l.p.stir()
}

// hold keeps in the store why a document is not delivered.
func (l *link) hold(ctx context.Context, doc id.Document, f *Fault, now time.Time) {
	if err := l.p.store.SetUndelivered(ctx, doc, l.spec.URL, encodeDead(f, now, false)); err != nil {
		l.p.o.Log.Warn("not kept why a document is not delivered", "doc", doc.String(), "err", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.box.kept(doc)
}

// unkept is why a document is not delivered, if the store could not take that: nil if it
// has, or if nothing is held back. The next process would offer it again.
func (l *link) unkept(doc id.Document) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.box.letters[doc]
	if le == nil || le.state <= letterWaiting || le.kept {
		return nil
	}
	return encodeDead(le.fault, le.since, le.state == letterDropped)
}

// poke has the link look again what is due.
func (l *link) poke() {
	if l.news != nil {
		l.news()
		return
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// revive has a document offered again, or the remote tried again if doc is zero.
func (l *link) revive(doc id.Document) {
	l.mu.Lock()
	if doc == (id.Document{}) {
		l.failures, l.again, l.stopped = 0, true, false
	} else {
		l.box.revive(doc)
		l.revived = append(l.revived, doc)
	}
	l.mu.Unlock()
	l.poke()
	l.p.stir()
}

// bury notes that a document is not to be offered.
func (l *link) bury(doc id.Document, f *Fault, since time.Time, dropped bool) {
	l.mu.Lock()
	l.box.bury(doc, f, since, dropped)
	l.mu.Unlock()
	l.p.stir()
}

// heldBack reports whether something is.
func (l *link) heldBack() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped || len(l.box.buried()) > 0
}

// reread takes over what the store says is held back: it is from an earlier process,
// and another one may have called Retry or Drop.
func (l *link) reread(ctx context.Context) {
	l.mu.Lock()
	stopped, buried := l.stopped, l.box.buried()
	l.mu.Unlock()
	if stopped {
		if _, err := l.p.store.Value(ctx, keyStopped+l.spec.URL); errors.Is(err, storage.ErrNotFound) {
			l.revive(id.Document{})
		}
	}
	there := map[id.Document]bool{}
	err := l.p.store.Undelivered(ctx, func(u storage.Undelivered) error {
		if u.Remote == l.spec.URL {
			f, since, dropped := decodeDead(u.Record)
			there[u.Doc] = true
			l.mu.Lock()
			l.box.bury(u.Doc, f, since, dropped)
			l.mu.Unlock()
		}
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			l.p.o.Log.Warn("not read what is not delivered", "url", l.spec.URL, "err", err)
		}
		return
	}
	for _, doc := range buried {
		if !there[doc] {
			l.revive(doc)
		}
	}
}

// tend offers documents again while the connection stands: those whose time has
// come, and those that somebody wants to be tried.
func (l *link) tend(c *conn) {
	for {
		wait, held := l.offer(c)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			if held {
				l.reread(c.ctx)
			}
		case <-l.kick:
		case <-c.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// offer offers what is due, and says when to look again. held: what the store has
// is then to be read again first.
func (l *link) offer(c *conn) (wait time.Duration, held bool) {
	now := l.p.o.Now()
	l.mu.Lock()
	docs := append(l.box.due(now), l.revived...)
	l.revived = nil
	at, ok := l.box.next()
	held = len(l.box.buried()) > 0
	l.mu.Unlock()
	for _, doc := range docs {
		c.renew(doc)
	}
	wait = time.Hour // nothing is due, and whoever changes that pokes
	if ok {
		wait = max(time.Nanosecond, at.Sub(now))
	}
	if held {
		wait = min(wait, heldLook)
	}
	return wait, held
}
