package relay

import (
	"sync"
	"testing"

	"syncline/crdt/id"
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
