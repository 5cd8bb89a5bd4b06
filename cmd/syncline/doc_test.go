package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

const mixed = "../../crdt/chunk/testdata/mixed.automerge"

func TestImportAndExportKeepTheDocument(t *testing.T) {
	dir := t.TempDir()
	db, out := filepath.Join(dir, "a.db"), filepath.Join(dir, "out.automerge")
	doc := done(t, "doc", "import", "--db", db, mixed)
	heads := done(t, "doc", "heads", "--db", db, doc)
	content := done(t, "doc", "show", "--db", db, doc)
	if !json.Valid([]byte(content)) || len(content) < 10 {
		t.Errorf("not JSON: %s", content)
	}
	if code, _, errs := cli(t, "doc", "export", "--db", db, doc, out); code != 0 {
		t.Fatal(errs)
	}
	_, saved, _ := cli(t, "doc", "export", "--db", db, doc)
	if !bytes.Equal([]byte(saved), readAll(t, out)) {
		t.Error("standard output and file differ")
	}
	want, err := chunk.ParseChunks(readAll(t, mixed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := chunk.ParseChunks(readAll(t, out))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%d changes exported, want %d", len(got), len(want))
	}

	// Into another file under its own URL, from standard input.
	stdin(t, []byte(saved))
	other := filepath.Join(dir, "b.db")
	if again := done(t, "doc", "import", "--db", other, "--doc", doc, "-"); again != doc {
		t.Errorf("%s came back as %s", doc, again)
	}
	if got := done(t, "doc", "heads", "--db", other, doc); got != heads {
		t.Errorf("heads %s, want %s", got, heads)
	}
	if got := done(t, "doc", "show", "--db", other, doc); got != content {
		t.Error("the content differs")
	}
	// And again, where all of it is already.
	if again := done(t, "doc", "import", "--db", other, "--doc", doc, out); again != doc {
		t.Errorf("%s came back as %s", doc, again)
	}
	if got := done(t, "doc", "heads", "--db", other, doc); got != heads {
		t.Errorf("heads %s, want %s", got, heads)
	}
}

func TestImportOfALaterPartGoesIntoTheDocument(t *testing.T) {
	changes, err := chunk.ParseChunks(readAll(t, mixed))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var first, rest []byte
	for i, c := range changes {
		if i < len(changes)/2 {
			first = append(first, c.Raw()...)
		} else {
			rest = append(rest, c.Raw()...)
		}
	}
	write(t, filepath.Join(dir, "first"), first)
	write(t, filepath.Join(dir, "rest"), rest)
	db := filepath.Join(dir, "a.db")
	refused(t, 1, []string{"rest", "not whole"}, "doc", "import", "--db", db, filepath.Join(dir, "rest"))
	doc := done(t, "doc", "import", "--db", db, filepath.Join(dir, "first"))
	done(t, "doc", "import", "--db", db, "--doc", doc, filepath.Join(dir, "rest"))
	whole := done(t, "doc", "import", "--db", db, mixed)
	if a, b := done(t, "doc", "heads", "--db", db, doc), done(t, "doc", "heads", "--db", db, whole); a != b {
		t.Errorf("heads %s, want %s", a, b)
	}
}

func TestImportOfWhatIsNoDocumentMakesNothing(t *testing.T) {
	dir := t.TempDir()
	saved := readAll(t, mixed)
	broken := bytes.Clone(saved)
	broken[len(broken)/2] ^= 1
	unfit, err := chunk.Encode(chunk.Header{Actor: "0123456789abcdef", Seq: 1, StartOp: 200, Time: 1}, []chunk.Op{{
		Obj: chunk.Ref{Ctr: 99}, Key: "k", Action: chunk.Set, Value: chunk.Value{Type: chunk.True},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"broken": broken, "cut": saved[:len(saved)-1], "text": []byte("a text"), "empty": nil, "unfit": unfit,
		"bad.json": []byte(`{"items": {"milk": {"text": "Milk"`), "list.json": []byte(`[1]`), "null.json": []byte(`null`),
		"flat.json": []byte(`{"title": "Milk"}`), "flatter.json": []byte(`{"items": {"title": "Milk"}}`),
		"tag.json": []byte(`{"items": {"milk": {"count": {"$counter": "many"}}}}`), "noname.json": []byte(`{"items": {"": {}}}`),
		"two.json": []byte(`{} {}`),
	} {
		write(t, filepath.Join(dir, name), b)
	}
	db := filepath.Join(dir, "a.db")
	for _, tt := range []struct {
		name  string
		words []string
	}{
		{"broken", []string{"broken", "not a document that Automerge has saved"}},
		{"cut", []string{"not a document"}},
		{"text", []string{"not a document"}},
		{"empty", []string{"no changes"}},
		{"unfit", []string{"do not fit"}},
		{"missing", []string{"missing", "no such file"}},
		{"bad.json", []string{"bad.json", "not JSON"}},
		{"list.json", []string{"collections"}},
		{"null.json", []string{"collections"}},
		{"flat.json", []string{`"title" is not a collection`}},
		{"flatter.json", []string{"items/title", "JSON object"}},
		{"tag.json", []string{"items/milk", "$counter"}},
		{"noname.json", []string{"empty entity id"}},
		{"two.json", []string{"not JSON"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"doc", "import", "--db", db, filepath.Join(dir, tt.name)}
			if strings.HasSuffix(tt.name, ".json") {
				args = append(args, "--json")
			}
			refused(t, 1, tt.words, args...)
		})
	}
	if _, err := os.Stat(db); err == nil {
		t.Error("a file was made")
	}
}

func TestImportOfJSON(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	const content = `{"items":{"milk":{"count":{"$counter":2},"done":false,"tags":["a",1,2.5],"text":"Milk"},"tea":{}},"notes":{"n":{"at":{"$time":"2020-01-02T03:04:05Z"}}},"none":{}}`
	stdin(t, []byte(content))
	doc := done(t, "doc", "import", "--db", db, "--json", "-")
	want := `{"items":{"milk":{"count":2,"done":false,"tags":["a",1,2.5],"text":"Milk"},"tea":{}},"notes":{"n":{"at":"2020-01-02T03:04:05.000Z"}}}`
	if got := compact(done(t, "doc", "show", "--db", db, doc)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// Strings are text, counters count, all is one change.
	op(t, db, doc, "splice", "items", "milk", "text", "4", "0", "!")
	op(t, db, doc, "increment", "items", "milk", "count", "1")
	if got := done(t, "doc", "list", "--db", db); !strings.HasPrefix(got, doc+"\t3\t1\t") {
		t.Errorf("list: %q", got)
	}
	stdin(t, []byte("{}"))
	empty := done(t, "doc", "import", "--db", db, "--json", "-")
	if got := done(t, "doc", "show", "--db", db, empty); got != "{}" {
		t.Errorf("an empty document shows as %q", got)
	}
}

func TestListLogAndHeads(t *testing.T) {
	db, doc := newStore(t)
	empty := done(t, "doc", "new", "--db", db)
	if heads := done(t, "doc", "heads", "--db", db, empty); heads != "" {
		t.Errorf("heads of an empty document: %q", heads)
	}
	a := op(t, db, doc, "create", "items", "milk", `{"text":"Milk"}`)
	b := op(t, db, doc, "create", "items", "a\x1b[2J\tb\nc", "{}")
	list := done(t, "doc", "list", "--db", db)
	if !regexp.MustCompile(`^` + doc + `\t2\t1\t\d+\n` + empty + `\t0\t0\t0$`).MatchString(list) {
		t.Errorf("list:\n%s", list)
	}
	if heads := done(t, "doc", "heads", "--db", db, strings.TrimPrefix(doc, "automerge:")); heads != b {
		t.Errorf("heads %q, want %q", heads, b)
	}
	log := done(t, "doc", "log", "--db", db, doc)
	want := `^` + a + `\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t([0-9a-f]{8})\t\d+\tlocal\tcreate items/milk\n` +
		b + "\t\\S+\t([0-9a-f]{8})\t\\d+\tlocal\tcreate items/a\uFFFD\\[2J\uFFFDb\uFFFDc$"
	m := regexp.MustCompile(want).FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("log:\n%s", log)
	}
	if m[1] != m[2] {
		t.Errorf("one device has the actors %s and %s", m[1], m[2])
	}
}

func TestShowIsPrettySortedAndInert(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "b", "{\"z\":1,\"a\":\"\u009b2J\x7f\u00a0é\"}")
	op(t, db, doc, "create", "items", "a", `{}`)
	want := "{\n  \"items\": {\n    \"a\": {},\n    \"b\": {\n      \"a\": \"\\u009b2J\\u007f\u00a0é\",\n      \"z\": 1\n    }\n  }\n}"
	got := done(t, "doc", "show", "--db", db, doc)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestVerbsOnFilesAndDocumentsThatAreNotThere(t *testing.T) {
	db, doc := newStore(t)
	dir := filepath.Dir(db)
	unknown := id.NewDocument().URL()
	// Of an id's last digit any other one breaks the checksum; '2' would be right as often as '1'.
	mistyped := doc[:len(doc)-1] + string("12"[strings.Count(doc[len(doc)-1:], "1")])
	missing, empty, foreign := filepath.Join(dir, "missing.db"), filepath.Join(dir, "empty.db"), filepath.Join(dir, "foreign.db")
	write(t, empty, nil)
	write(t, foreign, bytes.Repeat([]byte("no database. "), 100))
	before := readAll(t, foreign)
	listed := done(t, "doc", "list", "--db", db)
	verbs := [][]string{
		{"doc", "show", "DOC"}, {"doc", "log", "DOC"}, {"doc", "heads", "DOC"}, {"doc", "export", "DOC"},
		{"doc", "export", "DOC", filepath.Join(dir, "out")}, {"op", "DOC", "create", "c", "e", "{}"},
	}
	with := func(verb []string, doc, db string) []string {
		args := []string{}
		for _, a := range verb {
			if a == "DOC" {
				a = doc
			}
			args = append(args, a)
		}
		return append(args, "--db", db)
	}
	for _, verb := range verbs {
		t.Run(strings.Join(verb[:2], " "), func(t *testing.T) {
			refused(t, 1, []string{unknown, db, "sync"}, with(verb, unknown, db)...)
			refused(t, 2, []string{"not a document id", "doc list"}, with(verb, "automerge:nonsense", db)...)
			refused(t, 2, []string{"checksum"}, with(verb, mistyped, db)...)
			refused(t, 1, []string{missing, "doc new"}, with(verb, doc, missing)...)
			refused(t, 1, []string{empty, "is empty"}, with(verb, doc, empty)...)
			refused(t, 1, []string{foreign, "another program", "--db"}, with(verb, doc, foreign)...)
			refused(t, 1, []string{dir, "another program"}, with(verb, doc, dir)...)
		})
	}
	refused(t, 1, []string{missing, "doc new"}, "doc", "list", "--db", missing)
	refused(t, 1, []string{foreign, "another program"}, "doc", "new", "--db", foreign)
	refused(t, 1, []string{foreign, "another program"}, "doc", "import", "--db", foreign, mixed)
	refused(t, 1, []string{"no directory", "--db"}, "doc", "new", "--db", filepath.Join(dir, "no", "x.db"))
	refused(t, 1, []string{missing, "doc new"}, "sync", "--db", missing, "--to", "ws://127.0.0.1:1")
	for _, path := range []string{missing, filepath.Join(dir, "out")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made", path)
		}
	}
	if len(readAll(t, empty)) > 0 || !bytes.Equal(readAll(t, foreign), before) {
		t.Error("a file was touched")
	}
	if got := done(t, "doc", "list", "--db", db); got != listed {
		t.Errorf("the store has changed:\n%s", got)
	}
}

func TestOutputThatCannotBeWrittenFails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	db, doc := newStore(t)
	for _, verb := range []string{"show", "export"} {
		var errs bytes.Buffer
		if code := run(t.Context(), []string{"doc", verb, "--db", db, doc}, full, &errs); code != 1 || !strings.Contains(errs.String(), "no space") {
			t.Errorf("%s: exit code %d: %s", verb, code, errs.String())
		}
	}
	refused(t, 1, []string{"/dev/full", "no space"}, "doc", "export", "--db", db, doc, "/dev/full")
	refused(t, 1, []string{"cannot write", "no such"}, "doc", "export", "--db", db, doc, filepath.Join(t.TempDir(), "no", "out"))
}

func TestExportReplacesTheFileAsAWhole(t *testing.T) {
	db, doc := newStore(t)
	dir := t.TempDir()
	out, link := filepath.Join(dir, "out"), filepath.Join(dir, "link")
	write(t, out, []byte("older"))
	if err := os.Symlink(out, link); err != nil {
		t.Skip(err)
	}
	done(t, "doc", "export", "--db", db, doc, link)
	if _, err := chunk.ParseChunks(readAll(t, out)); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}
