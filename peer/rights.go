package peer

import (
	"errors"
	"maps"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// What those may do who connect to a peer that listens, as package access has it. An
// end that we have dialled is one that we trust with what we sync with it.

// guard holds an accepted connection to what it is granted.
func (c *conn) guard(g access.Gate, granted access.Grant) {
	c.gate = g
	c.pass = access.NewPass(g, granted, func(err error) {
		if c.ctx.Err() == nil {
			c.refuse(socket.CodeOf(err), err)
		}
	})
}

// mayOnlyRead reports whether changes of a document are not taken from the connection.
func (c *conn) mayOnlyRead(doc id.Document) bool {
	return c.pass != nil && c.pass.Grant().Document(doc) < access.Write
}

// renewPass replaces what the connection is granted.
func (c *conn) renewPass(m *wire.Token) error {
	if c.pass == nil || !c.gate.Asks() {
		return nil // nobody needs one
	}
	next, err := c.pass.Renew(c.ctx, m.Token)
	if errors.Is(err, access.ErrUnavailable) && c.remote.Metadata.Syncline > 0 {
		// The one before holds for as long as it says.
		c.send(&wire.Notice{Route: c.route(), Code: wire.NoticeOverLimit, RetryAfter: 10 * time.Second, Message: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	docs := slices.Collect(maps.Keys(c.docs))
	c.mu.Unlock()
	for _, doc := range docs {
		if next.Document(doc) == access.None {
			c.drop(doc)
		} else {
			c.p.desks.tell(doc, granted{conn: c.id, readOnly: c.mayOnlyRead(doc)})
		}
	}
	return nil
}

// drop ends the session of a document that the other end may no longer read.
func (c *conn) drop(doc id.Document) {
	c.mu.Lock()
	if d := c.docs[doc]; d != nil && d.now != standingBusy {
		c.rest--
	}
	delete(c.docs, doc)
	c.mu.Unlock()
	c.p.desks.tell(doc, leave{conn: c.id})
	c.send(&wire.Unavailable{Route: c.route(), Document: doc})
}

// takeGranted has a member begin anew with what it may do now: a session that begins
// asks for what was not taken before.
func (r *replica) takeGranted(in granted) {
	m := r.members[in.conn]
	if m == nil || m.readOnly == in.readOnly {
		return
	}
	m.readOnly, m.told = in.readOnly, false
	if m.session != nil {
		m.session = session.New(r.graph, r.orphans, session.Options{ReadOnly: m.readOnly, Anew: true})
		m.answer = true
	}
}

// decline tells a member that may only read that a change is not taken, whether it
// brings it or only says that it has it. It is told once.
func (r *replica) decline(m *member, h id.Hash) {
	if !m.told && !r.graph.Contains(h) {
		m.told = true
		r.do(sendRefusal{conn: m.conn, hash: h, err: access.ErrReadOnly})
	}
}
