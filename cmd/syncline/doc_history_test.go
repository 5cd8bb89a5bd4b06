package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A document is taken back and forth by its verbs, and each says what it did.
func TestUndoHistoryDiffAndRestore(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	doc := done(t, "doc", "new", "--db", db)
	op := func(args ...string) string {
		t.Helper()
		return strings.Split(done(t, append([]string{"op", "--db", db, doc}, args...)...), "\t")[0]
	}
	show := func(at ...string) string {
		t.Helper()
		return strings.Join(strings.Fields(done(t, append([]string{"doc", "show", "--db", db, doc}, at...)...)), "")
	}
	made := op("create", "items", "milk", `{"text": "Milk", "n": {"$counter": 1}}`)
	edited := op("splice", "items", "milk", "text", "4", "0", "shake")
	op("increment", "items", "milk", "n", "2")
	want := `{"items":{"milk":{"n":3,"text":"Milkshake"}}}`
	if got := show(); got != want {
		t.Fatal(got)
	}
	if got := show(made[:8]); got != `{"items":{"milk":{"n":1,"text":"Milk"}}}` {
		t.Errorf("as it was made: %s", got)
	}
	if got := show("start"); got != `{}` || show("2001-01-01") != got || show("2999-01-01T00:00:00Z") != want || show("now") != want {
		t.Errorf("at times: %s", got)
	}

	diff := done(t, "doc", "diff", "--db", db, doc, made)
	if diff != "changed\titems/milk/n\t{\"$counter\":1}\t{\"$counter\":3}\nchanged\titems/milk/text\t\"Milk\"\t\"Milkshake\"" {
		t.Errorf("diff: %q", diff)
	}
	if diff := done(t, "doc", "diff", "--db", db, doc, "now", "start"); !strings.HasPrefix(diff, "removed\titems/milk\t\t\nremoved\titems/milk/n\t") {
		t.Errorf("diff to the start: %q", diff)
	}

	done(t, "doc", "undo", "--db", db, doc)
	done(t, "doc", "undo", "--db", db, doc)
	if got := show(); got != `{"items":{"milk":{"n":1,"text":"Milk"}}}` {
		t.Errorf("undone: %s", got)
	}
	done(t, "doc", "redo", "--db", db, doc)
	if got := show(); got != `{"items":{"milk":{"n":1,"text":"Milkshake"}}}` {
		t.Errorf("redone: %s", got)
	}
	op("delete", "items", "milk")
	done(t, "doc", "restore", "--db", db, doc, edited[:12], "items", "milk")
	if got := show(); got != `{"items":{"milk":{"n":1,"text":"Milkshake"}}}` {
		t.Errorf("restored: %s", got)
	}

	lines := strings.Split(done(t, "doc", "history", "--db", db, doc), "\n")
	if len(lines) != 8 || !strings.HasSuffix(lines[0], "\tcreate items/milk") || !strings.HasPrefix(lines[7], made+"\t") {
		t.Errorf("history: %q", lines)
	}
	page := done(t, "doc", "history", "--db", db, "--limit", "2", "--before", strings.Split(lines[1], "\t")[0], doc)
	if page != strings.Join(lines[2:4], "\n") {
		t.Errorf("a page: %q", page)
	}
}

// What cannot be done is said with what to do.
func TestUndoSaysWhatIsWrong(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	doc := done(t, "doc", "new", "--db", db)
	done(t, "op", "--db", db, doc, "create", "items", "milk", "{}")
	done(t, "doc", "undo", "--db", db, doc)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"undo", doc}, "nothing of what was done here is left"},
		{[]string{"undo", doc, "zz"}, "no change of this document"},
		{[]string{"show", doc, "yesterday"}, "no point of a history"},
		{[]string{"show", doc, "ffffffffffff"}, "syncline doc history"},
		{[]string{"diff", doc}, "POINT is missing"},
		{[]string{"restore", doc, "start", "items", "milk"}, "nothing was in the document"},
		{[]string{"restore", doc, "now", "items", "milk"}, "not there then"},
		{[]string{"history", doc, "--limit", "0"}, "--limit 0"},
	} {
		code, out, errs := cli(t, append([]string{"doc", test.args[0], "--db", db}, test.args[1:]...)...)
		if code == 0 || out != "" || !strings.Contains(errs, test.want) {
			t.Errorf("%v: exit code %d, %q, %q, want %q", test.args, code, out, errs, test.want)
		}
	}
}
