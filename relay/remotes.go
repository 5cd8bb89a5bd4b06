package relay

import (
	"errors"
	"maps"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// Clients may ask to be told what heads others have, whom they know by storage id:
// so an app can say that a document has reached somebody's other device. What is
// known comes from sync messages here, and from other relays and peers as messages
// of their own. It is kept in memory, while the room is.

const (
	// maxRemotes bounds the ends that a room remembers the heads of; the one not
	// heard of for longest makes way.
	maxRemotes = 256
	// maxSubscriptions bounds the storage ids that one connection asks for.
	maxSubscriptions = 1024
)

// The inputs and the effect that are about them.
type (
	// elsewhere are heads that a member has heard of.
	elsewhere struct {
		conn  connID
		heads map[string]wire.RemoteHead
	}
	// subscribed asks for what is known.
	subscribed struct{ conn connID }
	// tellHeads tells those who have asked for this storage id; only one of them, if
	// that is set.
	tellHeads struct {
		from, only connID
		storage    string
		head       wire.RemoteHead
	}
)

// noteHeads takes note of a member's heads, when somebody wants to know.
func (r *room) noteHeads(m *member, heads []id.Hash, at time.Time) {
	if m.storage == "" || at.IsZero() || slices.Equal(heads, m.heads) || len(r.graph.Missing(heads)) > 0 {
		return
	}
	m.heads = heads
	head := wire.RemoteHead{Time: at}
	for _, h := range heads {
		head.Heads = append(head.Heads, h.Base58())
	}
	r.remember(m.conn, m.storage, head)
}

// remember keeps heads that are newer than those known.
func (r *room) remember(from connID, storage string, head wire.RemoteHead) {
	if known, ok := r.remotes[storage]; ok && !head.Time.After(known.Time) {
		return
	}
	if r.remotes == nil {
		r.remotes = make(map[string]wire.RemoteHead)
	}
	r.remotes[storage] = head
	if len(r.remotes) > maxRemotes {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(r.remotes)), func(a, b string) int { return r.remotes[a].Time.Compare(r.remotes[b].Time) })
		delete(r.remotes, oldest)
	}
	r.do(tellHeads{from: from, storage: storage, head: head})
}

func (r *room) takeElsewhere(in elsewhere) {
	m := r.members[in.conn]
	if m == nil || m.barred {
		return
	}
	for _, storage := range slices.Sorted(maps.Keys(in.heads)) {
		if head := in.heads[storage]; sensible(storage, head) {
			r.remember(m.conn, storage, head)
		}
	}
}

// sensible reports whether what a member has heard is of a size that an honest one
// sends: it is kept and passed on as it is.
func sensible(storage string, head wire.RemoteHead) bool {
	return len(storage) <= 256 && len(head.Heads) <= 256 &&
		!slices.ContainsFunc(head.Heads, func(h string) bool { return len(h) > 64 })
}

func (r *room) takeSubscribed(conn connID) {
	for _, storage := range slices.Sorted(maps.Keys(r.remotes)) {
		r.do(tellHeads{only: conn, storage: storage, head: r.remotes[storage]})
	}
}

// tellHeads carries the effect out.
func (h *hall) tellHeads(e tellHeads) {
	for n, c := range h.conns {
		if n == e.from || e.only != 0 && n != e.only || !c.wants(e.storage) {
			continue
		}
		c.send(&wire.RemoteHeads{Route: c.route(), Document: h.doc, Heads: map[string]wire.RemoteHead{e.storage: e.head}})
	}
}

// wants reports whether the client asked for the heads of a storage id, and may be
// told: it is in the room of the document, so it may read it.
func (c *conn) wants(storage string) bool {
	s := c.subscriptions.Load()
	if s == nil {
		return false
	}
	_, ok := (*s)[storage]
	return ok
}

// subscribe changes what the client wants to be told.
func (c *conn) subscribe(m *wire.RemoteSubscription) error {
	next := map[string]struct{}{}
	if s := c.subscriptions.Load(); s != nil {
		maps.Copy(next, *s)
	}
	had := len(next)
	for _, storage := range m.Remove {
		delete(next, storage)
	}
	for _, storage := range m.Add {
		next[storage] = struct{}{}
	}
	if len(next) > maxSubscriptions {
		return socket.WithCode(wire.CloseOverLimit, errors.New("too many subscriptions to the heads of others; a thousand are enough"))
	}
	c.subscriptions.Store(&next)
	c.relay.subscribers.Add(int64(len(next) - had))
	if len(m.Add) > 0 {
		for doc := range c.docs {
			c.relay.halls.tellAwake(doc, subscribed{conn: c.id})
		}
	}
	return nil
}

// unsubscribe is done when the connection ends.
func (c *conn) unsubscribe() {
	if s := c.subscriptions.Swap(nil); s != nil {
		c.relay.subscribers.Add(-int64(len(*s)))
	}
}
