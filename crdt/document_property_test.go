package crdt_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// A document edited by one does what plain Go values do; a batch that fails
// leaves no trace, now or in later changes; and what is written can be taken
// by any peer, saved and opened again.
func TestDocumentFollowsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := crdt.New("author")
		defer d.Close()
		m := docModel{}
		p := newDocGate()
		var changes []*chunk.Change
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			before := m.clone()
			var ops []crdt.Operation
			var want error
			for range rapid.IntRange(1, 4).Draw(t, "operations") {
				o := docGenOperation(t, m)
				ops = append(ops, o)
				if want = m.apply(o); want != nil {
					m = before
					break
				}
			}
			c, err := d.Do(docTime, ops...)
			switch {
			case want != nil:
				if !errors.Is(err, want) {
					t.Fatalf("%+v: got %v, want %v", ops, err, want)
				}
			case errors.Is(err, crdt.ErrNoChange) && reflect.DeepEqual(m, before):
			case err != nil:
				t.Fatalf("%+v: %v", ops, err)
			default:
				changes = append(changes, p.passRapid(t, c)...)
			}
			got, err := d.Value()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, map[string]any(m)) {
				t.Fatalf("after %+v:\n got %#v\nwant %#v", ops, got, m)
			}
		}
		again, err := crdt.Open("reader", changes)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		docSame(t, d, again)
		saved, err := d.Save()
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) > 0 {
			expanded, err := chunk.ParseDocument(saved)
			if err != nil || len(expanded) != len(changes) {
				t.Fatalf("the saved document has %d changes, want %d: %v", len(expanded), len(changes), err)
			}
		}
		loaded, err := crdt.Load("loader", saved)
		if err != nil {
			t.Fatal(err)
		}
		defer loaded.Close()
		docSame(t, d, loaded)
	})
}

// docSame fails unless two documents have the same heads and content.
func docSame(t interface{ Fatalf(string, ...any) }, a, b *crdt.Document) {
	if !slices.Equal(a.Heads(), b.Heads()) {
		t.Fatalf("heads differ: %v and %v", a.Heads(), b.Heads())
	}
	x, err1 := a.JSON()
	y, err2 := b.JSON()
	if err1 != nil || err2 != nil || !bytes.Equal(x, y) {
		t.Fatalf("content differs: %v %v\n%s\n%s", err1, err2, x, y)
	}
}

// passRapid is pass in a property test.
func (p *docGate) passRapid(t *rapid.T, changes ...*chunk.Change) []*chunk.Change {
	out, err := p.take(changes)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Several documents edited at once and told of each other's changes now and
// then end up the same; every point on the way can be looked at again.
func TestDocumentsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peers := docCrowd(t)
		defer closeAll(peers)
		for range 2 {
			for _, p := range peers {
				for _, q := range peers {
					p.learn(t, q)
				}
			}
		}
		for _, p := range peers[1:] {
			docSame(t, peers[0].d, p.d)
		}
		checkViews(t, peers[0].d, peers[0].has)
		checkConflicts(t, peers[0].d)
	})
}

// docPeer is one of several who edit a document.
type docPeer struct {
	d    *crdt.Document
	gate *docGate
	has  []*chunk.Change
}

// learn takes in what somebody else has.
func (p *docPeer) learn(t *rapid.T, from *docPeer) {
	fresh := p.gate.passRapid(t, from.has...)
	if err := p.d.Apply(fresh); err != nil {
		t.Fatal(err)
	}
	p.has = append(p.has, fresh...)
}

func closeAll(peers []*docPeer) {
	for _, p := range peers {
		p.d.Close()
	}
}

// docCrowd is a few peers who have edited a document for a while and told each
// other now and then.
func docCrowd(t *rapid.T) []*docPeer {
	peers := make([]*docPeer, rapid.IntRange(2, 3).Draw(t, "peers"))
	for i := range peers {
		peers[i] = &docPeer{d: crdt.New(id.Actor(fmt.Sprintf("actor-%d", i))), gate: newDocGate()}
	}
	peers[0].has = peers[0].gate.passRapid(t, docMust(peers[0].d.Do(docTime,
		crdt.Create("notes", "a", map[string]any{"x": "text", "y": []any{1, 2}, "z": crdt.Counter(0)}))))
	for _, p := range peers[1:] {
		p.learn(t, peers[0])
	}
	for range rapid.IntRange(1, 20).Draw(t, "steps") {
		p := rapid.SampledFrom(peers).Draw(t, "who")
		if rapid.IntRange(0, 3).Draw(t, "learn") == 0 {
			p.learn(t, rapid.SampledFrom(peers).Draw(t, "from"))
		}
		v := docMust(p.d.Value())
		var ops []crdt.Operation
		for range rapid.IntRange(1, 3).Draw(t, "operations") {
			ops = append(ops, docGenOperation(t, docModel(v)))
		}
		was := docMust(p.d.JSON())
		c, err := p.d.Do(docTime, ops...)
		if err != nil {
			if errors.Is(err, crdt.ErrBroken) || errors.Is(err, crdt.ErrCore) {
				t.Fatal(err)
			}
			if now := docMust(p.d.JSON()); !bytes.Equal(was, now) {
				t.Fatalf("%v left a trace:\n was %s\n now %s", err, was, now)
			}
			continue
		}
		p.has = append(p.has, p.gate.passRapid(t, c)...)
	}
	return peers
}

// checkViews compares the view at some point with a document that has only the
// changes up to there.
func checkViews(t *rapid.T, d *crdt.Document, changes []*chunk.Change) {
	byHash := map[id.Hash]*chunk.Change{}
	for _, c := range changes {
		byHash[c.Hash] = c
	}
	for range 3 {
		var heads []id.Hash
		ancestors := map[id.Hash]bool{}
		var collect func(h id.Hash)
		collect = func(h id.Hash) {
			if ancestors[h] {
				return
			}
			ancestors[h] = true
			for _, dep := range byHash[h].Deps {
				collect(dep)
			}
		}
		for range rapid.IntRange(1, 2).Draw(t, "heads") {
			h := rapid.SampledFrom(changes).Draw(t, "head").Hash
			heads = append(heads, h)
			collect(h)
		}
		var prefix []*chunk.Change
		for _, c := range changes {
			if ancestors[c.Hash] {
				prefix = append(prefix, c)
			}
		}
		then := docMust(crdt.Open("then", prefix))
		was := docMust(then.Value())
		then.Close()
		view := docMust(d.At(heads))
		if got := docMust(view.Value()); !reflect.DeepEqual(got, was) {
			t.Fatalf("at %v:\n got %#v\nwant %#v", heads, got, was)
		}
		for collection, entities := range was {
			for entity, fields := range entities.(map[string]any) {
				if _, isMap := fields.(map[string]any); !isMap {
					continue
				}
				if got := docMust(view.Entity(collection, entity)); !reflect.DeepEqual(got, fields) {
					t.Fatalf("%s/%s at %v:\n got %#v\nwant %#v", collection, entity, heads, got, fields)
				}
			}
		}
	}
}

// checkConflicts asks for the conflicts of every field: there is one at least,
// they ascend, and the last is what the field has.
func checkConflicts(t *rapid.T, d *crdt.Document) {
	for collection, entities := range docMust(d.Value()) {
		for entity, fields := range entities.(map[string]any) {
			m, ok := fields.(map[string]any)
			if !ok {
				continue
			}
			for field, want := range m {
				cs := docMust(d.Conflicts(collection, entity, field))
				if len(cs) == 0 || !reflect.DeepEqual(cs[len(cs)-1].Value, want) {
					t.Fatalf("%s/%s/%s: conflicts %+v, value %#v", collection, entity, field, cs, want)
				}
				if !slices.IsSortedFunc(cs, func(a, b crdt.Conflict) int { return a.ID.Compare(b.ID) }) {
					t.Fatalf("%s/%s/%s: conflicts not in order: %+v", collection, entity, field, cs)
				}
			}
		}
	}
}
