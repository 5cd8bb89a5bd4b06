package crdt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt"
	"syncline/crdt/chunk"
)

// undoer is somebody who undoes.
type undoer struct {
	d       *crdt.Document
	revived crdt.Revived
}

// undo undoes a change and returns the change that does, nil if there was nothing
// left to undo.
func (u *undoer) undo(t rapid.TB, c *chunk.Change) (*chunk.Change, crdt.Undoing) {
	t.Helper()
	out, err := u.d.Invert(c, crdt.InvertOptions{Revived: &u.revived})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Operations) == 0 {
		return nil, out
	}
	back, err := u.d.Do(docTime, out.Operations...)
	if errors.Is(err, crdt.ErrNoChange) {
		return nil, out
	}
	if err != nil {
		t.Fatalf("undo of %s by %+v: %v", c.Message, out.Operations, err)
	}
	var made, told uint64
	for _, op := range back.Ops() {
		if op.Action != chunk.Delete && op.Action != chunk.Increment {
			made++
		}
	}
	for _, r := range out.Again {
		told += r.N
	}
	if made != told {
		t.Fatalf("undo of %s by %+v makes %d values, told of %d: %v", c.Message, out.Operations, made, told, out.Again)
	}
	u.revived.Add(out.Again, back)
	return back, out
}

// shown is the document without its empty collections.
func shown(t rapid.TB, d *crdt.Document) string {
	t.Helper()
	v, err := d.Value()
	if err != nil {
		t.Fatal(err)
	}
	for name, entities := range v {
		if m, ok := entities.(map[string]any); ok && len(m) == 0 {
			delete(v, name)
		}
	}
	return print(v)
}

// When nobody else is there, undo leads back through every state there was, redo
// forth, and again and again.
func TestUndoAndRedoAreTheWayBackAndForth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := undoer{d: crdt.New("author")}
		defer u.d.Close()
		var changes []*chunk.Change
		states := []string{shown(t, u.d)}
		for range rapid.IntRange(1, 10).Draw(t, "batches") {
			v := docMust(u.d.Value())
			var ops []crdt.Operation
			for range rapid.IntRange(1, 4).Draw(t, "operations") {
				ops = append(ops, docGenOperation(t, docModel(v)))
			}
			c, err := u.d.Do(docTime, ops...)
			if err != nil {
				continue
			}
			changes = append(changes, c)
			states = append(states, shown(t, u.d))
		}
		at := len(changes)
		// Wherever one goes, from state to state.
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			forth := at < len(changes) && rapid.Bool().Draw(t, "redo")
			switch {
			case forth:
				at++
			case at > 0:
				at--
			default:
				continue
			}
			i := at - 1
			if !forth {
				i = at
			}
			if back, out := u.undo(t, changes[i]); back != nil {
				changes[i] = back
			} else if states[at] != shown(t, u.d) {
				t.Fatalf("nothing done for %s: %+v", changes[i].Message, out)
			}
			if got := shown(t, u.d); got != states[at] {
				t.Fatalf("redo %v of change %d (%s):\n got %s\nwant %s", forth, i, changes[i].Message, got, states[at])
			}
		}
	})
}

// What others do meanwhile is kept, and all end up with the same.
func TestUndoKeepsWhatOthersDid(t *testing.T) {
	start := map[string]any{"title": "one two three", "n": crdt.Counter(10), "s": "old", "list": []any{1, 2, 3}, "map": map[string]any{"k": 1}}
	for _, test := range []struct {
		name         string
		mine, theirs []crdt.Operation
		want         string
		kept         string
	}{
		{"set beside a set of another field", []crdt.Operation{crdt.Set("c", "e", "s", "mine")}, []crdt.Operation{crdt.Set("c", "e", "x", 1)},
			`"s":"old","title":"one two three","x":1`, ""},
		{"increments", []crdt.Operation{crdt.Increment("c", "e", "n", 5)}, []crdt.Operation{crdt.Increment("c", "e", "n", 7)}, `"n":17`, ""},
		{"typing in one text", []crdt.Operation{crdt.Splice("c", "e", "title", 4, 4, "2 ")},
			[]crdt.Operation{crdt.Splice("c", "e", "title", 0, 0, "zero "), crdt.Splice("c", "e", "title", 18, 0, " four")},
			`"title":"zero one two three four"`, ""},
		{"typing within what was deleted", []crdt.Operation{crdt.Splice("c", "e", "title", 0, 13, "")},
			[]crdt.Operation{crdt.Splice("c", "e", "title", 7, 0, "X")}, `X`, ""},
		{"list elements", []crdt.Operation{crdt.ListInsert("c", "e", "list", 1, 9), crdt.ListDelete("c", "e", "list", 3, 1)},
			[]crdt.Operation{crdt.ListInsert("c", "e", "list", 3, 4)}, `"list":[1,2,3,4]`, ""},
		{"a list element that both have set", []crdt.Operation{crdt.ListSet("c", "e", "list", 1, 20)},
			[]crdt.Operation{crdt.ListSet("c", "e", "list", 1, 200)}, `"list":[1,200,3]`, ""},
		{"a field that both have set", []crdt.Operation{crdt.Set("c", "e", "s", "mine")}, []crdt.Operation{crdt.Set("c", "e", "s", "theirs")},
			`"s":"theirs"`, ""},
		{"delete", []crdt.Operation{crdt.Delete("c", "e")}, []crdt.Operation{crdt.Create("c", "other", nil)}, `"other":{}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} { // either wins
				me, other := undoer{d: openDoc(t, names[0])}, openDoc(t, names[1])
				docOK(other.Apply([]*chunk.Change{docDo(t, me.d, crdt.Create("c", "e", start))}))
				mine, theirs := docDo(t, me.d, test.mine...), docDo(t, other, test.theirs...)
				docOK(me.d.Apply([]*chunk.Change{theirs}))
				_, out := me.undo(t, mine)
				docOK(other.Apply(must(me.d.Since())))
				got := docJSON(t, me.d)
				if theirs := docJSON(t, other); got != theirs {
					t.Fatalf("one has %s, the other %s", got, theirs)
				}
				if !strings.Contains(got, test.want) {
					t.Fatalf("%v: got %s, want %s; kept %v", names, got, test.want, out.Kept)
				}
			}
		})
	}
}

// What somebody else has worked in, or put something else in the place of, stays.
func TestUndoSaysWhatItKeeps(t *testing.T) {
	type step struct {
		mine bool
		ops  []crdt.Operation
	}
	do := func(ops ...crdt.Operation) step { return step{true, ops} }
	they := func(ops ...crdt.Operation) step { return step{false, ops} }
	for _, test := range []struct {
		name  string
		steps []step // the first of mine is undone
		want  string
		kept  string
	}{
		{"a set that they replaced", []step{do(crdt.Set("c", "e", "s", "mine")), they(crdt.Set("c", "e", "s", "theirs"))}, `"s":"theirs"`, "c/e/s"},
		{"a map that they edited", []step{do(crdt.Set("c", "e", "s", map[string]any{"k": 1})), they(crdt.Set("c", "e", crdt.Path{"s", "k"}, 2))}, `"s":{"k":2}`, "c/e/s"},
		{"a counter that they stepped", []step{do(crdt.Set("c", "e", "s", crdt.Counter(1))), they(crdt.Increment("c", "e", "s", 2))}, `"s":3`, "c/e/s"},
		{"an entity that they edited", []step{do(crdt.Create("c", "new", map[string]any{"t": ""})), they(crdt.Splice("c", "new", "t", 0, 0, "x"))}, `"new":{"t":"x"}`, "c/new"},
		{"an entity that they made again", []step{do(crdt.Delete("c", "e")), they(crdt.Create("c", "e", map[string]any{"again": true}))}, `"e":{"again":true}`, "c/e"},
		{"a field that they made again", []step{do(crdt.Unset("c", "e", "s")), they(crdt.Set("c", "e", "s", "theirs"))}, `"s":"theirs"`, "c/e/s"},
		{"a list element that they edited", []step{do(crdt.ListInsert("c", "e", "list", 0, map[string]any{"k": 1})), they(crdt.Set("c", "e", crdt.Path{"list", 0, "k"}, 2))}, `"list":[{"k":2},1]`, "c/e/list[0]"},
		{"a list element that they set", []step{do(crdt.ListInsert("c", "e", "list", 0, 5)), they(crdt.ListSet("c", "e", "list", 0, 6))}, `"list":[6,1]`, ""},
		{"a text that is gone", []step{do(crdt.Splice("c", "e", "t", 0, 0, "x")), they(crdt.Delete("c", "e"))}, `{"c":{}}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			me, other := undoer{d: openDoc(t, "me")}, openDoc(t, "other")
			docOK(other.Apply([]*chunk.Change{docDo(t, me.d, crdt.Create("c", "e", map[string]any{"s": "old", "t": "", "list": []any{1}}))}))
			var first *chunk.Change
			for _, s := range test.steps {
				from, to := me.d, other
				if !s.mine {
					from, to = other, me.d
				}
				c := docDo(t, from, s.ops...)
				docOK(to.Apply([]*chunk.Change{c}))
				if first == nil {
					first = c
				}
			}
			_, out := me.undo(t, first)
			if got := docJSON(t, me.d); !strings.Contains(got, test.want) {
				t.Fatalf("got %s, want %s", got, test.want)
			}
			kept := ""
			for _, k := range out.Kept {
				kept += k.Path.String()
			}
			if kept != test.kept {
				t.Fatalf("kept %v, want %q", out.Kept, test.kept)
			}
		})
	}
}

// Several edit, and one undoes all that he did, whenever: everybody has the same
// in the end, and whatever nobody but others has touched is as they would have it.
func TestUndoInACrowd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		peers := docCrowd(t)
		defer closeAll(peers)
		u := undoer{d: peers[0].d}
		var mine []*chunk.Change
		for _, c := range peers[0].has {
			if c.Actor == u.d.Actor() {
				mine = append(mine, c)
			}
		}
		alone := rapid.Bool().Draw(t, "alone")
		theirs := fieldsOfOthers(t, u.d)
		for len(mine) > 0 {
			if !alone && rapid.IntRange(0, 3).Draw(t, "learn") == 0 {
				peers[0].learn(t, rapid.SampledFrom(peers).Draw(t, "from"))
			}
			last := mine[len(mine)-1]
			mine = mine[:len(mine)-1]
			back, _ := u.undo(t, last)
			if back != nil {
				peers[0].has = append(peers[0].has, peers[0].gate.passRapid(t, back)...)
			}
		}
		for place, want := range theirs {
			got, err := u.d.Get(place.collection, place.entity, place.field)
			if alone && (err != nil || print(got) != want) {
				t.Fatalf("%v was %s, set by somebody else, and is %v: %v", place, want, got, err)
			}
		}
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
	})
}

type fieldPlace struct{ collection, entity, field string }

// fieldsOfOthers lists the plain fields that somebody else has set last.
func fieldsOfOthers(t rapid.TB, d *crdt.Document) map[fieldPlace]string {
	all := map[fieldPlace]string{}
	for c, entities := range docMust(d.Value()) {
		for e, fields := range entities.(map[string]any) {
			for f, v := range fields.(map[string]any) {
				switch v.(type) {
				case crdt.Counter, string, map[string]any, []any:
					continue
				}
				values := docMust(d.Conflicts(c, e, f))
				if values[len(values)-1].ID.Actor != d.Actor() {
					all[fieldPlace{c, e, f}] = print(v)
				}
			}
		}
	}
	return all
}

// Two type into one text, one line each; after all of the one's edits are undone,
// the other's stand letter for letter.
func TestUndoLeavesTheLettersOfOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		me, other := undoer{d: crdt.New("me")}, crdt.New("other")
		defer me.d.Close()
		defer other.Close()
		begin := docMust(me.d.Do(docTime, crdt.Create("c", "e", map[string]any{"t": "0123456789"})))
		docOK(other.Apply([]*chunk.Change{begin}))
		var mine []*chunk.Change
		for i := range rapid.IntRange(1, 15).Draw(t, "edits") {
			text := docMust(me.d.Get("c", "e", "t")).(string)
			pos := rapid.IntRange(0, len(text)).Draw(t, "pos")
			// I insert small letters and delete what I like; they insert capitals.
			del := rapid.IntRange(0, min(3, len(text)-pos)).Draw(t, "del")
			mine = append(mine, docMust(me.d.Do(docTime, crdt.Splice("c", "e", "t", pos, del, string(rune('a'+i))))))
			theirs := docMust(other.Get("c", "e", "t")).(string)
			docMust(other.Do(docTime, crdt.Splice("c", "e", "t", rapid.IntRange(0, len(theirs)).Draw(t, "there"), 0, string(rune('A'+i)))))
			if rapid.Bool().Draw(t, "meet") {
				docOK(me.d.Apply(must(other.Since())))
				docOK(other.Apply(must(me.d.Since())))
			}
		}
		docOK(me.d.Apply(must(other.Since())))
		for len(mine) > 0 {
			me.undo(t, mine[len(mine)-1])
			mine = mine[:len(mine)-1]
		}
		docOK(other.Apply(must(me.d.Since())))
		docSame(t, me.d, other)
		text := docMust(me.d.Get("c", "e", "t")).(string)
		var digits, rest []byte
		for i := range len(text) {
			switch c := text[i]; {
			case c >= '0' && c <= '9':
				digits = append(digits, c)
			case c >= 'a' && c <= 'z':
				t.Fatalf("a letter of mine is left: %s", text)
			default:
				rest = append(rest, c)
			}
		}
		if len(digits) != 10 || len(bytes.Trim(rest, "ABCDEFGHIJKLMNO")) > 0 {
			t.Fatalf("the text is %q", text)
		}
	})
}
