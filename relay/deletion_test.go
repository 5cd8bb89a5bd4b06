package relay

import (
	"errors"
	"sync"
	"testing"

	"syncline/crdt/id"
	"syncline/storage"
)

// TestWhoComesBackWhileADocumentIsDeletedFindsItGone: a client that is closed connects
// again at once, again and again; what it is told of the document is true.
func TestWhoComesBackWhileADocumentIsDeletedFindsItGone(t *testing.T) {
	s := serve(t, Options{IdleBytes: 1 << 20})
	doc := id.NewDocument()
	for range 20 {
		writer := join(t, s.url, "writer")
		r := newReplica(t, doc, "writer")
		for range 5 {
			r.edit("k")
		}
		writer.sync(r)
		writer.acked(r)
		var coming sync.WaitGroup
		gone := make(chan struct{})
		coming.Go(func() {
			for {
				select {
				case <-gone:
					return
				default:
				}
				c := join(t, s.url, "reader")
				late := newReplica(t, doc, "reader")
				c.sync(late)
				c.next() // an answer, or a close
				c.ws.CloseNow()
			}
		})
		writer.ws.CloseNow()
		if _, err := s.DeleteDocument(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		close(gone)
		coming.Wait()
		c := join(t, s.url, "after")
		late := newReplica(t, doc, "after")
		c.sync(late)
		c.until("it is answered", func() bool { return len(c.unavailable) > 0 || late.session.Acked() != nil })
		if len(c.unavailable) == 0 {
			t.Fatal("the document is still there")
		}
		c.ws.CloseNow()
	}
}

func TestADocumentThatIsDeletedIsNotEnteredBefore(t *testing.T) {
	s := serve(t, Options{})
	doc := id.NewDocument()
	c, other := join(t, s.url, "c"), join(t, s.url, "other")
	end, ok := s.deletions.begin(doc)
	if !ok {
		t.Fatal("it is being deleted already")
	}
	if _, err := s.DeleteDocument(t.Context(), doc); !errors.Is(err, storage.ErrDeleting) {
		t.Errorf("a second deletion: %v", err)
	}
	c.sync(newReplica(t, doc, "c"))
	until(t, "its message has come", func() bool { return s.metrics.SyncIn.Load() == 1 })
	for range 3 {
		other.alive() // others go on
	}
	if s.halls.has(doc) {
		t.Error("the document is open while it is being deleted")
	}
	end()
	c.until("it is answered", func() bool { return len(c.unavailable) == 1 })
}
