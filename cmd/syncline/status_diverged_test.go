package main

import (
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
)

func TestStatusSaysWhatHasDiverged(t *testing.T) {
	if got := divergedText(peer.Status{Counters: peer.Counters{Divergences: map[peer.Divergence]int64{peer.DivergedTwin: 0}}}, 80); got != "" {
		t.Errorf("nothing has diverged, and it says %q", got)
	}
	doc := id.NewDocument()
	s := peer.Status{Path: "notes.db", Counters: peer.Counters{Divergences: map[peer.Divergence]int64{peer.DivergedTwin: 2, peer.DivergedState: 1, peer.DivergedRow: 0}}}
	s.Documents = append(s.Documents, peer.DocumentStatus{Info: peer.Info{ID: doc}, Divergences: 2, Quarantined: make([]peer.QuarantinedChange, 1)})
	for range maxDiverged {
		s.Mismatches = append(s.Mismatches, peer.Mismatch{Document: doc, Peer: "peer-\x1b[1m", Time: time.Unix(0, 0), Verdict: peer.VerdictSound})
	}
	got := divergedText(s, 80)
	for _, want := range []string{"since the peer was started: state 1, twin 2\n", "  " + doc.URL() + " reads otherwise at", "and 1 more", "syncline doctor --db notes.db\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, "row 0") {
		t.Errorf("it says\n%q", got)
	}
	for line := range strings.SplitSeq(got, "\n") {
		if len([]rune(line)) > 80 {
			t.Errorf("wider than the terminal: %s", line)
		}
	}
	s.Counters, s.Mismatches = peer.Counters{}, nil // as without a peer that runs
	if got := divergedText(s, 80); !strings.HasPrefix(got, "Divergences:\n  "+doc.URL()+": 2 numbers of actors stand for several\n  changes, 1 change in quarantine\n") {
		t.Errorf("it says\n%s", got)
	}
	if j := statusJSON(peer.Status{Mismatches: []peer.Mismatch{{Document: doc, Verdict: peer.VerdictUnread}}}, time.Now()); len(j.Mismatches) != 1 || j.Mismatches[0].Document != doc.URL() {
		t.Errorf("%+v", j.Mismatches)
	}
}

// Where nothing has diverged there is nothing below the table.
func TestStatusOnATerminal(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", "{}")
	code, screen := onTerminal(t, 80, "status", "--db", db)
	if code != 0 || strings.Contains(screen, "Diverge") || strings.Count(screen, "\n") != 2 {
		t.Errorf("exit code %d\n%s", code, screen)
	}
	p, err := peer.Open(t.Context(), db, peer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	of, err := id.ParseDocument(doc)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"tea", "jam"} { // two that take themselves for one
		core := crdt.New("the same")
		defer core.Close()
		var b []byte
		if _, err = core.Do(time.Unix(int64(i), 0), crdt.Create("items", name, map[string]any{})); err == nil {
			b, err = core.Save()
		}
		if err == nil {
			_, err = p.Import(t.Context(), of, b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	code, screen = onTerminal(t, 80, "status", "--db", db)
	// Where a line is broken hangs on the document's id.
	words := strings.Join(strings.Fields(screen), " ")
	if code != 0 || !strings.Contains(words, " Divergences: "+doc+": a number of an actor stands for several changes, 1 change in quarantine ") {
		t.Errorf("exit code %d\n%s", code, screen)
	}
}
