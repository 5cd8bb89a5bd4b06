package peer

import (
	"maps"
	"slices"
	"sync"
	"time"

	"syncline/crdt/id"
)

// keepAfter is how long after an acknowledgement it is kept in the store, at most:
// long enough that an edit does not cost a second write to the disk, short enough
// for a person who asks in another process.
const keepAfter = time.Second

// keeper has desks keep what ends have acknowledged, a little later and many
// acknowledgements at once. What is lost with the process is learned again from the
// next connection.
type keeper struct {
	wake chan struct{} // holds a token when there is a document

	mu   sync.Mutex
	docs map[id.Document]struct{}
	owed []owed
}

// owed is who is at the other end of a connection, which the store has not taken.
type owed struct {
	url string
	c   *conn
}

func newKeeper() keeper {
	return keeper{wake: make(chan struct{}, 1), docs: map[id.Document]struct{}{}}
}

// note says that an end has acknowledged something of a document.
func (k *keeper) note(doc id.Document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.docs[doc] = struct{}{}
	k.prompt()
}

// owe says that it is to be kept again who is at the other end of a connection.
func (k *keeper) owe(url string, c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.owed = append(k.owed, owed{url, c})
	k.prompt()
}

func (k *keeper) prompt() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// take returns what was noted.
func (k *keeper) take() ([]id.Document, []owed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	docs, owes := slices.SortedFunc(maps.Keys(k.docs), compareDocuments), k.owed
	clear(k.docs)
	k.owed = nil
	return docs, owes
}

// any reports whether anything was noted.
func (k *keeper) any() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.docs)+len(k.owed) > 0
}

// keep runs until the peer closes. The desks that end then keep what they know by
// themselves.
func (p *Peer) keep() {
	for {
		select {
		case <-p.keeper.wake:
		case <-p.ctx.Done():
			return
		}
		t := time.NewTimer(keepAfter)
		select {
		case <-t.C:
		case <-p.ctx.Done():
			t.Stop()
			return
		}
		p.keepNoted()
	}
}

// keepNoted keeps what was noted, or has desks do so.
func (p *Peer) keepNoted() {
	docs, owes := p.keeper.take()
	for _, o := range owes {
		if o.c.ctx.Err() == nil { // the next connection tells again
			p.remember(p.io, o.url, o.c)
		}
	}
	for _, doc := range docs {
		p.desks.tell(doc, save{})
	}
}
