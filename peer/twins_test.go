package peer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// fork returns two histories of the same actor that share nothing but a first
// change: first, then left and right with a change on top of each.
func fork(t *testing.T) (first, left, leftTop, right, rightTop *chunk.Change) {
	t.Helper()
	must := func(c *chunk.Change, err error) *chunk.Change {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	actor := id.Actor("0123456789abcdef")
	at := time.Unix(1_700_000_000, 0)
	one := crdt.New(actor)
	defer one.Close()
	first = must(one.Do(at, note("first")))
	two, err := crdt.Open(actor, []*chunk.Change{first})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	left, leftTop = must(one.Do(at, note("left"))), must(one.Do(at, note("on the left")))
	right, rightTop = must(two.Do(at, note("right"))), must(two.Do(at, note("on the right")))
	if left.Actor != right.Actor || left.Seq != right.Seq || left.Hash == right.Hash {
		t.Fatal("no twins")
	}
	return first, left, leftTop, right, rightTop
}

func TestTwinsComeOutTheSameInEveryOrder(t *testing.T) {
	first, left, leftTop, right, rightTop := fork(t)
	stands, loser := left, right
	if right.Hash.Compare(left.Hash) < 0 {
		stands, loser = right, left
	}
	var want string
	// What builds on a change may come before it: it waits.
	for i, order := range permutations([]*chunk.Change{left, leftTop, right, rightTop}) {
		p := newPeer(t)
		d := create(t, p)
		if _, err := p.Import(bounded(t), d.ID(), first.Raw()); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			jsonOf(t, d) // the core is open, and has to be made again
		}
		for _, c := range order {
			if _, err := p.Import(bounded(t), d.ID(), c.Raw()); err != nil {
				t.Fatal(err)
			}
		}
		top := leftTop
		if stands == right {
			top = rightTop
		}
		if heads := headsOf(t, d); !slices.Equal(heads, []id.Hash{top.Hash}) {
			t.Fatalf("order %d: heads %v, want %s", i, heads, top.Hash)
		}
		got := jsonOf(t, d)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("order %d:\n%s\nwant\n%s", i, got, want)
		}
		q := quarantineOf(t, p, d.ID())
		if !slices.ContainsFunc(q, func(c QuarantinedChange) bool { return c.Hash == loser.Hash && c.Reason == reasonTwin }) {
			t.Errorf("order %d: quarantine %+v, want %s among it", i, q, loser.Hash)
		}
		// The document can be edited, and is the same after another start.
		do(t, d, note("after"))
		after := jsonOf(t, d)
		path := p.Path()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = openPeer(t, path, testOptions())
		d, err := p.OpenDocument(bounded(t), d.ID())
		if err != nil {
			t.Fatal(err)
		}
		if again := jsonOf(t, d); again != after {
			t.Errorf("order %d: after another start\n%s\nwant\n%s", i, again, after)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func permutations[T any](all []T) (out [][]T) {
	if len(all) <= 1 {
		return [][]T{slices.Clone(all)}
	}
	for i := range all {
		rest := append(slices.Clone(all[:i]), all[i+1:]...)
		for _, p := range permutations(rest) {
			out = append(out, append([]T{all[i]}, p...))
		}
	}
	return out
}

func TestPeersWithTwinsConvergeThroughARelay(t *testing.T) {
	first, left, leftTop, right, rightTop := fork(t)
	r := serveRelay(t)
	ada, ben := newPeer(t, r.url), newPeer(t, r.url)
	a := create(t, ada)
	b := fetch(t, ben, a.ID())
	take := func(p *Peer, d *Document, changes ...*chunk.Change) {
		t.Helper()
		for _, c := range changes {
			if n, err := p.Import(bounded(t), d.ID(), c.Raw()); err != nil || n != 1 {
				t.Fatal(fmt.Errorf("%d imported: %w", n, err))
			}
		}
		jsonOf(t, d)
	}
	take(ada, a, first, left, leftTop)
	take(ben, b, first, right, rightTop)
	run(t, ada)
	run(t, ben)
	converge(t, a, b)
	do(t, a, note("ada goes on"))
	do(t, b, note("ben goes on"))
	converge(t, a, b)
	checkActors(t, a)
}
