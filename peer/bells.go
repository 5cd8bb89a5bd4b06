package peer

import (
	"sync"

	"syncline/crdt/id"
)

// bells tell those who wait for something about a document. The zero is usable.
type bells struct {
	mu    sync.Mutex
	byDoc map[id.Document]chan struct{} // of those that somebody waits for
}

// channel returns a channel that the next ring closes.
func (b *bells) channel(doc id.Document) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := b.byDoc[doc]
	if ch == nil {
		if b.byDoc == nil {
			b.byDoc = make(map[id.Document]chan struct{})
		}
		ch = make(chan struct{})
		b.byDoc[doc] = ch
	}
	return ch
}

func (b *bells) ring(doc id.Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ch := b.byDoc[doc]; ch != nil {
		close(ch)
		delete(b.byDoc, doc)
	}
}
