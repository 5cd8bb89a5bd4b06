package graph

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt/id"
)

// TestShallowListsAtLeastWhatIsLacked holds the newest part of random histories
// against the whole graph.
func TestShallowListsAtLeastWhatIsLacked(t *testing.T) {
	exact := 0
	rapid.Check(t, func(t *rapid.T) {
		metas := history(rapid.IntRange(1, 120).Draw(t, "changes"), rapid.IntRange(1, 6).Draw(t, "actors"))
		for i := range metas {
			metas[i].Row = int64(i + 1)
		}
		through := rapid.IntRange(1, len(metas)).Draw(t, "through")
		from := rapid.IntRange(0, through).Draw(t, "from")
		whole, chunk := load(nil, metas), load(nil, metas[:through])
		g := Shallow(chunk.Heads(), int64(through), len(metas), func(yield func(*Meta) bool) {
			for i := from; i < len(metas) && yield(&metas[i]); i++ {
			}
		})
		if !slices.Equal(g.Heads(), whole.Heads()) || g.Len() != whole.Len() {
			t.Fatalf("heads %v, want %v", g.Heads(), whole.Heads())
		}
		have := rapid.SliceOfDistinct(rapid.IntRange(0, len(metas)-1), rapid.ID[int]).Draw(t, "have")
		var hashes []id.Hash
		for _, i := range have {
			if g.Knows(metas[i].Hash) {
				hashes = append(hashes, metas[i].Hash)
			}
		}
		id.SortHashes(hashes)
		want := rowsOf(whole, whole.Since(hashes))
		got := rowsOf(g, g.Since(hashes))
		if len(got) == 0 || got[0] >= 0 {
			exact++
			if !slices.Equal(got, want) {
				t.Fatalf("since %v: rows %v, want %v", hashes, got, want)
			}
			return
		}
		if got[0] != -int64(through) {
			t.Fatalf("the chunk goes by row %d, want %d", got[0], -through)
		}
		above := want[len(want)-countAbove(want, int64(through)):]
		if !slices.Equal(got[1:], above) {
			t.Fatalf("since %v: %v beside the chunk, want %v", hashes, got[1:], above)
		}
		// A message that is cut: the heads without what is not sent.
		nodes := g.Since(hashes)
		cut := rapid.IntRange(1, len(nodes)).Draw(t, "cut")
		sent := load(nil, metas[:through])
		rest := rowsOf(g, nodes[cut:])
		for i := through; i < len(metas); i++ {
			if !slices.Contains(rest, metas[i].Row) {
				sent.Add(metas[i])
			}
		}
		sent.Publish(nil)
		if got := g.HeadsWithout(nodes[cut:]); !slices.Equal(got, sent.Heads()) {
			t.Fatalf("heads without the rest are %v, want %v", got, sent.Heads())
		}
	})
	if exact == 0 {
		t.Error("no history was answered without the chunk")
	}
}

func rowsOf(g *Graph, nodes []int) (rows []int64) {
	for _, n := range nodes {
		rows = append(rows, g.Row(n))
	}
	return rows
}

func countAbove(rows []int64, through int64) (n int) {
	for _, r := range rows {
		if r > through {
			n++
		}
	}
	return n
}
