package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"syncline/crdt/id"
)

// rot damages the newest change of a file, past the trigger that forbids it. The byte that
// it changes is part of a hash, and may be any.
func rot(t *testing.T, db string) {
	t.Helper()
	d, err := sql.Open("sqlite3", db)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var trigger string
	if err := d.QueryRow(`SELECT sql FROM sqlite_schema WHERE name = 'journal_is_never_updated'`).Scan(&trigger); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`DROP TRIGGER journal_is_never_updated`,
		`UPDATE journal SET body = CAST(substr(body, 1, 30) || iif(substr(body, 31, 1) = x'5a', x'a5', x'5a') || substr(body, 32) AS BLOB)
			WHERE seq = (SELECT max(seq) FROM journal)`, trigger} {
		if _, err := d.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoctorOnASoundFile(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", `{"text":"Milk"}`)
	before := readAll(t, db)
	if got := done(t, "doctor", "--db", db); got != "" {
		t.Errorf("printed %q", got)
	}
	done(t, "doctor", "--db", db, "--quick", doc)
	if !bytes.Equal(readAll(t, db), before) {
		t.Error("looking has changed the file")
	}
	done(t, "doctor", "--db", db, "--repair")
	var r jsonVisit
	if err := json.Unmarshal([]byte(done(t, "doctor", "--db", db, "--json")), &r); err != nil || !r.Healthy || r.Documents != 1 || r.Changes != 1 || r.Findings == nil {
		t.Errorf("%+v, %v", r, err)
	}
	code, screen := onTerminal(t, 80, "doctor", "--db", db)
	if code != 0 || !strings.Contains(screen, "1 document, 1 change\n") || !strings.Contains(screen, "Nothing is wrong.") {
		t.Errorf("exit code %d\n%s", code, screen)
	}
}

func TestDoctorFindsAndMends(t *testing.T) {
	data := filepath.Join(t.TempDir(), "relay")
	_, url := startRelay(t, data, "127.0.0.1:0")
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", `{"text":"Milk"}`)
	hash := op(t, db, doc, "create", "items", "tea", `{"text":"Tea"}`)
	done(t, "sync", "--db", db, "--to", url, "--once")
	shown := done(t, "doc", "show", "--db", db, doc)
	rot(t, db)

	code, out, errs := cli(t, "doctor", "--db", db)
	fields := strings.Split(strings.TrimSpace(out), "\t")
	if code != 1 || len(fields) != 8 || fields[0] != "wrong" || fields[1] != "row" || fields[2] != doc || fields[4] != hash || !strings.Contains(errs, "1 thing is wrong") || !strings.Contains(errs, "--repair") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	code, screen := onTerminal(t, 80, "doctor", "--db", db)
	if code != 1 || !strings.Contains(screen, "Wrong:\n  row ") || !strings.Contains(screen, "    Repair: ") {
		t.Errorf("exit code %d\n%s", code, screen)
	}
	for l := range strings.SplitSeq(screen, "\n") {
		if len([]rune(l)) > 80 && !strings.HasPrefix(l, "syncline: ") {
			t.Errorf("wider than the terminal: %s", l)
		}
	}
	evidence := filepath.Join(t.TempDir(), "evidence")
	t.Setenv("SYNCLINE_EXPORT", evidence)
	code, out, errs = cli(t, "doctor", "--db", db, "--repair", "--json")
	var r jsonVisit
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || len(r.Mended) == 0 || r.Mended[0].Hash != hash || len(r.Findings) != 1 || r.Findings[0].Kind != "gap" || r.Export != evidence {
		t.Errorf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	left, err := os.ReadDir(evidence)
	if err != nil || len(left) != 3 {
		t.Errorf("evidence %v, %v", left, err)
	}
	done(t, "sync", "--db", db, "--to", url, "--once")
	if got := done(t, "doc", "show", "--db", db, doc); got != shown {
		t.Errorf("after the sync it is %s, before it was %s", got, shown)
	}
	done(t, "doctor", "--db", db)
}

// A table that says something else than its document, as a person sees it.
func TestDoctorOnTables(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", `{"text":"Milk"}`)
	shown := done(t, "sql", "--db", db, "SELECT _id, _json FROM items")
	d, err := sql.Open("sqlite3", db)
	if err == nil {
		_, err = d.Exec(`UPDATE entities SET _json = '{"text":"Beer"}'`)
		d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	code, screen := onTerminal(t, 80, "doctor", "--db", db)
	if code != 1 || !strings.Contains(screen, "  projection  "+doc+"\n") || !strings.Contains(screen, "(items/milk)") || !strings.Contains(screen, "    Repair: make its rows anew.") {
		t.Errorf("exit code %d\n%s", code, screen)
	}
	if code, screen = onTerminal(t, 80, "doctor", "--db", db, "--repair"); code != 0 || !strings.Contains(screen, "Done: make its rows anew.") {
		t.Errorf("exit code %d\n%s", code, screen)
	}
	if got := done(t, "sql", "--db", db, "SELECT _id, _json FROM items"); got != shown {
		t.Errorf("after the repair the table shows %s, before it was %s", got, shown)
	}
}

func TestDoctorRefuses(t *testing.T) {
	db, _ := newStore(t)
	dir := t.TempDir()
	refused(t, 2, []string{"--db FILE"}, "doctor")
	refused(t, 2, []string{"there is no file"}, "doctor", "--db", filepath.Join(dir, "none"))
	refused(t, 2, []string{"another program"}, "doctor", "--db", sibling(t, dir))
	refused(t, 2, []string{"doc list"}, "doctor", "--db", db, "nonsense")
	refused(t, 2, []string{"doc list"}, "doctor", "--db", db, id.NewDocument().URL())
	data := filepath.Join(t.TempDir(), "relay")
	startRelay(t, data, "127.0.0.1:0")
	file := filepath.Join(data, relayFile)
	refused(t, 2, []string{"in use", "stop the peer or relay"}, "doctor", "--db", file, "--repair")
	done(t, "doctor", "--db", file)
}

// A document over which the core ends its process is told of, and the next is loaded
// by another process.
func TestALoaderOutlivesTheProcess(t *testing.T) {
	l := &loader{}
	defer l.close()
	doc := id.NewDocument()
	if err := l.load(t.Context(), doc, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.load(t.Context(), doc, []id.Hash{{1}}, nil); err == nil || !strings.Contains(err.Error(), "heads") {
		t.Errorf("heads that its changes do not have: %v", err)
	}
	if err := l.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.load(t.Context(), doc, nil, [][]byte{make([]byte, 1<<20)}); err == nil || !strings.Contains(err.Error(), "ends the process") {
		t.Errorf("a process that was killed: %v", err)
	}
	if err := l.load(t.Context(), doc, nil, nil); err != nil {
		t.Errorf("the next: %v", err)
	}
}

func FuzzLoadAll(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(make([]byte, 16), 0, 0, 0, 0, 0, 0, 0, 0))
	f.Add(append(make([]byte, 16), 255, 255, 255, 255, 255, 255, 255, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 24 { // what is behind the counts is for the core, which checks nothing
			b = b[:24]
		}
		loadAll(bufio.NewReader(bytes.NewReader(b)), new(bytes.Buffer))
	})
}
