package crdt_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt"
	"syncline/crdt/id"
)

// patched carries a diff out on the entities that it was made from.
func patched(t rapid.TB, was map[string]any, diff []crdt.EntityDiff) map[string]any {
	out := docClone(was).(map[string]any)
	for _, e := range diff {
		c, _ := out[e.Collection].(map[string]any)
		if c == nil {
			c = map[string]any{}
			out[e.Collection] = c
		}
		_, there := c[e.ID]
		if there != (e.Difference != crdt.Added) {
			t.Fatalf("%s/%s is %s, and was there: %v", e.Collection, e.ID, e.Difference, there)
		}
		if e.Difference == crdt.Added {
			c[e.ID] = map[string]any{}
		}
		for _, f := range e.Fields {
			at := c[e.ID].(map[string]any)
			for _, step := range f.Path[:len(f.Path)-1] {
				at = at[step.(string)].(map[string]any)
			}
			key := f.Path[len(f.Path)-1].(string)
			old, there := at[key]
			if there != (f.Difference != crdt.Added) || there && print(old) != print(plain(f.From)) {
				t.Fatalf("%s/%s/%s is %s from %#v, and was %#v", e.Collection, e.ID, f.Path, f.Difference, f.From, old)
			}
			switch {
			case f.Difference == crdt.Removed:
				delete(at, key)
				continue
			case f.Splices != nil:
				at[key] = spliced(old.(string), f.Splices)
				if at[key] != f.To {
					t.Fatalf("%q with %v is %q, not %q", old, f.Splices, at[key], f.To)
				}
			default:
				at[key] = plain(f.To)
			}
		}
		if e.Difference == crdt.Removed {
			delete(c, e.ID)
		}
	}
	maps.DeleteFunc(out, func(_ string, v any) bool { m, ok := v.(map[string]any); return ok && len(m) == 0 })
	return out
}

// plain has strings where a diff tells immutable ones from texts.
func plain(v any) any {
	switch v := v.(type) {
	case crdt.Scalar:
		return string(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			out[k] = plain(v[k])
		}
		return out
	}
	return v
}

func spliced(text string, splices []crdt.TextSplice) string {
	r := []rune(text)
	for _, s := range splices {
		r = slices.Concat(r[:s.Pos], []rune(s.Text), r[s.Pos+s.Del:])
	}
	return string(r)
}

// The diff of any two points leads from what was at the one to what was at the other.
func TestDiffLeadsFromOnePointToAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peers := docCrowd(t)
		defer closeAll(peers)
		for _, p := range peers[1:] {
			peers[0].learn(t, p)
		}
		d := peers[0].d
		point := func(name string) (heads []id.Hash, v map[string]any) {
			switch n := rapid.IntRange(-1, len(peers[0].has)).Draw(t, name); n {
			case -1:
				return nil, map[string]any{}
			case len(peers[0].has):
				heads = d.Heads()
			default:
				heads = []id.Hash{peers[0].has[n].Hash}
			}
			v = docMust(docMust(d.At(heads)).Value())
			maps.DeleteFunc(v, func(_ string, v any) bool { m, ok := v.(map[string]any); return ok && len(m) == 0 })
			return heads, v
		}
		from, was := point("from")
		to, is := point("to")
		diff := docMust(d.Diff(from, to))
		if got := patched(t, was, diff); print(got) != print(is) {
			t.Fatalf("from %v\n  to %v\n got %v\nby %+v", was, is, got, diff)
		}
		if again := docMust(d.Diff(to, to)); len(again) > 0 {
			t.Fatalf("a point differs from itself: %+v", again)
		}
	})
}

func TestSplicesOfTexts(t *testing.T) {
	d := openDoc(t, "author")
	begin := docDo(t, d, crdt.Create("c", "e", map[string]any{"t": ""}))
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]rune("ab🐑 ")), 0, 400)
		from, to := string(letters.Draw(t, "from")), string(letters.Draw(t, "to"))
		if rapid.Bool().Draw(t, "alike") {
			cut := rapid.IntRange(0, len([]rune(from))).Draw(t, "cut")
			to = string([]rune(from)[:cut]) + to[:strings.LastIndex(to, " ")+1] + string([]rune(from)[cut:])
		}
		text := docMust(d.Get("c", "e", "t")).(string)
		if text != from {
			docMust(d.Do(docTime, crdt.Set("c", "e", "t", from)))
		}
		before := d.Heads()
		if from == to {
			return
		}
		docMust(d.Do(docTime, crdt.Set("c", "e", "t", to)))
		diff := docMust(d.Diff(before, d.Heads()))
		if got := spliced(from, diff[0].Fields[0].Splices); got != to {
			t.Fatalf("%q with %v is %q, want %q", from, diff[0].Fields[0].Splices, got, to)
		}
	})
	// Few letters are few splices.
	docDo(t, d, crdt.Set("c", "e", "t", "The quick brown fox"))
	before := d.Heads()
	docDo(t, d, crdt.Splice("c", "e", "t", 4, 5, "slow"), crdt.Splice("c", "e", "t", 18, 0, "es"))
	got := must(d.Diff(before, d.Heads()))[0].Fields[0].Splices
	if n := len(got); n == 0 || n > 4 {
		t.Errorf("got %+v", got)
	}
	if whole := must(d.Diff([]id.Hash{begin.Hash}, nil)); len(whole) != 1 || whole[0].Difference != crdt.Removed {
		t.Errorf("to the beginning: %+v", whole)
	}
}

func TestRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peers := docCrowd(t)
		defer closeAll(peers)
		p := peers[0]
		heads := []id.Hash{rapid.SampledFrom(p.has).Draw(t, "then").Hash}
		then := docMust(p.d.At(heads))
		for c, entities := range docMust(then.Value()) {
			for e, want := range entities.(map[string]any) {
				ops, err := p.d.Restore(heads, c, e)
				if err != nil {
					t.Fatal(err)
				}
				if len(ops) > 0 {
					p.has = append(p.has, p.gate.passRapid(t, docMust(p.d.Do(docTime, ops...)))...)
				}
				if got := docMust(p.d.Entity(c, e)); print(got) != print(want) {
					t.Fatalf("%s/%s is %v, was %v", c, e, got, want)
				}
			}
		}
	})
	d := openDoc(t, "author")
	c := docDo(t, d, crdt.Create("c", "e", nil))
	if _, err := d.Restore([]id.Hash{c.Hash}, "c", "other"); !errors.Is(err, crdt.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := d.Restore([]id.Hash{{1}}, "c", "e"); !errors.Is(err, crdt.ErrUnknownHeads) {
		t.Errorf("got %v", err)
	}
}

// What was a text stays one, and what others type meanwhile stays in it.
func TestRestoreKeepsWhatOthersType(t *testing.T) {
	me, other := openDoc(t, "me"), openDoc(t, "other")
	then := docDo(t, me, crdt.Create("c", "e", map[string]any{"t": "one two", "n": crdt.Counter(1), "s": crdt.Scalar("x")}))
	docDo(t, me, crdt.Splice("c", "e", "t", 3, 4, ""), crdt.Increment("c", "e", "n", 4), crdt.Set("c", "e", "s", crdt.Scalar("y")))
	docOK(other.Apply(must(me.Since())))
	docDo(t, other, crdt.Splice("c", "e", "t", 0, 0, "zero "), crdt.Increment("c", "e", "n", 100))
	docDo(t, me, must(me.Restore([]id.Hash{then.Hash}, "c", "e"))...)
	docOK(me.Apply(must(other.Since())))
	if got, want := docJSON(t, me), `{"c":{"e":{"n":101,"s":"x","t":"zero one two"}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	diff := must(me.Diff([]id.Hash{then.Hash}, me.Heads()))
	for _, f := range diff[0].Fields {
		if f.Path.String() == "s" {
			t.Errorf("s is another kind of string: %+v", f)
		}
	}
}
