package crdt_test

import (
	"errors"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

var docTime = time.Unix(1_700_000_000, 0)

// openDoc returns an empty document that the test closes.
func openDoc(t testing.TB, actor string) *crdt.Document {
	t.Helper()
	d := crdt.New(id.Actor(actor))
	t.Cleanup(d.Close)
	return d
}

// do carries out a batch that must succeed, and the change must be one that
// every peer takes.
func do(t testing.TB, d *crdt.Document, ops ...crdt.Operation) *chunk.Change {
	t.Helper()
	c, err := d.Do(docTime, ops...)
	if err != nil {
		t.Fatalf("do %+v: %v", ops, err)
	}
	return c
}

// gate is the way of a remote change: alone, in the graph, in its document.
type gate struct {
	g *graph.Graph
	d *check.Document
}

func newGate() *gate {
	g := graph.New()
	return &gate{g, check.New(g)}
}

// pass returns the changes as another peer would have parsed them.
func (p *gate) pass(t testing.TB, changes ...*chunk.Change) []*chunk.Change {
	t.Helper()
	var out []*chunk.Change
	for _, c := range changes {
		if p.g.Contains(c.Hash) {
			continue
		}
		again, err := chunk.ParseChange(c.Raw())
		if err != nil {
			t.Fatalf("parse %s: %v", c.Hash, err)
		}
		if err := p.g.Check(again); err != nil {
			t.Fatalf("graph: %v", err)
		}
		if err := p.d.Check(again); err != nil {
			t.Fatalf("check: %v", err)
		}
		if err := p.g.Add(graph.MetaOf(again)); err != nil {
			t.Fatalf("add: %v", err)
		}
		p.g.Publish(nil)
		p.d.Add(again)
		out = append(out, again)
	}
	return out
}

func docJSON(t testing.TB, d interface{ JSON() ([]byte, error) }) string {
	t.Helper()
	b, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDocumentDoesEveryVerb(t *testing.T) {
	d := openDoc(t, "author")
	p := newGate()
	step := func(want string, ops ...crdt.Operation) {
		t.Helper()
		p.pass(t, do(t, d, ops...))
		if got := docJSON(t, d); got != want {
			t.Fatalf("after %v:\n got %s\nwant %s", ops[0].Verb, got, want)
		}
	}
	step(`{"notes":{"n1":{"likes":1,"meta":{"k":[1,"two",{"three":3}]},"title":"Hi"}}}`,
		crdt.Create("notes", "n1", map[string]any{
			"title": "Hi", "likes": crdt.Counter(1),
			"meta": map[string]any{"k": []any{1, "two", map[string]any{"three": 3}}},
		}))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[1,"two",{"three":3}]},"title":"Hi"}}}`,
		crdt.Increment("notes", "n1", "likes", 5))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[1,"two",{"three":3}]},"title":"H😀ello"}}}`,
		crdt.Splice("notes", "n1", "title", 1, 1, "😀ello"))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[1,"two",{"three":3}]},"title":"H😀y"}}}`,
		crdt.Splice("notes", "n1", "title", 2, 4, "y"))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[0,1,"two",null,{"four":4,"three":3}]},"title":"H😀y"}}}`,
		crdt.ListInsert("notes", "n1", crdt.Path{"meta", "k"}, 0, 0),
		crdt.ListInsert("notes", "n1", crdt.Path{"meta", "k"}, 3, nil),
		crdt.Set("notes", "n1", crdt.Path{"meta", "k", 4, "four"}, 4))
	step(`{"notes":{"n1":{"likes":6,"meta":{"k":[0,true,{"four":4,"three":3}]},"title":"H😀y"}}}`,
		crdt.ListDelete("notes", "n1", crdt.Path{"meta", "k"}, 2, 2),
		crdt.ListSet("notes", "n1", crdt.Path{"meta", "k"}, 1, true))
	step(`{"notes":{"n1":{"meta":{"k":[0,true,{"four":4,"three":3}]},"title":"New"}}}`,
		crdt.Unset("notes", "n1", "likes"),
		crdt.Update("notes", "n1", map[string]any{"title": "New"}))
	step(`{"notes":{}}`, crdt.Delete("notes", "n1"))
}

func TestDocumentRefusesAndStaysAsItWas(t *testing.T) {
	d := openDoc(t, "author")
	do(t, d, crdt.Create("notes", "n1", map[string]any{"title": "Hi", "n": 1, "l": []any{1}}))
	was := docJSON(t, d)
	good := crdt.Update("notes", "n1", map[string]any{"title": "changed", "more": []any{"x"}})
	for name, c := range map[string]struct {
		op   crdt.Operation
		want error
	}{
		"create what exists":     {crdt.Create("notes", "n1", nil), crdt.ErrExists},
		"update what is missing": {crdt.Update("notes", "n2", map[string]any{"a": 1}), crdt.ErrNotFound},
		"delete what is missing": {crdt.Delete("notes", "n2"), crdt.ErrNotFound},
		"no such collection":     {crdt.Delete("others", "n2"), crdt.ErrNotFound},
		"unset what is missing":  {crdt.Unset("notes", "n1", "x"), crdt.ErrNotFound},
		"increment a number":     {crdt.Increment("notes", "n1", "n", 1), crdt.ErrKind},
		"splice a number":        {crdt.Splice("notes", "n1", "n", 0, 0, "x"), crdt.ErrKind},
		"splice beyond":          {crdt.Splice("notes", "n1", "title", 8, 0, "x"), crdt.ErrRange},
		"delete beyond":          {crdt.Splice("notes", "n1", "title", 0, 8, ""), crdt.ErrRange},
		"insert into text":       {crdt.ListInsert("notes", "n1", "title", 0, 1), crdt.ErrKind},
		"list beyond":            {crdt.ListSet("notes", "n1", "l", 1, 1), crdt.ErrRange},
		"no parent":              {crdt.Set("notes", "n1", crdt.Path{"a", "b"}, 1), crdt.ErrNotFound},
		"parent is a text":       {crdt.Set("notes", "n1", crdt.Path{"title", "b"}, 1), crdt.ErrKind},
		"a Go type":              {crdt.Set("notes", "n1", "a", struct{}{}), crdt.ErrInvalid},
		"not UTF-8":              {crdt.Set("notes", "n1", "a", "\xff"), crdt.ErrInvalid},
		"empty key":              {crdt.Set("notes", "n1", "", 1), crdt.ErrInvalid},
		"no verb":                {crdt.Operation{Collection: "c", ID: "i", Path: crdt.Path{"p"}}, crdt.ErrInvalid},
	} {
		_, err := d.Do(docTime, good, c.op)
		var oe *crdt.OperationError
		if !errors.Is(err, c.want) || !errors.As(err, &oe) || oe.Index != 1 {
			t.Errorf("%s: %v", name, err)
		}
		if now := docJSON(t, d); now != was {
			t.Fatalf("%s: the document is now %s", name, now)
		}
	}
	if _, err := d.Do(docTime); !errors.Is(err, crdt.ErrEmpty) {
		t.Errorf("an empty batch: %v", err)
	}
	if _, err := d.Do(docTime, crdt.Set("notes", "n1", "n", 1)); !errors.Is(err, crdt.ErrNoChange) {
		t.Errorf("nothing to do: %v", err)
	}
}
