package graph

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// model is the graph as sets and searches, with nothing to go wrong.
type model struct {
	metas map[id.Hash]Meta
	order []id.Hash
}

func newModel() *model { return &model{metas: map[id.Hash]Meta{}} }

func (m *model) add(x Meta) { m.metas[x.Hash] = x; m.order = append(m.order, x.Hash) }

func (m *model) closure(hs []id.Hash) map[id.Hash]bool {
	seen := map[id.Hash]bool{}
	todo := slices.Clone(hs)
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if x, ok := m.metas[h]; ok && !seen[h] {
			seen[h] = true
			todo = append(todo, x.Deps...)
		}
	}
	return seen
}

// standing applies the rule of twins.go as it is written, over and over.
func (m *model) standing() (in map[id.Hash]bool, tied bool) {
	state := map[id.Hash]int{}
	allDeps := func(x Meta, want int) bool {
		return !slices.ContainsFunc(x.Deps, func(d id.Hash) bool { return state[d] != want })
	}
	for {
		changed := false
		for _, h := range m.order {
			x := m.metas[h]
			if state[h] != undecided {
				continue
			}
			twinStands, lowerPossible := false, false
			for o, y := range m.metas {
				if o != h && y.Actor == x.Actor && y.Seq == x.Seq {
					twinStands = twinStands || state[o] == stands
					lowerPossible = lowerPossible || state[o] != isOut && o.Compare(h) < 0
				}
			}
			switch {
			case twinStands || slices.ContainsFunc(x.Deps, func(d id.Hash) bool { return state[d] == isOut }):
				state[h], changed = isOut, true
			case allDeps(x, stands) && !lowerPossible:
				state[h], changed = stands, true
			}
		}
		if changed {
			continue
		}
		var open []Meta
		for h, x := range m.metas {
			if state[h] == undecided && allDeps(x, stands) {
				open = append(open, x)
			}
		}
		if len(open) == 0 {
			break
		}
		tied = true
		least := slices.MinFunc(open, func(a, b Meta) int { return cmp.Or(cmp.Compare(a.StartOp, b.StartOp), a.Hash.Compare(b.Hash)) })
		state[least.Hash] = stands
	}
	in = map[id.Hash]bool{}
	for h, s := range state {
		in[h] = s == stands
	}
	return in, tied
}

func (m *model) heads(in map[id.Hash]bool) []id.Hash {
	parent := map[id.Hash]bool{}
	for h, x := range m.metas {
		if in[h] {
			for _, d := range x.Deps {
				parent[d] = true
			}
		}
	}
	var out []id.Hash
	for h := range m.metas {
		if in[h] && !parent[h] {
			out = append(out, h)
		}
	}
	id.SortHashes(out)
	return out
}

// reduce keeps of hs what is no ancestor of another.
func (m *model) reduce(hs []id.Hash) []id.Hash {
	var out []id.Hash
	for _, h := range hs {
		others := slices.DeleteFunc(slices.Clone(hs), func(o id.Hash) bool { return o == h })
		if !m.closure(others)[h] && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	id.SortHashes(out)
	return out
}

// next makes up a change by an actor on top of deps.
func (m *model) next(r *rand.Rand, actor id.Actor, deps []id.Hash) Meta {
	x := Meta{Actor: actor, Seq: 1, StartOp: 1, Deps: deps, NumOps: uint64(r.IntN(4)), Row: int64(len(m.order) + 1)}
	for h := range m.closure(deps) {
		y := m.metas[h]
		x.StartOp = max(x.StartOp, y.StartOp+y.NumOps)
		if y.Actor == actor {
			x.Seq = max(x.Seq, y.Seq+1)
		}
	}
	if r.IntN(8) == 0 {
		if x.NumOps > 0 {
			x.StartOp += uint64(r.IntN(3))
		}
	}
	for i := range x.NumOps {
		if r.IntN(3) == 0 {
			x.Makes = append(x.Makes, chunk.Make{Counter: x.StartOp + i, Kind: chunk.Kind(r.IntN(4))})
		}
	}
	for i := 0; i < len(x.Hash); i += 8 {
		binary.LittleEndian.PutUint64(x.Hash[i:], r.Uint64())
	}
	return x
}

// someDeps picks what a new change may depend on.
func (m *model) someDeps(r *rand.Rand) []id.Hash {
	var deps []id.Hash
	for range r.IntN(4) {
		// Near the end, as authors do, or anywhere.
		n := len(m.order)
		if n == 0 {
			break
		}
		back := n
		if r.IntN(3) > 0 {
			back = min(n, 8)
		}
		deps = append(deps, m.order[n-1-r.IntN(back)])
	}
	return m.reduce(deps)
}

// compare checks all that a graph tells against the model of what is published.
func (m *model) compare(t *testing.T, r *rand.Rand, g *Graph) {
	t.Helper()
	in, _ := m.standing()
	all := 0
	for h := range m.metas {
		if in[h] {
			all++
		}
		if g.Has(h) != in[h] || !g.Knows(h) || g.Quarantined(h) == in[h] {
			t.Fatalf("change %s: Has %v, Knows %v; it stands: %v", h, g.Has(h), g.Knows(h), in[h])
		}
	}
	if g.Len() != all || g.Nodes() != len(m.metas) {
		t.Fatalf("Len %d, Nodes %d; want %d, %d", g.Len(), g.Nodes(), all, len(m.metas))
	}
	if want := m.heads(in); !slices.Equal(g.Heads(), want) {
		t.Fatalf("heads %v, want %v", g.Heads(), want)
	}
	for range 3 {
		var have []id.Hash
		for range r.IntN(4) {
			if len(m.order) > 0 {
				have = append(have, m.order[r.IntN(len(m.order))])
			}
		}
		if r.IntN(3) == 0 {
			have = slices.Clone(g.Heads())
		}
		m.compareBeyond(t, g, in, have)
	}
	objects := 0
	for h, x := range m.metas {
		if !in[h] {
			continue
		}
		objects += len(x.Makes)
		a := g.actorOf[x.Actor]
		for _, k := range x.Makes {
			if kind, ok := g.objs.get(objectID(a, uint32(k.Counter))); !ok || kind != k.Kind {
				t.Fatalf("object %d of %s: %v %v, want %v", k.Counter, x.Actor, kind, ok, k.Kind)
			}
		}
		for i := range x.NumOps {
			if n, ok := g.Find(x.Actor, x.StartOp+i); !ok || g.Hash(n) != h {
				t.Fatalf("operation %d of %s not found in %s", x.StartOp+i, x.Actor, h)
			}
		}
	}
	if g.objs.used != objects {
		t.Fatalf("%d objects, want %d", g.objs.used, objects)
	}
}

func (m *model) compareBeyond(t *testing.T, g *Graph, in map[id.Hash]bool, have []id.Hash) {
	t.Helper()
	below := m.closure(have)
	anc := g.Ancestors(have)
	var got, want []id.Hash
	last := -1
	for _, n := range g.Since(have) {
		if n <= last {
			t.Fatalf("Since is not in order")
		}
		last = n
		got = append(got, g.Hash(n))
	}
	for h := range m.metas {
		n, _ := g.Lookup(h)
		if anc.Has(n) != below[h] {
			t.Fatalf("Ancestors(%v).Has(%s) is %v", have, h, anc.Has(n))
		}
		if in[h] && !below[h] {
			want = append(want, h)
		}
	}
	id.SortHashes(got)
	id.SortHashes(want)
	if !slices.Equal(got, want) {
		t.Fatalf("Since(%v) has %d changes, want %d", have, len(got), len(want))
	}
	var rest []int
	for _, h := range want {
		n, _ := g.Lookup(h)
		rest = append(rest, n)
	}
	left := map[id.Hash]bool{}
	for h := range m.metas {
		left[h] = in[h] && below[h]
	}
	if a, b := g.HeadsWithout(rest), m.heads(left); !slices.Equal(a, b) {
		t.Fatalf("HeadsWithout: %v, want %v", a, b)
	}
}
