package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatusOfAFileThatNobodyRunsOn(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", "{}")
	got := strings.Split(done(t, "status", "--db", db), "\t")
	if len(got) != 8 || got[1] != "1" || got[2] == "-" || got[3] != "-" {
		t.Errorf("%q", got)
	}
	var j jsonStatus
	if err := json.Unmarshal([]byte(done(t, "status", "--db", db, "--json")), &j); err != nil {
		t.Fatal(err)
	}
	if j.Pending != 1 || j.Running != 0 || len(j.Documents) != 1 || j.Documents[0].Document != doc || j.Documents[0].Pending != 1 || j.Counters.Retries == nil {
		t.Errorf("%+v", j)
	}
	refused(t, 2, []string{"--every"}, "status", "--db", db, "--every", "0s")
	refused(t, 1, []string{"no file"}, "status", "--db", filepath.Join(t.TempDir(), "none.db"))
}

// Unplugged: a watched peer loses its relay, works on, and delivers all when the
// relay is back.
func TestStatusWatchesAPeerThatIsUnplugged(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "relay")
	relay, url := startRelay(t, data, ownAddress())
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", "{}")
	p := start(t, "peer", "--db", db, "--to", url)
	p.await("peer is running")
	p.drain()
	w := start(t, "status", "--db", db, "--watch", "--every", "20ms")
	w.await(`\t0\t-\t` + url + `\tconnected\t0\t[^\t]*\t$`)
	relay.stop()
	op(t, db, doc, "create", "items", "tea", "{}")
	op(t, db, doc, "create", "items", "jam", "{}")
	w.await(`\t2\t\w+s\t` + url + `\twaiting\t2\t.*refused [1-9]`)
	relay, _ = startRelay(t, data, strings.TrimPrefix(url, "ws://"))
	w.await(`\t0\t-\t` + url + `\tconnected\t0\t[^\t]*refused [1-9][^\t]*\t$`)
	if code := w.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := strings.Split(done(t, "status", "--db", db), "\t"); got[4] != "idle" || got[1] != "0" {
		t.Errorf("%q", got)
	}
	relay.stop()
}
