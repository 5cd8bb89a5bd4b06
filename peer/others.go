package peer

import (
	"context"
	"maps"
	"slices"
	"sync"

	"syncline/storage"
)

const (
	// keyRemote is what the store keeps the storage id of a remote under, with its
	// URL: what it is known to have is kept under that id.
	keyRemote = "remote "
	// keyPeer is what it keeps the storage ids of ends under that are peers.
	keyPeer = "peer "
)

// others are the ends that this store knows: where a remote is, and who is a peer
// and not a relay. They are kept in the store, so that what they have acknowledged
// means something after a restart.
type others struct {
	disk sync.Mutex // held while both store and memory are brought up to date

	mu     sync.Mutex
	byURL  map[string]string // storage ids
	byID   map[string]int    // how many URLs a storage id has
	peerID map[string]bool   // storage ids of peers
}

// load takes over what the store has of them: other processes meet some, too.
func (o *others) load(ctx context.Context, s Store) error {
	o.disk.Lock()
	defer o.disk.Unlock()
	err := s.Values(ctx, keyRemote, func(url string, id []byte) error {
		o.set(url, string(id))
		return nil
	})
	if err != nil {
		return err
	}
	return s.Values(ctx, keyPeer, func(id string, _ []byte) error {
		o.met(id)
		return nil
	})
}

// set notes which data is at a URL.
func (o *others) set(url, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	old, ok := o.byURL[url]
	if ok && old == id {
		return
	}
	if ok {
		if o.byID[old]--; o.byID[old] == 0 {
			delete(o.byID, old)
		}
	}
	o.byURL[url] = id
	o.byID[id]++
}

// at is the storage id at a URL, "" if none is known.
func (o *others) at(url string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byURL[url]
}

// urls lists where there were remotes.
func (o *others) urls() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Keys(o.byURL))
}

// known reports whether a storage id is that of a peer, or of a remote as it is
// now, and whether it is a peer.
func (o *others) known(id string) (peer, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.peerID[id], o.peerID[id] || o.byID[id] > 0
}

// isPeer reports whether a storage id is known as a peer's.
func (o *others) isPeer(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.peerID[id]
}

// met notes a storage id as a peer's.
func (o *others) met(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.peerID[id] = true
}

// remember notes who is at the other end of a connection. url is "" if it has
// dialled.
func (p *Peer) remember(ctx context.Context, url string, c *conn) {
	id := c.remote.Metadata.StorageID
	if id == "" || c.remote.Metadata.Ephemeral {
		return
	}
	p.others.disk.Lock()
	defer p.others.disk.Unlock()
	// The store first, and what it does not take again a little later: what is read
	// from it is what counts.
	if url != "" && p.others.at(url) != id {
		if err := p.store.SetValue(ctx, keyRemote+url, []byte(id)); err != nil {
			p.o.Log.Warn("storage id of a remote not kept", "url", url, "err", err)
			p.keeper.owe(url, c)
			return
		}
		p.others.set(url, id)
	}
	// A key of the store has its limit, and the name is the other end's choice.
	if c.peers && len(id) <= storage.MaxName-len(keyPeer) && !p.others.isPeer(id) {
		if err := p.store.SetValue(ctx, keyPeer+id, nil); err != nil {
			p.o.Log.Warn("storage id of a peer not kept", "err", err)
			p.keeper.owe(url, c)
			return
		}
		p.others.met(id)
	}
}
