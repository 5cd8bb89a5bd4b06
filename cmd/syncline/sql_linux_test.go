package main

import (
	"strings"
	"testing"
)

func TestOnATerminalRowsFit(t *testing.T) {
	db, doc, schema := shop(t)
	op(t, db, doc, "create", "items", "long", `{"name":"`+strings.Repeat("word ", 60)+`\u0007\u009b31m","price":12345.678}`)
	for _, args := range [][]string{
		{"SELECT * FROM items"},
		{"--format", "csv", "SELECT substr(name, -5) AS name FROM items WHERE _id = 'long'"},
		{"--format", "json", "SELECT substr(name, -5) AS name FROM items WHERE _id = 'long'"},
		{"--tables"},
	} {
		code, screen := onTerminal(t, 80, append([]string{"sql", "--db", db, "--schema", schema}, args...)...)
		if code != 0 {
			t.Errorf("exit code %d: %s", code, screen)
		}
		if strings.ContainsAny(screen, "\t\x1b\x07\u009b\u202e") {
			t.Errorf("tabs or escapes in %q", screen)
		}
		for l := range strings.SplitSeq(screen, "\n") {
			if wide(l) > 80 {
				t.Errorf("wider than the terminal: %s", l)
			}
		}
		t.Logf("syncline sql %s\n%s", strings.Join(args, " "), screen)
	}
}
