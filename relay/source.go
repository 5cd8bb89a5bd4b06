package relay

import (
	"context"
	"time"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/admin"
)

// What an operator asks of a relay: it is an operate.Source.

// Ready says in one line why the relay takes no connections, or stores nothing.
// nil: it does.
func (r *Relay) Ready() error {
	if r.lobby.isClosed() {
		return errDraining
	}
	return r.disk.full()
}

// Status is how things stand, with at most rows connections and rows documents.
func (r *Relay) Status(rows int) operate.Status {
	r.sample(r.metrics)
	now := time.Now()
	s := operate.Status{
		Peer:     r.local.PeerID,
		Version:  r.o.Version,
		Started:  r.started.UTC(),
		Now:      now.UTC(),
		Counts:   r.metrics.Counts(r.o.MaxConnections),
		Traffic:  r.meter.Traffic(now),
		Limits:   r.limits(),
		Refusals: r.refusals.Recent(),
		Disk: operate.Disk{Free: r.disk.free.Load(), Size: r.disk.total.Load(), LowWater: r.disk.lowWater,
			Store: r.metrics.StoreBytes.Load(), ReadOnly: r.disk.readOnly.Load()},
		Compaction: r.metrics.Compaction(),
	}
	s.Compaction.Running = s.Compaction.Backlog > 0
	if last := r.lastCompaction.Load(); last != nil {
		s.Compaction.LastRun = last.at.UTC()
		if last.err != nil {
			s.Compaction.LastError = last.err.Error()
		}
	}
	conns := operate.NewTop(rows, operate.CompareConnections)
	r.mu.Lock()
	for c := range r.conns {
		conns.Offer(c.describe())
	}
	r.mu.Unlock()
	s.Conns = conns.List()
	rooms := operate.NewTop(rows, operate.CompareRooms)
	r.halls.rooms(func(doc id.Document, w weight, rate *operate.Rate) {
		rooms.Offer(operate.Room{Document: doc.String(), Sessions: w.sessions, Changes: int64(w.changes), GraphBytes: w.bytes,
			Orphans: w.orphans, Last60s: rate.PerSecond(now, time.Minute)})
	})
	s.Rooms = rooms.List()
	return s
}

func (c *conn) describe() operate.Connection {
	return operate.Connection{
		ID: uint64(c.id), Peer: c.remote.PeerID, Account: c.pass.Grant().Account, Address: c.address,
		Syncline: int(c.remote.Metadata.Syncline), Since: c.since.UTC(), Documents: int(c.documents.Load()),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), Queue: int64(c.ws.Queued()),
	}
}

func (r *Relay) limits() operate.Limits {
	o := &r.o
	return operate.Limits{
		"frameBytes": o.MaxFrame, "queueBytes": int64(o.MaxQueue), "connections": int64(o.MaxConnections),
		"connectionsPerAddress": int64(o.MaxPerAddress), "connectionsPerAccount": int64(o.MaxPerAccount),
		"documentsPerConnection": int64(o.MaxDocuments), "documentsPerAccount": int64(o.MaxAccountDocuments),
		"changesPerSecond": int64(o.ChangesPerSecond), "bytesPerSecond": int64(o.BytesPerSecond),
		"handshakeMs": o.HandshakeTimeout.Milliseconds(), "silenceMs": o.MaxSilence.Milliseconds(),
	}
}

// Capabilities are what a client may know of the relay before it connects.
func (r *Relay) Capabilities() operate.Capabilities {
	c := operate.Capabilities{
		Name: "syncline", Version: r.o.Version, Peer: r.local.PeerID, Protocol: []string{wire.Version}, Syncline: wire.Syncline,
		Sync: []int{1, 2}, Chunks: []string{"change", "deflated", "bundle", "document"},
		Features: []string{"ephemeral", "remote-heads", "notice", "token-refresh"}, Limits: r.limits(),
	}
	if r.o.Access != nil {
		c.Auth = operate.Auth{Required: true, Carriers: []string{"authorization", "subprotocol", "join"},
			Algorithms: []string{"EdDSA", "ES256", "RS256"}, Audience: r.o.Audience}
		c.Features = append(c.Features, "read-only")
	}
	return c
}

// Documents lists at most limit documents that follow after, nil: from the first.
func (r *Relay) Documents(ctx context.Context, after *id.Document, limit int) (admin.Page, error) {
	found, err := r.o.Store.DocumentsAfter(ctx, after, limit)
	if err != nil {
		return admin.Page{}, err
	}
	return admin.PageOf(found, limit), nil
}

// Document describes one of them.
func (r *Relay) Document(ctx context.Context, doc id.Document) (admin.Detail, error) {
	return admin.Describe(ctx, r.o.Store, doc)
}
