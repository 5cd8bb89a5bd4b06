package intake

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

// journal is the owner of an intake: a store in memory, and what the listener heard.
type journal struct {
	in      *Intake
	rows    [][]byte
	round   map[int64][]byte
	refused map[uint64][]id.Hash
	lost    map[uint64][]Loss
}

func newJournal(limits graph.OrphanLimits) *journal {
	j := &journal{round: map[int64][]byte{}, refused: map[uint64][]id.Hash{}, lost: map[uint64][]Loss{}}
	j.in = New(graph.New(), j, limits, j)
	return j
}

func (j *journal) Add(row int64, body []byte) { j.round[row] = body }
func (j *journal) Forget()                    { clear(j.round) }

func (j *journal) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		if !yield(j.rows[row-1]) {
			break
		}
	}
	return nil
}

func (j *journal) Refused(conn uint64, h id.Hash, _ error) {
	j.refused[conn] = append(j.refused[conn], h)
}

func (j *journal) Lost(conn uint64, loss Loss, _ error) { j.lost[conn] = append(j.lost[conn], loss) }

// end ends a round, whose store fails with err.
func (j *journal) end(err error) {
	defer j.in.Settle()
	if err != nil {
		j.in.Unstage(err)
		return
	}
	var rows []int64
	for _, s := range j.in.Staged() {
		j.rows = append(j.rows, s.Change.Raw())
		rows = append(rows, int64(len(j.rows)))
	}
	j.in.Publish(rows)
}

func change(t testing.TB, actor string, seq, start uint64, deps ...id.Hash) *chunk.Change {
	t.Helper()
	id.SortHashes(deps)
	raw, err := chunk.Encode(chunk.Header{Actor: id.Actor(actor), Seq: seq, StartOp: start, Deps: deps},
		[]chunk.Op{{Key: "k", Action: chunk.Set, Value: chunk.Value{Type: chunk.True}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// history is n changes of a few actors, each of which has seen some of the others.
func history(t testing.TB, rng *rand.Rand, n int) (all []*chunk.Change) {
	last := map[string]*chunk.Change{}
	for range n {
		actor := fmt.Sprintf("actor %010d", rng.IntN(3))
		var deps []id.Hash
		seq, start := uint64(1), uint64(1)
		if l := last[actor]; l != nil {
			deps, seq, start = append(deps, l.Hash), l.Seq+1, l.MaxOp()+1
		}
		if len(all) > 0 && rng.IntN(2) == 0 {
			if other := all[rng.IntN(len(all))]; !slices.Contains(deps, other.Hash) {
				deps, start = append(deps, other.Hash), max(start, other.MaxOp()+1)
			}
		}
		c := change(t, actor, seq, start, deps...)
		last[actor] = c
		all = append(all, c)
	}
	return all
}

func TestWhateverTheOrderAndTheFailuresAllIsTakenInOnce(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		all := history(t, rng, 2+rng.IntN(30))
		j := newJournal(graph.OrphanLimits{})
		for sender := uint64(1); j.in.Graph().Len() < len(all); sender++ {
			if sender > 1000 {
				t.Fatalf("seed %d: %d of %d changes taken in", seed, j.in.Graph().Len(), len(all))
			}
			// Each offers all there is, in its own order, until its connection is to end.
			for _, i := range rng.Perm(len(all)) {
				j.in.Take(all[i], graph.Sender{Conn: sender, Name: "s"})
				if rng.IntN(3) > 0 {
					continue
				}
				var err error
				if rng.IntN(4) == 0 {
					err = errors.New("no space")
				}
				staged := len(j.in.Staged())
				heads := j.in.Heads()
				j.end(err)
				if err == nil && !slices.Equal(heads, j.in.Graph().Heads()) {
					t.Fatalf("seed %d: heads foretold %v, and are %v", seed, heads, j.in.Graph().Heads())
				}
				if err != nil && staged > 0 && !slices.Contains(j.lost[sender], Unstored) {
					t.Fatalf("seed %d: a sender whose changes were not stored was not told", seed)
				}
			}
			j.end(nil)
		}
		if len(j.refused) > 0 || j.in.Orphans().Len() > 0 || len(j.rows) != len(all) {
			t.Fatalf("seed %d: refused %v, %d orphans, %d rows of %d changes", seed, j.refused, j.in.Orphans().Len(), len(j.rows), len(all))
		}
	}
}

func TestWhatBuildsOnARefusedChangeIsRefusedToItsOwnSender(t *testing.T) {
	j := newJournal(graph.OrphanLimits{})
	first := change(t, "actor 0000000001", 1, 1)
	bad := change(t, "actor 0000000001", 2, 1, first.Hash) // its operations begin too low
	child := change(t, "actor 0000000002", 1, 9, bad.Hash)
	j.in.Take(child, graph.Sender{Conn: 7})
	j.in.Take(first, graph.Sender{Conn: 8})
	j.in.Take(bad, graph.Sender{Conn: 8})
	j.in.Take(child, graph.Sender{Conn: 9})
	j.end(nil)
	if !slices.Equal(j.refused[7], []id.Hash{child.Hash}) || !slices.Equal(j.refused[8], []id.Hash{bad.Hash}) || !slices.Equal(j.refused[9], []id.Hash{child.Hash}) {
		t.Errorf("refused %v", j.refused)
	}
	if j.in.Graph().Len() != 1 || j.in.Orphans().Len() != 0 {
		t.Errorf("%d changes, %d orphans", j.in.Graph().Len(), j.in.Orphans().Len())
	}
}

func TestAnOrphanThatGivesWayIsLostToItsSender(t *testing.T) {
	j := newJournal(graph.OrphanLimits{Count: 1})
	a := change(t, "actor 0000000001", 1, 1)
	b := change(t, "actor 0000000001", 2, 2, a.Hash)
	c := change(t, "actor 0000000001", 3, 3, b.Hash)
	j.in.Take(b, graph.Sender{Conn: 1})
	j.in.Take(c, graph.Sender{Conn: 2})
	if !slices.Equal(j.lost[1], []Loss{Crowded}) || j.lost[2] != nil {
		t.Errorf("lost %v", j.lost)
	}
}

func TestWhatSomebodyElseStoredWakesWhatWaitedForIt(t *testing.T) {
	j := newJournal(graph.OrphanLimits{})
	a := change(t, "actor 0000000001", 1, 1)
	b := change(t, "actor 0000000001", 2, 2, a.Hash)
	j.in.Take(b, graph.Sender{Conn: 1, Name: "who"})
	j.rows = append(j.rows, a.Raw())
	meta := graph.MetaOf(a)
	meta.Row = 1
	grown, v := j.in.TakeStored([]graph.Meta{meta}, func(h id.Hash, err error) { t.Errorf("%s left out: %v", h, err) })
	if !grown || !v.Empty() || len(j.in.Staged()) != 0 {
		t.Fatalf("grown %v, verdict %v, %d staged", grown, v, len(j.in.Staged()))
	}
	j.in.Wake([]graph.Meta{meta})
	staged := j.in.Staged()
	if len(staged) != 1 || staged[0].Change != b || staged[0].From.Name != "who" || staged[0].Own {
		t.Errorf("staged %v", staged)
	}
}
