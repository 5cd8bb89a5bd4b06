package replay

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/bench/trace"
	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/peer"
)

// How many edits peers with stores replay by default, and by what only shows that it
// runs.
const (
	shortClownschool = 1500
	tinyClownschool  = 300
)

// begin makes the text that is edited; every agent starts with it.
func begin() crdt.Operation {
	return crdt.Create(rig.Collection, rig.Entity, map[string]any{rig.Field: ""})
}

// actorOf names an agent's actor so that actors are in the order of agents: of
// two texts inserted at one place at once, that of the later agent comes first.
func actorOf(agent int) id.Actor { return id.Actor(fmt.Sprintf("agent-%04d", agent)) }

// recording is what the edits of a trace became.
type recording struct {
	base   id.Hash
	hashes []id.Hash
	raws   [][]byte
	last   []id.Hash // each agent's last change
}

func newRecording(tr *trace.Trace, base id.Hash) *recording {
	return &recording{base: base, last: make([]id.Hash, tr.Agents)}
}

// add keeps the next edit's change, and fails unless that was made on exactly the
// edit's parents. The core names its author's last change too, among whose
// descendants they are.
func (r *recording) add(t *testing.T, e trace.Edit, c *chunk.Change) {
	t.Helper()
	var want []id.Hash
	for _, p := range e.Parents {
		want = append(want, r.hashes[p])
	}
	if len(want) == 0 {
		want = append(want, r.base)
	}
	if own := r.last[e.Agent]; own != (id.Hash{}) && !slices.Contains(want, own) {
		want = append(want, own)
	}
	id.SortHashes(want)
	if !slices.Equal(c.Deps, want) {
		t.Fatalf("edit %d, whose parents are %v, was made on %v, not on %v", len(r.hashes), e.Parents, c.Deps, want)
	}
	r.hashes, r.raws, r.last[e.Agent] = append(r.hashes, c.Hash), append(r.raws, c.Raw()), c.Hash
}

// chunks are the changes of some edits.
func (r *recording) chunks(edits []int) [][]byte {
	var all [][]byte
	for _, i := range edits {
		all = append(all, r.raws[i])
	}
	return all
}

// Clownschool is replayed by one document for each agent, each edit made with
// exactly its parents merged; all of them end with its text.
func TestClownschoolByDocuments(t *testing.T) {
	tr := open(t, trace.Clownschool)
	at := time.Unix(1_700_000_000, 0)
	before := rig.Conditions()
	begun := time.Now()

	docs := make([]*rig.Replica, tr.Agents)
	for i := range docs {
		docs[i] = rig.NewReplica(actorOf(i))
		defer docs[i].Close()
	}
	base := rig.Get(docs[0].Do(at, begin()))(t)
	for _, d := range docs[1:] {
		rig.OK(t, d.Take(base.Raw()))
	}
	made, agents := newRecording(tr, base.Hash), trace.NewAgents(tr)
	merged := 0
	for i, e := range tr.Edits {
		d := docs[e.Agent]
		missing := rig.Get(agents.Advance(i))(t)
		merged += len(missing)
		rig.OK(t, d.Take(made.chunks(missing)...))
		c, err := d.Do(at, rig.Splices(e)...)
		if err != nil {
			t.Fatalf("edit %d: %v", i, err)
		}
		made.add(t, e, c)
	}
	took := time.Since(begun)
	for i, d := range docs {
		for j, other := range docs {
			if i != j {
				rig.OK(t, d.Merge(other))
			}
		}
	}
	for i, d := range docs {
		if !slices.Equal(d.Heads(), docs[0].Heads()) {
			t.Errorf("agent %d has the heads %v, agent 0 has %v", i, d.Heads(), docs[0].Heads())
		}
		fields := rig.Get(d.Entity(rig.Collection, rig.Entity))(t)
		if fields[rig.Field] != tr.End {
			t.Errorf("agent %d does not end with the trace's text", i)
		}
	}
	t.Logf("%d edits by %d agents in %.1f s, %d changes merged on the way; %s before, %s after",
		len(tr.Edits), tr.Agents, took.Seconds(), merged, before, rig.Conditions())
}

// The same by native peers with stores, which are told of each other's changes as
// the trace demands, and end by syncing through a relay, where a stock client
// reads what came of it.
func TestClownschoolByPeers(t *testing.T) {
	tr := open(t, trace.Clownschool)
	switch {
	case testing.Short() || rig.RaceDetector:
		tr = tr.Prefix(tinyClownschool)
	case !rig.Full():
		tr = tr.Prefix(shortClownschool)
	}
	ctx := rig.Bounded(t)
	before := rig.Conditions()
	begun := time.Now()

	peers, docs := make([]*peer.Peer, tr.Agents), make([]*peer.Document, tr.Agents)
	for i := range peers {
		peers[i] = rig.OpenPeer(t, peer.Options{})
	}
	docs[0] = rig.Get(peers[0].Create(ctx))(t)
	base := madeBy(ctx, t, docs[0], begin())
	for i, p := range peers[1:] {
		docs[i+1] = rig.Get(p.Fetch(ctx, docs[0].ID()))(t)
		rig.Get(p.Import(ctx, docs[0].ID(), base.Raw()))(t)
	}
	made, agents := newRecording(tr, base.Hash), trace.NewAgents(tr)
	for i, e := range tr.Edits {
		missing := rig.Get(agents.Advance(i))(t)
		if len(missing) > 0 {
			chunks := bytes.Join(made.chunks(missing), nil)
			if added := rig.Get(peers[e.Agent].Import(ctx, docs[0].ID(), chunks))(t); added != len(missing) {
				t.Fatalf("edit %d: %d of %d changes were taken in", i, added, len(missing))
			}
		}
		c := madeBy(ctx, t, docs[e.Agent], rig.Splices(e)...)
		made.add(t, e, c)
	}
	took := time.Since(begun)

	url := rig.ServeRelay(t)
	for _, p := range peers {
		rig.OK(t, p.Connect(peer.Remote{URL: url}))
		rig.Run(t, p)
	}
	begun = time.Now()
	heads := rig.Get(rig.Converge(ctx, docs...))(t)
	synced := time.Since(begun)

	texts := make([]string, len(docs))
	for i, d := range docs {
		fields := rig.Get(d.Entity(ctx, rig.Collection, rig.Entity))(t)
		texts[i], _ = fields[rig.Field].(string)
	}
	js.Require(t)
	node := rig.Get(js.StartRepo(ctx))(t)
	defer node.Close()
	stock := rig.Get(node.Open(ctx, js.ClientOptions{URL: url, PeerID: "stock"}))(t)
	rig.Get(stock.Connected(ctx))(t)
	doc := docs[0].ID().String()
	rig.Get(stock.Find(ctx, doc))(t)
	rig.OK(t, stock.WaitHeads(ctx, doc, rig.Hex(heads)))
	texts = append(texts, rig.Get(stock.Text(ctx, doc, rig.Collection, rig.Entity, rig.Field))(t))

	want := texts[0]
	if tr.End != "" { // the whole of it
		want = tr.End
	}
	for i, text := range texts {
		if text != want || text == "" {
			t.Errorf("number %d of the peers and the stock client ends with another text", i)
		}
	}
	t.Logf("%d edits by %d peers in %.1f s, then synced through a relay in %.2f s; %s before, %s after",
		len(tr.Edits), tr.Agents, took.Seconds(), synced.Seconds(), before, rig.Conditions())
}

// madeBy carries operations out and returns the change that they became.
func madeBy(ctx context.Context, t *testing.T, d *peer.Document, ops ...crdt.Operation) *chunk.Change {
	t.Helper()
	heads := rig.Get(d.Heads(ctx))(t)
	receipt := rig.Get(d.Do(ctx, ops...))(t)
	changes := rig.Get(d.Changes(ctx, heads...))(t)
	if len(changes) != 1 || changes[0].Hash != receipt.Hash {
		t.Fatalf("%d changes came of one call, which returned %s", len(changes), receipt.Hash)
	}
	return changes[0]
}
