package rig

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"syncline/bench/trace"
	"syncline/crdt"
	"syncline/peer"
)

// Where the rig's peers keep the text that they type.
const (
	Collection = "papers"
	Entity     = "paper"
	Field      = "text"
)

// Relay is a relay in a process of its own.
type Relay struct {
	*Process
	URL string
}

// StartRelay starts a relay with an empty store.
func StartRelay(t testing.TB) *Relay {
	t.Helper()
	r := &Relay{Process: start(t, roleRelay)}
	OK(t, r.call("serve", filepath.Join(t.TempDir(), "relay.db"), &r.URL))
	return r
}

// Counts is what a relay has received and sent.
type Counts struct {
	BytesIn, BytesOut, ChangesIn, ChangesOut int64
	Connections, Overflows                   int64
}

// Counts reads the relay's counters.
func (r *Relay) Counts() (c Counts, err error) { return c, r.call("counts", nil, &c) }

// Peer is a native peer in a process of its own.
type Peer struct{ *Process }

// StartPeer starts a peer with a new store that syncs with the given addresses.
func StartPeer(t testing.TB, o PeerOptions) *Peer {
	t.Helper()
	p := &Peer{start(t, rolePeer)}
	o.Path = filepath.Join(t.TempDir(), "peer.db")
	OK(t, p.call("open", o, nil))
	return p
}

// PeerOptions are what a peer in a process is opened with.
type PeerOptions struct {
	Path    string // set by StartPeer
	Remotes []string
}

// Create makes a document with an empty text and returns its id.
func (p *Peer) Create() (doc string, err error) { return doc, p.call("create", nil, &doc) }

// Fetch asks for a document, and does not wait for it.
func (p *Peer) Fetch(doc string) error { return p.call("fetch", doc, nil) }

// Typed is what became of a number of changes. The percentiles are of the time that
// each took to be durable.
type Typed struct {
	Heads    []string
	Changes  int
	Took     time.Duration
	P50, P99 time.Duration
}

// portion is about how many operations are sent to the process in one request, so
// that its memory is not that of all that it is to type.
const portion = 5000

// Do carries out batches of operations, each one change, as fast as they become
// durable.
func (p *Peer) Do(doc string, batches [][]crdt.Operation) (r Typed, err error) {
	var times []time.Duration
	each := 1
	if len(batches) > 0 {
		each = max(1, portion/max(1, len(batches[0])))
	}
	for part := range slices.Chunk(batches, each) {
		var took []time.Duration
		begun := time.Now()
		if err := p.call("do", docBatches{doc, part}, &took); err != nil {
			return r, err
		}
		r.Took += time.Since(begun)
		times = append(times, took...)
	}
	r.Changes = len(times)
	slices.Sort(times)
	r.P50, r.P99 = Percentile(times, 50), Percentile(times, 99)
	r.Heads, err = p.Heads(doc)
	return r, err
}

// Splices is an edit as operations on the rig's text.
func Splices(e trace.Edit) []crdt.Operation {
	ops := make([]crdt.Operation, 0, len(e.Patches))
	for _, patch := range e.Patches {
		if patch.Del > 0 || patch.Ins != "" {
			ops = append(ops, crdt.Splice(Collection, Entity, Field, patch.Pos, patch.Del, patch.Ins))
		}
	}
	return ops
}

// Batches puts so many edits into each batch.
func Batches(edits []trace.Edit, each int) (batches [][]crdt.Operation) {
	for part := range slices.Chunk(edits, each) {
		var ops []crdt.Operation
		for _, e := range part {
			ops = append(ops, Splices(e)...)
		}
		batches = append(batches, ops)
	}
	return batches
}

// Percentile picks from sorted times; zero if there are none.
func Percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// Heads lists the document's heads.
func (p *Peer) Heads(doc string) (heads []string, err error) {
	return heads, p.call("heads", doc, &heads)
}

// WaitHeads waits until the document has exactly these heads.
func (p *Peer) WaitHeads(doc string, heads []string) error {
	return p.call("waitHeads", docHeads{doc, heads}, nil)
}

// Text reads the document's text.
func (p *Peer) Text(doc string) (text string, err error) { return text, p.call("text", doc, &text) }

// Traffic is what went over the connection to the first remote.
func (p *Peer) Traffic() (t peer.Traffic, err error) { return t, p.call("traffic", nil, &t) }
