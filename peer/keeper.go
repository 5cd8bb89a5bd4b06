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
}

func newKeeper() keeper {
	return keeper{wake: make(chan struct{}, 1), docs: map[id.Document]struct{}{}}
}

// note says that an end has acknowledged something of a document.
func (k *keeper) note(doc id.Document) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.docs[doc] = struct{}{}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// take returns the documents that were noted.
func (k *keeper) take() []id.Document {
	k.mu.Lock()
	defer k.mu.Unlock()
	docs := slices.SortedFunc(maps.Keys(k.docs), compareDocuments)
	clear(k.docs)
	return docs
}

// any reports whether documents were noted.
func (k *keeper) any() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.docs) > 0
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

// keepNoted has desks keep what was noted.
func (p *Peer) keepNoted() {
	for _, doc := range p.keeper.take() {
		p.desks.tell(doc, save{})
	}
}
