package graph

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
)

func seeds(t *testing.T, n int, f func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	if testing.Short() {
		n = n/10 + 1
	}
	for seed := range uint64(n) {
		f(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

var actors = []id.Actor{"a", "b", "c", "d", "e", "f", "g", "h"}

// grow adds changes to a graph and its model with twins or without, publishing
// and truncating as it goes.
func grow(t *testing.T, r *rand.Rand, n int, twins bool) (*Graph, *model) {
	g, m := New(), newModel()
	width := 1 + r.IntN(len(actors))
	published := 0
	for len(m.order) < n {
		actor := actors[r.IntN(width)]
		deps := m.someDeps(r)
		if !twins {
			// The actor's own last change is below a change of its.
			for i := len(m.order) - 1; i >= 0; i-- {
				if m.metas[m.order[i]].Actor == actor {
					deps = m.reduce(append(deps, m.order[i]))
					break
				}
			}
		}
		x := m.next(r, actor, deps)
		if err := g.Add(x); err != nil {
			t.Fatalf("Add: %v", err)
		}
		if err := g.Add(x); !errors.Is(err, ErrKnown) {
			t.Fatalf("second Add: %v", err)
		}
		if g.Has(x.Hash) || g.Knows(x.Hash) || !g.Contains(x.Hash) {
			t.Fatal("an unpublished change is visible")
		}
		m.add(x)
		switch r.IntN(6) {
		case 0:
			g.Truncate()
			for _, h := range m.order[published:] {
				delete(m.metas, h)
			}
			m.order = m.order[:published]
			m.compare(t, r, g)
		case 1, 2:
			rows := make([]int64, g.Unpublished())
			for i := range rows {
				rows[i] = m.metas[m.order[published+i]].Row
			}
			g.Publish(rows)
			published = len(m.order)
			m.compare(t, r, g)
		}
	}
	g.Publish(nil)
	m.compare(t, r, g)
	return g, m
}

func TestGraphIsTheModel(t *testing.T) {
	seeds(t, 60, func(t *testing.T, r *rand.Rand) { grow(t, r, 60, false) })
}

func TestGraphIsTheModelWithTwins(t *testing.T) {
	seeds(t, 150, func(t *testing.T, r *rand.Rand) { grow(t, r, 40, true) })
}

// Clocks are cached only in longer histories.
func TestLongHistories(t *testing.T) {
	seeds(t, 4, func(t *testing.T, r *rand.Rand) {
		g, m := New(), newModel()
		last := map[id.Actor]id.Hash{}
		var all []id.Hash
		for range 1500 {
			actor := actors[r.IntN(4)]
			var deps []id.Hash
			if h, ok := last[actor]; ok {
				deps = append(deps, h)
			}
			if o, ok := last[actors[r.IntN(4)]]; ok && r.IntN(12) == 0 && !slices.Contains(deps, o) {
				deps = append(deps, o)
			}
			id.SortHashes(deps)
			// Metadata without the model's full search, which would take long here.
			x := Meta{Actor: actor, Seq: 1, StartOp: 1, NumOps: 1, Deps: deps}
			for _, d := range deps {
				x.StartOp = max(x.StartOp, m.metas[d].StartOp+1)
			}
			if h, ok := last[actor]; ok {
				x.Seq = m.metas[h].Seq + 1
			}
			for i := range x.Hash {
				x.Hash[i] = byte(r.Uint32())
			}
			if err := g.Add(x); err != nil {
				t.Fatal(err)
			}
			m.add(x)
			last[actor] = x.Hash
			all = append(all, x.Hash)
		}
		g.Publish(nil)
		if len(g.clocks.at) == 0 {
			t.Fatal("no clock was cached")
		}
		in := map[id.Hash]bool{}
		for h := range m.metas {
			in[h] = true
		}
		for range 20 {
			m.compareBeyond(t, g, in, []id.Hash{all[r.IntN(len(all))], all[r.IntN(len(all))]})
			m.compareBeyond(t, g, in, []id.Hash{all[r.IntN(len(all))]})
		}
	})
}

func TestClocksStayWithinTheirBudget(t *testing.T) {
	// A new actor for each change, with many short branches: the worst for clocks.
	g := New()
	r := rand.New(rand.NewPCG(1, 1))
	m := newModel()
	var all []id.Hash
	for i := range 20_000 {
		x := Meta{Actor: id.Actor(string(rune(i))), Seq: 1, StartOp: uint64(i + 1), NumOps: 1}
		if i > 0 {
			x.Deps = []id.Hash{all[max(0, i-1-r.IntN(100))]}
		}
		x.Hash = m.next(r, "x", nil).Hash
		if err := g.Add(x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x.Hash)
	}
	if g.clocks.spent > len(all)+clockFloor {
		t.Errorf("%d clock entries for %d changes", g.clocks.spent, len(all))
	}
}

func TestAddRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m, g := newModel(), New()
	put := func(actor id.Actor, deps ...id.Hash) Meta {
		x := m.next(r, actor, m.reduce(deps))
		if err := g.Add(x); err != nil {
			t.Fatal(err)
		}
		m.add(x)
		return x
	}
	a1 := put("a")
	a2 := put("a", a1.Hash)
	b1 := put("b", a1.Hash)
	g.Publish(nil)
	tests := []struct {
		name   string
		deps   []id.Hash
		edit   func(*Meta)
		reason string
	}{
		{"a gap in the sequence", []id.Hash{a2.Hash}, func(x *Meta) { x.Seq++ }, "whose last change among its ancestors is 2"},
		{"a sequence number below an ancestor's", []id.Hash{a2.Hash}, func(x *Meta) { x.Seq-- }, "whose last change among its ancestors is 2"},
		{"own change not an ancestor", []id.Hash{b1.Hash}, func(x *Meta) { x.Seq = 3 }, "whose last change among its ancestors is 1"},
		{"sequence number 0", nil, func(x *Meta) { x.Seq = 0 }, "sequence number 0"},
		{"sequence number past 32 bits", nil, func(x *Meta) { x.Seq = 1 << 32 }, "sequence number 4294967296"},
		{"operation 0", nil, func(x *Meta) { x.StartOp = 0 }, "do not fit 32 bits"},
		{"operations past 32 bits", nil, func(x *Meta) { x.StartOp, x.NumOps = math.MaxUint32, 1 }, "do not fit 32 bits"},
		{"an endless change", nil, func(x *Meta) { x.NumOps = math.MaxUint64 }, "do not fit 32 bits"},
		{"too many counters left out", []id.Hash{a2.Hash}, func(x *Meta) { x.StartOp = a2.StartOp + a2.NumOps + MaxGap + 1 }, "reach only"},
		{"no operations and not next", []id.Hash{a2.Hash}, func(x *Meta) { x.StartOp, x.NumOps = a2.StartOp+a2.NumOps+1, 0 }, "has no operations"},
		{"first operation not above its ancestors'", []id.Hash{a2.Hash}, func(x *Meta) { x.StartOp = a2.StartOp + a2.NumOps - 1 }, "its dependencies reach"},
		{"a dep named twice", []id.Hash{a2.Hash}, func(x *Meta) { x.Deps = []id.Hash{a2.Hash, a2.Hash} }, "named twice"},
	}
	for _, test := range tests {
		x := m.next(r, "a", test.deps)
		test.edit(&x)
		err := g.Add(x)
		var refusal *RefusedError
		if !errors.As(err, &refusal) || refusal.Hash != x.Hash || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v, want one that says %q", test.name, err, test.reason)
		}
	}
	x := m.next(r, "c", nil)
	x.Deps = []id.Hash{x.Hash}
	var missing *MissingError
	if err := g.Add(x); !errors.As(err, &missing) || !slices.Equal(missing.Missing, x.Deps) {
		t.Errorf("a change that depends on itself: %v", err)
	}
	if g.Unpublished() != 0 {
		t.Errorf("%d refused changes were added", g.Unpublished())
	}
	m.compare(t, r, g)
}
