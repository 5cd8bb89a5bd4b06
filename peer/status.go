package peer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/storage"
)

// Status is a reading of how a peer stands, together with those in other processes
// that run on the same file.
type Status struct {
	PeerID    string
	StorageID string
	Path      string
	// Running is how many peers keep the file's remotes connected: this one, if Run is
	// running, and those of other processes.
	Running   int
	Documents []DocumentStatus
	// Remotes are as they were added here, then those of other processes, then those
	// that the file was synced with at some time.
	Remotes []RemoteStatus
	Clients []ClientStatus // connections that others have made
	Open    int            // documents open in the core, in this process
	Memory  int64          // bytes of C memory that they take, by estimate
	// Unacknowledged is how many changes no other end is known to have, over all
	// documents: the depth of what would be lost with this store.
	Unacknowledged int
	// Oldest is when the first of those was made, of those made here; zero if there is
	// none.
	Oldest time.Time
	// Mismatches are documents that another end with the same heads reads differently,
	// the last of each, unless it agrees by now.
	Mismatches []Mismatch
	// Resolving is how the settling of conflicts stands, nil if none of the peers that are
	// Running does it.
	Resolving *Resolving
	Counters  Counters // since Open, of all that are Running and of this peer
}

// DocumentStatus is how one document stands.
type DocumentStatus struct {
	Info
	// Quarantined are changes that are kept and not part of the document.
	Quarantined []QuarantinedChange
	// Divergences is how many sequence numbers an actor has used more than once:
	// a machine was copied while it ran, or somebody forges.
	Divergences int
	// Pending is how many of the document's changes a remote is not known to have,
	// by its storage id, or "" for those that were never reached; only remotes are
	// listed that lack some.
	Pending map[string]int
	// Unacknowledged and Oldest are as in Status.
	Unacknowledged int
	Oldest         time.Time
}

// QuarantinedChange is a change that is kept out of its document.
type QuarantinedChange struct {
	Hash   id.Hash
	Reason string
	Time   time.Time
	// Again is the change that has its operations now: those of this device are
	// issued again. Zero if there is none.
	Again id.Hash
	// Lost is how many of its operations are not in that change, because what they
	// work on is not in the document any more.
	Lost int
}

// RemoteStatus is how a remote is reached.
type RemoteStatus struct {
	URL       string
	State     LinkState
	Since     time.Time // of the state
	Failures  int       // in a row
	Class     Class     // of Err
	Err       error     `json:"-"` // of the last attempt, nil when connected, or if it is of another process
	Reason    string    // Err in words
	Next      time.Time // of the next attempt, when waiting
	PeerID    string    // what it called itself last, "" before the first connection
	StorageID string
	Pending   int // changes that it is not known to have, over all documents
	// Retries counts what went wrong since Open, with the remote and with documents
	// at it.
	Retries map[Class]int64
	// Waiting, Dead and Dropped count documents: see Peer.Outbox.
	Waiting, Dead, Dropped int
	Traffic
}

// ClientStatus is a connection that somebody else has made.
type ClientStatus struct {
	PeerID    string
	StorageID string
	Documents int
	Traffic
}

// Traffic is what went over a connection.
type Traffic struct {
	BytesIn, BytesOut     int64 // payload of frames
	ChangesIn, ChangesOut int64
}

// Status takes stock. It reads the graphs of documents that are not in use only
// where a remote lacks changes.
func (p *Peer) Status(ctx context.Context) (Status, error) {
	s := Status{
		PeerID: p.self, StorageID: p.StorageID(), Path: p.Path(), Open: p.cache.Len(), Memory: p.cache.MemoryBytes(),
		Remotes: p.remoteStatus(), Clients: p.clientStatus(), Counters: p.Counters(), Mismatches: p.mismatches.all(),
		Resolving: p.resolving.Load(),
	}
	p.mu.Lock()
	if p.run != nil {
		s.Running++
	}
	p.mu.Unlock()
	infos, err := p.Documents(ctx)
	if err == nil {
		err = p.others.load(ctx, p.store) // as another process may know them
	}
	if err == nil {
		err = p.statusElsewhere(ctx, &s)
	}
	if err != nil {
		return s, err
	}
	remotes := map[string]bool{} // by storage id
	for _, r := range s.Remotes {
		remotes[r.StorageID] = true
	}
	all, err := p.takeCensus(ctx)
	if err != nil {
		return s, err
	}
	for _, info := range infos {
		d, err := p.documentStatus(ctx, info, remotes, all)
		if err != nil {
			return s, err
		}
		s.Documents = append(s.Documents, d)
		for i := range s.Remotes {
			s.Remotes[i].Pending += d.Pending[s.Remotes[i].StorageID]
		}
		s.Unacknowledged += d.Unacknowledged
		if !d.Oldest.IsZero() && (s.Oldest.IsZero() || d.Oldest.Before(s.Oldest)) {
			s.Oldest = d.Oldest
		}
	}
	return s, nil
}

// statusElsewhere adds what other processes report, and the remotes that the file
// was synced with before.
func (p *Peer) statusElsewhere(ctx context.Context, s *Status) error {
	have := map[string]bool{}
	for _, r := range s.Remotes {
		have[r.URL] = true
	}
	err := p.reports(ctx, func(r report) {
		s.Running++
		for _, remote := range r.Remotes {
			have[remote.URL] = true
			s.Remotes = append(s.Remotes, remote)
		}
		s.Clients = append(s.Clients, r.Clients...)
		s.Mismatches = append(s.Mismatches, r.Mismatches...)
		s.Counters.add(r.Counters)
		if r.Resolving != nil {
			s.Resolving = r.Resolving
		}
	}, func(string) {})
	if err != nil {
		return err
	}
	for _, url := range p.urls() {
		if !have[url] {
			s.Remotes = append(s.Remotes, RemoteStatus{URL: url, State: LinkIdle, StorageID: p.others.at(url)})
		}
	}
	return nil
}

func (p *Peer) remoteStatus() (list []RemoteStatus) {
	for _, l := range p.allLinks() {
		r := l.status()
		if r.StorageID == "" {
			r.StorageID = p.others.at(r.URL)
		}
		list = append(list, r)
	}
	return list
}

func (p *Peer) clientStatus() (list []ClientStatus) {
	for _, c := range p.connections() {
		if !c.dialed {
			c.mu.Lock()
			n := len(c.docs)
			c.mu.Unlock()
			list = append(list, ClientStatus{PeerID: c.remote.PeerID, StorageID: c.remote.Metadata.StorageID, Documents: n, Traffic: c.traffic()})
		}
	}
	slices.SortFunc(list, func(a, b ClientStatus) int { return cmp.Compare(a.PeerID, b.PeerID) })
	return list
}

func (c *conn) traffic() Traffic {
	return Traffic{c.count.socket.BytesIn.Load(), c.count.socket.BytesOut.Load(), c.count.changesIn.Load(), c.count.changesOut.Load()}
}

func (p *Peer) documentStatus(ctx context.Context, info Info, remotes map[string]bool, all *census) (DocumentStatus, error) {
	d := DocumentStatus{Info: info}
	var err error
	if !all.clean(info.ID) {
		err = p.store.Quarantined(ctx, info.ID, func(e storage.Evidence) error {
			d.Quarantined = append(d.Quarantined, QuarantinedChange{Hash: e.Hash, Reason: e.Reason, Time: e.Time})
			return nil
		})
	}
	if err != nil {
		return d, err
	}
	if slices.ContainsFunc(d.Quarantined, func(c QuarantinedChange) bool { return c.Reason == reasonTwin }) {
		if err := p.twinStatus(ctx, &d); err != nil {
			return d, err
		}
	}
	if d.Pending, err = p.lacks(ctx, info, remotes, all); err != nil {
		return d, err
	}
	if len(d.Pending) < len(remotes) {
		return d, nil // somebody has all of it
	}
	if all.unmet(d.ID) && p.desks.get(d.ID) == nil {
		return d, p.unacknowledgedAll(ctx, &d)
	}
	return d, p.unacknowledged(ctx, &d)
}

// unacknowledged counts the changes of a document that no other end is known to have.
func (p *Peer) unacknowledged(ctx context.Context, d *DocumentStatus) error {
	if d.Changes == 0 {
		return nil
	}
	first := int64(0) // the lowest row of ours
	err := p.ask(ctx, d.ID, func(desk *desk) error {
		ends, err := desk.ends(ctx)
		if err != nil {
			return err
		}
		var have []id.Hash
		for _, e := range ends {
			have = append(have, e.heads...)
		}
		g := desk.r.graph
		nodes := g.Since(have)
		d.Unacknowledged = len(nodes)
		for _, n := range nodes {
			if row := g.Row(n); (first == 0 || row < first) && desk.again.dev.wrote(g.Meta(n).Actor) {
				first = row
			}
		}
		return nil
	})
	if err != nil || first == 0 {
		return err
	}
	o, err := p.store.Operation(ctx, first)
	if errors.Is(err, storage.ErrNotFound) {
		return nil // it is from before operations were recorded, or from a file
	}
	d.Oldest = o.Time
	return err
}

// lacks counts the changes of a document that remotes are not known to have, by
// their storage ids. It reads the graph only if there may be any.
func (p *Peer) lacks(ctx context.Context, info Info, remotes map[string]bool, all *census) (pending map[string]int, err error) {
	if info.Changes == 0 {
		return nil, nil
	}
	lacking := map[string][]id.Hash{} // what is shared
	for remote := range remotes {
		shared, err := p.shared(ctx, info.ID, remote, all)
		if err != nil {
			return nil, err
		}
		if len(shared) == 0 || !slices.Equal(shared, info.Heads) {
			lacking[remote] = shared
		}
	}
	if len(lacking) == 0 {
		return nil, nil
	}
	if all.unmet(info.ID) && p.desks.get(info.ID) == nil {
		pending = make(map[string]int, len(lacking))
		for remote := range lacking {
			pending[remote] = int(info.Changes)
		}
		return pending, nil
	}
	err = p.ask(ctx, info.ID, func(desk *desk) error {
		for remote, shared := range lacking {
			for _, m := range desk.r.order {
				if remote != "" && m.remote == remote && m.session != nil {
					shared = append(slices.Clone(shared), m.session.Acked()...)
				}
			}
			if n := len(desk.r.graph.Since(shared)); n > 0 {
				if pending == nil {
					pending = make(map[string]int)
				}
				pending[remote] = n
			}
		}
		return nil
	})
	return pending, err
}

// twinStatus fills in what has become of changes that twins have put in
// quarantine, and leaves out those that stand again.
func (p *Peer) twinStatus(ctx context.Context, d *DocumentStatus) error {
	return p.ask(ctx, d.ID, func(desk *desk) error {
		d.Divergences = len(desk.r.graph.Twins())
		d.Quarantined = slices.DeleteFunc(d.Quarantined, func(c QuarantinedChange) bool { return desk.r.graph.Has(c.Hash) })
		for i := range d.Quarantined {
			c := &d.Quarantined[i]
			if s, ok := desk.again.standsFor(c.Hash); ok {
				c.Again, c.Lost = s.hash, s.left
			}
		}
		return nil
	})
}

// shared is what a remote was known to have of a document when that was last
// saved.
func (p *Peer) shared(ctx context.Context, doc id.Document, remote string, all *census) ([]id.Hash, error) {
	if remote == "" {
		return nil, nil
	}
	state, err := p.syncState(ctx, all, doc, remote)
	if err != nil || state == nil {
		return nil, err
	}
	shared, err := session.Shared(state)
	if err != nil {
		p.o.Log.Warn("saved sync state ignored", "doc", doc.String(), "err", err)
		return nil, nil
	}
	return shared, nil
}
