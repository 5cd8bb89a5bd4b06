package peer

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
)

// discountSchema names a version of the function that merges discounts.
func discountSchema(t testing.TB, version, function int) (*schema.Schema, *merge.Functions) {
	t.Helper()
	s, err := schema.New(schema.Definition{ID: "org.example.orders", Version: version, Collections: map[string]schema.Collection{
		"orders": {Fields: map[string]schema.Field{
			"discount": {Type: schema.Int, Merge: (merge.Rule{Name: "discount", Version: function}).String()},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var f merge.Functions
	err = f.Register("discount", function, func(set []merge.Candidate) (any, bool) { return int64(function), true })
	if err != nil {
		t.Fatal(err)
	}
	return s, &f
}

// noted is a log that can be read while it is written.
type noted struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *noted) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(b)
}

func (n *noted) count(words string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Count(n.b.String(), words)
}

// Nobody asks for it: who edits by a schema leaves its mark, and two peers who know
// different versions of a function say so, each of them.
func TestPeersWithOtherVersionsOfAFunctionSaySo(t *testing.T) {
	relay := serveRelay(t)
	open := func(version, function int) (*Peer, *noted) {
		log := new(noted)
		o := remotes(testOptions(), relay.url)
		o.Schema, o.Functions = discountSchema(t, version, function)
		o.Log = slog.New(slog.NewTextHandler(log, nil))
		return openPeer(t, filepath.Join(t.TempDir(), "peer.db"), o), log
	}
	p, pLog := open(1, 1)
	q, qLog := open(2, 2)
	a := create(t, p)
	do(t, a, crdt.Create("orders", "o1", map[string]any{"discount": 5}))
	if at, err := a.SchemaStanding(bounded(t)); err != nil || at.Relation != schema.Same || !at.Marked || at.Words() != "" {
		t.Fatalf("after the first edit: %+v, %v", at, err)
	}
	run(t, p)
	run(t, q)
	b := fetch(t, q, a.ID())
	converge(t, a, b)
	do(t, b, crdt.Set("orders", "o1", "discount", 6))
	converge(t, a, b)
	at, err := a.SchemaStanding(bounded(t))
	if err != nil || at.Relation != schema.Newer || len(at.Functions) != 1 || !strings.Contains(at.Words(), "the merge function discount is used there in version 2") {
		t.Errorf("the older one says %q, %+v, %v", at.Words(), at, err)
	}
	if n := pLog.count("the merge function discount is used there in version 2"); n != 1 {
		t.Errorf("the older one has logged it %d times:\n%s", n, pLog.b.String())
	}
	// The newer one has found the mark of the older before it left its own.
	if n := qLog.count("the merge function discount is used there in version 1"); n != 1 {
		t.Errorf("the newer one has logged it %d times:\n%s", n, qLog.b.String())
	}
	// Marks are nobody's act: what is undone is the edit.
	if _, err := b.Undo(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Undo(bounded(t)); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("a second undo: %v", err)
	}
	if at, err := b.SchemaStanding(bounded(t)); err != nil || !at.Marked {
		t.Errorf("the mark was undone: %+v, %v", at, err)
	}
}

// What the schema refuses is not journaled, and the error has the place.
func TestWhatTheSchemaRefusesIsNotStored(t *testing.T) {
	o := testOptions()
	o.Schema = orderSchema(t, 1)
	p := openPeer(t, filepath.Join(t.TempDir(), "peer.db"), o)
	d := create(t, p)
	do(t, d, crdt.Create("orders", "o1", map[string]any{"best": 1}))
	before, err := d.Heads(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for want, op := range map[string]crdt.Operation{
		`orders/o1/best: the text "high": want a whole number (int)`:      crdt.Set("orders", "o1", "best", "high"),
		`orders/o1/state: the text "lost": want one of draft, sent, paid`: crdt.Set("orders", "o1", "state", "lost"),
		`orders/o1/bets: no such`:                                         crdt.Set("orders", "o1", "bets", 1),
		`no such collection`:                                              crdt.Create("order", "o2", nil),
	} {
		_, err := d.Do(bounded(t), crdt.Set("orders", "o1", "note", "fits"), op)
		var failed *crdt.OperationError
		if !errors.As(err, &failed) || failed.Index != 1 || !errors.Is(err, schema.ErrViolation) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if after, err := d.Heads(bounded(t)); err != nil || !sameHashes(before, after) {
		t.Errorf("something was stored: %v, %v", after, err)
	}
}

// byOthers has somebody who has no schema do something to the document.
func byOthers(t testing.TB, d *Document, ops ...crdt.Operation) {
	t.Helper()
	saved, err := d.Save(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	other, err := crdt.Load("other", saved)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err = other.Do(time.Unix(1_700_000_000, 0), ops...); err == nil {
		saved, err = other.Save()
	}
	if err == nil {
		_, err = d.p.Import(bounded(t), d.ID(), saved)
	}
	if err != nil {
		t.Fatal(err)
	}
}
