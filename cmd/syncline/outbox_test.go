package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestOutboxListsRetriesAndDrops(t *testing.T) {
	dir := t.TempDir()
	relay, url := startRelay(t, filepath.Join(dir, "relay"), "127.0.0.1:0")
	db, doc := newStore(t)
	if got := done(t, "outbox", "list", "--db", db); got != "" {
		t.Errorf("nobody is known, and there is\n%s", got)
	}
	op(t, db, doc, "create", "items", "milk", "{}")
	done(t, "sync", "--db", db, "--to", url, "--once")
	relay.stop()
	if got := done(t, "outbox", "list", "--db", db); got != "" {
		t.Errorf("all is delivered, and there is\n%s", got)
	}
	op(t, db, doc, "create", "items", "tea", "{}")
	op(t, db, doc, "create", "items", "jam", "{}")
	want := []string{url, doc, "queued", "2", "-", "-", ""}
	if got := strings.Split(done(t, "outbox", "list", "--db", db), "\t"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
	refused(t, 1, []string{"nothing of that is held back", "outbox list"}, "outbox", "retry", "--db", db, url, doc)
	refused(t, 1, []string{"nothing of that is held back"}, "outbox", "retry", "--db", db, url)
	refused(t, 1, []string{"nothing of that is held back"}, "outbox", "drop", "--db", db, url, doc)
	refused(t, 2, []string{"DOC is missing"}, "outbox", "drop", "--db", db, url)
	refused(t, 2, []string{`"lst"`}, "outbox", "lst", "--db", db)
	refused(t, 2, []string{"--db"}, "outbox", "list")
}

// A remote that does not let us in is in the list, and is tried again when that is
// asked for, by a peer that runs on.
func TestOutboxOfARemoteThatIsNotTried(t *testing.T) {
	tried := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		tried <- struct{}{}
	}))
	defer s.Close()
	url := "ws" + strings.TrimPrefix(s.URL, "http")
	db, _ := newStore(t)
	p := start(t, "peer", "--db", db, "--to", url)
	p.await("remote not tried again")
	p.drain()
	<-tried
	var line []string
	for len(line) < 7 { // it is kept right after it is said
		line = strings.Split(done(t, "outbox", "list", "--db", db), "\t")
	}
	if line[0] != url || line[1] != "-" || line[2] != "dead" || line[4] != "unauthorised" {
		t.Errorf("%q", line)
	}
	done(t, "outbox", "retry", "--db", db, url)
	<-tried
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
