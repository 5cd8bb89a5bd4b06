package crdttest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/value/valuetest"
)

// Peer is one of those who edit a document and tell each other at random.
type Peer struct {
	Doc   *crdt.Document
	Clock int64 // seconds since 1970, as its next change says
	Known map[id.Hash]bool
}

// Sim is a document and those who edit it.
type Sim struct {
	Rand  *rand.Rand
	Peers []*Peer
	All   []*chunk.Change // of all of them, dependencies first
	// Learnt, if set, is called with what a peer's document has got, its own or others'.
	Learnt func(*Peer, []*chunk.Change)

	t testing.TB
}

// New makes a document by Rules and two to six peers who have it; the seed decides all
// that comes.
func New(t testing.TB, seed uint64) *Sim {
	s := &Sim{t: t, Rand: rand.New(rand.NewPCG(seed, 6))}
	for i := range 2 + s.Rand.IntN(5) {
		p := &Peer{Doc: crdt.New(id.Actor([]byte{byte(i*97 + 1), byte(s.Rand.Uint32())})), Known: map[id.Hash]bool{}}
		// A clock may be far off.
		p.Clock = []int64{1_700_000_000, 1_700_000_000, 1_700_000_100, 0, -5, 4_000_000_000}[s.Rand.IntN(6)]
		s.Peers = append(s.Peers, p)
	}
	s.Do(s.Peers[0], crdt.Create("c", "e0", map[string]any{
		"counter": crdt.Counter(1), "max": 1, "union": []any{"a"}, "inner": map[string]any{"max": 0}, "texts": map[string]any{}, "set": map[string]any{},
	}), crdt.Create("c", "e1", nil), crdt.Create("d", "e0", nil))
	for _, p := range s.Peers[1:] {
		s.Deliver(p, 1)
	}
	return s
}

// Close frees the documents.
func (s *Sim) Close() {
	for _, p := range s.Peers {
		p.Doc.Close()
	}
}

// Do has a peer do something, if that can be done.
func (s *Sim) Do(p *Peer, ops ...crdt.Operation) {
	s.t.Helper()
	p.Clock += int64(s.Rand.IntN(3))
	c, err := p.Doc.Do(time.Unix(p.Clock, 0), ops...)
	switch {
	case err == nil:
		p.Known[c.Hash] = true
		s.All = append(s.All, c)
		s.learnt(p, c)
	case errors.Is(err, crdt.ErrBroken):
		s.t.Fatal(err)
	}
	// Any other operation may find that what it works on is not there.
}

// Deliver hands a peer some of what it lacks, in an order that chance and the
// dependencies have made: a share above 1 is all of it.
func (s *Sim) Deliver(p *Peer, share float64) {
	s.t.Helper()
	for {
		var ready []*chunk.Change
		for _, c := range s.All {
			has := func(h id.Hash) bool { return p.Known[h] }
			if !p.Known[c.Hash] && !slices.ContainsFunc(c.Deps, func(h id.Hash) bool { return !has(h) }) {
				ready = append(ready, c)
			}
		}
		if len(ready) == 0 || s.Rand.Float64() > share {
			return
		}
		s.Rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
		ready = ready[:1+s.Rand.IntN(len(ready))]
		if err := p.Doc.Apply(ready); err != nil {
			s.t.Fatal(err)
		}
		for _, c := range ready {
			p.Known[c.Hash] = true
		}
		s.learnt(p, ready...)
	}
}

func (s *Sim) learnt(p *Peer, changes ...*chunk.Change) {
	if s.Learnt != nil {
		s.Learnt(p, changes)
	}
}

// Edit does something that the schema allows, or now and then what another version of
// the app would do.
func (s *Sim) Edit(p *Peer) {
	r := s.Rand
	e := []string{"e0", "e0", "e1", "e2"}[r.IntN(4)]
	text := func() string { return []string{"a", "b", "c", "\uffff", "\U0001f600"}[r.IntN(5)] }
	set := func(field string, v any) { s.Do(p, crdt.Set("c", e, field, v)) }
	switch r.IntN(20) {
	case 0:
		set("none", valuetest.Random(r))
	case 1:
		set("winner", text())
	case 2:
		s.Do(p, crdt.Increment("c", e, "counter", int64(r.IntN(5))))
	case 3:
		set("counter", crdt.Counter(r.IntN(5)))
	case 4:
		set("max", valuetest.Number(r))
	case 5:
		set("min", r.IntN(9))
	case 6:
		set("union", valuetest.List(r, func(*rand.Rand) any { return text() }))
	case 7:
		s.Do(p, crdt.ListInsert("c", e, "union", 0, text()))
	case 8:
		s.Do(p, crdt.ListSet("c", e, "union", 0, text()))
	case 9:
		set("set", map[string]any{text(): true})
	case 10:
		set("state", []string{"draft", "sent", "paid", "refunded"}[min(r.IntN(10), 3)])
	case 11:
		set("last", valuetest.Random(r))
	case 12:
		set("first", valuetest.Random(r))
	case 13:
		set("all", valuetest.Random(r))
	case 14:
		set("sum", r.IntN(9))
	case 15:
		set("inner", map[string]any{"max": r.IntN(9)})
	case 16:
		s.Do(p, crdt.Set("c", e, crdt.Path{"inner", "max"}, r.IntN(9)))
	case 17:
		s.Do(p, crdt.Set("c", e, crdt.Path{"texts", text()}, text()))
	case 18:
		s.Do(p, crdt.Create("c", e, map[string]any{"max": r.IntN(9), "sum": 1}))
	case 19:
		if r.IntN(4) == 0 {
			s.Do(p, crdt.Delete("c", e))
		} else {
			set([]string{"max", "state", "sum", "union"}[r.IntN(4)], valuetest.Random(r))
		}
	}
}

// Run edits and tells at random, and at last tells all to all.
func (s *Sim) Run() {
	for range 10 + s.Rand.IntN(50) {
		p := s.Peers[s.Rand.IntN(len(s.Peers))]
		if s.Rand.IntN(8) == 0 {
			s.Deliver(p, 0.5)
		} else {
			s.Edit(p)
		}
	}
	for _, p := range s.Peers {
		s.Deliver(p, 2)
	}
}
