package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestABackupWhileAPeerRuns(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", `{"text":"Milk"}`)
	_, url := startRelay(t, filepath.Join(t.TempDir(), "relay"), "127.0.0.1:0")
	v := start(t, "sync", "--db", db, "--to", url)
	v.drain()
	out := filepath.Join(t.TempDir(), "copy.db")
	if got := done(t, "backup", "--db", db, out); got != "" {
		t.Errorf("printed %q", got)
	}
	shown := done(t, "doc", "show", "--db", db, doc)
	if got := done(t, "doc", "show", "--db", out, doc); got != shown || !strings.Contains(got, "Milk") {
		t.Errorf("the copy has %s, the file %s", got, shown)
	}
}

func TestBackupsThatAreRefused(t *testing.T) {
	db, _ := newStore(t)
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	write(t, there, []byte("diary"))
	refused(t, 1, []string{there, "there already", "not touched"}, "backup", "--db", db, there)
	refused(t, 1, []string{filepath.Join(dir, "none"), "make it first"}, "backup", "--db", db, filepath.Join(dir, "none", "copy"))
	refused(t, 1, []string{"there is no file"}, "backup", "--db", filepath.Join(dir, "no.db"), filepath.Join(dir, "copy"))
	refused(t, 1, []string{"another program"}, "backup", "--db", sibling(t, dir), filepath.Join(dir, "copy"))
	refused(t, 2, []string{"OUT is missing"}, "backup", "--db", db)
	refused(t, 2, []string{"--db FILE"}, "backup", there)
	if string(readAll(t, there)) != "diary" {
		t.Error("the file that was there was written over")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// sibling makes a file that is no store.
func sibling(t *testing.T, dir string) string {
	path := filepath.Join(dir, "foreign")
	write(t, path, []byte(strings.Repeat("Dear diary, ", 1000)))
	return path
}
