package peer

import (
	"fmt"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// largeMessage is from how many bytes of chunks on a message waits for its turn
// to be parsed: there are as many turns as processors, so that many uploads at
// once take turns with the memory, too.
const largeMessage = 16 << 10

// receive acts on one frame. An error closes the connection.
func (c *conn) receive(frame []byte) error {
	m, err := wire.Decode(frame)
	if err != nil {
		return err
	}
	if _, ok := m.(*wire.Ephemeral); ok {
		return nil // nobody listens to them here
	}
	if sender, _ := m.Ends(); sender != c.remote.PeerID {
		c.log.Debug("message dropped", "type", m.Type(), "why", "its sender is not who is at the other end")
		return nil
	}
	switch m := m.(type) {
	case *wire.Sync:
		return c.receiveSync(m)
	case *wire.Unavailable:
		if c.carries(m.Document) {
			c.p.desks.tell(m.Document, unavailable{conn: c.id})
		}
	case *wire.Error:
		c.log.Warn("the other end reports an error", "err", fmt.Errorf("%.200s", m.Message))
	case *wire.Notice:
		c.notice(m)
	case *wire.Token:
		return c.renewPass(m)
	case *wire.Digest:
		c.receiveDigest(m)
	default:
		c.log.Debug("message dropped", "type", m.Type(), "why", "not acted on by a peer")
	}
	return nil
}

// notice acts on what the other end says of a document, or of the connection.
func (c *conn) notice(m *wire.Notice) {
	f, ok := faultOfNotice(m)
	about := m.Document != (id.Document{})
	if !ok || !about || c.link == nil {
		c.log.Warn("notice", "doc", m.Document.String(), "code", string(m.Code), "hash", m.Hash, "text", fmt.Sprintf("%.200s", m.Message))
	}
	switch {
	case !ok:
	case !about:
		c.mu.Lock()
		c.said = f
		c.mu.Unlock()
	default:
		if m.Code == wire.NoticeUnavailable && c.carries(m.Document) {
			c.p.desks.tell(m.Document, unavailable{conn: c.id})
		}
		switch {
		case !c.carries(m.Document):
		case c.link != nil:
			c.link.documentFailed(m.Document, f)
		case !f.Class.Mendable() && !f.Receives: // and nobody tries it again
			c.note(m.Document, standingBarred, f)
		}
	}
}

// receiveSync decodes a sync message and checks each of its changes alone, here
// in the reader, so that connections share the processors.
func (c *conn) receiveSync(m *wire.Sync) error {
	msg, err := session.Decode(m.Data)
	if err != nil {
		return fmt.Errorf("document %s: %w", m.Document, err)
	}
	if ok, err := c.take(m.Document); !ok {
		return err
	}
	in := message{conn: c.id, request: m.Request, msg: msg}
	cost := int64(len(m.Data))
	in.changes, in.err = c.parse(msg)
	for _, change := range in.changes {
		cost += int64(len(change.Raw())) + changeCost
	}
	c.count.changesIn.Add(int64(len(in.changes)))
	// What was parsed is in changes; what the desk keeps need not hold the frame.
	msg.Chunks = nil
	c.p.desks.post(c.ctx, m.Document, in, cost)
	return nil
}

// take reports whether a document that the other end speaks of is carried here,
// and has its desk know.
func (c *conn) take(doc id.Document) (bool, error) {
	if c.dialed {
		if !c.carries(doc) {
			c.log.Debug("message dropped", "doc", doc.String(), "why", "the document is not synced with this remote")
			return false, nil
		}
		return true, nil
	}
	c.mu.Lock()
	known, n := c.docs[doc] != nil, len(c.docs)+len(c.awaited)
	c.mu.Unlock()
	switch {
	case known:
		return true, nil
	case c.pass.Grant().Document(doc) == access.None:
		// What it may not know of looks like what is not there.
		c.send(&wire.Unavailable{Route: c.route(), Document: doc})
		return false, nil
	case n >= c.p.o.MaxDocuments:
		return false, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("more than %d documents on one connection", n))
	case !c.admits && c.await(doc):
		c.send(&wire.Unavailable{Route: c.route(), Document: doc})
		return false, nil
	}
	c.mu.Lock()
	delete(c.awaited, doc)
	if c.docs[doc] == nil { // else it has come this moment, and was awaited
		c.docs[doc] = &carried{}
	}
	c.mu.Unlock()
	return true, c.p.desks.post(c.ctx, doc, attach{c}, 0)
}

// await notes a document that the other end speaks of, may not bring, and is to hear
// of when it is there. It reports false if it is.
func (c *conn) await(doc id.Document) bool {
	c.mu.Lock()
	c.awaited[doc] = struct{}{}
	c.mu.Unlock()
	return !c.p.knows(doc) // asked last, as it may come meanwhile, and then looks for who awaits it
}

// changeCost is about what a decoded change takes in memory beside its bytes.
const changeCost = 400

// parse is msg.Changes in its turn.
func (c *conn) parse(msg *session.Message) ([]*chunk.Change, error) {
	if msg.ChunkBytes() >= largeMessage {
		if err := c.p.turns.Acquire(c.ctx, 1); err != nil {
			return nil, err
		}
		defer c.p.turns.Release(1)
	}
	return msg.Changes()
}
