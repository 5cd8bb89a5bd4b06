package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// end is a replica with a graph, its bodies and one session.
type end struct {
	t       testing.TB
	name    string
	g       *graph.Graph
	orphans *graph.Orphans
	bodies  [][]byte // row i+1
	s       *Session
	saved   []byte
	opts    Options
	edits   int
	actor   id.Actor
}

func newEnd(t testing.TB, name string) *end {
	e := &end{t: t, name: name, actor: id.Actor(name)}
	e.lose()
	return e
}

// lose throws everything away.
func (e *end) lose() {
	e.g, e.orphans, e.bodies, e.saved = graph.New(), graph.NewOrphans(graph.OrphanLimits{}), nil, nil
	e.actor += "'"
	e.edits = 0
}

// connect starts a new session from the saved state.
func (e *end) connect() {
	e.s = New(e.g, e.orphans, e.opts)
	if e.saved != nil {
		if err := e.s.Resume(e.saved); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *end) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		if !yield(e.bodies[row-1]) {
			return nil
		}
	}
	return nil
}

// header is that of the next change on top of the heads.
func (e *end) header(message string) chunk.Header {
	h := chunk.Header{Actor: e.actor, Seq: uint64(e.edits + 1), StartOp: 1, Deps: e.g.Heads(), Message: message}
	for _, d := range h.Deps {
		n, _ := e.g.Lookup(d)
		m := e.g.Meta(n)
		h.StartOp = max(h.StartOp, m.StartOp+m.NumOps)
	}
	return h
}

// edit makes a change on top of the heads.
func (e *end) edit() *chunk.Change {
	e.t.Helper()
	c := makeChange(e.t, e.header(e.name))
	e.edits++
	e.take(c)
	return c
}

func (e *end) takeRaw(raw []byte) {
	e.t.Helper()
	c, err := chunk.ParseChange(raw)
	if err != nil {
		e.t.Fatal(err)
	}
	e.take(c)
}

func makeChange(t testing.TB, h chunk.Header) *chunk.Change {
	raw, err := chunk.Encode(h, []chunk.Op{{Key: fmt.Sprint(h.Seq), Action: chunk.Set}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// take applies changes as a room does.
func (e *end) take(cs ...*chunk.Change) {
	e.t.Helper()
	var rows []int64
	for len(cs) > 0 {
		c := cs[0]
		cs = cs[1:]
		err := e.g.Check(c)
		if err == nil {
			err = e.g.Add(graph.MetaOf(c))
		}
		var missing *graph.MissingError
		switch {
		case errors.Is(err, graph.ErrKnown):
		case errors.As(err, &missing):
			if evicted := e.orphans.Hold(c, graph.Sender{}, missing.Missing); len(evicted) > 0 {
				e.t.Fatal("an orphan was evicted")
			}
		case err != nil:
			e.t.Fatal(err)
		default:
			e.bodies = append(e.bodies, c.Raw())
			rows = append(rows, int64(len(e.bodies)))
			for _, o := range e.orphans.Arrived(c.Hash) {
				cs = append(cs, o.Change)
			}
		}
	}
	e.g.Publish(rows)
}

// receive decodes a message, applies its changes and tells the session.
func (e *end) receive(p []byte) {
	e.t.Helper()
	m, err := Decode(p)
	if err != nil {
		e.t.Fatal(err)
	}
	cs, err := m.Changes()
	if err != nil {
		e.t.Fatal(err)
	}
	m.Chunks = nil
	e.take(cs...)
	e.s.Receive(m)
}

func (e *end) generate(budget int) []byte {
	e.t.Helper()
	p, err := e.s.Generate(e, budget)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// pair is two ends and what is on its way between them.
type pair struct {
	t      testing.TB
	r      *rand.Rand
	ends   [2]*end
	wire   [2][][]byte         // to ends[i]
	gave   [2]map[id.Hash]bool // sent by ends[i] on this connection
	missed [2]map[id.Hash]bool // false positives that ends[i] has run into
	count  [2]int              // messages sent by ends[i] on this connection
	parts  [2]int              // further parts of messages that a budget cut
	budget int
}

func newPair(t testing.TB, r *rand.Rand) *pair {
	return &pair{t: t, r: r, ends: [2]*end{newEnd(t, "left"), newEnd(t, "right")}}
}

// connect drops what is on its way and starts new sessions; opener speaks first,
// or both do.
func (p *pair) connect(openers ...int) {
	for i, e := range p.ends {
		p.wire[i], p.gave[i], p.missed[i], p.count[i], p.parts[i] = nil, map[id.Hash]bool{}, map[id.Hash]bool{}, 0, 0
		e.connect()
	}
	for _, i := range openers {
		p.say(i)
	}
}

// say lets an end generate all that it has to say now, and reports whether that
// was anything. Parts of one message count as one.
func (p *pair) say(i int) bool {
	e := p.ends[i]
	for part := 0; ; part++ {
		b := e.generate(p.budget)
		if b == nil {
			return part > 0
		}
		if part == 0 {
			p.count[i]++
		} else {
			p.parts[i]++
		}
		m, err := Decode(b)
		if err != nil {
			p.t.Fatal(err)
		}
		cs, err := m.Changes()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, c := range cs {
			p.gave[i][c.Hash] = true
		}
		p.wire[1-i] = append(p.wire[1-i], b)
		if !e.s.Pending() {
			p.countMissed(i)
			return true
		}
	}
}

// countMissed counts the changes that an end believes the other one to have, by
// its filter, and that it has not.
func (p *pair) countMissed(i int) {
	e, o := p.ends[i], p.ends[1-i]
	if !e.s.guess {
		return
	}
	for n := range e.g.Nodes() {
		if h := e.g.Hash(n); !p.gave[i][h] && !o.g.Contains(h) && !o.orphans.Has(h) {
			p.missed[i][h] = true
		}
	}
}

// deliver hands over the next message to an end, which answers once at most.
func (p *pair) deliver(i int) {
	b := p.wire[i][0]
	p.wire[i] = p.wire[i][1:]
	p.ends[i].receive(b)
	p.say(i)
}

// settle delivers until nothing is on its way, in random order between the two
// directions.
func (p *pair) settle() {
	for range 10_000 {
		i := p.r.IntN(2)
		if len(p.wire[i]) == 0 {
			i = 1 - i
		}
		if len(p.wire[i]) == 0 {
			return
		}
		p.deliver(i)
	}
	p.t.Fatal("the ends keep talking")
}

func (p *pair) save() {
	for _, e := range p.ends {
		e.saved = e.s.Save()
	}
}

// converged checks that both ends have the same and know it.
func (p *pair) converged() {
	p.t.Helper()
	a, b := p.ends[0], p.ends[1]
	if !slices.Equal(a.g.Heads(), b.g.Heads()) || a.g.Len() != b.g.Len() {
		p.t.Fatalf("not converged: %d and %d changes, heads %v and %v", a.g.Len(), b.g.Len(), a.g.Heads(), b.g.Heads())
	}
	for _, e := range p.ends {
		if !e.s.Synced() || !slices.Equal(e.s.Acked(), e.g.Heads()) {
			p.t.Fatalf("%s does not know that it is in sync: synced %v, acked %v, heads %v", e.name, e.s.Synced(), e.s.Acked(), e.g.Heads())
		}
		if e.orphans.Len() > 0 {
			p.t.Fatalf("%s holds %d orphans", e.name, e.orphans.Len())
		}
	}
}

// within checks the number of messages on this connection: four a side, and one
// more for each change that a Bloom filter hid and for each further part of a
// message of the other side, which may be answered like a message. (Where a tiny
// budget cuts the answers to false positives too, only convergence is asked for.)
func (p *pair) within() {
	p.t.Helper()
	missed := len(p.missed[0]) + len(p.missed[1])
	if missed > 0 && p.budget > 0 {
		return
	}
	for i := range p.ends {
		if p.count[i] > 4+missed+p.parts[1-i] {
			p.t.Fatalf("%s sent %d messages, with %d false positives", p.ends[i].name, p.count[i], missed)
		}
	}
}

// seeds runs a test on many seeds and names the one that failed.
func seeds(t *testing.T, n int, f func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	if testing.Short() {
		n = n/10 + 1
	}
	for seed := range uint64(n) {
		ok := t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { f(t, rand.New(rand.NewPCG(seed, 2))) })
		if !ok {
			return
		}
	}
}
