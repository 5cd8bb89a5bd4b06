package graph

import (
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/id"
)

// Whatever is chosen, its heads are those of what is chosen with all ancestors.
func TestHeadsOf(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9))
		g := New()
		seq, top := map[int]uint64{}, map[int]uint64{}
		last := map[int]id.Hash{}
		var metas []Meta
		for i := range 1 + rng.IntN(30) {
			a := rng.IntN(3)
			deps := map[id.Hash]uint64{}
			if seq[a] > 0 {
				deps[last[a]] = top[a]
			}
			if b := rng.IntN(3); seq[b] > 0 {
				deps[last[b]] = top[b]
			}
			m := Meta{Hash: id.Hash{byte(i + 1), byte(seed)}, Actor: id.Actor([]byte{byte(a + 1)}), Seq: seq[a] + 1, NumOps: 1, Row: int64(i)}
			for h, c := range deps {
				m.Deps = append(m.Deps, h)
				m.StartOp = max(m.StartOp, c)
			}
			m.StartOp++
			id.SortHashes(m.Deps)
			if err := g.Add(m); err != nil {
				t.Fatal(err)
			}
			seq[a], top[a], last[a] = m.Seq, m.StartOp, m.Hash
			metas = append(metas, m)
		}
		g.Publish(nil)
		chosen := map[id.Hash]bool{}
		for _, m := range metas {
			chosen[m.Hash] = rng.IntN(3) == 0
		}
		all, child := map[id.Hash]bool{}, map[id.Hash]bool{}
		for _, m := range slices.Backward(metas) {
			if chosen[m.Hash] || all[m.Hash] {
				all[m.Hash] = true
				for _, d := range m.Deps {
					all[d], child[d] = true, true
				}
			}
		}
		var want []id.Hash
		for h := range all {
			if !child[h] {
				want = append(want, h)
			}
		}
		id.SortHashes(want)
		if got := g.HeadsOf(func(n int) bool { return chosen[g.Hash(n)] }); !slices.Equal(got, want) {
			t.Fatalf("seed %d: got %v, want %v", seed, got, want)
		}
	}
}
