package graph

import (
	"cmp"
	"slices"
)

// The decision over all nodes, by the rule in twins.go.

const (
	undecided = iota
	stands
	isOut
)

type decision struct {
	g        *Graph
	state    []uint8
	waits    []uint32       // by node: deps not yet known to stand
	rivals   map[uint32]int // by twin: lower twins not yet known to be out
	children []uint32       // of node n: children[from[n]:from[n+1]]
	from     []uint32
	todo     []uint32 // decided, and what follows from it is not
}

// decide says for each node whether it stands. It costs time and memory in
// proportion to the graph.
func (g *Graph) decide() []uint8 {
	d := &decision{g: g, state: make([]uint8, len(g.hash)), waits: make([]uint32, len(g.hash)), rivals: map[uint32]int{}}
	d.link()
	var twins []uint32
	for s, nodes := range g.twins.slots {
		if len(nodes) > 1 {
			nodes = slices.Clone(nodes)
			slices.SortFunc(nodes, func(a, b uint32) int { return g.hash[a].Compare(g.hash[b]) })
			for i, n := range nodes {
				d.rivals[n] = i
			}
			twins = append(twins, g.twins.slots[s]...)
		}
	}
	slices.SortFunc(twins, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(g.start[a], g.start[b]), g.hash[a].Compare(g.hash[b]))
	})
	for n := range d.state {
		d.consider(uint32(n))
	}
	d.run()
	g.twins.tied = false
	for {
		i := slices.IndexFunc(twins, func(n uint32) bool { return d.state[n] == undecided && d.waits[n] == 0 })
		if i < 0 {
			return d.state
		}
		g.twins.tied = true
		d.stand(twins[i])
		d.run()
	}
}

// link fills in waits and the lists of children.
func (d *decision) link() {
	d.from = make([]uint32, len(d.g.hash)+1)
	for n := range d.state {
		parents := d.g.parents.of(uint32(n))
		d.waits[n] = uint32(len(parents))
		for _, p := range parents {
			d.from[p+1]++
		}
	}
	for n := range d.state {
		d.from[n+1] += d.from[n]
	}
	d.children = make([]uint32, d.from[len(d.state)])
	next := slices.Clone(d.from)
	for n := range d.state {
		for _, p := range d.g.parents.of(uint32(n)) {
			d.children[next[p]] = uint32(n)
			next[p]++
		}
	}
}

// consider lets a node stand if nothing is in its way.
func (d *decision) consider(n uint32) {
	if d.state[n] == undecided && d.waits[n] == 0 && d.rivals[n] == 0 {
		d.stand(n)
	}
}

// stand decides on a node and with it on its twins, so that no other of them can
// come to stand.
func (d *decision) stand(n uint32) {
	d.state[n] = stands
	d.todo = append(d.todo, n)
	for _, m := range d.mates(n) {
		d.reject(m)
	}
}

func (d *decision) reject(n uint32) {
	if d.state[n] == undecided {
		d.state[n] = isOut
		d.todo = append(d.todo, n)
	}
}

// run draws all conclusions. Their order does not matter: each rests on what is
// decided for good.
func (d *decision) run() {
	for len(d.todo) > 0 {
		n := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		children := d.children[d.from[n]:d.from[n+1]]
		if d.state[n] == stands {
			for _, c := range children {
				d.waits[c]--
				d.consider(c)
			}
			continue
		}
		for _, c := range children {
			d.reject(c)
		}
		for _, m := range d.mates(n) {
			if d.g.hash[m].Compare(d.g.hash[n]) > 0 {
				d.rivals[m]--
				d.consider(m)
			}
		}
	}
}

func (d *decision) mates(n uint32) []uint32 {
	if _, ok := d.rivals[n]; !ok {
		return nil
	}
	return d.g.twins.slots[d.g.slotOf(n)]
}

// apply makes the graph what the decision says, and notes in v which published
// rows that concerns.
func (g *Graph) apply(state []uint8, v *Verdict) {
	var restored []uint32
	for n, s := range state {
		n := uint32(n)
		switch was := g.twins.isOut(n); {
		case s == isOut && !was:
			g.expel(n)
			if int(n) < g.pub {
				v.Quarantined = append(v.Quarantined, g.row[n])
			}
		case s == stands && was:
			restored = append(restored, n)
			if int(n) < g.pub {
				v.Restored = append(v.Restored, g.row[n])
			}
		}
	}
	for _, n := range restored { // after all were expelled: twins make the same ids
		for _, k := range g.twins.out[n].makes {
			g.objs.add(objectID(g.actor[n], uint32(k.Counter)), k.Kind)
		}
		delete(g.twins.out, n)
	}
	for s, nodes := range g.twins.slots {
		if len(nodes) == 1 && !g.twins.isOut(nodes[0]) {
			delete(g.twins.slots, s)
		}
	}
	for a := range g.chains {
		g.chains[a] = g.chains[a][:0]
	}
	g.heads = g.heads[:0]
	clear(g.child.words)
	for n := range uint32(len(state)) {
		if state[n] == isOut {
			continue
		}
		g.chains[g.actor[n]] = append(g.chains[g.actor[n]], n)
		for _, p := range g.parents.of(n) {
			g.child.set(p)
		}
	}
	for n := range uint32(len(state)) {
		if state[n] == stands && !g.child.get(n) {
			g.heads = append(g.heads, n)
		}
	}
	for _, n := range restored {
		d := uint16(0)
		for _, p := range g.parents.of(n) {
			d = max(d, g.depth[p])
		}
		g.depth[n] = max(d, d+1)
	}
}

// expel puts a node that stood in quarantine.
func (g *Graph) expel(n uint32) {
	last := g.start[n] + g.ops[n] - 1
	e := &evidence{makes: g.objs.within(g.actor[n], g.start[n], last)}
	for _, k := range e.makes {
		g.objs.remove(objectID(g.actor[n], uint32(k.Counter)))
	}
	g.twins.out[n] = e
	g.clocks.drop(n)
	if s := g.slotOf(n); g.twins.slots[s] == nil {
		g.twins.slots[s] = []uint32{n}
	}
}
