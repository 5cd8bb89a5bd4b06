package peer

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"syncline/crdt"
	"syncline/crdt/id"
)

func TestTwoPeersConvergeThroughARelay(t *testing.T) {
	r := serveRelay(t)
	ada, ben := newPeer(t, r.url), newPeer(t, r.url)
	run(t, ada)
	run(t, ben)
	a := create(t, ada)
	do(t, a, note("tent"))
	b := fetch(t, ben, a.ID())
	converge(t, a, b)
	for i := range 20 {
		do(t, a, note("a"+name(i)))
		do(t, b, note("b"+name(i)))
	}
	converge(t, a, b)
	if n := collectionLen(t, b, "notes"); n != 41 {
		t.Errorf("%d notes, want 41", n)
	}
	checkActors(t, a)
}

func TestPeersConvergeWithoutARelay(t *testing.T) {
	ada, ben := newPeer(t), newPeer(t)
	l, err := ada.Listen(bounded(t), "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ben.Connect(Remote{URL: l.URL()}); err != nil {
		t.Fatal(err)
	}
	run(t, ben) // ada only listens
	a := create(t, ada)
	do(t, a, note("from ada"))
	b := fetch(t, ben, a.ID())
	converge(t, a, b)
	do(t, b, note("from ben"))
	converge(t, a, b)
	// What ben makes reaches ada without her asking.
	own := create(t, ben)
	do(t, own, note("new"))
	other := fetch(t, ada, own.ID())
	converge(t, own, other)
}

func TestAChainOfPeersConverges(t *testing.T) {
	// Cleo asks Ben, who does not have it and asks Ada.
	ada, ben, cleo := newPeer(t), newPeer(t), newPeer(t)
	for _, pair := range [][2]*Peer{{ada, ben}, {ben, cleo}} {
		l, err := pair[0].Listen(bounded(t), "127.0.0.1:0", ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := pair[1].Connect(Remote{URL: l.URL()}); err != nil {
			t.Fatal(err)
		}
		run(t, pair[1])
	}
	a := create(t, ada)
	do(t, a, note("far"))
	c := fetch(t, cleo, a.ID())
	converge(t, a, c)
	do(t, c, note("back"))
	b, err := ben.OpenDocument(bounded(t), a.ID())
	if err != nil {
		t.Fatal(err)
	}
	converge(t, a, b, c)
}

func TestEditsApartConvergeBySyncOnce(t *testing.T) {
	r := serveRelay(t)
	ada, ben := newPeer(t, r.url), newPeer(t, r.url)
	ctx := bounded(t)
	a := create(t, ada)
	do(t, a, note("first"))
	sync := func(p *Peer) {
		t.Helper()
		results, err := p.Sync(ctx, SyncOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range results {
			if res.Outcome != SyncDone {
				t.Errorf("%+v", res)
			}
		}
	}
	sync(ada)
	b := fetch(t, ben, a.ID())
	sync(ben)
	for i := range 10 {
		do(t, a, note("a"+name(i)))
		do(t, b, note("b"+name(i)))
	}
	// The relay is stopped, and nothing can be said.
	r.stop()
	if _, err := ada.Sync(ctx, SyncOptions{}); err == nil {
		t.Error("sync with a relay that is not there succeeds")
	}
	if s, err := ada.Status(ctx); err != nil || len(s.Documents) != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	serveRelayOn(t, r.path, r.addr)
	sync(ada)
	sync(ben)
	sync(ada)
	if !slices.Equal(headsOf(t, a), headsOf(t, b)) || jsonOf(t, a) != jsonOf(t, b) {
		t.Error("the stores differ")
	}
}

func TestSyncOfADocumentThatNobodyHas(t *testing.T) {
	r := serveRelay(t)
	p := newPeer(t, r.url)
	d := fetch(t, p, id.NewDocument())
	results, err := p.Sync(bounded(t), SyncOptions{})
	if !errors.Is(err, ErrNotSynced) || len(results) != 1 || results[0].Outcome != SyncMissing || results[0].Document != d.ID() {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestARelayThatComesBackIsFound(t *testing.T) {
	r := serveRelay(t)
	ada, ben := newPeer(t, r.url), newPeer(t, r.url)
	run(t, ada)
	run(t, ben)
	a := create(t, ada)
	do(t, a, note("before"))
	b := fetch(t, ben, a.ID())
	converge(t, a, b)
	r.stop()
	do(t, a, note("while"))
	do(t, b, note("it was away"))
	serveRelayOn(t, r.path, r.addr)
	converge(t, a, b)
}

func TestASecondStoreOnTheSameFile(t *testing.T) {
	r := serveRelay(t)
	path := filepath.Join(t.TempDir(), "peer.db")
	running := openPeer(t, path, remotes(testOptions(), r.url))
	far := newPeer(t, r.url)
	run(t, running)
	run(t, far)
	a := create(t, running)
	do(t, a, note("from the one that runs"))
	f := fetch(t, far, a.ID())
	converge(t, a, f)

	verb := openPeer(t, path, testOptions()) // as another process would
	v, err := verb.OpenDocument(bounded(t), a.ID())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		do(t, v, note("verb "+name(i)))
		do(t, a, note("running "+name(i)))
	}
	converge(t, a, v, f)
	do(t, f, note("from afar"))
	converge(t, a, v, f)
	checkActors(t, a)

	// A document that the verb makes is synced by the one that runs.
	d := create(t, verb)
	do(t, d, note("new"))
	converge(t, d, fetch(t, far, d.ID()))
}

func TestACopiedFileForksNoHistory(t *testing.T) {
	r := serveRelay(t)
	dir := t.TempDir()
	p := openPeer(t, filepath.Join(dir, "one.db"), remotes(testOptions(), r.url))
	a := create(t, p)
	do(t, a, note("shared"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(dir, "one.db"), filepath.Join(dir, "two.db"))
	one := openPeer(t, filepath.Join(dir, "one.db"), remotes(testOptions(), r.url))
	two := openPeer(t, filepath.Join(dir, "two.db"), remotes(testOptions(), r.url))
	a1, err1 := one.OpenDocument(bounded(t), a.ID())
	a2, err2 := two.OpenDocument(bounded(t), a.ID())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		do(t, a1, note("one "+name(i)))
		do(t, a2, note("two "+name(i)))
	}
	run(t, one)
	run(t, two)
	converge(t, a1, a2)
	if n := collectionLen(t, a1, "notes"); n != 21 {
		t.Errorf("%d notes, want 21", n)
	}
	checkActors(t, a1)
	s, err := one.Status(bounded(t))
	if err != nil || len(s.Documents) != 1 || len(s.Documents[0].Quarantined) != 0 {
		t.Errorf("status %+v, %v", s.Documents, err)
	}
}

func TestManyWritersOfOneDocumentShareCommits(t *testing.T) {
	p := newPeer(t)
	d := create(t, p)
	do(t, d, crdt.Create("c", "n", map[string]any{"count": crdt.Counter(0)}))
	before := p.store.Stats().Commits
	const writers, each = 32, 20
	for range each {
		// All come while it is busy, as with a commit: how long that takes is the disk's.
		var all sync.WaitGroup
		busy, done := make(chan *desk), make(chan struct{})
		all.Go(func() {
			if err := p.ask(bounded(t), d.ID(), func(k *desk) error { busy <- k; <-done; return nil }); err != nil {
				t.Error(err)
			}
		})
		k := <-busy
		for range writers {
			all.Go(func() {
				if _, err := d.Do(context.Background(), crdt.Increment("c", "n", "count", 1)); err != nil {
					t.Error(err)
				}
			})
		}
		waiting := func() int {
			k.mu.Lock()
			defer k.mu.Unlock()
			return len(k.inbox)
		}
		for waiting() < writers {
			runtime.Gosched()
		}
		close(done)
		all.Wait()
	}
	e, err := d.Entity(bounded(t), "c", "n")
	if err != nil || e["count"] != crdt.Counter(writers*each) {
		t.Errorf("%v, %v", e, err)
	}
	if commits := p.store.Stats().Commits - before; commits > 2*each {
		t.Errorf("%d commits for %d times %d operations", commits, each, writers)
	}
}

func TestAFailedOperationChangesNothing(t *testing.T) {
	p := newPeer(t)
	d := create(t, p)
	do(t, d, note("a"))
	heads := headsOf(t, d)
	_, err := d.Do(bounded(t), note("b"), note("a"))
	if e, ok := errors.AsType[*crdt.OperationError](err); !ok || e.Index != 1 || !errors.Is(err, crdt.ErrExists) {
		t.Errorf("%v", err)
	}
	if _, err := d.Do(bounded(t), crdt.Set("notes", "a", "text", "a")); err != nil && !errors.Is(err, crdt.ErrNoChange) {
		t.Errorf("%v", err)
	}
	if n := collectionLen(t, d, "notes"); n != 1 {
		t.Errorf("%d notes after a failed batch, want 1 (heads were %d)", n, len(heads))
	}
	if _, err := p.OpenDocument(bounded(t), id.NewDocument()); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown document: %v", err)
	}
}

func TestDocumentsThatAreNotUsedAreClosed(t *testing.T) {
	r := serveRelay(t)
	o := remotes(testOptions(), r.url)
	o.MaxIdle, o.Cache.Documents = 3, 2
	ada := openPeer(t, filepath.Join(t.TempDir(), "a.db"), o)
	ben := openPeer(t, filepath.Join(t.TempDir(), "b.db"), o)
	run(t, ada)
	run(t, ben)
	var as, bs []*Document
	for i := range 20 {
		as = append(as, create(t, ada))
		do(t, as[i], note("first"))
		bs = append(bs, fetch(t, ben, as[i].ID()))
	}
	for i := range as {
		converge(t, as[i], bs[i])
	}
	// Each round has to read most of them again.
	for round := range 3 {
		for i := range as {
			do(t, as[i], note("a"+name(round)))
			do(t, bs[i], note("b"+name(round)))
		}
		for i := range as {
			converge(t, as[i], bs[i])
		}
	}
	if n := ada.cache.Len(); n > 2 {
		t.Errorf("%d documents open, want 2 at most", n)
	}
}

func TestAWorkspaceBringsItsDocuments(t *testing.T) {
	r := serveRelay(t)
	ctx := bounded(t)
	laptop, phone := newPeer(t, r.url), newPeer(t, r.url)
	run(t, laptop)
	run(t, phone)
	w, err := laptop.Workspace(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	first := create(t, laptop)
	do(t, first, note("one"))
	if err := w.Add(ctx, first.ID(), "First"); err != nil {
		t.Fatal(err)
	}
	there, err := phone.Workspace(ctx, w.URL())
	if err != nil {
		t.Fatal(err)
	}
	arrives := func(doc *Document) *Document {
		t.Helper()
		until(t, "the phone knows the document", []*Document{there.Document}, func() bool { return phone.knows(doc.ID()) })
		d, err := phone.OpenDocument(ctx, doc.ID())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	converge(t, first, arrives(first))
	// What is listed later comes too.
	second := create(t, laptop)
	do(t, second, note("two"))
	if err := w.Add(ctx, second.ID(), "Second"); err != nil {
		t.Fatal(err)
	}
	converge(t, second, arrives(second))
	list, err := there.List(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "First" || list[1].Name != "Second" {
		t.Errorf("%v, %v", list, err)
	}
	// A third device has it all after one sync.
	tablet := newPeer(t)
	if _, err := tablet.Workspace(ctx, w.URL()); err != nil {
		t.Fatal(err)
	}
	results, err := tablet.Sync(ctx, SyncOptions{Remotes: []Remote{{URL: r.url}}})
	if err != nil || len(results) != 3 {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestPendingChangesAreCounted(t *testing.T) {
	r := serveRelay(t)
	p := newPeer(t, r.url)
	d := create(t, p)
	do(t, d, note("a"))
	pending := func() int {
		s, err := p.Status(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		return s.Remotes[0].Pending
	}
	connected := func() bool {
		s, err := p.Status(bounded(t))
		return err == nil && s.Remotes[0].State == LinkConnected
	}
	if n := pending(); n != 1 {
		t.Errorf("%d changes pending before the first connection, want 1", n)
	}
	stop := run(t, p)
	until(t, "all is acknowledged", []*Document{d}, func() bool { return connected() && pending() == 0 })
	stop()
	do(t, d, note("b"))
	do(t, d, note("c"))
	if n := pending(); n != 2 {
		t.Errorf("%d changes pending, want 2", n)
	}
	// That is known after another start, too, before anything is reached.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPeer(t, p.Path(), remotes(testOptions(), r.url))
	d, err := p.OpenDocument(bounded(t), d.ID())
	if err != nil {
		t.Fatal(err)
	}
	if n := pending(); n != 2 {
		t.Errorf("%d changes pending after another start, want 2", n)
	}
	run(t, p)
	until(t, "all is acknowledged again", []*Document{d}, func() bool { return connected() && pending() == 0 })
}

func TestCloseEndsEverything(t *testing.T) {
	r := serveRelay(t)
	p := newPeer(t, r.url)
	l, err := p.Listen(bounded(t), "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := newPeer(t, l.URL())
	run(t, other)
	done := make(chan error, 1)
	go func() { done <- p.Run(context.Background()) }()
	d := create(t, p)
	do(t, d, note("a"))
	converge(t, d, fetch(t, other, d.ID()))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil && !errors.Is(err, ErrClosed) {
		t.Errorf("run: %v", err)
	}
	if _, err := d.Do(bounded(t), note("b")); !errors.Is(err, ErrClosed) {
		t.Errorf("an operation on a closed peer: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if err := p.Run(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("run of a closed peer: %v", err)
	}
}
