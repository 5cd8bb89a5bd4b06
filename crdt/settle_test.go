package crdt_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/crdttest"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/value/valuetest"
)

var settlesFlag = flag.Int("settles", 100, "random concurrent histories in which several settle what the merge rules decide")

// settlement is a change that settles, and what it has left standing.
type settlement struct {
	hash   id.Hash
	places []crdt.MergedPlace
	of     []string // the entities of collection c
}

// losersOf is all that the rules have passed over in a document.
func losersOf(t testing.TB, d *crdt.Document, r crdt.Rules) (places []crdt.Retirement, s settlement) {
	t.Helper()
	names, err := d.Collections()
	if err != nil {
		t.Fatal(err)
	}
	err = d.SelectMerged(r, crdt.Selection{Collections: names}, func(m crdt.MergedEntity) error {
		for _, p := range m.Contested {
			if l := p.Losers(); l != nil {
				places = append(places, crdt.Retirement{Collection: m.Collection, ID: m.ID, Path: p.Path, Losers: l})
				s.places, s.of = append(s.places, p), append(s.of, m.ID)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return places, s
}

// settle has a peer settle all that the rules decide. It reports whether there was
// something.
func settle(t testing.TB, s *crdttest.Sim, p *crdttest.Peer, r crdt.Rules) (settlement, bool) {
	t.Helper()
	places, made := losersOf(t, p.Doc, r)
	if len(places) == 0 {
		return made, false
	}
	written, err := p.Doc.Since()
	if err != nil {
		t.Fatal(err)
	}
	before := valuesOf(t, p.Doc, r)
	// The clock of who settles takes no part.
	c, err := p.Doc.Retire(time.Unix(int64(s.Rand.IntN(2))*9_000_000_000, 0), places, written)
	if err != nil {
		t.Fatal(err)
	}
	if after := valuesOf(t, p.Doc, r); after != before {
		t.Fatalf("who settles reads\n%s\nbefore, and then\n%s", before, after)
	}
	if left, _ := losersOf(t, p.Doc, r); len(left) > 0 {
		// What was hidden by a value that has gone may be in sight now.
		for _, l := range left {
			if slices.ContainsFunc(places, func(q crdt.Retirement) bool { return l.ID == q.ID && slices.Equal(l.Path, q.Path) }) {
				t.Fatalf("%v is left of %v", l, places)
			}
		}
	}
	p.Known[c.Hash] = true
	s.All = append(s.All, c)
	made.hash = c.Hash
	return made, true
}

// valuesOf is what the rules read of a document, whatever it is chosen from.
func valuesOf(t testing.TB, d *crdt.Document, r crdt.Rules) string {
	t.Helper()
	names, err := d.Collections()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = d.SelectMerged(r, crdt.Selection{Collections: names}, func(m crdt.MergedEntity) error {
		fmt.Fprintln(&b, m.Collection, m.ID, valuetest.Describe(m.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// stillStands reports whether, as a peer sees it, every value that a settlement has
// chosen is there, where it was.
func stillStands(t testing.TB, d *crdt.Document, s settlement) bool {
	t.Helper()
	for i, p := range s.places {
		if slices.ContainsFunc(p.Path, func(step any) bool { _, index := step.(int); return index }) {
			return false // an index is another one elsewhere
		}
		all, err := d.Conflicts("c", s.of[i], p.Path[0].(string), p.Path[1:]...)
		if err != nil && !errors.Is(err, crdt.ErrNotFound) && !errors.Is(err, crdt.ErrKind) {
			t.Fatal(err)
		}
		chosen := func(c crdt.Conflict) bool { return slices.Contains(p.Result.From, c.ID) }
		if !slices.ContainsFunc(all, chosen) {
			return false
		}
	}
	return true
}

// Two or three peers settle while all edit, each apart from the others for as long as
// chance will have it. Nobody reads anything else for it, at whatever point of his own
// editing a settlement reaches him; each value is taken away by each of those who
// settle at most once; and when nobody edits any more there is soon nothing to settle.
//
//	go test ./crdt -run TestWhoeverSettlesAltersNothing -settles 10000 -timeout 1h
func TestWhoeverSettlesAltersNothing(t *testing.T) {
	r := crdttest.Rules(t)
	settled, looked, passed := map[string]int{}, 0, 0
	for seed := range uint64(*settlesFlag) {
		s := crdttest.New(t, *seedFlag<<32+seed+1<<20)
		settlers := s.Peers[:min(len(s.Peers), 2+s.Rand.IntN(2))]
		taken := map[string]int{} // by who settles and operation
		all := map[id.Hash]settlement{}
		settleAs := func(i int) bool {
			made, any := settle(t, s, settlers[i], r)
			all[made.hash] = made
			for _, p := range made.places {
				settled[p.Rule.Name]++
				for _, l := range p.Losers() {
					key := fmt.Sprint(i, l)
					if taken[key]++; taken[key] > 1 {
						t.Fatalf("seed %d: settler %d took away the value of %v twice", seed, i, l)
					}
				}
			}
			return any
		}
		for range 20 + s.Rand.IntN(40) {
			p := s.Peers[s.Rand.IntN(len(s.Peers))]
			switch s.Rand.IntN(6) {
			case 0:
				settleAs(s.Rand.IntN(len(settlers)))
			case 1:
				l, n := tell(t, s, p, r, all)
				looked, passed = looked+l, passed+n
			case 2: // the sim's own edits are seldom two states
				s.Do(p, crdt.Set("c", "e0", "state", []string{"draft", "sent", "paid"}[s.Rand.IntN(3)]))
			default:
				s.Edit(p)
			}
		}
		// From here on nobody edits. Each round is: all hear of all, and who settles does.
		rounds := 0
		for more := true; more; rounds++ {
			if rounds > 10 {
				t.Fatalf("seed %d: there is still something to settle after %d rounds", seed, rounds)
			}
			for _, p := range s.Peers {
				l, n := tell(t, s, p, r, all)
				looked, passed = looked+l, passed+n
				s.Deliver(p, 2)
			}
			more = false
			for i := range settlers {
				more = settleAs(i) || more
			}
		}
		want := mergeDump(t, s.Peers[0].Doc, r)
		for i, p := range s.Peers[1:] {
			if got := mergeDump(t, p.Doc, r); got != want {
				t.Fatalf("seed %d: peer %d reads\n%s\npeer 0\n%s", seed, i+1, got, want)
			}
		}
		saved, err := s.Peers[0].Doc.Save()
		if err != nil {
			t.Fatal(err)
		}
		again, err := crdt.Load("reader", saved)
		if err != nil {
			t.Fatal(err)
		}
		if got := mergeDump(t, again, r); got != want {
			t.Fatalf("seed %d: opened anew it is\n%s\nnot\n%s", seed, got, want)
		}
		again.Close()
		s.Close()
	}
	t.Logf("settled by rule: %v; %d settlements came in to those who read the same then, %d to those who had replaced what was chosen", settled, looked, passed)
	for _, name := range []string{merge.Winner, merge.Max, merge.Min, merge.Ranked, merge.Last, merge.First} {
		if settled[name] == 0 && *settlesFlag >= 100 {
			t.Errorf("nothing was settled by the rule %q", name)
		}
	}
	if looked < passed && *settlesFlag >= 100 {
		t.Errorf("%d settlements were looked at, and %d passed over", looked, passed)
	}
}

// tell is deliver, one change at a time, with a look at what each settlement does. It
// counts those that were looked at, and those of which the choice had been replaced.
func tell(t testing.TB, s *crdttest.Sim, p *crdttest.Peer, r crdt.Rules, all map[id.Hash]settlement) (looked, passed int) {
	t.Helper()
	for s.Rand.IntN(12) > 0 {
		var ready []*chunk.Change
		for _, c := range s.All {
			missing := func(h id.Hash) bool { return !p.Known[h] }
			if !p.Known[c.Hash] && !slices.ContainsFunc(c.Deps, missing) {
				ready = append(ready, c)
			}
		}
		if len(ready) == 0 {
			return looked, passed
		}
		c := ready[s.Rand.IntN(len(ready))]
		made, isOne := all[c.Hash]
		stands := isOne && stillStands(t, p.Doc, made)
		before := ""
		if stands {
			before = valuesOf(t, p.Doc, r)
		}
		if err := p.Doc.Apply([]*chunk.Change{c}); err != nil {
			t.Fatal(err)
		}
		p.Known[c.Hash] = true
		switch {
		case stands:
			looked++
			if after := valuesOf(t, p.Doc, r); after != before {
				t.Fatalf("the settlement of %+v\nis read as\n%s\nand before it came\n%s", made.places, after, before)
			}
		case isOne:
			passed++
		}
	}
	return looked, passed
}
