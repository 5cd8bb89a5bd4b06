package resolve

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/peer"
)

// book is what is known of conflicts, and decides what is done about them. It does no
// I/O and has no clock.
type book struct {
	rest time.Duration
	docs map[id.Document]*pages
	byID map[string]*entry
}

// pages are the conflicts of a document.
type pages struct {
	heads    []id.Hash
	entities map[entity][]*entry
	held     string // why nothing is settled in it; "" if it may be
	more     int    // conflicts that are not in the book
}

type entity struct{ collection, id string }

// entry is a conflict since it was first seen with the values that it has.
type entry struct {
	peer.Conflict
	since time.Time
	told  bool // the webhook has taken it
}

func newBook(rest time.Duration) *book {
	return &book{rest: rest, docs: map[id.Document]*pages{}, byID: map[string]*entry{}}
}

// heads are those up to which the conflicts of a document are known; nil: none are.
func (b *book) heads(doc id.Document) []id.Hash {
	if p := b.docs[doc]; p != nil && p.more == 0 {
		return p.heads
	}
	return nil
}

// update takes up what was read of a document. A conflict that has got or lost a value
// is another one, and begins to rest anew.
func (b *book) update(doc id.Document, r peer.ConflictReading, now time.Time) {
	p := b.docs[doc]
	if p == nil {
		p = &pages{entities: map[entity][]*entry{}}
		b.docs[doc] = p
	}
	p.heads, p.more, p.held = r.Heads, r.More, r.Held
	before := map[string]*entry{}
	for e, entries := range p.entities {
		if !r.Read.Has(e.collection, e.id) {
			continue
		}
		for _, old := range entries {
			before[old.ID] = old
			delete(b.byID, old.ID)
		}
		delete(p.entities, e)
	}
	for _, c := range r.Conflicts {
		n := before[c.ID]
		if n == nil {
			n = &entry{Conflict: c, since: now}
		}
		n.Conflict = c // by its rule, which the mark may have changed
		e := entity{c.Collection, c.Entity}
		p.entities[e] = append(p.entities[e], n)
		b.byID[c.ID] = n
	}
}

// due returns the conflicts of each document that are to be settled by rule now, and when
// there may be more; zero if that depends on what happens.
func (b *book) due(now time.Time) (all map[id.Document][]peer.Conflict, next time.Time) {
	all = map[id.Document][]peer.Conflict{}
	for _, e := range b.byID {
		if !e.Due() || b.docs[e.Document].held != "" {
			continue
		}
		if at := e.since.Add(b.rest); at.After(now) {
			next = earlier(next, at)
		} else {
			all[e.Document] = append(all[e.Document], e.Conflict)
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(x, y peer.Conflict) int { return cmp.Compare(x.ID, y.ID) })
	}
	return all, next
}

// put has a document's conflicts that are due rest anew: they could not be settled.
func (b *book) put(doc id.Document, now time.Time) {
	for _, e := range b.byID {
		if e.Document == doc && e.Due() {
			e.since = now
		}
	}
}

// untold returns conflicts for a person that the webhook has not taken and that are at
// rest, the oldest first, and when there may be more.
func (b *book) untold(now time.Time, most int) (list []entry, next time.Time) {
	var ready []*entry
	for _, e := range b.byID {
		if !e.Unsettled() || e.told {
			continue
		}
		if at := e.since.Add(b.rest); at.After(now) {
			next = earlier(next, at)
		} else {
			ready = append(ready, e)
		}
	}
	slices.SortFunc(ready, func(x, y *entry) int { return cmp.Or(x.since.Compare(y.since), cmp.Compare(x.ID, y.ID)) })
	for _, e := range ready[:min(len(ready), most)] {
		list = append(list, *e)
	}
	return list, next
}

// tell notes that the webhook has taken conflicts.
func (b *book) tell(list []entry) {
	for _, c := range list {
		if e := b.byID[c.ID]; e != nil {
			e.told = true
		}
	}
}

// list returns the conflicts that are left for a person, by id, after one.
func (b *book) list(after string, most int) (page []entry, more bool) {
	for _, name := range slices.Sorted(maps.Keys(b.byID)) {
		e := b.byID[name]
		if name <= after || !e.Unsettled() {
			continue
		}
		if len(page) == most {
			return page, true
		}
		page = append(page, *e)
	}
	return page, false
}

// counts sums the book up.
func (b *book) counts() (r peer.Resolving) {
	for _, e := range b.byID {
		switch {
		case e.Unsettled():
			r.Unsettled++
		case e.Due():
			r.Due++
		}
	}
	for _, p := range b.docs {
		r.Unsettled += p.more // unread: they are somebody's to look at
		if p.held != "" {
			r.Held++
		}
	}
	return r
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
