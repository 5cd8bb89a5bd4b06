package relay

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// largeMessage is from how many bytes of chunks on a message is taken in parts, and
// waits for its turn to be parsed: there are as many turns as processors, so that
// many uploads at once take turns with the memory, too.
const largeMessage = 16 << 10

// receive acts on one frame. An error closes the connection.
func (c *conn) receive(frame []byte) error {
	m, err := c.decoder.Decode(frame)
	if err != nil {
		return err
	}
	if gossip, ok := m.(*wire.Ephemeral); ok {
		// Its sender is its author, and may be someone else.
		return c.receiveGossip(gossip)
	}
	if sender, _ := m.Ends(); sender != c.remote.PeerID {
		c.drop(m, operate.DropSender, "its sender is not who joined here")
		return nil
	}
	switch m := m.(type) {
	case *wire.Sync:
		return c.receiveSync(m)
	case *wire.Unavailable:
		// Only of interest if the document has a room with us in it.
		if _, ok := c.docs[m.Document]; ok {
			c.relay.halls.tell(m.Document, unavailable{conn: c.id})
		}
	case *wire.Error:
		c.log.Warn("client reports an error", "text", fmt.Sprintf("%.200q", m.Message))
	case *wire.Token:
		return c.renew(m)
	case *wire.RemoteSubscription:
		return c.subscribe(m)
	case *wire.RemoteHeads:
		if _, ok := c.docs[m.Document]; ok {
			c.relay.halls.tellAwake(m.Document, elsewhere{conn: c.id, heads: m.Heads})
		}
	case *wire.Digest:
		c.receiveDigest(m)
	case *wire.Notice:
		c.drop(m, operate.DropUnknown, "not acted on by this relay")
	case *wire.Join:
		c.drop(m, operate.DropUnknown, "joined already")
	default:
		c.drop(m, operate.DropUnknown, "unknown type")
	}
	return nil
}

func (c *conn) drop(m wire.Message, as operate.Drop, why string) {
	c.relay.metrics.Dropped[as].Inc()
	c.log.Debug("message dropped", "type", m.Type(), "why", why)
}

func (c *conn) receiveGossip(m *wire.Ephemeral) error {
	if ok, err := c.enter(m.Document); !ok {
		return err
	}
	c.relay.metrics.EphemeralIn.Inc()
	c.delay(c.ctx, 0, len(m.Data))
	c.post(m.Document, gossip{conn: c.id, msg: m}, int64(len(m.Data)))
	return nil
}

// receiveSync decodes a sync message and checks each of its changes alone, here
// in the reader, so that connections share the processors.
func (c *conn) receiveSync(m *wire.Sync) error {
	msg, err := session.Decode(m.Data)
	if err != nil {
		return fmt.Errorf("document %s: %w", m.Document, err)
	}
	c.relay.metrics.SyncIn.Inc()
	if ok, err := c.enter(m.Document); !ok {
		if err == nil {
			c.relay.metrics.Refused(operate.Unavailable)
			c.send(&wire.Unavailable{Route: c.route(), Document: m.Document})
		}
		return err
	}
	in := message{conn: c.id, request: m.Request, msg: msg}
	if c.relay.subscribers.Load() > 0 {
		in.at = time.Now()
	}
	if msg.ChunkBytes() < largeMessage {
		in.changes, in.err = msg.Changes()
	} else {
		in.changes, in.err = c.receiveLarge(m.Document, msg)
	}
	// What was parsed is in changes; what the room keeps need not hold the frame.
	msg.Chunks = nil
	c.delay(c.ctx, len(in.changes), len(m.Data))
	c.post(m.Document, in, costOf(in.changes)+int64(len(m.Data)))
	return nil
}

// changeCost is about what a decoded change takes in memory beside its bytes.
const changeCost = 400

func costOf(changes []*chunk.Change) (cost int64) {
	for _, change := range changes {
		cost += int64(len(change.Raw())) + changeCost
	}
	return cost
}

// partCost is how much of a large message is handed over at a time.
const partCost = 512 << 10

// receiveLarge hands over the changes of a message in parts, so that no more of
// them lie in memory than fit the inbox, and returns the last part. They are parsed
// in turns.
func (c *conn) receiveLarge(doc id.Document, msg *session.Message) (rest []*chunk.Change, err error) {
	if err := c.relay.turns.Acquire(c.ctx, 1); err != nil {
		return nil, err
	}
	defer c.relay.turns.Release(1)
	cost := int64(0)
	for _, b := range msg.Chunks {
		for change, err := range chunk.Changes(b) {
			if err != nil {
				return nil, err
			}
			rest = append(rest, change)
			if cost += int64(len(change.Raw())) + changeCost; cost < partCost {
				continue
			}
			// The others go on while this one waits for room in the inbox.
			c.relay.turns.Release(1)
			c.delay(c.ctx, len(rest), 0)
			c.post(doc, part{conn: c.id, changes: rest}, cost)
			if err := c.relay.turns.Acquire(context.WithoutCancel(c.ctx), 1); err != nil {
				return nil, err
			}
			if c.ctx.Err() != nil {
				return nil, c.ctx.Err()
			}
			rest, cost = nil, 0
		}
	}
	return rest, nil
}

func (c *conn) post(doc id.Document, in input, cost int64) {
	c.relay.halls.post(c.ctx, doc, parcel{in: in, cost: cost, at: time.Now()})
}

// enter makes the connection a member of a document's room, if it is not one and
// may be. What it may not know of looks like what is not there.
func (c *conn) enter(doc id.Document) (ok bool, err error) {
	if _, ok := c.docs[doc]; ok {
		return true, nil
	}
	may := c.pass.Grant().Document(doc)
	if may == access.None {
		return false, nil
	}
	if len(c.docs) >= c.relay.o.MaxDocuments {
		return false, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("more than %d documents on one connection", c.relay.o.MaxDocuments))
	}
	release, ok := c.relay.deletions.hold(c.ctx, doc)
	if !ok {
		return false, nil // the connection closes
	}
	defer release()
	if !c.relay.lobby.documents(c.account, 1) {
		return false, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("more than %d documents on the connections of this account", c.relay.o.MaxAccountDocuments))
	}
	c.docs[doc] = struct{}{}
	c.documents.Add(1)
	c.relay.metrics.Sessions.Add(1)
	in := enter{conn: c.id, peer: c.remote.PeerID, storage: c.storage(), readOnly: may == access.Read}
	c.relay.halls.post(context.WithoutCancel(c.ctx), doc, parcel{in: in, conn: c})
	return true, nil
}

// leave ends the session of one document.
func (c *conn) leave(doc id.Document) {
	delete(c.docs, doc)
	c.documents.Add(-1)
	c.relay.metrics.Sessions.Add(-1)
	c.relay.lobby.documents(c.account, -1)
	c.relay.halls.leave(doc, c)
}

// leaveRooms is the reader's last act.
func (c *conn) leaveRooms() {
	// In one order, so that a simulation's runs can be had again.
	for _, doc := range slices.SortedFunc(maps.Keys(c.docs), func(a, b id.Document) int { return bytes.Compare(a[:], b[:]) }) {
		c.leave(doc)
	}
}
