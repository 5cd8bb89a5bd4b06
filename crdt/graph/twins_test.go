package graph

import (
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/id"
)

// What stands depends on what is known, not on the order it came in, nor on what
// was published together or truncated in between.
func TestTwinsInAnyOrder(t *testing.T) {
	tied, restored := 0, 0
	seeds(t, 300, func(t *testing.T, r *rand.Rand) {
		m := newModel()
		width := 1 + r.IntN(4)
		for range 6 + r.IntN(20) {
			m.add(m.next(r, actors[r.IntN(width)], m.someDeps(r)))
		}
		in, tie := m.standing()
		if tie {
			tied++
		}
		for range 4 {
			restored += arrive(t, r, m, in)
		}
	})
	if !testing.Short() && (tied == 0 || restored == 0) {
		t.Errorf("%d histories had crosswise twins, %d changes were restored: the test is blind", tied, restored)
	}
}

func arrive(t *testing.T, r *rand.Rand, m *model, in map[id.Hash]bool) (restored int) {
	g, seen := New(), newModel()
	left := slices.Clone(m.order)
	out := map[int64]bool{} // by row, as the verdicts have it
	var batch []Meta
	for len(left) > 0 || len(batch) > 0 {
		if len(left) > 0 {
			i := r.IntN(len(left))
			x := m.metas[left[i]]
			if slices.ContainsFunc(x.Deps, func(d id.Hash) bool { return !g.Contains(d) }) {
				continue
			}
			if err := g.Add(x); err != nil {
				t.Fatal(err)
			}
			batch = append(batch, x)
			left = slices.Delete(left, i, i+1)
		}
		switch {
		case r.IntN(3) > 0 && len(left) > 0:
			continue
		case r.IntN(5) == 0:
			g.Truncate()
			for _, x := range batch {
				left = append(left, x.Hash)
			}
			batch = batch[:0]
			continue
		}
		v := g.Publish(nil)
		for _, row := range v.Quarantined {
			if out[row] {
				t.Fatalf("row %d quarantined twice", row)
			}
			out[row] = true
		}
		for _, row := range v.Restored {
			if !out[row] {
				t.Fatalf("row %d restored and was not in quarantine", row)
			}
			delete(out, row)
			restored++
		}
		for _, x := range batch {
			seen.add(x)
		}
		batch = batch[:0]
		seen.compare(t, r, g)
		for h, x := range seen.metas {
			if out[x.Row] != g.Quarantined(h) {
				t.Fatalf("row %d: by the verdicts quarantined %v, by the graph %v", x.Row, out[x.Row], g.Quarantined(h))
			}
		}
	}
	if want := m.heads(in); !slices.Equal(g.Heads(), want) {
		t.Fatalf("heads %v, want %v", g.Heads(), want)
	}
	return restored
}

func TestALosingBranchGivesWayAndIsReported(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	m, g := newModel(), New()
	add := func(actor id.Actor, first byte, deps ...id.Hash) Meta {
		x := m.next(r, actor, deps)
		x.Hash[0] = first
		m.add(x)
		if err := g.Add(x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	root := add("a", 1)
	lost := add("a", 9, root.Hash)
	lostChild := add("a", 2, lost.Hash)
	other := add("b", 3, lost.Hash)
	if v := g.Publish(nil); !v.Empty() {
		t.Fatalf("without twins: %+v", v)
	}
	won := add("a", 8, root.Hash)
	if !g.Has(lost.Hash) || !slices.Contains(g.Heads(), other.Hash) {
		t.Fatal("an unpublished twin is visible")
	}
	v := g.Publish(nil)
	if want := []int64{lost.Row, lostChild.Row, other.Row}; !slices.Equal(v.Quarantined, want) || len(v.Restored) > 0 {
		t.Errorf("verdict %+v, want %v quarantined", v, want)
	}
	if len(v.Twins) != 1 || !slices.Equal(v.Twins[0].Hashes, []id.Hash{won.Hash, lost.Hash}) || v.Twins[0].Stands != 0 || !slices.Equal(v.Twins[0].Rows, []int64{won.Row, lost.Row}) {
		t.Errorf("twins %+v", v.Twins)
	}
	if want := []id.Hash{won.Hash}; !slices.Equal(g.Heads(), want) {
		t.Errorf("heads %v, want %v", g.Heads(), want)
	}
	if missing := g.Missing([]id.Hash{lostChild.Hash, other.Hash}); len(missing) > 0 {
		t.Errorf("quarantined changes would be asked for: %v", missing)
	}
	late := add("c", 4, other.Hash)
	if v := g.Publish(nil); !slices.Equal(v.Quarantined, []int64{late.Row}) || len(v.Twins) > 0 {
		t.Errorf("a late descendant: %+v", v)
	}
	if got := g.Twins(); len(got) != 1 || got[0].Actor != "a" || got[0].Seq != 2 {
		t.Errorf("Twins: %+v", got)
	}
	m.compare(t, r, g)
}

// A graph that is loaded from its journal row by row, or all at once, stands as
// the one that wrote it.
func TestTwinsSurviveLoading(t *testing.T) {
	seeds(t, 60, func(t *testing.T, r *rand.Rand) {
		g, m := grow(t, r, 30, true)
		one, all := New(), New()
		for n := range g.Nodes() {
			x := m.metas[g.Hash(n)]
			x, err := DecodeMeta(x.Hash, x.Row, x.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if err := one.Add(x); err != nil {
				t.Fatal(err)
			}
			one.Publish(nil)
			if err := all.Add(x); err != nil {
				t.Fatal(err)
			}
		}
		all.Publish(nil)
		m.compare(t, r, one)
		m.compare(t, r, all)
	})
}
