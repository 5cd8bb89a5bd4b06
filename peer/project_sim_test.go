package peer

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/crdttest"
	"syncline/crdt/dirty"
	"syncline/storage"
)

var (
	rowSeeds = flag.Uint64("rows.seeds", 150, "how many random concurrent histories the test of all peers' rows runs; 10,000 with SYNCLINE_FULL=1")
	rowSeed  = flag.Uint64("rows.seed", 0, "the first of them")
)

// shownRows are the rows of a document as a store would have them.
type shownRows map[[2]string]storage.EntityRow

// take does to the rows what a store does with a projection.
func (s shownRows) take(p *storage.Projection) {
	maps.DeleteFunc(s, func(at [2]string, _ storage.EntityRow) bool { return slices.Contains(p.Clear, at[0]) })
	for _, row := range p.Rows {
		at := [2]string{row.Collection, row.Entity}
		if delete(s, at); !row.Gone {
			s[at] = row
		}
	}
}

// dump lists the rows in the order of collection and entity.
func (s shownRows) dump() string {
	var b strings.Builder
	order := func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }
	for _, at := range slices.SortedFunc(maps.Keys(s), order) {
		fmt.Fprintf(&b, "%#v\n", s[at])
	}
	return b.String()
}

// anew are the rows that a reading of the whole document makes.
func anew(t *testing.T, tb *tables, doc *crdt.Document) shownRows {
	t.Helper()
	names, err := doc.Collections()
	if err != nil {
		t.Fatal(err)
	}
	var p storage.Projection
	err = tb.each(doc, crdt.Selection{Collections: names, Conflicts: true}, func(row storage.EntityRow) error {
		p.Rows = append(p.Rows, row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := shownRows{}
	rows.take(&p)
	return rows
}

// Two to six peers edit a document with every merge rule in it and hear of each other in
// random orders. Each keeps its rows as a desk does, by what changes have touched. In the
// end all have the same rows, which are those that whoever opens the document anew has.
//
//	SYNCLINE_FULL=1 go test ./peer -run TestAllPeersHaveTheSameRows -timeout 1h
func TestAllPeersHaveTheSameRows(t *testing.T) {
	seeds := *rowSeeds
	if os.Getenv("SYNCLINE_FULL") != "" {
		seeds = max(seeds, 10_000)
	}
	rules := crdttest.Rules(t)
	tb := newTables(nil, storage.Definition{Tables: definitionOf(rules.Schema)}, rules)
	conflicts, violations := 0, 0
	for seed := *rowSeed; seed < *rowSeed+seeds; seed++ {
		s := crdttest.New(t, seed)
		rows := map[*crdttest.Peer]shownRows{}
		for _, p := range s.Peers {
			rows[p] = anew(t, tb, p.Doc)
		}
		s.Learnt = func(p *crdttest.Peer, changes []*chunk.Change) {
			touched, err := p.Doc.Touched(changes)
			if err != nil {
				t.Fatal(err)
			}
			rows[p].take(projectionOf(t, tb, p.Doc, &touched))
		}
		s.Run()
		saved, err := s.Peers[0].Doc.Save()
		if err != nil {
			t.Fatal(err)
		}
		reader, err := crdt.Load("reader", saved)
		if err != nil {
			t.Fatal(err)
		}
		all := anew(t, tb, reader)
		want := all.dump()
		for i, p := range s.Peers {
			if got := rows[p].dump(); got != want {
				t.Fatalf("seed %d: the rows of peer %d of %d are\n%s\nand made anew they are\n%s", seed, i, len(s.Peers), got, want)
			}
		}
		for _, row := range all {
			if row.Conflict {
				conflicts++
			}
			if row.Violation != "" {
				violations++
			}
		}
		reader.Close()
		s.Close()
	}
	t.Logf("%d histories, whose rows have %d conflicts left and %d violations", seeds, conflicts, violations)
	if conflicts == 0 || violations == 0 {
		t.Error("nothing was left in conflict or violated the schema: the test shows nothing")
	}
}

func projectionOf(t *testing.T, tb *tables, doc *crdt.Document, touched *dirty.Set) *storage.Projection {
	t.Helper()
	var p storage.Projection
	if err := tb.fill(&p, doc, touched, true); err != nil {
		t.Fatal(err)
	}
	return &p
}
