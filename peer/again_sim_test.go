package peer

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/storage"
)

var (
	cloneSeeds = flag.Uint64("clone.seeds", 6, "how many seeds the test of clones runs")
	cloneSeed  = flag.Uint64("clone.seed", 0, "the first of them")
)

// Copies of two devices edit as the same actors, again and again, and learn of each
// other's changes in bits: twins of twins, what builds on losers of both devices,
// forged twins of what was issued again, changes that stand again because what beat
// them is out itself. Each change adds a bit of its own to a counter, so the counter
// tells which edits are there, and would carry if one were there twice. Ids are
// random, so that a seed repeats what is done and not which of two twins has the
// lower hash.
func TestEachEditOfClonesIsThereOnce(t *testing.T) {
	restored, again := 0, 0
	for seed := range *cloneSeeds {
		r, a := cloneRun(t, seed+*cloneSeed)
		restored, again = restored+r, again+a
		if t.Failed() {
			t.Fatalf("seed %d", seed+*cloneSeed)
		}
	}
	t.Logf("%d changes were issued again, %d times something stood again", again, restored)
	if again == 0 {
		t.Error("the test is blind")
	}
}

func cloneRun(t *testing.T, seed uint64) (restored, again int) {
	rng := rand.New(rand.NewPCG(seed, 5))
	ada := newClones(t, nil)
	ben := newClones(t, &ada.doc)
	var docs []*Document
	for _, c := range []*clones{ada, ben} {
		for range 2 + rng.IntN(2) {
			_, d := c.open(sameActors(200))
			docs = append(docs, d)
		}
	}
	base := changesOf(t, docs[0])
	for _, d := range docs {
		bring(t, d, base...)
	}
	var all int64
	bits := map[id.Hash]int64{}
	bit := 0
	for range 8 + rng.IntN(24) {
		d := docs[rng.IntN(len(docs))]
		if rng.IntN(5) < 3 && bit < 40 {
			all |= 1 << bit
			ops := []crdt.Operation{crdt.Increment("notes", "shared", "n", 1<<bit)}
			text := []rune(textOf(t, d))
			switch name := fmt.Sprintf("e%d", bit); rng.IntN(4) {
			case 0:
				ops = append(ops, note(name))
			case 1:
				ops = append(ops, crdt.ListInsert("notes", "shared", "list", rng.IntN(3), name))
			case 2:
				ops = append(ops, crdt.Update("notes", "shared", map[string]any{"title": name}))
			}
			ops = append(ops, crdt.Splice("notes", "shared", "text", rng.IntN(len(text)+1), 0, string(rune('А'+bit))))
			bits[do(t, d, ops...).Hash] = 1 << bit
			bit++
			continue
		}
		from := docs[rng.IntN(len(docs))]
		changes := changesOf(t, from)
		if i := rng.IntN(len(changes)); i > 0 && rng.IntN(4) == 0 {
			bring(t, d, forge(t, changes[i], rng.Int64N(1000)))
			continue
		}
		bring(t, d, changes[:1+rng.IntN(len(changes))]...)
	}
	// All that stands anywhere goes everywhere until nothing is new.
	for quiet := false; !quiet; {
		quiet = true
		for _, d := range docs {
			for _, from := range docs {
				before := headsOf(t, d)
				bring(t, d, changesOf(t, from)...)
				quiet = quiet && slices.Equal(headsOf(t, d), before)
			}
		}
	}
	heads := headsOf(t, docs[0])
	var waits int64 // what no copy can issue again, see again.go
	for _, d := range docs {
		for _, h := range openAgain(t, d) {
			waits |= bits[h]
		}
	}
	if waits != 0 {
		t.Logf("seed %d: edits that wait: %b", seed, waits)
	}
	for i, d := range docs {
		if got := headsOf(t, d); !slices.Equal(got, heads) {
			t.Errorf("peer %d: heads %v, want %v", i, got, heads)
		}
		v := jsonOf(t, d)
		if n := counterOf(t, d); n&^all != 0 || all&^n&^waits != 0 {
			t.Errorf("peer %d: the counter is at %b, want %b without some of %b, in\n%s", i, n, all, waits, v)
		}
		seen := map[rune]int{}
		for _, r := range textOf(t, d) {
			if seen[r]++; seen[r] > 1 {
				t.Errorf("peer %d: %c is there twice", i, r)
			}
		}
		r, a := countAgain(t, d)
		restored, again = restored+r, again+a
	}
	checkActors(t, docs[0])
	for _, d := range docs {
		if err := d.p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return restored, again
}

// openAgain lists changes in quarantine that are not issued again for want of an
// original.
func openAgain(t *testing.T, d *Document) (open []id.Hash) {
	t.Helper()
	err := d.p.ask(bounded(t), d.ID(), func(k *desk) error {
		for n, s := range k.again.stands {
			if s.open {
				open = append(open, k.r.graph.Hash(n))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func counterOf(t *testing.T, d *Document) int64 {
	t.Helper()
	e, err := d.Entity(bounded(t), "notes", "shared")
	if err != nil {
		t.Fatal(err)
	}
	n, ok := e["n"].(crdt.Counter)
	if !ok {
		t.Fatalf("the counter is a %T", e["n"])
	}
	return int64(n)
}

func textOf(t *testing.T, d *Document) string {
	t.Helper()
	e, err := d.Entity(bounded(t), "notes", "shared")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(e["text"])
}

// countAgain returns how many changes stand that were in quarantine once, and how
// many were issued again.
func countAgain(t *testing.T, d *Document) (restored, again int) {
	t.Helper()
	err := d.p.ask(bounded(t), d.ID(), func(k *desk) error {
		for _, s := range k.again.stands {
			if s.hash != (id.Hash{}) {
				again++
			}
		}
		return d.p.store.Quarantined(bounded(t), d.ID(), func(e storage.Evidence) error {
			if k.r.graph.Has(e.Hash) {
				restored++
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return restored, again
}
