package relay

import (
	"fmt"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
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
	if gossip, ok := m.(*wire.Ephemeral); ok {
		// Its sender is its author, and may be someone else.
		return c.receiveGossip(gossip)
	}
	if sender, _ := m.Ends(); sender != c.remote.PeerID {
		c.drop(m, "its sender is not who joined here")
		return nil
	}
	switch m := m.(type) {
	case *wire.Sync:
		return c.receiveSync(m)
	case *wire.Unavailable:
		// Only of interest if the document has a room with us in it.
		if h := c.rooms[m.Document]; h != nil {
			h.post(c.ctx, unavailable{conn: c.id}, 0)
		}
	case *wire.Error:
		c.log.Warn("client reports an error", "text", fmt.Sprintf("%.200q", m.Message))
	case *wire.RemoteSubscription, *wire.RemoteHeads, *wire.Token, *wire.Notice:
		c.drop(m, "not acted on by this relay")
	case *wire.Join:
		c.drop(m, "joined already")
	default:
		c.drop(m, "unknown type")
	}
	return nil
}

func (c *conn) drop(m wire.Message, why string) {
	c.relay.count.dropped.Add(1)
	c.log.Debug("message dropped", "type", m.Type(), "why", why)
}

func (c *conn) receiveGossip(m *wire.Ephemeral) error {
	h, err := c.room(m.Document)
	if err != nil || h == nil {
		return err
	}
	h.post(c.ctx, gossip{conn: c.id, msg: m}, int64(len(m.Data)))
	return nil
}

// receiveSync decodes a sync message and checks each of its changes alone, here
// in the reader, so that connections share the processors.
func (c *conn) receiveSync(m *wire.Sync) error {
	msg, err := session.Decode(m.Data)
	if err != nil {
		return fmt.Errorf("document %s: %w", m.Document, err)
	}
	in := message{conn: c.id, request: m.Request, msg: msg}
	cost := int64(len(m.Data))
	in.changes, in.err = c.parse(msg)
	for _, change := range in.changes {
		cost += int64(len(change.Raw())) + changeCost
	}
	// What was parsed is in changes; what the room keeps need not hold the frame.
	msg.Chunks = nil
	h, err := c.room(m.Document)
	if err != nil || h == nil {
		return err
	}
	h.post(c.ctx, in, cost)
	return nil
}

// changeCost is about what a decoded change takes in memory beside its bytes.
const changeCost = 400

// parse is msg.Changes in its turn.
func (c *conn) parse(msg *session.Message) ([]*chunk.Change, error) {
	if msg.ChunkBytes() >= largeMessage {
		if err := c.relay.turns.Acquire(c.ctx, 1); err != nil {
			return nil, err
		}
		defer c.relay.turns.Release(1)
	}
	return msg.Changes()
}

// room returns the room of a document with this connection in it. It is nil, with
// no error, when the connection is closing.
func (c *conn) room(doc id.Document) (*hall, error) {
	if h := c.rooms[doc]; h != nil {
		return h, nil
	}
	if len(c.rooms) >= c.relay.o.MaxDocuments {
		return nil, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("more than %d documents on one connection", c.relay.o.MaxDocuments))
	}
	h, err := c.relay.halls.open(c.ctx, doc)
	if err != nil {
		return nil, nil
	}
	c.rooms[doc] = h
	in := enter{conn: c.id, peer: c.remote.PeerID}
	if !c.remote.Metadata.Ephemeral {
		in.remote = c.remote.Metadata.StorageID
	}
	if in.remote != "" {
		if in.saved, err = c.relay.o.Store.SyncState(c.ctx, doc, in.remote); err != nil {
			c.log.Warn("saved sync state not read", "doc", doc, "err", err)
		}
	}
	h.enter(c, in)
	return h, nil
}

// leaveRooms is the reader's last act.
func (c *conn) leaveRooms() {
	for doc, h := range c.rooms {
		h.leave(c.id)
		delete(c.rooms, doc)
	}
}
