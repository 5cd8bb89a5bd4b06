package interop

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"syncline/bench/js"
)

// lostAfter is when a change that has not come is called lost.
const lostAfter = 30 * time.Second

// The relay is killed at some moment of a stream of edits by two clients, again
// and again over the same data. What a client had heard the relay name as its
// heads must then be there for a client that asks only the restarted relay.
func TestAKilledRelayHasLostNothingThatItAcknowledged(t *testing.T) {
	const rounds, atMost = 6, 400
	if reference {
		t.Skip("the reference acknowledges before it writes to disk")
	}
	w := newWorld(t, true)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	writers := []*js.Client{w.client("alice"), w.client("bob")}
	shared := get(writers[0].Create(w.ctx, js.Set(text, "")))(t)
	w.ok(writers[0].WaitAcknowledged(w.ctx, shared.Doc, nil))
	get(writers[1].Find(w.ctx, shared.Doc))(t)
	w.ok(writers[1].WaitHeads(w.ctx, shared.Doc, shared.Heads))

	for round := range rounds {
		// A first acknowledgement in this life of the relay, then edits up to a
		// kill at a moment that falls anywhere among its writes and answers.
		var own []string // a document of each writer made in this life
		for _, c := range writers {
			get(c.Change(w.ctx, shared.Doc, js.Append(text, strconv.Itoa(round))))(t)
			w.ok(c.WaitAcknowledged(w.ctx, shared.Doc, nil))
			own = append(own, get(c.Create(w.ctx, js.Set(text, c.PeerID)))(t).Doc)
		}
		for range random.IntN(atMost) {
			for i, c := range writers {
				get(c.Change(w.ctx, shared.Doc, js.Append(text, ".")))(t)
				get(c.Change(w.ctx, own[i], js.Append(text, "x")))(t)
			}
		}
		w.relay.kill()

		type promise struct {
			doc   string
			heads []string
		}
		var promises []promise
		for i, c := range writers {
			w.ok(c.Disconnected(w.ctx)) // nothing more comes in
			for _, doc := range []string{shared.Doc, own[i]} {
				if heads := get(c.Acknowledged(w.ctx, doc))(t); len(heads) > 0 {
					promises = append(promises, promise{doc, heads})
				}
			}
		}

		// Where the writers cannot help it.
		elsewhere := w.relay.moved()
		elsewhere.start()
		reader := w.open(js.ClientOptions{URL: elsewhere.url(), PeerID: "reader-" + strconv.Itoa(round)})
		for _, p := range promises {
			get(reader.Find(w.ctx, p.doc))(t)
			arriving, cancel := context.WithTimeout(w.ctx, lostAfter)
			if _, err := reader.WaitHas(arriving, p.doc, p.heads); err != nil {
				t.Fatalf("round %d: the relay had acknowledged %v of document %s and lost it in the kill: %v", round, p.heads, p.doc, err)
			}
			cancel()
		}
		w.ok(reader.Close(w.ctx))
		elsewhere.stop()

		w.relay.start()
		for _, c := range writers {
			get(c.Connected(w.ctx))(t)
		}
	}

	reader := w.client("reader")
	for _, c := range writers {
		w.ok(c.WaitAcknowledged(w.ctx, shared.Doc, nil))
	}
	get(reader.Find(w.ctx, shared.Doc))(t)
	heads := get(writers[0].Heads(w.ctx, shared.Doc))(t)
	w.same(shared.Doc, heads, writers[0], writers[1], reader)
}

// saved is a client with a disk, and a document that it and the relay agree on.
func saved(w *world, dir string, node *js.Repo) (*js.Client, js.State) {
	w.t.Helper()
	c := get(node.Open(w.ctx, js.ClientOptions{URL: w.relay.url(), PeerID: "keeper", Storage: dir, Retry: retry}))(w.t)
	about := get(c.Connected(w.ctx))(w.t)
	if about.StorageID == "" || about.IsEphemeral {
		w.t.Fatalf("the relay introduces itself as %+v; without a storage id no client saves its sync state", about)
	}
	made := get(c.Create(w.ctx, js.Set(text, "first")))(w.t)
	w.ok(c.WaitAcknowledged(w.ctx, made.Doc, nil))
	w.ok(c.WaitSaved(w.ctx, made.Doc))
	return c, made
}

// refills opens the saved client again, as after a restart of its application, and
// has a fresh client fetch the document from the relay.
func refills(w *world, dir, doc string, heads []string) {
	w.t.Helper()
	again := get(w.startNode().Open(w.ctx, js.ClientOptions{URL: w.relay.url(), PeerID: "keeper", Storage: dir}))(w.t)
	get(again.Connected(w.ctx))(w.t)
	get(again.Find(w.ctx, doc))(w.t)
	w.ok(again.WaitHeads(w.ctx, doc, heads)) // from its disk
	w.ok(again.WaitAcknowledged(w.ctx, doc, heads))

	fresh := w.client("fresh")
	get(fresh.Find(w.ctx, doc))(w.t)
	w.same(doc, heads, again, fresh)
}

func TestARelayWhoseDataWasDeletedIsFilledByASavedClient(t *testing.T) {
	w := newWorld(t, true)
	dir := t.TempDir()
	node := w.startNode()
	keeper, made := saved(w, dir, node)
	before := get(keeper.Connected(w.ctx))(t)
	w.ok(keeper.Close(w.ctx))
	w.ok(node.Close())

	w.relay.stop()
	w.relay.wipe()
	w.relay.start()

	refills(w, dir, made.Doc, made.Heads)
	if after := get(w.client("other").Connected(w.ctx))(t); after.StorageID == before.StorageID {
		t.Errorf("the data is new and the storage id is still %s", after.StorageID)
	}
}

// The storage id survives a restored backup, so the client's saved state names
// heads that the relay no longer has: the session must be reset.
func TestARelayRestoredFromAnOldCopyIsFilledByASavedClient(t *testing.T) {
	w := newWorld(t, true)
	dir := t.TempDir()
	node := w.startNode()
	keeper, made := saved(w, dir, node)
	before := get(keeper.Connected(w.ctx))(t)

	w.relay.stop()
	restore := w.relay.backup()
	w.ok(keeper.Disconnected(w.ctx))
	w.relay.start()
	get(keeper.Connected(w.ctx))(t)
	var heads []string
	for range 30 {
		heads = get(keeper.Change(w.ctx, made.Doc, js.Append(text, ", more")))(t)
	}
	w.ok(keeper.WaitAcknowledged(w.ctx, made.Doc, heads))
	w.ok(keeper.WaitSaved(w.ctx, made.Doc))
	w.ok(keeper.Close(w.ctx))
	w.ok(node.Close())

	w.relay.stop()
	restore()
	w.relay.start()

	refills(w, dir, made.Doc, heads)
	if after := get(w.client("other").Connected(w.ctx))(t); after.StorageID != before.StorageID {
		t.Errorf("the storage id was %s and is %s though the data is the same", before.StorageID, after.StorageID)
	}
}

// A client that knocks every 20 ms is there when the relay's port opens, with a
// document made while nobody listened.
func TestAClientThatConnectsTheMomentThePortOpensIsServed(t *testing.T) {
	w := newWorld(t, false)
	early := get(w.node.Open(w.ctx, js.ClientOptions{URL: w.relay.url(), PeerID: "early", Retry: 20 * time.Millisecond}))(t)
	made := get(early.Create(w.ctx, js.Set(text, "waiting")))(t)
	w.relay.launch()
	get(early.Connected(w.ctx))(t)
	w.ok(early.WaitAcknowledged(w.ctx, made.Doc, made.Heads))

	late := w.client("late")
	get(late.Find(w.ctx, made.Doc))(t)
	w.same(made.Doc, made.Heads, early, late)
}
