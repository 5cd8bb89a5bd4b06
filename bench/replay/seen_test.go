package replay

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/crdt"
	"syncline/peer"
)

// BenchmarkSeenByStock is the time from the call of an edit until the other end has
// it, a native peer at one and a stock client at the other, through a relay that is
// a process of its own. The stock client gathers its edits for 100 ms before it
// sends them. (For two native peers see BenchmarkSeen of package peer.)
func BenchmarkSeenByStock(b *testing.B) {
	js.Require(b)
	ctx := rig.Bounded(b)
	relay := rig.StartRelay(b)
	ada := rig.OpenPeer(b, peer.Options{}, relay.URL)
	a := rig.Get(ada.Create(ctx))(b)
	rig.Get(a.Do(ctx, begin()))(b)
	rig.OK(b, acknowledged(ctx, ada))
	edit := crdt.Splice(rig.Collection, rig.Entity, rig.Field, 0, 0, "x")

	node := rig.Get(js.StartRepo(ctx))(b)
	defer node.Close()
	stock := rig.Get(node.Open(ctx, js.ClientOptions{URL: relay.URL, PeerID: "stock"}))(b)
	rig.Get(stock.Connected(ctx))(b)
	doc := a.ID().String()
	rig.Get(stock.Find(ctx, doc))(b)
	rig.OK(b, stock.WaitHeads(ctx, doc, rig.Hex(rig.Get(a.Heads(ctx))(b))))

	b.Run("native to stock", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			begun := time.Now()
			receipt := rig.Get(a.Do(ctx, edit))(b)
			rig.OK(b, stock.WaitHeads(ctx, doc, []string{receipt.Hash.String()}))
			took = append(took, time.Since(begun))
		}
		reportTimes(b, took)
	})
	b.Run("stock to native", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			begun := time.Now()
			heads := rig.Get(stock.Change(ctx, doc, js.Splice(js.At(rig.Collection, rig.Entity, rig.Field), 0, 0, "y")))(b)
			rig.OK(b, rig.WaitHeads(ctx, a, rig.Get(rig.Unhex(heads))(b)))
			took = append(took, time.Since(begun))
		}
		reportTimes(b, took)
	})
}

// acknowledged waits until all remotes have all that a peer has.
func acknowledged(ctx context.Context, p *peer.Peer) error {
	_, err := p.Sync(ctx, peer.SyncOptions{})
	return err
}

func reportTimes(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(rig.Percentile(took, 50).Seconds()*1e3, "p50-ms")
	b.ReportMetric(rig.Percentile(took, 99).Seconds()*1e3, "p99-ms")
}

// BenchmarkRead10000 is what it costs a peer to read a document of 10,000 entities
// of five fields: cold, when the document is first made from its changes in the
// store, and then warm, whole and in part.
func BenchmarkRead10000(b *testing.B) {
	entities := 10_000
	if rig.Tiny() {
		entities = 100
	}
	ctx := rig.Bounded(b)
	// One document is kept open, so that reading a second one closes it.
	p := rig.OpenPeer(b, peer.Options{Cache: crdt.CacheOptions{Documents: 1}, MaxIdle: 1})
	d, other := rig.Get(p.Create(ctx))(b), rig.Get(p.Create(ctx))(b)
	for i := 0; i < entities; {
		var ops []crdt.Operation
		for ; len(ops) < 100 && i < entities; i++ {
			ops = append(ops, crdt.Create("notes", noteName(i), map[string]any{
				"title": noteName(i), "n": i, "done": i%2 == 0, "at": time.UnixMilli(int64(i)), "tags": []any{crdt.Scalar("a"), crdt.Scalar("b")},
			}))
		}
		rig.Get(d.Do(ctx, ops...))(b)
	}
	value := func(b *testing.B) {
		if v := rig.Get(d.Value(ctx))(b); len(v["notes"].(map[string]any)) != entities {
			b.Fatal("entities are missing")
		}
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			rig.Get(other.Value(ctx))(b)
			b.StartTimer()
			value(b)
		}
	})
	b.Run("value", func(b *testing.B) {
		for b.Loop() {
			value(b)
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			rig.Get(d.JSON(ctx))(b)
		}
	})
	b.Run("entity", func(b *testing.B) {
		for b.Loop() {
			rig.Get(d.Entity(ctx, "notes", noteName(entities/2)))(b)
		}
	})
}

func noteName(i int) string { return fmt.Sprintf("note-%d", i) }
