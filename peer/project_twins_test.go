package peer

import (
	"bytes"
	"slices"
	"testing"

	"syncline/crdt"
)

// A peer that keeps no tables may learn of a twin. When it keeps them again, what the
// change that lost had done is not in them.
func TestTablesForgetWhatATwinHasPutOutMeanwhile(t *testing.T) {
	c := newClones(t, nil)
	_, left := c.open(sameActors(1))
	_, right := c.open(sameActors(1))
	before := changesOf(t, left)
	edit(t, left, "left", 1)
	edit(t, right, "right", 2)
	stands, goes, name := changesOf(t, left)[len(before):], changesOf(t, right)[len(before):], "right"
	if bytes.Compare(stands[0].Hash[:], goes[0].Hash[:]) > 0 {
		stands, goes, name = goes, stands, "left"
	}
	p := newPeer(t)
	path := p.Path()
	bring(t, fetch(t, p, c.doc), before...)
	for i := range 10 { // so that what is new is the lesser part
		do(t, fetch(t, p, c.doc), crdt.Create("notes", string(rune('a'+i)), nil))
	}
	bring(t, fetch(t, p, c.doc), goes...)
	ids := func(p *Peer) []string { return rowsOf(t, p, `SELECT _id FROM _entities ORDER BY _id`) }
	if had := ids(p); !slices.Contains(had, `[]interface {}{"`+name+`"}`) {
		t.Fatalf("%q is not among %v", name, had)
	}
	for _, meanwhile := range []bool{true, false} {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = openPeer(t, path, testOptions())
		if meanwhile {
			bring(t, fetch(t, p, c.doc), stands...)
		}
	}
	var want []string
	all, err := fetch(t, p, c.doc).Collection(bounded(t), "notes")
	if err != nil {
		t.Fatal(err)
	}
	for id := range all {
		want = append(want, `[]interface {}{"`+id+`"}`)
	}
	slices.Sort(want)
	if got := ids(p); !slices.Equal(got, want) {
		t.Errorf("the tables have %v, the document %v", got, want)
	}
}
