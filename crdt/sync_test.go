package crdt_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"syncline/bench/js"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

var trialsFlag = flag.Int("trials", 0, "trials of each sync test; 0 for 150 without Node and 30 with it")

// roundLimit is how many messages each end may send until both have all, plus one
// for each false positive of a Bloom filter.
const roundLimit = 4

func TestSyncWithOurselves(t *testing.T) {
	syncTrials(t, 150, func() (end, error) { return newOurEnd(), nil })
}

func TestSyncWithAutomergeGo(t *testing.T) {
	syncTrials(t, 150, func() (end, error) { return newGoEnd(), nil })
}

func TestSyncWithAutomergeJS(t *testing.T) {
	js.Require(t)
	ctx := context.Background()
	worker, err := js.StartAutomerge(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	syncTrials(t, 30, func() (end, error) { return newJSEnd(ctx, worker) })
}

// syncTrials lets our end sync with others over random graphs. Whatever the
// connection did before, a session that is left alone makes both ends equal.
func syncTrials(t *testing.T, trials int, other func() (end, error)) {
	if *trialsFlag > 0 {
		trials = *trialsFlag
	}
	var sum syncStats
	for i := range trials {
		e, err := other()
		if err != nil {
			t.Fatal(err)
		}
		s, err := syncTrial(rand.New(rand.NewPCG(*seedFlag, uint64(i))), newOurEnd(), e)
		if err != nil {
			t.Fatalf("seed %d, trial %d: %v", *seedFlag, i, err)
		}
		sum.add(s)
		if j, ok := e.(*jsEnd); ok {
			if err := j.free(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d trials: at most %d messages from us and %d from them, %d Bloom false positives; in all %d sessions, %d cut, %d messages, of them %d V2",
		trials, sum.most[0], sum.most[1], sum.falsePositives, sum.sessions, sum.cut, sum.messages, sum.v2)
}

// syncStats counts what happened in a trial. most is by side, ours first.
type syncStats struct {
	most                                        [2]int
	falsePositives, sessions, cut, messages, v2 int
}

func (s *syncStats) add(o syncStats) {
	for i := range s.most {
		s.most[i] = max(s.most[i], o.most[i])
	}
	s.falsePositives += o.falsePositives
	s.sessions += o.sessions
	s.cut += o.cut
	s.messages += o.messages
	s.v2 += o.v2
}

// trial is two ends, ours first, that share more and more of one history.
type trial struct {
	rng   *rand.Rand
	ends  [2]end
	all   [][]byte // the history
	deps  map[id.Hash][]id.Hash
	holds [2]map[id.Hash]bool
	stats syncStats
}

func syncTrial(rng *rand.Rand, ours, theirs end) (syncStats, error) {
	tr := &trial{rng: rng, ends: [2]end{ours, theirs}, deps: map[id.Hash][]id.Hash{}}
	tr.all = syncHistory(rng)
	for _, raw := range tr.all {
		p, err := dissect(raw)
		if err != nil {
			return tr.stats, err
		}
		tr.deps[hashOf(raw)] = p.deps
	}
	for i := range tr.holds {
		tr.holds[i] = map[id.Hash]bool{}
		if rng.IntN(6) > 0 { // else it has nothing yet
			if err := tr.grow(i); err != nil {
				return tr.stats, err
			}
		}
	}
	resume := [2]bool{}
	for sessions := rng.IntN(4); ; sessions-- {
		lossy := sessions > 0
		if err := tr.session(resume, lossy); err != nil {
			return tr.stats, err
		}
		if !lossy {
			if err := tr.compare(); err != nil {
				return tr.stats, err
			}
			if rng.IntN(2) == 0 {
				return tr.stats, nil
			}
		}
		for i := range tr.ends {
			resume[i] = rng.IntN(3) > 0
			if err := tr.grow(i); err != nil {
				return tr.stats, err
			}
		}
	}
}

// syncHistory is a random history, or a large one whose filters are sometimes wrong:
// many changes of few kinds, by several authors that meet now and then.
func syncHistory(rng *rand.Rand) [][]byte {
	if rng.IntN(2) == 0 {
		return goHistory(rng.Uint64()).changes
	}
	g := newWebWriter(rng)
	for range 20 + rng.IntN(300) {
		g.step()
	}
	return g.changes
}

// grow gives an end some change that it lacks, with all its ancestors: what it
// has written or heard of elsewhere meanwhile.
func (tr *trial) grow(side int) error {
	for range tr.rng.IntN(3) + 1 {
		want := map[id.Hash]bool{}
		for todo := []id.Hash{hashOf(tr.all[tr.rng.IntN(len(tr.all))])}; len(todo) > 0; {
			h := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if !tr.holds[side][h] && !want[h] {
				want[h] = true
				todo = append(todo, tr.deps[h]...)
			}
		}
		var add [][]byte
		for _, raw := range tr.all {
			if h := hashOf(raw); want[h] {
				add = append(add, raw)
				tr.holds[side][h] = true
			}
		}
		if err := tr.ends[side].add(add); err != nil {
			return err
		}
	}
	return nil
}

// session connects both ends and delivers messages, each direction in order, until
// nothing is said any more. A lossy one is cut off somewhere: what is on its way
// then is lost. One that is left alone must not take more messages than allowed.
func (tr *trial) session(resume [2]bool, lossy bool) error {
	tr.stats.sessions++
	var wire [2][][]byte // from that side
	var sent [2]int
	falsePositives := 0
	say := func(side int) error {
		m, err := tr.ends[side].generate()
		if err != nil || m == nil {
			return err
		}
		sent[side]++
		tr.stats.messages++
		n, err := tr.falsePositives(side, m)
		falsePositives += n
		wire[side] = append(wire[side], m)
		return err
	}
	for side := range tr.ends {
		if err := tr.ends[side].connect(resume[side]); err != nil {
			return err
		}
	}
	// One end opens, or both speak at once.
	opens := tr.rng.IntN(3)
	for side := range tr.ends {
		if opens == 2 || opens == side {
			if err := say(side); err != nil {
				return err
			}
		}
	}
	for steps := 0; len(wire[0])+len(wire[1]) > 0; steps++ {
		if lossy && tr.rng.IntN(4) == 0 {
			tr.stats.cut++
			return tr.recount()
		}
		if steps > 200 {
			return fmt.Errorf("they talk without end: %d and %d messages", sent[0], sent[1])
		}
		side := tr.rng.IntN(2)
		if len(wire[side]) == 0 {
			side = 1 - side
		}
		m := wire[side][0]
		wire[side] = wire[side][1:]
		if err := tr.ends[1-side].receive(m); err != nil {
			return fmt.Errorf("side %d refuses a message: %w", 1-side, err)
		}
		if err := tr.recount(); err != nil {
			return err
		}
		if err := say(1 - side); err != nil {
			return err
		}
	}
	if lossy {
		return nil
	}
	tr.stats.falsePositives += falsePositives
	for i, n := range sent {
		tr.stats.most[i] = max(tr.stats.most[i], n)
		if n > roundLimit+falsePositives {
			return fmt.Errorf("side %d needed %d messages, with %d Bloom false positives", i, n, falsePositives)
		}
	}
	return nil
}

// recount notes what each end holds now.
func (tr *trial) recount() error {
	for i, e := range tr.ends {
		changes, err := e.changes()
		if err != nil {
			return err
		}
		for _, raw := range changes {
			tr.holds[i][hashOf(raw)] = true
		}
	}
	return nil
}

// falsePositives counts the changes that the filters in a message deny the sender,
// by mistake: the other end has them, the sender has not, and the filter says so.
func (tr *trial) falsePositives(sender int, b []byte) (n int, err error) {
	m, err := session.Decode(b)
	if err != nil {
		return 0, err
	}
	if m.V2 {
		tr.stats.v2++
	}
	for h := range tr.holds[1-sender] {
		if tr.holds[sender][h] {
			continue
		}
		for i := range m.Have {
			if m.Have[i].Bloom.Has(&h) {
				n++
				break
			}
		}
	}
	return n, nil
}

// compare expects equal heads, equal changes and equal documents.
func (tr *trial) compare() error {
	var heads [2][]id.Hash
	var changes [2][][]byte
	for i, e := range tr.ends {
		var err1, err2 error
		heads[i], err1 = e.heads()
		changes[i], err2 = e.changes()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
	}
	if !slices.Equal(heads[0], heads[1]) {
		return fmt.Errorf("heads differ: %v, %v", heads[0], heads[1])
	}
	if !slices.Equal(hashesOf(changes[0]), hashesOf(changes[1])) {
		return fmt.Errorf("equal heads and different changes: %d, %d", len(changes[0]), len(changes[1]))
	}
	if len(changes[0]) == 0 {
		return nil
	}
	switch e := tr.ends[1].(type) {
	case *goEnd:
		mine := newGoEnd()
		if err := mine.add(changes[0]); err != nil {
			return err
		}
		if digest(mine.doc) != digest(e.doc) {
			return errors.New("the documents differ")
		}
	case *jsEnd:
		mine, err1 := e.worker.Inspect(e.ctx, concat(changes[0]))
		theirs, err2 := e.doc.Dump(e.ctx)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if strings.Join(mine.Heads, " ") != strings.Join(theirs.Heads, " ") || !bytes.Equal(mine.Doc, theirs.Doc) {
			return fmt.Errorf("the documents differ: %s, %s", mine.Doc, theirs.Doc)
		}
	}
	return nil
}
