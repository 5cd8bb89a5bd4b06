package peer

import (
	"maps"
	"slices"
	"sync"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire/access"
)

const (
	// carrySlots is how many documents of a new connection are compared with the
	// other end at a time: enough to keep the network busy, few enough that a
	// store of many documents does not have them all in memory at once.
	carrySlots = 64
	// carryPatience is how long those may keep the next one waiting.
	carryPatience = 3 * time.Second
)

// carryAll takes up each document that a dialled connection carries.
func (c *conn) carryAll() {
	k := c.newCarrier()
	for {
		doc, more := k.next()
		if more {
			if c.takeUp(k, doc) != nil {
				return
			}
			continue
		}
		if k.through() {
			return
		}
		t := time.NewTimer(carryPatience)
		select {
		case <-t.C:
			k.passOver()
		case <-k.freed:
		case <-c.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// newCarrier lists what a dialled connection carries.
func (c *conn) newCarrier() *carrier {
	docs := c.p.knownDocuments()
	for _, doc := range slices.SortedFunc(maps.Keys(c.only), compareDocuments) {
		if !c.p.knows(doc) {
			docs = append(docs, doc)
		}
	}
	var suspects []id.Document
	if c.link != nil {
		docs, suspects = c.link.order(docs)
	}
	return newCarrier(docs, suspects)
}

// takeUp has a document's desk seat the connection. The error is that it has ended.
func (c *conn) takeUp(k *carrier, doc id.Document) error {
	free := k.slot()
	if !c.carries(doc) || free != nil && !c.hold(doc, free) {
		if free != nil {
			free() // it is not carried, or has been taken up since
		}
		return c.ctx.Err()
	}
	return c.p.desks.post(c.ctx, doc, attach{c}, 0)
}

// restrict has the connection carry what a remote is to be synced with.
func (c *conn) restrict(r Remote) {
	if r.Documents != nil {
		c.only = make(map[id.Document]bool, len(r.Documents))
		for _, doc := range r.Documents {
			c.only[doc] = true
		}
	}
}

// carrier decides which document of a new connection is taken up next: so many at a
// time, and those suspected of having ended the last one singly, after all others.
type carrier struct {
	freed chan struct{} // holds a token when a slot was given back
	news  func()        // takes its place in a simulation; else nil

	mu       sync.Mutex
	docs     []id.Document
	suspects []id.Document
	slots    int // free ones
	phase    int
	pass     bool // the next one takes no slot
}

func newCarrier(docs, suspects []id.Document) *carrier {
	return &carrier{freed: make(chan struct{}, 1), docs: docs, suspects: suspects, slots: carrySlots}
}

// next returns the document to be taken up now, if there is one and a slot for it.
func (k *carrier) next() (doc id.Document, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.docs) == 0 && len(k.suspects) > 0 {
		k.docs, k.suspects = k.suspects, nil
		k.slots, k.pass = 1, false
		k.phase++
	}
	if len(k.docs) == 0 || k.slots == 0 && !k.pass {
		return doc, false
	}
	doc, k.docs = k.docs[0], k.docs[1:]
	return doc, true
}

// through reports whether there is nothing left.
func (k *carrier) through() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.docs)+len(k.suspects) == 0
}

// slot takes a slot for the document that next has returned, and returns what gives
// it back; nil if that one does without.
func (k *carrier) slot() (free func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.slots == 0 {
		k.pass = false
		return nil
	}
	k.slots--
	phase := k.phase
	return func() { k.free(phase) }
}

func (k *carrier) free(phase int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if phase != k.phase {
		return
	}
	k.slots++
	if k.news != nil {
		k.news()
		return
	}
	select {
	case k.freed <- struct{}{}:
	default:
	}
}

// passOver has the next document not wait for a slot.
func (k *carrier) passOver() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pass = true
}

// renew begins a document's session anew, as on a new connection. What the other end
// said meanwhile may have been dropped, so it is asked to say it again.
func (c *conn) renew(doc id.Document) {
	if !c.carries(doc) {
		return
	}
	c.stands(doc, standingBusy, nil)
	c.p.desks.post(c.ctx, doc, renew{c}, 0)
}

// forget has the next seat begin a session. The desk calls it: what it has been asked to
// do before would otherwise begin one, which the renewal ends before its first word.
func (c *conn) forget(doc id.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.docs[doc]; d != nil {
		d.met, d.anew = false, d.anew || d.met
	}
}

// underWay lists the documents that there is something to say or to hear of.
func (c *conn) underWay() (docs []id.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for doc, d := range c.docs {
		if d.met && d.now == standingBusy {
			docs = append(docs, doc)
		}
	}
	slices.SortFunc(docs, compareDocuments)
	return docs
}

// carries reports whether the document is to be synced on this connection.
func (c *conn) carries(doc id.Document) bool {
	if c.dialed {
		return (c.only == nil || c.only[doc]) && c.held[doc] == nil && (c.link == nil || c.link.admits(doc))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.docs[doc] != nil
}

// hold notes what is to be called once a document that has not begun stands
// anywhere. It reports false if that has happened.
func (c *conn) hold(doc id.Document, free func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.docs[doc]; d != nil {
		return false
	}
	c.docs[doc] = &carried{free: free}
	return true
}

// seat is the connection's first input for a replica of the document, unless it
// does not carry it or is closing.
func (c *conn) seat(doc id.Document) (in enter, ok bool) {
	c.takeAwaited(doc)
	if !c.carries(doc) {
		return in, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return in, false
	}
	d := c.carriedLocked(doc)
	if d == nil {
		return in, false
	}
	in = enter{conn: c.id, peer: c.remote.PeerID, begin: c.dialed && !d.met, met: d.met, anew: d.anew && !d.met, readOnly: c.mayOnlyRead(doc), spare: c.spare()}
	d.met = true
	if !c.remote.Metadata.Ephemeral {
		in.remote = c.remote.Metadata.StorageID
	}
	return in, true
}

// takeAwaited carries a document that is here now and that the other end spoke of when
// it was not: it has said its first word, so the next is ours.
func (c *conn) takeAwaited(doc id.Document) {
	if c.dialed || !c.p.knows(doc) || c.pass.Grant().Document(doc) == access.None {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.awaited[doc]; ok {
		delete(c.awaited, doc)
		c.docs[doc] = &carried{met: true}
	}
}

// carriedLocked is a document on the connection. What we have dialled for begins to
// be carried with that; what another end asked for is not carried any more if it is
// not there. It needs mu.
func (c *conn) carriedLocked(doc id.Document) *carried {
	d := c.docs[doc]
	if d == nil && c.dialed {
		d = &carried{}
		c.docs[doc] = d
	}
	return d
}

// stands notes how far a document has come.
func (c *conn) stands(doc id.Document, now standing, err error) {
	c.note(doc, now, err)
	if c.link != nil {
		c.link.stood(doc, now, err)
	}
}

func (c *conn) note(doc id.Document, now standing, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.carriedLocked(doc)
	if d == nil {
		return
	}
	if d.now == standingBusy && now != standingBusy {
		c.rest++
	} else if d.now != standingBusy && now == standingBusy {
		c.rest--
	}
	d.now, d.err = now, err
	if d.free != nil && now != standingBusy {
		d.free()
		d.free = nil
	}
	close(c.progress)
	c.progress = make(chan struct{})
	c.p.stir()
}

// resting is how many documents of the connection are not busy, and a channel that
// is closed when one comes to stand differently.
func (c *conn) resting() (n int, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rest, c.progress
}

// standings is how far documents have come.
func (c *conn) standings(docs []id.Document) []carried {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]carried, len(docs))
	for i, doc := range docs {
		if d := c.docs[doc]; d != nil {
			all[i] = *d
		}
	}
	return all
}
