package relay

import (
	"testing"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access/accesstest"
)

// TestWhoMayOnlyReadIsToldOfWhatItKeeps: an end that sees READ_ONLY in what it is
// sent brings none of its changes, and is told all the same that it has some.
func TestWhoMayOnlyReadIsToldOfWhatItKeeps(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	doc := id.NewDocument()
	w := joinBearing(t, s, "writer", i.Token("writer", accesstest.Writes(doc)), 0)
	rw := newReplica(t, doc, "writer")
	rw.edit("k")
	w.sync(rw)
	w.acked(rw)
	c := joinBearing(t, s, "reader", i.Token("reader", accesstest.Reads(doc)), wire.Syncline)
	r := newReplica(t, doc, "reader")
	own := r.edit("mine")
	c.sync(r)
	c.fetch(r, rw.g.Heads()...)
	c.alive()
	if len(c.notices) != 1 || c.notices[0].Code != wire.NoticeReadOnly || c.notices[0].Hash != own.Hash {
		t.Errorf("told %v", c.notices)
	}
	if n := s.metrics.Rejected[operate.RejectForbidden].Load(); n != 1 {
		t.Errorf("%d rejections are counted", n)
	}
}

// TestRightsChangeWhileADocumentIsOpen: to gain the right to write brings what was
// refused, and to lose it stops nothing that is read.
func TestRightsChangeWhileADocumentIsOpen(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	doc := id.NewDocument()
	w := joinBearing(t, s, "writer", i.Token("writer", accesstest.Writes(doc)), wire.Syncline)
	c := joinBearing(t, s, "c", i.Token("alice", accesstest.Reads(doc)), wire.Syncline)
	rw, r := newReplica(t, doc, "writer"), newReplica(t, doc, "c")
	rw.edit("k")
	w.sync(rw)
	w.acked(rw)
	c.sync(r)
	c.fetch(r, rw.g.Heads()...)
	own := r.edit("mine")
	c.sync(r)
	c.alive()
	if rw.has(own.Hash) {
		t.Fatal("a change of a reader was passed on")
	}
	// Nobody says anything but the token.
	c.renew(i.Token("alice", accesstest.Writes(doc)))
	c.acked(r)
	w.fetch(rw, own.Hash)
	// And back: what others write keeps coming.
	c.renew(i.Token("alice", accesstest.Reads(doc)))
	c.alive()
	theirs := rw.edit("theirs")
	w.sync(rw)
	c.fetch(r, theirs.Hash)
}

// TestRightsThatComeAndGoAtOnce has a document left and entered within one round.
func TestRightsThatComeAndGoAtOnce(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	doc := id.NewDocument()
	w := joinBearing(t, s, "writer", i.Token("writer", accesstest.Writes(doc)), wire.Syncline)
	c := joinBearing(t, s, "c", i.Token("alice", accesstest.Writes(doc)), wire.Syncline)
	rw, r := newReplica(t, doc, "writer"), newReplica(t, doc, "c")
	rw.edit("k")
	w.sync(rw)
	w.acked(rw)
	c.sync(r)
	c.fetch(r, rw.g.Heads()...)
	c.acked(r)
	for range 4 {
		c.renew(i.Token("alice", accesstest.Reads(id.NewDocument())))
		c.renew(i.Token("alice", accesstest.Writes(doc)))
		r.begin(nil)
		c.sync(r)
		theirs := rw.edit("theirs")
		w.sync(rw)
		c.fetch(r, theirs.Hash)
		w.acked(rw)
	}
}
