package peer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/digest"
	"syncline/crdt/id"
	"syncline/relay/wire"
)

// Equal heads must mean equal documents. Ends that have told each other of equal heads
// therefore tell each other what they read, as a digest, once the document has come to
// rest (rests.go). Where two differ, each loads the document anew from its journal, and
// so finds out whether it is the one that is wrong: then it goes on with what it has
// loaded. It costs little, because only a document that is open has a digest: none is
// opened for it, so of ten thousand those are compared that somebody works with.

// Verdict is what a peer has found out about itself after a mismatch.
type Verdict string

// The verdicts.
const (
	// VerdictRebuilt: the document in memory was not what its changes make. It has
	// been loaded anew.
	VerdictRebuilt Verdict = "rebuilt"
	// VerdictSound: loaded anew it is the same, so it is the other end that is wrong,
	// or runs another program.
	VerdictSound Verdict = "sound"
	// VerdictUnread: its changes could not be loaded; see syncline doctor.
	VerdictUnread Verdict = "unread"
)

// Mismatch is a document that another end with the same heads reads differently.
type Mismatch struct {
	Document id.Document
	Heads    []id.Hash
	Ours     string // digest, in hexadecimal digits, as it was then
	Theirs   string
	Peer     string // who told us: the end, or a relay on behalf of another
	Time     time.Time
	Verdict  Verdict
}

// The inputs of a desk that are about it.
type (
	// compareNow has a document that rests compared.
	compareNow struct{}
	// told is what another end reads.
	told struct {
		conn  connID
		heads []id.Hash
		sum   digest.Sum
	}
)

// comparison is what a desk knows of digests of the present heads. It is pure.
type comparison struct {
	heads  []id.Hash // that the rest is about
	sum    digest.Sum
	known  bool // sum is
	sentTo map[connID]bool
	differ map[digest.Sum]bool // what others said that was not sum
	loaded time.Time           // when the document was last loaded for that
}

// at has the comparison be about some heads.
func (k *comparison) at(heads []id.Hash) {
	if !slices.Equal(k.heads, heads) {
		*k = comparison{heads: heads, loaded: k.loaded}
	}
}

// maxDiffer bounds the different digests that are acted on for the same heads.
const maxDiffer = 8

// disagrees notes what another end reads, and reports whether that is news and differs.
func (k *comparison) disagrees(sum digest.Sum) bool {
	if sum == k.sum || k.differ[sum] || len(k.differ) == maxDiffer {
		return false
	}
	if k.differ == nil {
		k.differ = map[digest.Sum]bool{}
	}
	k.differ[sum] = true
	return true
}

// addressees lists who is to be sent the digest, and notes that they are.
func (k *comparison) addressees(order []*member, speaks func(connID) bool) (list []connID) {
	for _, m := range order {
		if m.standing == standingSynced && !k.sentTo[m.conn] && speaks(m.conn) {
			list = append(list, m.conn)
		}
	}
	for _, conn := range list {
		if k.sentTo == nil {
			k.sentTo = map[connID]bool{}
		}
		k.sentTo[conn] = true
	}
	return list
}

// compare acts on the inputs that are about digests.
func (d *desk) compare(ps []parcel) {
	for _, p := range ps {
		switch in := p.in.(type) {
		case compareNow:
			if slices.ContainsFunc(d.r.order, func(m *member) bool { return m.standing == standingSynced && d.compares(m.conn) }) && d.digest() {
				d.tellDigest()
			}
		case told:
			if c := d.conns[in.conn]; c != nil && slices.Equal(in.heads, d.r.graph.Heads()) && d.digest() {
				d.heardDigest(c, in.sum)
			}
		}
	}
}

// compares reports whether the other end understands digests.
func (d *desk) compares(conn connID) bool {
	c := d.conns[conn]
	return c != nil && c.remote.Metadata.Syncline > 0
}

// tellDigest sends the digest to all who have these heads and have not been sent it.
func (d *desk) tellDigest() {
	for _, conn := range d.compared.addressees(d.r.order, d.compares) {
		c := d.conns[conn]
		c.send(&wire.Digest{Route: c.route(), Document: d.doc, Heads: d.compared.heads, Sum: d.compared.sum})
	}
}

// digest computes the digest of the present heads, unless it is known. It reports
// false if there is none: the document is not open, or cannot be summed up.
func (d *desk) digest() bool {
	heads := d.r.graph.Heads()
	d.compared.at(heads)
	if d.compared.known || len(heads) == 0 || len(heads) > wire.MaxDigestHeads {
		return d.compared.known
	}
	lease, err := d.p.cache.Acquire(context.WithValue(d.p.io, onlyIfOpen{}, true), d.doc)
	if err != nil {
		return false // whoever opens it changes it or looks at it, and it comes to rest again
	}
	defer lease.Release()
	core := lease.Document()
	if !sameHashes(core.Heads(), heads) {
		return false
	}
	began := d.p.o.Now()
	if !d.p.rests.afford(d.doc, began) {
		return false
	}
	sum, err := core.Digest()
	now := d.p.o.Now()
	d.p.rests.spent(d.doc, now, now.Sub(began))
	if err != nil {
		if !errors.Is(err, digest.ErrUnknown) && !errors.Is(err, crdt.ErrTooDeep) {
			d.log.Warn("document not compared", "err", err)
		}
		return false
	}
	d.compared.sum, d.compared.known = d.p.o.onDigest(sum), true
	return true
}

// heardDigest compares what another end reads with what is read here.
func (d *desk) heardDigest(c *conn, theirs digest.Sum) {
	k := &d.compared
	if theirs == k.sum {
		d.p.mismatches.settle(d.doc, c.remote.PeerID)
	}
	if !k.disagrees(theirs) {
		return
	}
	now := d.p.o.Now()
	d.p.tally.states.Add(1)
	m := Mismatch{Document: d.doc, Heads: k.heads, Ours: k.sum.String(), Theirs: theirs.String(), Peer: c.remote.PeerID, Time: now, Verdict: VerdictSound}
	if k.loaded.IsZero() || now.Sub(k.loaded) >= d.p.o.compareEvery {
		k.loaded = now
		m.Verdict = d.loadAnew()
	}
	d.log.Error("another end has the same heads and reads another document", "peer", m.Peer, "ours", m.Ours, "theirs", m.Theirs, "verdict", string(m.Verdict))
	d.p.mismatches.add(m)
	d.p.stir()
	d.tellDigest() // so that the other end finds out, too
}

// loadAnew loads the document from its journal, and goes on with that if it is not
// what is in memory.
func (d *desk) loadAnew() Verdict {
	var chunks [][]byte
	err := d.changes(d.p.io, standingNodes(d.r.graph), func(_ int, c *chunk.Change) error {
		chunks = append(chunks, c.Raw())
		return nil
	})
	var sum digest.Sum
	if err == nil {
		sum, err = loadCore(d.doc, d.r.graph.Heads(), chunks)
	}
	if err != nil {
		d.log.Error("document not loaded anew; run syncline doctor on the file", "err", err)
		return VerdictUnread
	}
	if sum == d.compared.sum {
		return VerdictSound
	}
	d.p.cache.Forget(d.doc)
	d.compared.sum, d.compared.sentTo = sum, nil
	d.p.notify(d.doc)
	return VerdictRebuilt
}

// A connection may tell so many digests of one document in a minute: an honest end
// tells one, a relay those of a few others with it.
const maxTold = 16

// receiveDigest takes what the other end reads in a document. Where that is not in
// use, it is of no interest.
func (c *conn) receiveDigest(m *wire.Digest) {
	now := c.p.o.Now()
	c.mu.Lock()
	at := c.docs[m.Document]
	ok := at != nil && at.digests.allow(now)
	c.mu.Unlock()
	if !ok {
		c.log.Debug("message dropped", "type", m.Type(), "doc", m.Document.String(), "why", "there is no session for the document, or there were too many")
		return
	}
	c.p.desks.tell(m.Document, told{conn: c.id, heads: m.Heads, sum: m.Sum})
}

// allowance lets through maxTold in compareEvery.
type allowance struct {
	since time.Time
	n     int
}

func (a *allowance) allow(now time.Time) bool {
	if now.Sub(a.since) >= compareEvery {
		*a = allowance{since: now}
	}
	a.n++
	return a.n <= maxTold
}

// mismatches keeps the last one of each document, of so many documents.
type mismatches struct {
	mu   sync.Mutex
	list []Mismatch // the latest last
}

const maxMismatches = 64

func (ms *mismatches) add(m Mismatch) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.list = slices.DeleteFunc(ms.list, func(o Mismatch) bool { return o.Document == m.Document })
	ms.list = append(ms.list, m)
	if len(ms.list) > maxMismatches {
		ms.list = slices.Delete(ms.list, 0, 1)
	}
}

// settle forgets a mismatch with an end that agrees now.
func (ms *mismatches) settle(doc id.Document, peer string) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.list = slices.DeleteFunc(ms.list, func(o Mismatch) bool { return o.Document == doc && o.Peer == peer })
}

func (ms *mismatches) all() []Mismatch {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return slices.Clone(ms.list)
}
