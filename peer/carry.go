package peer

import (
	"context"
	"slices"
	"time"

	"syncline/crdt/id"

	"golang.org/x/sync/semaphore"
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
	docs := c.p.knownDocuments()
	for doc := range c.only {
		if !c.p.knows(doc) {
			docs = append(docs, doc)
		}
	}
	var suspects []id.Document
	if c.link != nil {
		docs, suspects = c.link.order(docs)
	}
	if c.carryEach(docs, carrySlots) {
		c.carryEach(suspects, 1)
	}
}

// carryEach takes up documents, so many at a time. It reports false if the
// connection has ended.
func (c *conn) carryEach(docs []id.Document, atATime int64) bool {
	slots := semaphore.NewWeighted(atATime)
	for _, doc := range docs {
		if !c.carries(doc) {
			continue
		}
		ctx, cancel := context.WithTimeout(c.ctx, carryPatience)
		err := slots.Acquire(ctx, 1)
		cancel()
		if c.ctx.Err() != nil {
			return false
		}
		if err == nil && !c.hold(doc, func() { slots.Release(1) }) {
			slots.Release(1) // it has been taken up since
			continue
		}
		if c.p.desks.post(c.ctx, doc, attach{c}, 0) != nil {
			return false
		}
	}
	return true
}

// renew begins a document's session anew, as on a new connection.
func (c *conn) renew(doc id.Document) {
	if !c.carries(doc) {
		return
	}
	c.stands(doc, standingBusy, nil)
	c.mu.Lock()
	c.docs[doc].met = false
	c.mu.Unlock()
	c.p.desks.post(c.ctx, doc, renew{c}, 0)
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
		return (c.only == nil || c.only[doc]) && (c.link == nil || c.link.admits(doc))
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
	in = enter{conn: c.id, peer: c.remote.PeerID, begin: c.dialed && !d.met, met: d.met, readOnly: c.mayOnlyRead(doc)}
	d.met = true
	if !c.remote.Metadata.Ephemeral {
		in.remote = c.remote.Metadata.StorageID
	}
	return in, true
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
