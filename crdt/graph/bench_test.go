package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"syncline/crdt/id"
)

// history makes metadata of changes by so many actors, who see each other now and
// then; one actor makes a line.
func history(n, actors int) []Meta {
	out := make([]Meta, n)
	seqs := make([]uint64, actors)
	last := make([]id.Hash, actors)
	for i := range out {
		a := i % actors
		seqs[a]++
		m := &out[i]
		*m = Meta{Actor: id.Actor(fmt.Sprint("actor ", a)), Seq: seqs[a], StartOp: uint64(i + 1), NumOps: 1, Row: int64(i)}
		m.Hash = sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		if seqs[a] > 1 {
			m.Deps = append(m.Deps, last[a])
		}
		if o := last[(a+1)%actors]; i%5 == 0 && actors > 1 && o != (id.Hash{}) {
			m.Deps = append(m.Deps, o)
			id.SortHashes(m.Deps)
		}
		last[a] = m.Hash
	}
	return out
}

func load(b testing.TB, metas []Meta) *Graph {
	g := New()
	for i := range metas {
		if err := g.Add(metas[i]); err != nil {
			b.Fatal(err)
		}
	}
	g.Publish(nil)
	return g
}

func BenchmarkInsert(b *testing.B) {
	for _, actors := range []int{1, 3, 100} {
		metas := history(250_000, actors)
		b.Run(fmt.Sprintf("actors=%d", actors), func(b *testing.B) {
			for b.Loop() {
				load(b, metas)
			}
			b.ReportMetric(float64(b.N)*float64(len(metas))/b.Elapsed().Seconds(), "changes/s")
		})
	}
}

// BenchmarkAncestors asks from a place far from the heads.
func BenchmarkAncestors(b *testing.B) {
	for _, actors := range []int{1, 3, 100} {
		metas := history(250_000, actors)
		g := load(b, metas)
		b.Run(fmt.Sprintf("actors=%d", actors), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				g.Ancestors([]id.Hash{metas[(i*7919)%len(metas)].Hash})
			}
		})
	}
}

func TestMemoryPerChange(t *testing.T) {
	const n = 50_000
	for _, actors := range []int{1, 3, 100} {
		metas := history(n, actors)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		g := load(t, metas)
		runtime.GC()
		runtime.ReadMemStats(&after)
		per := (after.HeapAlloc - before.HeapAlloc) / uint64(len(metas))
		t.Logf("%d actors: %d bytes a change, %d cached clocks", actors, per, len(g.clocks.at))
		if per > 128 {
			t.Errorf("%d actors: a change takes %d bytes", actors, per)
		}
		runtime.KeepAlive(g)
		runtime.KeepAlive(metas)
	}
}
