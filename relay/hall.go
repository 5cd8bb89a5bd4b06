package relay

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/storage"
	"syncline/storage/fold"
)

// hall is what lies around one room: an inbox, a goroutine while there is something
// in it, the store, and the connections that the room's effects are for.
type hall struct {
	// Static after construction.
	relay *Relay
	doc   id.Document
	space *semaphore.Weighted // bytes that may wait in the inbox

	mu      sync.Mutex
	inbox   []parcel
	running bool // a goroutine takes from the inbox
	closed  bool // another hall may be made for the document

	// Guarded by halls.mu.
	idle idleEntry

	weight weight // as it was when the goroutine last ended

	// Owned by the goroutine, and by halls while there is none.
	at     *resting // what the room is to be woken from
	room   *room
	conns  map[connID]*conn
	broken error // why the room could not be opened

	rate   operate.Rate // new changes
	shared sharedFrame  // of the present round
}

// sharedFrame is a sync message as it goes to every connection of a round, but for
// whom it is for.
type sharedFrame struct {
	data, frame []byte
	gossip      *wire.Ephemeral // in place of data
}

// gossipFrame encodes an ephemeral message, once for all that it goes to.
func (h *hall) gossipFrame(m *wire.Ephemeral) []byte {
	if h.shared.gossip != m {
		frame, err := wire.EncodeShared(m)
		if err != nil {
			h.log().Error("message not sent", "err", err) // it was decoded, so never
			return nil
		}
		h.shared = sharedFrame{gossip: m, frame: frame}
	}
	return h.shared.frame
}

// frame encodes a sync message. Sessions that stand alike are sent the same bytes,
// which are encoded once.
func (h *hall) frame(data []byte) []byte {
	if s := &h.shared; len(s.data) != len(data) || &s.data[0] != &data[0] {
		frame, err := wire.EncodeShared(&wire.Sync{Route: wire.Route{SenderID: h.relay.local.PeerID}, Document: h.doc, Data: data})
		if err != nil {
			h.log().Error("message not sent", "err", err) // of our own making, so never
			return nil
		}
		h.shared = sharedFrame{data: data, frame: frame}
	}
	return h.shared.frame
}

// weight is what a hall has in memory.
type weight struct {
	sessions, changes, orphans int
	bytes                      int64
}

// parcel is an input with the bytes of inbox space that it holds.
type parcel struct {
	in   input
	cost int64
	conn *conn     // with enter only
	at   time.Time // when it was read; zero if nobody asks
}

// put queues an input, and reports false if the hall is closed: another one is to
// be asked for.
func (h *hall) put(p parcel) bool {
	ok, _ := h.queue(p, false)
	return ok
}

// queue queues an input. It reports whether the caller, if willing, is to call
// runHere: nobody drives the room, and the input is a message without changes, as
// most are. To start a goroutine for it would cost more than its round.
func (h *hall) queue(p parcel, willing bool) (ok, here bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false, false
	}
	h.inbox = append(h.inbox, p)
	if h.running {
		return true, false
	}
	h.running = true
	if m, ok := p.in.(message); ok && willing && h.room != nil && len(m.changes) == 0 {
		return true, true
	}
	h.relay.halls.spawn(h.run)
	return true, false
}

// run drives the room, round by round, until nothing waits for it.
func (h *hall) run() {
	if h.room == nil && h.broken == nil {
		h.load()
	}
	for h.next() || !h.relay.halls.pause(h) {
	}
}

// runHere drives the room for one round in the caller's goroutine. What has come in
// meanwhile has a goroutine of its own.
func (h *hall) runHere() {
	h.next()
	if !h.relay.halls.pause(h) {
		h.relay.halls.spawn(h.run)
	}
}

// next takes what waits through a round, and reports whether there was something.
func (h *hall) next() bool {
	turn := h.turn()
	defer turn.End()
	h.mu.Lock()
	ps := h.inbox
	h.inbox = nil
	h.mu.Unlock()
	if len(ps) == 0 {
		return false
	}
	if h.broken != nil {
		h.turnAway(ps)
	} else {
		h.round(ps, turn)
	}
	for _, p := range ps {
		h.space.Release(p.cost)
	}
	return true
}

// turn waits until the store takes new changes, if such are among what waits: what
// comes in until then is of the same round. It is nil if there is nothing to wait for.
func (h *hall) turn() *storage.Turn {
	if h.relay.halls.turn == nil || !h.hasNews() {
		return nil
	}
	return h.relay.halls.turn()
}

// turnCost is up to how much input the store is held up for, in bytes: all other
// documents wait for the round, too.
const turnCost = 64 << 10

// hasNews reports whether changes wait that are soon checked.
func (h *hall) hasNews() (news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cost := int64(0)
	for _, p := range h.inbox {
		m, ok := p.in.(message)
		news = news || ok && len(m.changes) > 0
		cost += p.cost
	}
	return news && cost <= turnCost
}

func (h *hall) log() *slog.Logger { return h.relay.o.Log.With("doc", h.doc.String()) }

// load makes the room from the store, without reading a body: from the newest part
// of a long document as long as that is enough.
func (h *hall) load() {
	if h.at != nil {
		for s := range h.at.seats {
			h.conns[s.conn.id] = s.conn
		}
	}
	ctx, store := h.relay.ctx, h.relay.store
	g, err := fold.Newest(ctx, store, h.doc)
	if err != nil {
		h.fail(err)
		return
	}
	h.room = newRoom(h.doc, g, fold.SourceOf(ctx, store, h.relay.segments, h.doc), graph.OrphanLimits{Bytes: h.relay.o.MaxOrphanBytes})
	if h.at == nil {
		return
	}
	if g.IsShallow() && h.room.lastRow() != h.at.row {
		h.deepen()
	}
	if h.broken == nil {
		h.room.wake(h.at)
	}
	h.at = nil
}

// deepen has the room go on over all of its document.
func (h *hall) deepen() {
	g, err := fold.Graph(h.relay.ctx, h.relay.store, h.doc)
	if err != nil {
		h.fail(err)
		return
	}
	h.room.use(g)
}

// evict closes the connections that are here.
func (h *hall) evict() {
	for _, c := range h.conns {
		c.ws.Close(wire.CloseNormal, errDeleted.Error())
	}
}

func (h *hall) fail(err error) {
	h.log().Error("document not opened", "err", err)
	h.broken = err
	for _, c := range h.conns {
		c.sendError(h.cannotOpen())
	}
}

func (h *hall) cannotOpen() string {
	return "document " + h.doc.String() + " cannot be opened by the relay; its operator finds the reason in the log"
}

// round takes all that is waiting, stores what is new in it, and does what the
// room then wants done. The turn may be nil.
func (h *hall) round(ps []parcel, turn *storage.Turn) {
	h.readElsewhere(ps)
	for _, p := range ps {
		if in, ok := p.in.(enter); ok {
			h.conns[in.conn] = p.conn
		}
		if _, ok := p.in.(evict); ok {
			h.evict()
		}
		if h.room.needsAll(p.in) && h.broken == nil {
			h.deepen()
		}
		if h.broken == nil {
			h.room.take(p.in) // which passes over what is for the hall
		}
	}
	if h.broken != nil {
		h.turnAway(ps)
		return
	}
	var rows []int64
	var err error
	if b, ok := h.room.batch(); ok {
		rows, err = h.relay.append(h.doc, b, turn)
	}
	turn.End()
	h.room.commit(rows, err)
	for _, e := range h.room.effects() {
		h.do(e)
	}
	h.shared = sharedFrame{}
	if len(rows) > 0 {
		h.rate.Add(time.Now(), int64(len(rows)))
		h.fannedOut(ps)
	}
	for _, p := range ps {
		// One that lost its rights and has them again has left and come back.
		if in, ok := p.in.(leave); ok && h.room.members[in.conn] == nil {
			delete(h.conns, in.conn)
		}
	}
}

// fannedOut measures how long the first of these took to be in every queue that it
// is for.
func (h *hall) fannedOut(ps []parcel) {
	for _, p := range ps {
		if !p.at.IsZero() {
			h.relay.metrics.FannedOut(time.Since(p.at))
			return
		}
	}
}

func (h *hall) do(e effect) {
	m := h.relay.metrics
	switch e := e.(type) {
	case sendSync:
		c := h.conns[e.conn]
		m.ChangesOut.Add(e.changes)
		m.SyncOut.Inc()
		var then func()
		if e.more {
			then = func() { h.relay.halls.tell(h.doc, written{conn: e.conn}) }
		}
		c.sendFrame(h.frame(e.data), then)
	case sendUnavailable:
		c := h.conns[e.conn]
		c.send(&wire.Unavailable{Route: c.route(), Document: h.doc})
	case sendGossip:
		c := h.conns[e.conn]
		m.EphemeralOut.Inc()
		c.sendFrame(h.gossipFrame(e.msg), nil)
	case sendRefusal:
		h.conns[e.conn].sendRefusal(h.doc, e.hash, e.err)
	case hangUp:
		if e.code == wire.CloseOverLimit {
			m.Rejected[operate.RejectOverLimit].Inc()
		}
		h.conns[e.conn].refuse(e.code, e.err)
	case tellHeads:
		h.tellHeads(e)
	case sendDigest:
		h.sendDigest(e)
	case disagreed:
		h.disagreed(e)
	case sendTwin:
		c := h.conns[e.conn]
		if c.remote.Metadata.Syncline > 0 {
			c.notice(wire.Notice{Code: wire.NoticeTwin, Document: h.doc, Hash: e.hash, Message: "document " + h.doc.String() + ": " + e.err.Error()})
		}
	case diverged:
		m.Divergences[operate.DivergedTwin].Inc()
		h.log().Warn("twins: an actor used a sequence number twice", "hash", e.hash, "err", e.err)
	case report:
		h.log().Warn(e.text, "hash", e.hash, "err", e.err)
	}
}

// turnAway answers for a document whose journal cannot be read: requests get
// "unavailable", and everyone is told why. Other documents are not affected.
func (h *hall) turnAway(ps []parcel) {
	for _, p := range ps {
		switch in := p.in.(type) {
		case enter:
			h.conns[in.conn] = p.conn
			p.conn.sendError(h.cannotOpen())
		case message:
			if c := h.conns[in.conn]; in.request {
				c.send(&wire.Unavailable{Route: c.route(), Document: h.doc})
			}
		case evict:
			h.evict()
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
	err := h.relay.store.Journal(h.relay.ctx, h.doc, after, func(row int64, hash id.Hash, head []byte) error {
		m, err := graph.DecodeMeta(hash, row, head)
		if err != nil {
			return err
		}
		in.metas = append(in.metas, m)
		return nil
	})
	if err != nil && h.relay.ctx.Err() == nil {
		h.log().Error("rows of another process not read", "err", err)
	}
	if h.room.needsAll(in) {
		h.deepen()
	}
	if h.broken == nil {
		h.room.take(in)
	}
}

// post queues an input for a document's room. It blocks while the inbox is full:
// the connection that brings so much is not read from meanwhile. What is posted
// after ctx has ended is dropped, as the connection is closing.
func (hs *halls) post(ctx context.Context, doc id.Document, p parcel) {
	p.cost = min(p.cost, hs.relay.o.MaxInbox)
	for {
		h := hs.open(doc)
		if h.space.Acquire(ctx, p.cost) != nil {
			return
		}
		ok, here := h.queue(p, hs.here)
		if here {
			h.runHere()
		}
		if ok {
			return
		}
		h.space.Release(p.cost)
	}
}
