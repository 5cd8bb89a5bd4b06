package peer

import (
	"log/slog"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// progressCase is a graph of changes of this device and of another, and ends that
// have some of it.
type progressCase struct {
	d     *desk
	deps  [][]int // by node
	ours  []bool
	ends  []end
	heads [][]int // of the ends
	sent  []bool
}

func progressModel(t *testing.T, rt *rapid.T) progressCase {
	doc := id.Document{1}
	dev := newDevice([]byte("secret"), doc)
	g := graph.New()
	var c progressCase
	d := &desk{doc: doc, log: slog.New(slog.DiscardHandler)}
	seqs := map[id.Actor]uint64{}
	for n := range rapid.IntRange(1, 12).Draw(rt, "changes") {
		var deps []int
		for m := range n {
			if rapid.IntRange(0, 2).Draw(rt, "dep") == 0 {
				deps = append(deps, m)
			}
		}
		ours := rapid.Bool().Draw(rt, "ours")
		// Each by an actor of its own, so that no order between them is called for.
		tag := []byte("somebody")
		if ours {
			tag = slices.Clone(dev.tag)
		}
		actor := id.Actor(append(tag, byte(n), 0, 0, 0, 0, 0, 0, 0))
		seqs[actor]++
		m := graph.Meta{Hash: id.Hash{byte(n + 1)}, Actor: actor, Seq: seqs[actor], StartOp: uint64(n + 1), NumOps: 1, Row: int64(n + 1)}
		for _, p := range deps {
			m.Deps = append(m.Deps, id.Hash{byte(p + 1)})
		}
		if err := g.Add(m); err != nil {
			rt.Fatal(err)
		}
		c.deps, c.ours = append(c.deps, deps), append(c.ours, ours)
		sent := rapid.Bool().Draw(rt, "sent")
		if c.sent = append(c.sent, sent); sent {
			d.sent.add([]int64{int64(n + 1)})
		}
	}
	g.Publish(nil)
	for i := range rapid.IntRange(0, 3).Draw(rt, "ends") {
		e := end{id: string(rune('a' + i)), peer: rapid.Bool().Draw(rt, "peer")}
		var heads []int
		for n := range c.deps {
			if rapid.IntRange(0, 5).Draw(rt, "head") == 0 {
				heads = append(heads, n)
				e.heads = append(e.heads, id.Hash{byte(n + 1)})
			}
		}
		e.heads = append(e.heads, id.Hash{99}) // one that is not here
		c.ends, c.heads = append(c.ends, e), append(c.heads, heads)
	}
	d.r = newReplica(doc, g, nil)
	d.again = newAgain(d.r, dev)
	c.d = d
	return c
}

// above reports whether a node is n or has it among its ancestors.
func (c *progressCase) above(node, n int) bool {
	return node == n || slices.ContainsFunc(c.deps[node], func(p int) bool { return c.above(p, n) })
}

func (c *progressCase) check(t *rapid.T) {
	all := followedFrom(c.d.r.graph, c.d.again.dev, 0)
	for n := range c.deps {
		want := Progress{State: Local}
		if c.sent[n] {
			want.State = Sent
		}
		for i, e := range c.ends {
			if slices.ContainsFunc(c.heads[i], func(h int) bool { return c.above(h, n) }) {
				want.State = max(want.State, Acknowledged)
				want.Acknowledged = append(want.Acknowledged, e.id)
				if e.peer {
					want.State = Seen
					want.Seen = append(want.Seen, e.id)
				}
			}
		}
		for m := n + 1; m < len(c.deps); m++ {
			if !c.ours[m] && c.above(m, n) {
				want.State, want.Followed = Seen, true
			}
		}
		h := id.Hash{byte(n + 1)}
		for _, followed := range [][]bool{nil, all} {
			got := c.d.progress(h, c.ends, followed)
			if got.State != want.State || got.Followed != want.Followed || !slices.Equal(got.Acknowledged, want.Acknowledged) || !slices.Equal(got.Seen, want.Seen) {
				t.Fatalf("change %d: %+v, want %+v", n, got, want)
			}
		}
	}
	// What is not there is nowhere.
	if p := c.d.progress(id.Hash{77}, c.ends, nil); p.State != Local {
		t.Fatalf("%+v", p)
	}
}
