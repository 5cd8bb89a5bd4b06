package peer

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

func undo(t testing.TB, d *Document) Undone {
	t.Helper()
	u, err := d.Undo(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func redo(t testing.TB, d *Document) Undone {
	t.Helper()
	u, err := d.Redo(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Undo and redo lead back and forth, over a restart and from another process.
func TestUndoSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	p := openPeer(t, path, Options{})
	d := create(t, p)
	states := []string{jsonOf(t, d)}
	for _, ops := range [][]crdt.Operation{
		{crdt.Create("notes", "n", map[string]any{"t": "one", "c": crdt.Counter(1)})},
		{crdt.Splice("notes", "n", "t", 3, 0, " two")},
		{crdt.Splice("notes", "n", "t", 0, 4, ""), crdt.Increment("notes", "n", "c", 5)},
		{crdt.Delete("notes", "n")},
	} {
		do(t, d, ops...)
		states = append(states, jsonOf(t, d))
	}
	states[0], states[4] = `{"notes":{}}`, `{"notes":{}}` // a collection stays
	again := func() {
		t.Helper()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = openPeer(t, path, Options{})
		var err error
		if d, err = p.OpenDocument(bounded(t), d.ID()); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(n int) {
		t.Helper()
		if got := jsonOf(t, d); got != states[n] {
			t.Fatalf("got %s, want %s", got, states[n])
		}
	}
	for round := range 2 {
		for n := 3; n >= 0; n-- {
			u := undo(t, d)
			if u.Receipt.Redo || u.Receipt.Undoes == (id.Hash{}) || len(u.Kept) > 0 {
				t.Fatalf("undone: %+v", u)
			}
			shows(n)
			if n == 1+round {
				again()
			}
		}
		if _, err := d.Undo(bounded(t)); !errors.Is(err, ErrNothingToUndo) {
			t.Fatalf("got %v", err)
		}
		for n := 1; n <= 4; n++ {
			if u := redo(t, d); !u.Receipt.Redo {
				t.Fatalf("redone: %+v", u)
			}
			shows(n)
			if n == 2 {
				again()
			}
		}
		if _, err := d.Redo(bounded(t)); !errors.Is(err, ErrNothingToUndo) {
			t.Fatalf("got %v", err)
		}
	}
	// The record says what was done, and what else is done ends what there is to redo.
	u := undo(t, d)
	r, err := p.Receipt(bounded(t), u.Receipt.Sequence)
	if err != nil || r.Undoes != u.Receipt.Undoes || r.Intent != "create notes/n" || len(r.Steps) != 1 {
		t.Fatalf("%v: %+v", err, r)
	}
	do(t, d, crdt.Set("notes", "n", "x", 1))
	if _, err := d.Redo(bounded(t)); !errors.Is(err, ErrNothingToUndo) {
		t.Fatalf("got %v", err)
	}
}

// Undos that come together are of one change each, and so are redos.
func TestUndosThatComeTogether(t *testing.T) {
	p := openPeer(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	d := create(t, p)
	do(t, d, crdt.Create("notes", "n", map[string]any{"k": 0}))
	for i := range 20 {
		do(t, d, crdt.Set("notes", "n", "k", i+1))
	}
	all := func(f func(context.Context) (Undone, error)) {
		t.Helper()
		errs := make(chan error)
		for range 20 {
			go func() { _, err := f(bounded(t)); errs <- err }()
		}
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
	all(d.Undo)
	if got := jsonOf(t, d); got != `{"notes":{"n":{"k":0}}}` {
		t.Fatalf("after as many undos: %s", got)
	}
	all(d.Redo)
	if got := jsonOf(t, d); got != `{"notes":{"n":{"k":20}}}` {
		t.Fatalf("after as many redos: %s", got)
	}
}

// One undoes what he did and not what others did, and all come to the same.
func TestUndoIsOfOnesOwn(t *testing.T) {
	s := serveRelay(t)
	a, b := newPeer(t, s.url), newPeer(t, s.url)
	da := create(t, a)
	do(t, da, crdt.Create("notes", "n", map[string]any{"t": "base", "s": "old"}))
	run(t, a)
	run(t, b)
	db := fetch(t, b, da.ID())
	converge(t, da, db)
	do(t, da, crdt.Splice("notes", "n", "t", 4, 0, " mine"), crdt.Set("notes", "n", "s", "mine"))
	do(t, da, crdt.Create("notes", "m", map[string]any{"k": 1}))
	converge(t, da, db)
	theirs := do(t, db, crdt.Splice("notes", "n", "t", 0, 0, "their "), crdt.Set("notes", "n", "s", "theirs"), crdt.Set("notes", "m", "by", "them"))
	converge(t, da, db)
	// Of the last there is nothing left to undo, for they have worked in it; so it is
	// the one before.
	u := undo(t, da)
	if len(u.Kept) != 2 {
		t.Errorf("kept %v", u.Kept)
	}
	converge(t, da, db)
	want := `{"notes":{"m":{"by":"them","k":1},"n":{"s":"theirs","t":"their base"}}}`
	if got := jsonOf(t, db); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := da.UndoChange(bounded(t), theirs.Hash); !errors.Is(err, ErrNotOurs) {
		t.Errorf("undo of what somebody else did: %v", err)
	}
	if _, err := db.UndoChange(bounded(t), theirs.Hash); err != nil {
		t.Error(err)
	}
	if _, err := db.UndoChange(bounded(t), theirs.Hash); !errors.Is(err, ErrNothingToUndo) {
		t.Errorf("undone twice: %v", err)
	}
}

// A history is listed in pages from its end, each change once.
func TestHistoryInPages(t *testing.T) {
	p := openPeer(t, filepath.Join(t.TempDir(), "a.db"), Options{})
	d := create(t, p)
	for i := range 25 {
		do(t, d, crdt.Create("notes", string(rune('a'+i)), nil))
	}
	all, err := d.History(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	var o HistoryOptions
	o.Limit = 10
	n := len(all)
	for pages := 1; ; pages++ {
		page, err := d.HistoryPage(bounded(t), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			n--
			if e.Hash != all[n].Hash || e.Intent != all[n].Intent || e.Device() != newDevice(p.secret, d.doc).String() {
				t.Fatalf("entry %d is %+v, want %+v", n, e, all[n])
			}
		}
		if o.Before = page.Next; o.Before == (id.Hash{}) {
			if pages != 3 || n != 0 {
				t.Fatalf("%d pages, %d left", pages, n)
			}
			break
		}
	}
	if _, err := d.HistoryPage(bounded(t), HistoryOptions{Before: id.Hash{1}}); !errors.Is(err, crdt.ErrUnknownHeads) {
		t.Errorf("got %v", err)
	}
}

// What a document was at a time, what has changed since, and an entity of then.
func TestAsOfDiffAndRestore(t *testing.T) {
	var clock atomic.Int64
	clock.Store(1_700_000_000)
	p := openPeer(t, filepath.Join(t.TempDir(), "a.db"), Options{Now: func() time.Time { return time.Unix(clock.Load(), 0) }})
	d := create(t, p)
	tick := func(ops ...crdt.Operation) time.Time {
		now := time.Unix(clock.Add(60), 0)
		do(t, d, ops...)
		return now
	}
	first := tick(crdt.Create("notes", "n", map[string]any{"t": "one"}))
	second := tick(crdt.Splice("notes", "n", "t", 3, 0, " two"), crdt.Create("notes", "m", nil))
	tick(crdt.Delete("notes", "n"))
	ctx := bounded(t)
	at := func(t0 time.Time) []id.Hash {
		t.Helper()
		heads, err := d.AsOf(ctx, t0)
		if err != nil {
			t.Fatal(err)
		}
		return heads
	}
	if heads := at(first.Add(-time.Second)); len(heads) != 0 {
		t.Errorf("before the first change: %v", heads)
	}
	then := at(second.Add(30 * time.Second))
	var was string
	if err := d.ReadAt(ctx, then, func(v *crdt.View) error {
		b, err := v.JSON()
		was = string(b)
		return err
	}); err != nil || was != `{"notes":{"m":{},"n":{"t":"one two"}}}` {
		t.Errorf("it was %s: %v", was, err)
	}
	diff, err := d.Diff(ctx, at(first), then)
	if err != nil || len(diff) != 2 || diff[0].Difference != crdt.Added || diff[1].Fields[0].Splices[0].Text != " two" {
		t.Errorf("%v: %+v", err, diff)
	}
	if _, err := d.Restore(ctx, then, "notes", "n"); err != nil {
		t.Fatal(err)
	}
	if got := jsonOf(t, d); got != was {
		t.Errorf("restored: %s", got)
	}
	if _, err := d.Restore(ctx, then, "notes", "n"); !errors.Is(err, crdt.ErrNoChange) {
		t.Errorf("restored twice: %v", err)
	}
	undo(t, d)
	if got := jsonOf(t, d); got != `{"notes":{"m":{}}}` {
		t.Errorf("the undo of a restore: %s", got)
	}
}

// Records of undos are read again as they were written, and others as before.
func TestUndoRecords(t *testing.T) {
	c := &chunk.Change{Actor: "actor", Seq: 3, Message: "update notes/n"}
	ops := []crdt.Operation{crdt.Set("notes", "n", "k", 1)}
	note := newUndoNote(id.Hash{1, 2}, true, []crdt.IDRun{{Actor: "a", Counter: 5, N: 2}, {N: 1}})
	r, err := decodeRecord(recordOf(c, ops, note))
	if err != nil || r.undo.hash() != (id.Hash{1, 2}) || !r.undo.Redo || len(r.undo.runs()) != 2 || r.undo.runs()[0] != (crdt.IDRun{Actor: "a", Counter: 5, N: 2}) || r.Intent != c.Message {
		t.Fatalf("%v: %+v", err, r)
	}
	if r, err = decodeRecord(newRecord(c, ops)); err != nil || r.undo != nil || r.Seq != 3 {
		t.Fatalf("%v: %+v", err, r)
	}
	for _, b := range [][]byte{nil, {0x83}, {0x83, 0x03, 0x80, 0x80}, recordOf(c, ops, note)[:20]} {
		if _, err := decodeRecord(b); !errors.Is(err, errRecord) {
			t.Errorf("%x: %v", b, err)
		}
	}
}
