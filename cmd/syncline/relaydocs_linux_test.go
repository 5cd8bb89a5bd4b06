package main

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDocumentsOfARelayOnATerminal(t *testing.T) {
	db, docs := relayStore(t, 3)
	for _, args := range [][]string{{"list"}, {"show", docs[0].URL()}} {
		code, screen := onTerminal(t, 80, append([]string{"relay", "docs", "--db", db}, args...)...)
		if code != 0 || !strings.Contains(screen, docs[0].URL()) || strings.ContainsAny(screen, "\t\x1b…") {
			t.Errorf("exit code %d:\n%s", code, screen)
		}
		for l := range strings.SplitSeq(screen, "\n") {
			if utf8.RuneCountInString(l) > 80 {
				t.Errorf("wider than the terminal: %s", l)
			}
		}
	}
	code, screen := onTerminal(t, 80, "backup", "--db", db, filepath.Join(t.TempDir(), "copy"))
	if code != 0 || !strings.HasPrefix(screen, "\rcopied ") || !strings.HasSuffix(screen, "\n") {
		t.Errorf("exit code %d: %q", code, screen)
	}
}
