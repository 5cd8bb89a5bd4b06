package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
)

// world is a relay with two native peers and a stock client, all connected.
type world struct {
	ctx    context.Context
	url    string
	peers  []*peer.Peer
	node   *js.Repo
	client *js.Client
	plain  *js.Automerge
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{ctx: rig.Bounded(t)}
	w.plain = startAutomerge(w.ctx, t)
	w.url = rig.ServeRelay(t)
	w.node = rig.Get(js.StartRepo(w.ctx))(t)
	t.Cleanup(func() { w.node.Close() })
	w.client = rig.Get(w.node.Open(w.ctx, js.ClientOptions{URL: w.url, PeerID: "stock"}))(t)
	rig.Get(w.client.Connected(w.ctx))(t)
	for range 2 {
		w.peers = append(w.peers, rig.OpenPeer(t, peer.Options{}, w.url))
	}
	return w
}

// edit has a peer make random changes. What it draws is for the document as it
// was a moment ago: an operation that somebody else's change has made impossible
// is left out, as by an application that looks again.
func edit(ctx context.Context, d *peer.Document, w *writer, changes int) (made int, err error) {
	for range changes {
		value, err := d.Value(ctx)
		if err != nil {
			return made, err
		}
		var op *crdt.OperationError
		switch _, err := d.Do(ctx, w.batch(value)...); {
		case err == nil:
			made++
		case !errors.As(err, &op) && !errors.Is(err, crdt.ErrNoChange):
			return made, err
		}
	}
	return made, nil
}

// read is a peer's document as package crdt has it.
func read(ctx context.Context, d *peer.Document, f func(native) error) error {
	return d.Read(ctx, func(c *crdt.Document) error { return f(c) })
}

// Two native peers write at once, through a relay; the stock client reads.
func TestNativePeersAreReadByAStockClient(t *testing.T) {
	w := newWorld(t)
	count, seed := howMany(6, 100), firstSeed(t)
	total := 0
	for i := range uint64(count) {
		a := rig.Get(w.peers[0].Create(w.ctx))(t)
		rig.Get(a.Do(w.ctx, newWriter(seed+i).first()...))(t)
		b := rig.Get(w.peers[1].Fetch(w.ctx, a.ID()))(t)
		rig.OK(t, rig.WaitHas(w.ctx, b, rig.Get(a.Heads(w.ctx))(t)))
		made, err := together(
			func() (int, error) { return edit(w.ctx, a, newWriter(seed+i), 25) },
			func() (int, error) { return edit(w.ctx, b, newWriter(seed+i+1<<32), 25) },
		)
		rig.OK(t, err)
		total += made
		heads := rig.Get(rig.Converge(w.ctx, a, b))(t)

		doc := a.ID().String()
		rig.Get(w.client.Find(w.ctx, doc))(t)
		rig.OK(t, w.client.WaitHeads(w.ctx, doc, rig.Hex(heads)))
		if err := w.compare(doc, a, b); err != nil {
			t.Errorf("%s=%d: %v", seedEnv, seed+i, err)
		}
	}
	if total < count*25 {
		t.Errorf("only %d of %d changes were made", total, count*50)
	}
	t.Logf("%d documents, %d changes", count, total)
	w.noStrays(t)
}

// together runs functions at once and adds up what they return.
func together(fs ...func() (int, error)) (sum int, err error) {
	counts, errs := make([]int, len(fs)), make([]error, len(fs))
	var all sync.WaitGroup
	for i, f := range fs {
		all.Go(func() { counts[i], errs[i] = f() })
	}
	all.Wait()
	for _, n := range counts {
		sum += n
	}
	return sum, errors.Join(errs...)
}

// compare says how the stock client's document differs from those of peers, now and
// after either side has saved and the other loaded it.
func (w *world) compare(doc string, docs ...*peer.Document) error {
	dump, err := w.client.Dump(w.ctx, doc)
	if err != nil {
		return err
	}
	saved, err := w.client.Save(w.ctx, doc)
	if err != nil {
		return err
	}
	for i, d := range docs {
		err := read(w.ctx, d, func(c native) error {
			if err := same(c, dump); err != nil {
				return err
			}
			if err := loaded(saved, c); err != nil {
				return fmt.Errorf("saved by the stock client: %w", err)
			}
			return resaved(w.ctx, w.plain, c)
		})
		if err != nil {
			return fmt.Errorf("peer %d: %w", i, err)
		}
	}
	return nil
}

// noStrays fails if the stock clients threw something that nobody caught.
func (w *world) noStrays(t *testing.T) {
	t.Helper()
	if strays := rig.Get(w.node.Strays(w.ctx))(t); len(strays) > 0 {
		t.Errorf("the stock client threw %q", strays)
	}
}

// A stock client brings random histories; native peers fetch and read them.
func TestAStockClientIsReadByNativePeers(t *testing.T) {
	w := newWorld(t)
	count, seed := howMany(6, 100), firstSeed(t)
	histories := rig.Get(w.plain.Histories(w.ctx, seed, count, js.Sizes{}))(t)
	for i, h := range histories {
		made := rig.Get(w.client.Import(w.ctx, h.Saved, ""))(t)
		rig.OK(t, w.client.WaitAcknowledged(w.ctx, made.Doc, made.Heads))
		doc := rig.Get(id.ParseDocument(made.Doc))(t)
		heads := rig.Get(rig.Unhex(h.Heads))(t)
		var docs []*peer.Document
		for _, p := range w.peers {
			d := rig.Get(p.Fetch(w.ctx, doc))(t)
			rig.OK(t, rig.WaitHeads(w.ctx, d, heads))
			docs = append(docs, d)
		}
		if err := w.compare(made.Doc, docs...); err != nil {
			t.Errorf("%s=%d: %v", seedEnv, seed+uint64(i), err)
		}
	}
	w.noStrays(t)
}

// All three edit one document at once: the peers by operations, the stock client by
// whatever its generator thinks of, on the peers' entities too.
func TestPeersAndAStockClientEditTogether(t *testing.T) {
	w := newWorld(t)
	count, seed := howMany(6, 100), firstSeed(t)
	for i := range uint64(count) {
		a := rig.Get(w.peers[0].Create(w.ctx))(t)
		rig.Get(a.Do(w.ctx, newWriter(seed+i).first()...))(t)
		b := rig.Get(w.peers[1].Fetch(w.ctx, a.ID()))(t)
		rig.OK(t, rig.WaitHas(w.ctx, b, rig.Get(a.Heads(w.ctx))(t)))
		doc := a.ID().String()
		rig.Get(w.client.Find(w.ctx, doc))(t)
		_, err := together(
			func() (int, error) { return edit(w.ctx, a, newShyWriter(seed+i), 20) },
			func() (int, error) { return edit(w.ctx, b, newShyWriter(seed+i+1<<32), 20) },
			func() (int, error) {
				for j := range uint64(10) {
					if _, err := w.client.Random(w.ctx, doc, seed+i<<8+j, 2); err != nil {
						return 0, err
					}
				}
				return 20, nil
			},
		)
		if err == nil {
			err = w.meet(doc, a, b)
		}
		if err == nil {
			err = w.compare(doc, a, b)
		}
		if err != nil {
			t.Errorf("%s=%d: %v", seedEnv, seed+i, err)
		}
	}
	w.noStrays(t)
}

// meet waits until everybody has what everybody else has.
func (w *world) meet(doc string, docs ...*peer.Document) error {
	theirs, err := w.client.Heads(w.ctx, doc)
	if err != nil {
		return err
	}
	all, err := rig.Unhex(theirs)
	if err != nil {
		return err
	}
	for _, d := range docs {
		heads, err := d.Heads(w.ctx)
		if err != nil {
			return err
		}
		all = append(all, heads...)
	}
	id.SortHashes(all)
	all = slices.Compact(all)
	for _, d := range docs {
		if err := rig.WaitHas(w.ctx, d, all); err != nil {
			return err
		}
	}
	_, err = w.client.WaitHas(w.ctx, doc, rig.Hex(all))
	return err
}
