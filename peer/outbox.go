package peer

import (
	"slices"
	"time"

	"syncline/crdt/id"
)

// outbox decides which documents are offered to one remote, and when those again
// that went wrong. It is pure: time and randomness are passed in. Documents of which
// nothing is known are offered at once; it has an entry only for the others, so one
// bad document costs the rest nothing.
//
// Where only the whole connection ends, because the remote closes it over something
// in one of many documents, the outbox finds out which: those that were under way are
// suspects, and are offered one at a time, after all others; the one alone under way
// at the next such end is at fault.
type outbox struct {
	backoff  Backoff
	letters  map[id.Document]*letter
	suspects map[id.Document]bool
}

// letter is a document that is not simply offered.
type letter struct {
	state    letterState
	fault    *Fault
	since    time.Time
	failures int       // in a row
	next     time.Time // when waiting
	kept     bool      // the store has it: if it has no longer, somebody took it out
}

// letterState is what becomes of a letter.
type letterState uint8

const (
	letterTrying  letterState = iota // it went wrong before, and is offered now
	letterWaiting                    // to be offered again at a time
	letterDead                       // it is not offered again by itself
	letterDropped                    // somebody has decided that it is not
)

// maxBlames is how many times in a row a document may end the connection before it
// is not offered any more.
const maxBlames = 3

func newOutbox(b Backoff) *outbox {
	return &outbox{backoff: b, letters: map[id.Document]*letter{}, suspects: map[id.Document]bool{}}
}

// admits reports whether a document may be offered.
func (o *outbox) admits(doc id.Document) bool {
	l := o.letters[doc]
	switch {
	case l == nil || l.state == letterTrying:
		return true
	case l.state == letterWaiting:
		return false
	}
	return l.state == letterDead && l.fault.Receives
}

// fail notes that a document went wrong at the remote. It reports true if that was
// the last attempt.
func (o *outbox) fail(doc id.Document, f *Fault, now time.Time, random float64) (dead bool) {
	l := o.letters[doc]
	if l == nil {
		l = &letter{}
		o.letters[doc] = l
	}
	if l.state == letterDropped || l.state == letterDead {
		return false
	}
	delete(o.suspects, doc)
	l.fault, l.since = f, now
	l.failures++
	delay, ok := o.backoff.After(f, l.failures, random)
	if !ok {
		l.state = letterDead
		return true
	}
	l.state, l.next = letterWaiting, now.Add(delay)
	return false
}

// settled notes that the remote and we stand alike.
func (o *outbox) settled(doc id.Document) {
	delete(o.suspects, doc)
	if l := o.letters[doc]; l != nil && l.state == letterTrying {
		delete(o.letters, doc)
	}
}

// due lists the documents whose time has come; they are tried from then on.
func (o *outbox) due(now time.Time) (docs []id.Document) {
	for doc, l := range o.letters {
		if l.state == letterWaiting && !l.next.After(now) {
			l.state = letterTrying
			docs = append(docs, doc)
		}
	}
	slices.SortFunc(docs, compareDocuments)
	return docs
}

// next is when something will be due; ok is false if nothing will.
func (o *outbox) next() (at time.Time, ok bool) {
	for _, l := range o.letters {
		if l.state == letterWaiting && (!ok || l.next.Before(at)) {
			at, ok = l.next, true
		}
	}
	return at, ok
}

// blame draws the consequences of a connection that ended with a fault while these
// documents were under way. It returns the one that is at fault, if that is clear
// now; dead says that it is not offered any more.
func (o *outbox) blame(underWay []id.Document, f *Fault, now time.Time, random float64) (culprit id.Document, found, dead bool) {
	left := make(map[id.Document]bool)
	for _, doc := range underWay {
		if len(o.suspects) == 0 || o.suspects[doc] {
			left[doc] = true
		}
	}
	if len(left) == 0 { // none of the suspects was there
		for _, doc := range underWay {
			left[doc] = true
		}
	}
	if len(left) != 1 {
		o.suspects = left
		return culprit, false, false
	}
	for culprit = range left {
	}
	clear(o.suspects)
	dead = o.fail(culprit, f, now, random)
	if l := o.letters[culprit]; l.failures >= maxBlames && l.state == letterWaiting {
		l.state, dead = letterDead, true
	}
	return culprit, true, dead
}

// bury notes what was decided about a document earlier, or by another process.
func (o *outbox) bury(doc id.Document, f *Fault, since time.Time, dropped bool) {
	state := letterDead
	if dropped {
		state = letterDropped
	}
	delete(o.suspects, doc)
	o.letters[doc] = &letter{state: state, fault: f, since: since, kept: true}
}

// kept notes that the store has a document's letter.
func (o *outbox) kept(doc id.Document) {
	if l := o.letters[doc]; l != nil {
		l.kept = true
	}
}

// buried lists the documents that are not offered any more, and of which the store
// says why.
func (o *outbox) buried() (docs []id.Document) {
	for doc, l := range o.letters {
		if l.state >= letterDead && l.kept {
			docs = append(docs, doc)
		}
	}
	slices.SortFunc(docs, compareDocuments)
	return docs
}

// revive has a document offered again, as if nothing had been wrong.
func (o *outbox) revive(doc id.Document) { delete(o.letters, doc) }

// order says which documents a new connection begins with, and which it takes up one
// at a time when it is through with those.
func (o *outbox) order(docs []id.Document) (first, suspects []id.Document) {
	for _, doc := range docs {
		if o.suspects[doc] {
			suspects = append(suspects, doc)
		} else {
			first = append(first, doc)
		}
	}
	return first, suspects
}

func compareDocuments(a, b id.Document) int { return slices.Compare(a[:], b[:]) }
