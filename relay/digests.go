package relay

import (
	"slices"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
)

// Peers behind a relay tell it what they read in a document (wire.Digest), as they
// would tell each other. The relay cannot tell who is right: it holds hashes. But it
// sees whether two of them say the same of the same heads, which nearly always they do,
// and then nobody is told anything. Only a digest that differs is passed on, so that
// those who read differently find out, at no cost for the others.

// maxDigests bounds the different digests that a room remembers and passes on for the
// same heads: two say all there is to say, and what a hostile member makes up ends here.
const maxDigests = 4

// digests is what members have said of the heads that the room has.
type digests struct {
	heads []id.Hash
	sums  [][wire.DigestSize]byte // that differ, as they came
}

type (
	// digested is an input: a member's digest.
	digested struct {
		conn  connID
		heads []id.Hash
		sum   [wire.DigestSize]byte
	}
	// sendDigest passes a digest on.
	sendDigest struct {
		conn  connID
		heads []id.Hash
		sum   [wire.DigestSize]byte
	}
	// disagreed counts a digest that differs, and is for the log.
	disagreed struct{ conn connID }
)

func (r *room) takeDigest(in digested) {
	m := r.members[in.conn]
	if m == nil || m.barred || m.session == nil || !slices.Equal(in.heads, r.graph.Heads()) {
		return // it is about another state than the one that is here
	}
	if !slices.Equal(r.digests.heads, in.heads) {
		r.digests = digests{heads: in.heads}
	}
	d := &r.digests
	if slices.Contains(d.sums, in.sum) || len(d.sums) == maxDigests {
		return
	}
	d.sums = append(d.sums, in.sum)
	if len(d.sums) == 1 {
		return
	}
	r.do(disagreed{conn: in.conn})
	for _, o := range r.order {
		if o != m && o.session != nil && !o.barred {
			r.do(sendDigest{conn: o.conn, heads: in.heads, sum: in.sum})
		}
	}
	for _, sum := range d.sums[:len(d.sums)-1] {
		r.do(sendDigest{conn: m.conn, heads: in.heads, sum: sum})
	}
}

// sendDigest carries the effect out, for an end that understands it.
func (h *hall) sendDigest(e sendDigest) {
	if c := h.conns[e.conn]; c.remote.Metadata.Syncline > 0 {
		c.send(&wire.Digest{Route: c.route(), Document: h.doc, Heads: e.heads, Sum: e.sum})
	}
}

// disagreed carries the effect out.
func (h *hall) disagreed(e disagreed) {
	h.relay.metrics.Divergences[operate.DivergedState].Inc()
	h.log().Warn("peers with equal heads read a document differently; each checks itself", "peer", h.conns[e.conn].remote.PeerID)
}

// receiveDigest takes a digest of a document that the client has a session for.
func (c *conn) receiveDigest(m *wire.Digest) {
	if _, ok := c.docs[m.Document]; !ok || c.remote.Metadata.Syncline == 0 {
		c.drop(m, operate.DropUnknown, "of a document without a session")
		return
	}
	c.delay(c.ctx, 0, len(m.Heads)*len(id.Hash{}))
	c.relay.halls.tellAwake(m.Document, digested{conn: c.id, heads: m.Heads, sum: m.Sum})
}
