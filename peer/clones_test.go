package peer

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// clones are peers on copies of one store that run on as the same actors, as
// machines do that were copied while they ran.
type clones struct {
	t    *testing.T
	path string // of a copy as it was then
	doc  id.Document
}

func newClones(t *testing.T, doc *id.Document) *clones {
	t.Helper()
	c := &clones{t: t, path: filepath.Join(t.TempDir(), "before.db")}
	p := newPeer(t)
	if doc == nil {
		d := create(t, p)
		do(t, d, crdt.Create("notes", "shared", map[string]any{
			"text": "ab", "n": crdt.Counter(0), "list": []any{"first", "last"}, "title": "old", "map": map[string]any{}}),
			crdt.Create("notes", "left goes", map[string]any{"text": "x"}), crdt.Create("notes", "right goes", map[string]any{"text": "x"}))
		c.doc = d.ID()
	} else {
		c.doc = *doc
		fetch(t, p, c.doc)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	copyFile(t, p.Path(), c.path)
	return c
}

// sameActors mints the same actors in the same order for all clones, times times.
func sameActors(times byte) func([]byte, id.Document) id.Actor {
	n := byte(0)
	return func(secret []byte, doc id.Document) id.Actor {
		if n++; n > times {
			return crdt.MintActor(secret, doc)
		}
		return id.Actor(string(crdt.DeviceTag(secret, doc)) + "twin   " + string(n))
	}
}

// open opens one more copy. It mints its own actors if mint is nil.
func (c *clones) open(mint func([]byte, id.Document) id.Actor, urls ...string) (*Peer, *Document) {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "clone.db")
	copyFile(c.t, c.path, path)
	o := remotes(testOptions(), urls...)
	o.mint = mint
	p := openPeer(c.t, path, o)
	d, err := p.OpenDocument(bounded(c.t), c.doc)
	if err != nil {
		c.t.Fatal(err)
	}
	return p, d
}

// edit makes two changes of every kind of operation, which name their side.
func edit(t *testing.T, d *Document, side string, by int64) {
	t.Helper()
	do(t, d,
		crdt.Splice("notes", "shared", "text", 1, 0, "<"+side+">"),
		crdt.Increment("notes", "shared", "n", by),
		crdt.Update("notes", "shared", map[string]any{"title": side, side: "field"}),
		crdt.ListInsert("notes", "shared", "list", 1, side+" 1", side+" 2"),
		crdt.Create("notes", side, map[string]any{"text": side, "n": crdt.Counter(5)}),
		crdt.Delete("notes", side+" goes"))
	do(t, d,
		crdt.Splice("notes", "shared", "text", 3, 1, "!"), // in its own text
		crdt.Increment("notes", side, "n", by),
		crdt.ListSet("notes", "shared", "list", 1, side+" one"),
		crdt.Set("notes", "shared", crdt.Path{"map", side}, map[string]any{"k": "v"}),
		crdt.Update("notes", side, map[string]any{"text": side + " again"}))
}

// checkBoth fails unless the edits of both sides are there, each once.
func checkBoth(t *testing.T, d *Document) {
	t.Helper()
	var v struct {
		Notes map[string]map[string]any `json:"notes"`
	}
	all := jsonOf(t, d)
	if err := json.Unmarshal([]byte(all), &v); err != nil {
		t.Fatal(err)
	}
	shared := v.Notes["shared"]
	text := fmt.Sprint(shared["text"])
	for side, by := range map[string]int{"left": 1, "right": 2} {
		r := []rune(side)
		wrong := strings.Count(text, "<"+string(r[:1])+"!"+string(r[2:])+">") != 1 ||
			strings.Count(fmt.Sprint(shared["list"]), side+" one "+side+" 2") != 1 ||
			shared[side] != "field" || v.Notes[side]["text"] != side+" again" ||
			fmt.Sprint(v.Notes[side]["n"]) != fmt.Sprint(5+by) ||
			v.Notes[side+" goes"] != nil ||
			shared["map"].(map[string]any)[side] == nil
		if wrong {
			t.Errorf("not all that the %s side did is there once:\n%s", side, all)
		}
	}
	if len([]rune(text)) != len("a<left><right>b") || fmt.Sprint(shared["n"]) != "3" || len(shared["list"].([]any)) != 6 {
		t.Errorf("something is there twice, or not at all:\n%s", all)
	}
	if title := shared["title"]; title != "left" && title != "right" {
		t.Errorf("title %q", title)
	}
}

func changesOf(t *testing.T, d *Document) []*chunk.Change {
	t.Helper()
	all, err := d.Changes(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bring imports changes, one at a time.
func bring(t *testing.T, d *Document, changes ...*chunk.Change) {
	t.Helper()
	for _, c := range changes {
		if _, err := d.p.Import(bounded(t), d.ID(), c.Raw()); err != nil {
			t.Fatal(err)
		}
	}
}

// twinEdits are the changes of two clones that have edited apart, and what one of
// them comes to when it learns of the other's.
func twinEdits(t *testing.T, c *clones) (before, apart, again []*chunk.Change, settled *Document) {
	t.Helper()
	_, left := c.open(sameActors(1))
	_, right := c.open(sameActors(1))
	before = changesOf(t, left)
	edit(t, left, "left", 1)
	edit(t, right, "right", 2)
	n := len(before)
	apart = append(changesOf(t, left)[n:], changesOf(t, right)[n:]...)
	if len(apart) != 4 || apart[0].Actor != apart[2].Actor || apart[0].Seq != apart[2].Seq {
		t.Fatal("no twins")
	}
	bring(t, left, apart[2:]...)
	bring(t, right, apart[:2]...)
	checkBoth(t, left)
	if l, r := headsOf(t, left), headsOf(t, right); !slices.Equal(l, r) {
		t.Fatalf("heads %v on the left and %v on the right", l, r)
	}
	again = slices.DeleteFunc(changesOf(t, left), func(c *chunk.Change) bool {
		return slices.ContainsFunc(slices.Concat(before, apart), func(o *chunk.Change) bool { return o.Hash == c.Hash })
	})
	if len(again) != 2 {
		t.Fatalf("%d changes were issued again, want 2", len(again))
	}
	return before, apart, again, left
}

// forge makes a twin of a change that does nothing.
func forge(t *testing.T, c *chunk.Change, at int64) *chunk.Change {
	t.Helper()
	h := c.Header()
	h.Time, h.OtherActors = at, nil
	raw, err := chunk.Encode(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := chunk.ParseChange(raw)
	if err != nil {
		t.Fatal(err)
	}
	return forged
}

func statusOf(t *testing.T, p *Peer, doc id.Document) DocumentStatus {
	t.Helper()
	s, err := p.Status(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Documents, func(d DocumentStatus) bool { return d.ID == doc })
	if i < 0 {
		t.Fatalf("document %s is not in the status", doc)
	}
	return s.Documents[i]
}

func statusHas(t *testing.T, d *Document, c *chunk.Change) bool {
	return slices.ContainsFunc(statusOf(t, d.p, d.ID()).Quarantined, func(q QuarantinedChange) bool { return q.Hash == c.Hash })
}
