package peer

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt"
	"syncline/crdt/id"
)

func progressOf(t testing.TB, r Receipt) Progress {
	t.Helper()
	p, err := r.Progress(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func await(t testing.TB, r Receipt, s State, ends ...string) {
	t.Helper()
	if err := r.Wait(bounded(t), s, ends...); err != nil {
		t.Fatal(err)
	}
}

func logOf(t testing.TB, d *Document) []LogEntry {
	t.Helper()
	log, err := d.Log(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestAnOperationIsRecordedWithItsChange(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	o := testOptions()
	o.Now = func() time.Time { return at.Add(456 * time.Microsecond) }
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, o)
	d := create(t, p)
	first := do(t, d, note("a"), crdt.Splice("notes", "a", "text", 0, 0, "x"))
	other := do(t, create(t, p), note("b"))
	second := do(t, d, crdt.Delete("notes", "a"))
	if first.Sequence <= 0 || other.Sequence <= first.Sequence || second.Sequence <= other.Sequence {
		t.Errorf("sequences %d, %d, %d", first.Sequence, other.Sequence, second.Sequence)
	}
	if !first.Time.Equal(at) || first.Intent != "create notes/a; edit notes/a" || first.Operations != 2 || len(first.Steps) != 2 ||
		first.ActorSeq != 1 || first.Actor == "" || len(first.Device) != 16 {
		t.Errorf("receipt %+v", first)
	}
	if s := first.Steps[1]; s.Verb != crdt.VerbSplice || s.Collection != "notes" || s.Entity != "a" || !slices.Equal(s.Fields, []string{"text"}) {
		t.Errorf("step %+v", s)
	}
	if first.Device != second.Device || first.Device == other.Device {
		t.Errorf("one device is %s and %s in one document, and %s in another", first.Device, second.Device, other.Device)
	}
	log := logOf(t, d)
	if len(log) != 2 || log[0].Receipt.Sequence != first.Sequence || log[1].Hash != second.Hash || log[1].Intent != second.Intent || !log[0].Ours {
		t.Errorf("log %+v", log)
	}
	if log[0].Progress.State != Local {
		t.Errorf("it is %s", log[0].Progress.State)
	}
	p.Close()

	p = openPeer(t, path, testOptions())
	again, err := p.Receipt(bounded(t), first.Sequence)
	if err != nil || again.Hash != first.Hash || !again.Time.Equal(at) || again.Device != first.Device || again.Intent != first.Intent || len(again.Steps) != 2 {
		t.Errorf("after a restart %+v, %v", again, err)
	}
	for _, n := range []int64{-1, 0, first.Sequence + 1000} {
		if _, err := p.Receipt(bounded(t), n); !errors.Is(err, ErrNoOperation) {
			t.Errorf("receipt %d: %v", n, err)
		}
	}
}

// What is refused is not recorded, and what comes from others is not ours.
func TestOnlyWhatWasDoneHereIsRecorded(t *testing.T) {
	ada, ben := newPeer(t), newPeer(t)
	a := create(t, ada)
	theirs := do(t, a, note("a"))
	saved, err := a.Save(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ben.Import(bounded(t), a.ID(), saved); err != nil {
		t.Fatal(err)
	}
	b := fetch(t, ben, a.ID())
	if _, err := b.Do(bounded(t), crdt.Delete("notes", "none")); err == nil {
		t.Fatal("it is not refused")
	}
	ours := do(t, b, note("b"))
	log := logOf(t, b)
	if len(log) != 2 || log[0].Hash != theirs.Hash || log[0].Receipt.Sequence != 0 || log[0].Ours || log[1].Receipt.Sequence != ours.Sequence || !log[1].Ours {
		t.Errorf("log %+v", log)
	}
}

func TestAReceiptGoesThroughTheStates(t *testing.T) {
	r := serveRelay(t)
	path := filepath.Join(t.TempDir(), "ada.db")
	ada, ben := openPeer(t, path, remotes(testOptions(), r.url)), newPeer(t, r.url)
	a := create(t, ada)
	first := do(t, a, note("a"))
	if p := progressOf(t, first); p.State != Local || len(p.Acknowledged) > 0 {
		t.Errorf("offline: %+v", p)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	cancel()
	if err := first.Wait(ctx, Sent); !errors.Is(err, context.Canceled) {
		t.Errorf("wait with a context that has ended: %v", err)
	}
	stop := run(t, ada)
	await(t, first, Sent)
	await(t, first, Acknowledged)
	await(t, first, Acknowledged, r.url)
	p := progressOf(t, first)
	if p.State != Acknowledged || len(p.Acknowledged) != 1 || len(p.Seen) > 0 || p.Acknowledged[0] != ada.others.at(r.url) {
		t.Errorf("at the relay: %+v", p)
	}
	// A relay that goes away for a while changes nothing, and what is done meanwhile
	// is waited for across the connections.
	r.stop()
	second := do(t, a, note("b"))
	url := r.url
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := second.Wait(bounded(t), Acknowledged, url); err != nil {
			t.Error(err)
		}
	})
	if p := progressOf(t, first); p.State != Acknowledged {
		t.Errorf("while the relay is away: %+v", p)
	}
	r = serveRelayOn(t, r.path, r.addr)
	waiting.Wait()
	stop()
	ada.Close()

	// A restart knows what was acknowledged without a connection.
	ada = openPeer(t, path, testOptions())
	second, err := ada.Receipt(bounded(t), second.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	await(t, second, Acknowledged, r.url)
	third := do(t, fetch(t, ada, a.ID()), note("c"))
	if p := progressOf(t, third); p.State != Local {
		t.Errorf("what came after: %+v", p)
	}

	// Ben sees it by building on it.
	run(t, ben)
	b := fetch(t, ben, a.ID())
	until(t, "ben has it", []*Document{b}, func() bool { return len(headsOf(t, b)) > 0 })
	do(t, b, note("d"))
	if err := ada.Connect(Remote{URL: r.url}); err != nil {
		t.Fatal(err)
	}
	run(t, ada)
	await(t, second, Seen)
	if p := progressOf(t, second); !p.Followed {
		t.Errorf("%+v", p)
	}
}

func TestAPeerThatDialsHasSeenWhatItAcknowledges(t *testing.T) {
	for _, ours := range []bool{true, false} { // ours is the one who edits: the listener, or who dials
		ada, ben := newPeer(t), newPeer(t)
		l, err := ada.Listen(bounded(t), "127.0.0.1:0", ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := ben.Connect(Remote{URL: l.URL(), Peer: !ours}); err != nil {
			t.Fatal(err)
		}
		editor, other := ada, ben
		if !ours {
			editor, other = ben, ada
		}
		d := create(t, editor)
		receipt := do(t, d, note("a"))
		fetch(t, other, d.ID())
		stop := run(t, ben)
		await(t, receipt, Seen, other.StorageID())
		stop()
		// It is known still when they are apart, though nothing is kept for each change.
		until(t, "the connection is gone", []*Document{d}, func() bool { return len(editor.connections()) == 0 })
		if p := progressOf(t, receipt); p.State != Seen || !slices.Equal(p.Seen, []string{other.StorageID()}) {
			t.Errorf("%+v", p)
		}
	}
}

// A relay that has lost its data is another one, whose word is yet to come.
func TestWhatALostRelayAcknowledgedCountsNoMore(t *testing.T) {
	r := serveRelay(t)
	p := newPeer(t, r.url)
	stop := run(t, p)
	d := create(t, p)
	first := do(t, d, note("a"))
	await(t, first, Acknowledged)
	stop()
	r.stop()
	fresh := serveRelayOn(t, filepath.Join(t.TempDir(), "fresh.db"), r.addr)
	old := p.others.at(r.url)
	run(t, p)
	until(t, "the relay is another", []*Document{d}, func() bool { return p.others.at(fresh.url) != old })
	await(t, first, Acknowledged, fresh.url)
	if got := progressOf(t, first); slices.Contains(got.Acknowledged, old) {
		t.Errorf("%+v", got)
	}
}

// What is acknowledged while nobody closes the store is kept in it within a second,
// for others to see, and not with each edit.
func TestAcknowledgementsAreKeptWhileTheConnectionStands(t *testing.T) {
	r := serveRelay(t)
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, remotes(testOptions(), r.url))
	run(t, p)
	d := create(t, p)
	var last Receipt
	for i := range 20 {
		last = do(t, d, note(name(i)))
	}
	await(t, last, Acknowledged)
	other := openPeer(t, path, testOptions())
	seen, err := other.Receipt(bounded(t), last.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	await(t, seen, Acknowledged, r.url)
}

func TestKeeperGathersAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Peer{keeper: newKeeper()}
		p.desks = desks{p: p, byDoc: map[id.Document]*desk{}}
		d := &desk{p: p, running: true} // nobody takes from the inbox
		p.desks.byDoc[id.Document{1}] = d
		var cancel context.CancelFunc
		p.ctx, cancel = context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(p.keep)
		said := func() int {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.inbox)
		}
		for range 100 {
			p.keeper.note(id.Document{1})
			time.Sleep(keepAfter / 200)
		}
		p.keeper.note(id.Document{2}) // in use by nobody
		if n := said(); n != 0 {
			t.Errorf("told %d times before it is time", n)
		}
		time.Sleep(2 * keepAfter)
		synctest.Wait()
		if n := said(); n != 1 && n != 2 {
			t.Errorf("told %d times", n)
		}
		cancel()
		all.Wait()
	})
}

func TestWaitEndsWithThePeer(t *testing.T) {
	p := newPeer(t)
	r := do(t, create(t, p), note("a"))
	done := make(chan error, 1)
	go func() { done <- r.Wait(context.Background(), Seen) }()
	p.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := (Receipt{}).Wait(bounded(t), Local); !errors.Is(err, ErrNoOperation) {
		t.Errorf("a receipt of nothing: %v", err)
	}
}

// What another end is known to have is one of its heads or below one: the answer
// from the graph is that of a walk over all ancestors.
func TestProgressFollowsFromHeads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := progressModel(t, rt)
		p.check(rt)
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte{0x86, 1, 0x40, 1, 0x60, 1, 0x80})
	f.Add([]byte{0x83, 2, 0x86, 1, 0x40, 1, 0x60, 1, 0x80, 0x83, 0x40, 0xf4, 0x81, 0x83, 0x40, 1, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if (err == nil) != (r.Version == recordVersion) || err != nil && !errors.Is(err, errRecord) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
