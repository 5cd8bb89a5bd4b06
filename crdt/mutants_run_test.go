package crdt_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"syncline/crdt/id"
)

var (
	mutantsFlag = flag.Int("mutants", 4000, "mutated histories that TestMutants makes")
	seedFlag    = flag.Uint64("seed", 1, "seed of everything random; a seed and an index make one mutant")
	replayFlag  = flag.Int("replay", -1, "make only the mutant of this index, and print it")
)

const (
	// judges is how many children work at once.
	judges = 2
	// batch is how many mutants go to a child in one exchange.
	batch = 32
	// poolSize is how many Go histories mutants are made from, beside those of JavaScript.
	poolSize = 100
	// poolChanges is the largest base, in changes: a mutant costs as much as its base.
	poolChanges = 40
)

// basePool is the histories to mutate.
func basePool(t testing.TB, seed uint64) []history {
	var pool []history
	for i := range uint64(poolSize) {
		if h := goHistory(seed<<20 + i); len(h.changes) > 0 {
			pool = append(pool, h)
		}
	}
	for _, h := range jsHistories(t) {
		h.changes = h.changes[:min(len(h.changes), poolChanges)]
		pool = append(pool, h)
	}
	for i := range pool {
		pool[i].index()
	}
	return pool
}

// mutant is one finished mutant.
type mutant struct {
	index   int
	mutator string
	*mutation
	accepted [][]byte  // what the checks let through, in order
	heads    []id.Hash // of what they let through
	passed   bool      // the mutated change itself was let through
	entry    entry
	exchange []byte // given to the core instead of accepted, by byMessage
}

// input is what the core gets of a mutant.
func (m *mutant) input() input {
	if m.entry == byMessage {
		return input{byMessage, m.exchange}
	}
	return input{m.entry, concat(m.accepted)}
}

// makeMutant is a function of the pool, the seed and the index.
func makeMutant(pool []history, mutators []mutator, seed uint64, index int) *mutant {
	rng := rand.New(rand.NewPCG(seed, uint64(index)))
	for {
		m := newMutation(rng, pool)
		how := pick(rng, mutators)
		if !how.mutate(m) {
			continue
		}
		name := how.name
		if again := pick(rng, mutators); rng.IntN(4) == 0 && how.ofChange && again.ofChange {
			m.at = rng.IntN(len(m.changes))
			if again.mutate(m) {
				name = "several"
			}
		}
		e := []entry{byIncremental, byIncremental, byEdit, byEdit, byApply, byDocument}[rng.IntN(6)]
		return &mutant{index: index, mutator: name, mutation: m, entry: e}
	}
}

// pick draws a mutator by weight.
func pick(rng *rand.Rand, mutators []mutator) mutator {
	total := 0
	for _, m := range mutators {
		total += m.weight
	}
	n := rng.IntN(total)
	for _, m := range mutators {
		if n -= m.weight; n < 0 {
			return m
		}
	}
	panic("unreachable: weights are positive")
}

// beginsBase reports whether nothing was let through but the first changes of the base.
func (m *mutant) beginsBase() bool {
	return len(m.accepted) <= len(m.base.changes) &&
		slices.EqualFunc(m.accepted, m.base.changes[:len(m.accepted)], bytes.Equal)
}

// tally counts what became of the mutants of one mutator.
type tally struct{ made, accepted, fed, dead, broken, refused int }

// finding is a mutant that the checks let through and the core did not bear.
type finding struct {
	*mutant
	what string
}

// run makes mutants first to first+n, lets gate decide, gives what it let through to
// the core, and returns the count of each mutator and what went wrong, by index.
func run(t *testing.T, first, n int, mutators []mutator, gate func(*mutant)) (map[string]*tally, []finding) {
	pool := basePool(t, *seedFlag)
	var (
		mu       sync.Mutex
		next     = first
		tallies  = map[string]*tally{}
		findings []finding
		workers  sync.WaitGroup
	)
	claim := func() (from, to int) {
		mu.Lock()
		defer mu.Unlock()
		from, to = next, min(next+batch, first+n)
		next = to
		return from, to
	}
	report := func(made []*mutant, fed []*mutant, answers []answer) {
		mu.Lock()
		defer mu.Unlock()
		of := func(m *mutant) *tally {
			if tallies[m.mutator] == nil {
				tallies[m.mutator] = &tally{}
			}
			return tallies[m.mutator]
		}
		for _, m := range made {
			of(m).made++
			if m.passed {
				of(m).accepted++
			}
		}
		for i, m := range fed {
			c := of(m)
			c.fed++
			if what := verdictOn(m, answers[i], c); what != "" {
				findings = append(findings, finding{m, what})
			}
		}
	}
	for range judges {
		c := newCore(t)
		workers.Go(func() {
			for from, to := claim(); from < to; from, to = claim() {
				var made, fed []*mutant
				var inputs []input
				for i := from; i < to; i++ {
					m := makeMutant(pool, mutators, *seedFlag, i)
					gate(m)
					made = append(made, m)
					// What remains of a refused mutant is mostly the beginning of
					// its base: a few of them are enough.
					if m.passed || !m.beginsBase() || i%50 == 0 {
						fed = append(fed, m)
						inputs = append(inputs, m.input())
					}
				}
				report(made, fed, c.judge(inputs))
			}
		})
	}
	workers.Wait()
	slices.SortFunc(findings, func(a, b finding) int { return a.index - b.index })
	return tallies, findings
}

// verdictOn says what is wrong with the core's answer, or nothing.
func verdictOn(m *mutant, a answer, c *tally) string {
	switch {
	case a.death != "":
		c.dead++
		return "death: " + a.death
	case a.verdict == broken:
		c.broken++
		return "broken: " + a.text
	case a.verdict == refused:
		c.refused++
		return "refused by the core: " + a.text
	case m.heads != nil && m.entry != byEdit && m.entry != byMessage && !bytes.Equal(a.heads, flat(m.heads)):
		c.refused++
		return fmt.Sprintf("the core has other heads: %d, not %d", len(a.heads)/32, len(m.heads))
	}
	return ""
}

func flat(hs []id.Hash) []byte {
	var b []byte
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b
}

// table prints the tallies and returns their sum.
func table(t *testing.T, tallies map[string]*tally) tally {
	var sum tally
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "mutator\tmade\taccepted\t%\tto the core\tdead\tbroken\trefused\t")
	row := func(name string, c *tally) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%d\t%d\t%d\t%d\t\n", name, c.made, c.accepted, 100*float64(c.accepted)/float64(max(c.made, 1)), c.fed, c.dead, c.broken, c.refused)
	}
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		c := tallies[name]
		row(name, c)
		sum.made += c.made
		sum.accepted += c.accepted
		sum.fed += c.fed
		sum.dead += c.dead
		sum.broken += c.broken
		sum.refused += c.refused
	}
	row("all", &sum)
	w.Flush()
	t.Logf("seed %d\n%s", *seedFlag, out.String())
	return sum
}

// keep writes the input of a finding to a file, for replay by other means.
func keep(t *testing.T, f finding) string {
	dir := filepath.Join(os.TempDir(), "syncline-mutants")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err.Error()
	}
	path := filepath.Join(dir, fmt.Sprintf("seed-%d-mutant-%d.changes", *seedFlag, f.index))
	if err := os.WriteFile(path, concat(f.accepted), 0o644); err != nil {
		return err.Error()
	}
	return path
}
