package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// The log says where each operation is, whichever process asks.
func TestLogSaysHowFarOperationsHaveCome(t *testing.T) {
	dir := t.TempDir()
	relay, url := startRelay(t, filepath.Join(dir, "relay"), "127.0.0.1:0")
	defer relay.stop()
	db, doc := newStore(t)
	line := func(db string, n int) []string {
		t.Helper()
		lines := strings.Split(done(t, "doc", "log", "--db", db, doc), "\n")
		if len(lines) <= n {
			t.Fatalf("%d lines", len(lines))
		}
		return strings.Split(lines[n], "\t")
	}
	_, number, _ := strings.Cut(done(t, "op", "--db", db, doc, "create", "items", "milk", "{}"), "\t")
	if got := line(db, 0); len(got) != 6 || got[3] != number || got[4] != "local" || got[5] != "create items/milk" {
		t.Errorf("%q, want operation %s", got, number)
	}
	done(t, "sync", "--db", db, "--to", url, "--once")
	if got := line(db, 0)[4]; !strings.HasPrefix(got, "acknowledged ") {
		t.Errorf("synced, and it is %q", got)
	}
	op(t, db, doc, "create", "items", "tea", "{}")
	if got := line(db, 1)[4]; got != "local" {
		t.Errorf("one that came later is %q", got)
	}
	other := filepath.Join(dir, "other.db")
	done(t, "sync", "--db", other, "--to", url, "--once", "--doc", doc)
	if got := line(other, 0); got[3] != "-" || got[4] != "-" {
		t.Errorf("what others did has %q", got)
	}
	op(t, other, doc, "create", "items", "jam", "{}")
	done(t, "sync", "--db", other, "--to", url, "--once")
	done(t, "sync", "--db", db, "--to", url, "--once")
	if got := line(db, 0)[4]; !strings.HasPrefix(got, "seen ") {
		t.Errorf("somebody has built on it, and it is %q", got)
	}
}
