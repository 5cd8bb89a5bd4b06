package relay

import (
	"context"
	"log/slog"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"

	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/relay/wire"
)

// hall is the goroutine around one room: an inbox, the store, and the connections
// that the room's effects are for.
type hall struct {
	// Static after construction.
	relay *Relay
	doc   id.Document
	log   *slog.Logger
	space *semaphore.Weighted // bytes that may wait in the inbox
	ready chan struct{}       // holds a token when there is news
	done  chan struct{}       // closed when the goroutine has ended

	// Guarded by halls.mu.
	connections int

	mu     sync.Mutex
	inbox  []parcel
	closed bool

	// Owned by the goroutine.
	room   *room
	conns  map[connID]*conn
	broken error // why the room could not be opened
}

// parcel is an input with the bytes of inbox space that it holds.
type parcel struct {
	in   input
	cost int64
	conn *conn // with enter only
}

// post queues an input. It blocks while the inbox is full: the connection that
// brings so much is not read from meanwhile. It fails only when ctx ends.
func (h *hall) post(ctx context.Context, in input, cost int64) error {
	cost = min(cost, h.relay.o.MaxInbox)
	if err := h.space.Acquire(ctx, cost); err != nil {
		return nil // the connection is closing
	}
	h.put(parcel{in: in, cost: cost})
	return nil
}

func (h *hall) enter(c *conn, in enter) error {
	h.put(parcel{in: in, conn: c})
	return nil
}

func (h *hall) put(p parcel) {
	h.mu.Lock()
	h.inbox = append(h.inbox, p)
	h.mu.Unlock()
	h.wake()
}

// leave takes a connection out of the room, and closes the room behind the last.
func (h *hall) leave(conn connID) {
	h.put(parcel{in: leave{conn: conn}})
	h.relay.halls.release(h)
}

func (h *hall) wake() {
	select {
	case h.ready <- struct{}{}:
	default:
	}
}

// collect waits for inputs. It returns none when the hall is closed and empty.
func (h *hall) collect() []parcel {
	for {
		h.mu.Lock()
		ps, closed := h.inbox, h.closed
		h.inbox = nil
		h.mu.Unlock()
		if len(ps) > 0 || closed {
			return ps
		}
		<-h.ready
	}
}

// run drives the room, round by round, until the last connection has left.
func (h *hall) run() {
	defer h.relay.halls.closed(h)
	h.load()
	for ps := h.collect(); len(ps) > 0; ps = h.collect() {
		if h.broken != nil {
			h.turnAway(ps)
		} else {
			h.round(ps)
		}
		for _, p := range ps {
			h.space.Release(p.cost)
		}
	}
}

// load makes the room from the journal, without reading a body.
func (h *hall) load() {
	g := graph.New()
	err := h.relay.o.Store.Journal(h.relay.ctx, h.doc, 0, func(row int64, hash id.Hash, head []byte) error {
		m, err := graph.DecodeMeta(hash, row, head)
		if err != nil {
			return err
		}
		return g.Add(m)
	})
	if err != nil {
		h.log.Error("document not opened", "err", err)
		h.broken = err
		return
	}
	g.Publish(nil)
	h.room = newRoom(h.doc, g, h.relay.o.Store.BodiesOf(h.relay.ctx, h.doc))
}

// round takes all that is waiting, stores what is new in it, and does what the
// room then wants done.
func (h *hall) round(ps []parcel) {
	h.readElsewhere(ps)
	for _, p := range ps {
		switch in := p.in.(type) {
		case enter:
			h.conns[in.conn] = p.conn
		case lookElsewhere:
			continue
		}
		h.room.take(p.in)
	}
	var rows []int64
	var err error
	if b, ok := h.room.batch(); ok {
		rows, err = h.relay.o.Store.Append(h.relay.ctx, b)
		if err != nil {
			h.relay.count.appendFailures.Add(1)
		} else {
			h.relay.count.changesIn.Add(int64(len(rows)))
		}
	}
	h.room.commit(rows, err)
	for _, e := range h.room.effects() {
		h.do(e)
	}
	for _, p := range ps {
		if in, ok := p.in.(leave); ok {
			delete(h.conns, in.conn)
		}
	}
}

func (h *hall) do(e effect) {
	count := &h.relay.count
	switch e := e.(type) {
	case sendSync:
		c := h.conns[e.conn]
		count.changesOut.Add(int64(e.changes))
		var then func()
		if e.more {
			then = func() { h.put(parcel{in: written{conn: e.conn}}) }
		}
		c.sendThen(&wire.Sync{Route: c.route(), Document: h.doc, Data: e.data}, then)
	case sendUnavailable:
		c := h.conns[e.conn]
		c.send(&wire.Unavailable{Route: c.route(), Document: h.doc})
	case sendGossip:
		c := h.conns[e.conn]
		count.ephemeralOut.Add(1)
		m := *e.msg
		m.TargetID = c.remote.PeerID
		c.send(&m)
	case sendRefusal:
		count.refused.Add(1)
		h.conns[e.conn].sendRefusal(h.doc, e.hash, e.err)
	case hangUp:
		h.conns[e.conn].refuse(e.code, e.err)
	case saveState:
		if err := h.relay.o.Store.SaveSyncState(h.relay.ctx, h.doc, e.remote, e.state); err != nil {
			h.log.Warn("sync state not saved", "err", err)
		}
	case report:
		h.log.Warn(e.text, "hash", e.hash, "err", e.err)
	}
}

// turnAway answers for a document whose journal cannot be read: requests get
// "unavailable", and everyone is told why. Other documents are not affected.
func (h *hall) turnAway(ps []parcel) {
	for _, p := range ps {
		switch in := p.in.(type) {
		case enter:
			h.conns[in.conn] = p.conn
			p.conn.sendError("document " + h.doc.String() + " cannot be opened by the relay; its operator finds the reason in the log")
		case message:
			if c := h.conns[in.conn]; in.request {
				c.send(&wire.Unavailable{Route: c.route(), Document: h.doc})
			}
		case leave:
			delete(h.conns, in.conn)
		}
	}
}

// lookElsewhere is an input of the hall: the journal has rows of this document
// above that one which another process may have written.
type lookElsewhere struct{ after int64 }

// readElsewhere gives the room what other processes have stored, if that is among
// the inputs. Rows of our own that lie between are known, and skipped by the room.
func (h *hall) readElsewhere(ps []parcel) {
	after := int64(math.MaxInt64)
	for _, p := range ps {
		if in, ok := p.in.(lookElsewhere); ok {
			after = min(after, in.after)
		}
	}
	if after == math.MaxInt64 {
		return
	}
	var in stored
	err := h.relay.o.Store.Journal(h.relay.ctx, h.doc, after, func(row int64, hash id.Hash, head []byte) error {
		m, err := graph.DecodeMeta(hash, row, head)
		if err != nil {
			return err
		}
		in.metas = append(in.metas, m)
		return nil
	})
	if err != nil && h.relay.ctx.Err() == nil {
		h.log.Error("rows of another process not read", "err", err)
	}
	h.room.take(in)
}
