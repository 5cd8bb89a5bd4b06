package crdt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/automerge/automerge-go"
	"pgregory.net/rapid"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
)

// selectHistories are histories of all writers at hand.
func selectHistories(t testing.TB) []history {
	hs := jsHistories(t)
	for i := range uint64(60) {
		hs = append(hs, goHistory(*seedFlag<<32+1000+i))
	}
	return hs
}

// selected reads all that a selection brings, by collection and id.
func selected(t testing.TB, v interface {
	Select(crdt.Selection, func(crdt.Entity) error) error
}, s crdt.Selection) map[string]map[string]crdt.Entity {
	t.Helper()
	all := map[string]map[string]crdt.Entity{}
	err := v.Select(s, func(e crdt.Entity) error {
		if all[e.Collection] == nil {
			all[e.Collection] = map[string]crdt.Entity{}
		}
		if _, twice := all[e.Collection][e.ID]; twice {
			t.Fatalf("%s/%s comes twice", e.Collection, e.ID)
		}
		all[e.Collection][e.ID] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// print is a form that tells values apart and takes NaN for itself.
func print(v any) string { return fmt.Sprintf("%#v", v) }

// What is selected is what the document has, now and at any point of its history,
// whoever has written it.
func TestSelectReadsWhatIsThere(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seedFlag, 77))
	for _, h := range selectHistories(t) {
		d, err := crdt.Load("reader", h.changes...)
		if err != nil {
			t.Fatal(err)
		}
		changes := must(d.Since())
		then := must(d.At([]id.Hash{changes[rng.IntN(len(changes))].Hash}))
		type reads interface {
			Value() (map[string]any, error)
			Collections() ([]string, error)
			Select(crdt.Selection, func(crdt.Entity) error) error
		}
		for _, v := range []reads{d, then} {
			value := must(v.Value())
			var names []string
			byName := map[string][]string{"absent": {"x"}}
			for name, entities := range value {
				byName[name] = []string{"no such entity"}
				if m, ok := entities.(map[string]any); ok {
					names = append(names, name)
					for e := range m {
						byName[name] = append(byName[name], e)
					}
				}
			}
			slices.Sort(names)
			if got := must(v.Collections()); !slices.Equal(got, names) {
				t.Fatalf("%s: collections %q, want %q", h.name, got, names)
			}
			whole := selected(t, v, crdt.Selection{Collections: names})
			single := selected(t, v, crdt.Selection{Entities: byName, Conflicts: true})
			for name, entities := range value {
				m, _ := entities.(map[string]any)
				if len(whole[name]) != len(m) || len(single[name]) != len(m)+1 || single[name]["no such entity"].Present {
					t.Fatalf("%s: %s has %d entities, read %d and %d", h.name, name, len(m), len(whole[name]), len(single[name]))
				}
				for e, want := range m {
					for _, got := range []crdt.Entity{whole[name][e], single[name][e]} {
						if !got.Present || print(got.Value) != print(want) {
							t.Fatalf("%s: %s/%s:\n got %#v\nwant %#v", h.name, name, e, got, want)
						}
					}
				}
			}
			if e := single["absent"]["x"]; e.Present {
				t.Fatalf("read %#v from a collection that is not there", e)
			}
		}
		d.Close()
	}
}

// Every place with several values is told of, with the same values as one by one.
func TestSelectTellsOfConflicts(t *testing.T) {
	for _, h := range selectHistories(t) {
		d := must(crdt.Load("reader", h.changes...))
		without := checkContested(t, h.name, d)
		must(d.Touched(nil))
		if with := checkContested(t, h.name, d); with != without {
			t.Fatalf("%s: told of %d contested places with an index, of %d without", h.name, with, without)
		}
		d.Close()
	}
	rapid.Check(t, func(t *rapid.T) {
		peers := docCrowd(t)
		defer closeAll(peers)
		if rapid.Bool().Draw(t, "early") {
			docMust(peers[0].d.Touched(nil))
		}
		for _, p := range peers[1:] {
			peers[0].learn(t, p)
		}
		checkContested(t, "crowd", peers[0].d)
		docMust(peers[0].d.Touched(nil))
		checkContested(t, "crowd with an index", peers[0].d)
	})
	a, b := openDoc(t, "a"), openDoc(t, "b")
	if err := b.Apply([]*chunk.Change{docDo(t, a, crdt.Create("notes", "n", map[string]any{
		"k": 0, "list": []any{1, 2}, "map": map[string]any{"in": 1},
	}))}); err != nil {
		t.Fatal(err)
	}
	for i, d := range []*crdt.Document{a, b} {
		docDo(t, d, crdt.Set("notes", "n", "k", 10+i), crdt.ListSet("notes", "n", "list", 1, 10+i), crdt.Set("notes", "n", crdt.Path{"map", "in"}, 10+i),
			crdt.Create("notes", "both", map[string]any{"by": i}))
	}
	if err := a.Apply(must(b.Since())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n := checkContested(t, "four places", a); n != 4 {
			t.Fatalf("told of %d contested places, there are 4", n)
		}
		must(a.Touched(nil))
	}
	docDo(t, a, crdt.Create("notes", "calm", map[string]any{"k": 1}))
	if n := checkContested(t, "four places still", a); n != 4 {
		t.Fatalf("told of %d contested places, there are 4", n)
	}
}

func checkContested(t rapid.TB, name string, d *crdt.Document) (found int) {
	err := d.Select(crdt.Selection{Collections: must(d.Collections()), Conflicts: true}, func(e crdt.Entity) error {
		told := map[string]bool{}
		for _, c := range e.Contested {
			found++
			if len(c.Path) == 0 {
				continue // Conflicts reads fields
			}
			told[c.Path.String()] = true
			one := must(d.Conflicts(e.Collection, e.ID, c.Path[0].(string), c.Path[1:]...))
			if len(one) < 2 || print(one) != print(c.Values) {
				t.Fatalf("%s: %s/%s/%s:\n got %#v\nwant %#v", name, e.Collection, e.ID, c.Path, c.Values, one)
			}
		}
		eachPlace(nil, e.Value, func(p crdt.Path, v any) {
			one := must(d.Conflicts(e.Collection, e.ID, p[0].(string), p[1:]...))
			if (len(one) > 1) != told[p.String()] {
				t.Fatalf("%s: %s/%s/%s has %d values, told: %v", name, e.Collection, e.ID, p, len(one), told[p.String()])
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// eachPlace calls fn with every map key and list element within a map.
func eachPlace(at crdt.Path, v any, fn func(crdt.Path, any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, inside := range v {
			p := append(slices.Clone(at), k)
			fn(p, inside)
			eachPlace(p, inside, fn)
		}
	case []any:
		if len(at) == 0 {
			return
		}
		for i, inside := range v {
			p := append(slices.Clone(at), i)
			fn(p, inside)
			eachPlace(p, inside, fn)
		}
	}
}

// The walk over automerge-go's own API sees the same document.
func TestValueIsWhatAutomergeGoReads(t *testing.T) {
	for _, h := range selectHistories(t) {
		stock := must(automerge.Load(bytes.Join(h.changes, nil)))
		d := must(crdt.Load("reader", h.changes...))
		if got, want := print(must(d.Value())), print(walked(t, stock.Root())); got != want {
			t.Fatalf("%s:\n got %s\nwant %s", h.name, got, want)
		}
		d.Close()
	}
}

func walked(t testing.TB, v *automerge.Value) any {
	switch v.Kind() {
	case automerge.KindMap:
		m := map[string]any{}
		for k, inside := range must(v.Map().Values()) {
			m[k] = walked(t, inside)
		}
		return m
	case automerge.KindList:
		l := []any{}
		for _, inside := range must(v.List().Values()) {
			l = append(l, walked(t, inside))
		}
		return l
	case automerge.KindText:
		return must(v.Text().Get())
	case automerge.KindCounter:
		return crdt.Counter(must(v.Counter().Get()))
	case automerge.KindTime:
		return v.Time().UTC()
	}
	return v.Interface()
}

// Whatever changes come in, whole or in pieces, what differs afterwards is in the
// set that is told as dirty.
func TestDirtyMissesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seedFlag, 78))
	differ := 0
	for _, h := range selectHistories(t) {
		all := must(crdt.Load("all", h.changes...))
		changes := must(all.Since())
		d := must(crdt.Open("reader", nil))
		for len(changes) > 0 {
			before, heads := must(d.Value()), slices.Clone(d.Heads())
			n := 1 + rng.IntN(len(changes))
			if err := d.Apply(changes[:n]); err != nil {
				t.Fatal(err)
			}
			now := changes[:n]
			changes = changes[n:]
			touched := must(d.Touched(now))
			if len(heads) > 0 {
				if since := must(d.Dirty(heads...)); print(since) != print(touched) {
					t.Fatalf("%s: since %v\n got %v\nwant %v", h.name, heads, since, touched)
				}
			}
			if fresh := must(must(crdt.Load("fresh", must(d.Save()))).Touched(now)); print(fresh) != print(touched) {
				t.Fatalf("%s: an index that has grown says %v, a new one %v", h.name, touched, fresh)
			}
			differ += compareDirty(t, h.name, before, must(d.Value()), touched)
		}
		all.Close()
		d.Close()
	}
	if differ == 0 {
		t.Fatal("nothing differs in any history")
	}
}

func compareDirty(t *testing.T, name string, before, after map[string]any, touched dirty.Set) (differ int) {
	collections := map[string]bool{}
	for c := range before {
		collections[c] = true
	}
	for c := range after {
		collections[c] = true
	}
	for c := range collections {
		was, wasMap := before[c].(map[string]any)
		is, isMap := after[c].(map[string]any)
		_, whole := touched.Collections[c]
		if (!wasMap || !isMap) && print(before[c]) != print(after[c]) && !whole {
			t.Fatalf("%s: collection %s has changed and is not dirty: %v", name, c, touched)
		}
		ids := map[string]bool{}
		for e := range was {
			ids[e] = true
		}
		for e := range is {
			ids[e] = true
		}
		for e := range ids {
			x, had := was[e]
			y, has := is[e]
			if had == has && print(x) == print(y) {
				continue
			}
			differ++
			if !touched.Has(c, e) {
				t.Fatalf("%s: %s/%s has changed and is not dirty: %v\nfrom %#v\n  to %#v", name, c, e, touched, x, y)
			}
		}
	}
	return differ
}

// A selection larger than what is read at once comes whole and in order.
func TestSelectInPieces(t *testing.T) {
	d := openDoc(t, "author")
	docDo(t, d, crdt.Create("other", "x", nil))
	big := bytes.Repeat([]byte("x"), 3<<20)
	var want []string
	for i := range 5 {
		id := fmt.Sprintf("big-%d", i)
		docDo(t, d, crdt.Create("notes", id, map[string]any{"text": big}))
		want = append(want, id)
	}
	var got []string
	read := func(e crdt.Entity) error {
		got = append(got, e.ID)
		if len(e.Value.(map[string]any)["text"].([]byte)) != len(big) {
			t.Fatalf("%s was cut", e.ID)
		}
		return nil
	}
	if err := d.Select(crdt.Selection{Collections: []string{"notes"}}, read); err != nil || !slices.Equal(got, want) {
		t.Fatalf("read %v: %v", got, err)
	}
	stop := errors.New("stop")
	if err := d.Select(crdt.Selection{Collections: []string{"notes"}}, func(crdt.Entity) error { return stop }); err != stop {
		t.Fatalf("got %v", err)
	}
}

func TestSelectionOf(t *testing.T) {
	d := openDoc(t, "author")
	c := []*chunk.Change{
		docDo(t, d, crdt.Create("notes", "a", nil), crdt.Create("tasks", "x", nil)),
		docDo(t, d, crdt.Create("notes", "b", map[string]any{"list": []any{map[string]any{"deep": ""}}})),
		docDo(t, d, crdt.Splice("notes", "b", crdt.Path{"list", 0, "deep"}, 0, 0, "text")),
	}
	for i, want := range []crdt.Selection{
		{Collections: []string{"notes", "tasks"}},
		{Entities: map[string][]string{"notes": {"b"}}},
		{Entities: map[string][]string{"notes": {"b"}}},
	} {
		if got := crdt.SelectionOf(must(d.Touched(c[i : i+1]))); print(got) != print(want) {
			t.Errorf("change %d: got %+v, want %+v", i, got, want)
		}
	}
	if s := must(d.Dirty(d.Heads()...)); !s.Empty() {
		t.Errorf("since the heads: %v", s)
	}
	if _, err := d.Dirty(id.Hash{1}); !errors.Is(err, crdt.ErrUnknownHeads) {
		t.Errorf("since an unknown change: %v", err)
	}
}

// The elements that a list had are there, also when it has become shorter.
func TestThePastOfAListThatBecameShorter(t *testing.T) {
	d := openDoc(t, "author")
	then := docDo(t, d, crdt.Create("notes", "n", map[string]any{"list": []any{1, 2, 3}}))
	docDo(t, d, crdt.ListDelete("notes", "n", "list", 0, 3))
	v := must(d.At([]id.Hash{then.Hash}))
	for i := range 3 {
		if got, err := v.Get("notes", "n", "list", i); err != nil || got != int64(i+1) {
			t.Errorf("element %d was %v: %v", i, got, err)
		}
		if got, err := v.Conflicts("notes", "n", "list", i); err != nil || len(got) != 1 {
			t.Errorf("the values of element %d were %v: %v", i, got, err)
		}
	}
	got := selected(t, v, crdt.Selection{Entities: map[string][]string{"notes": {"n"}}, Conflicts: true})
	if want := map[string]any{"list": []any{int64(1), int64(2), int64(3)}}; print(got["notes"]["n"].Value) != print(want) {
		t.Errorf("it was %v", got)
	}
}
