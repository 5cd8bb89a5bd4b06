package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// kills is how often the writing child is killed; SYNCLINE_KILLS says otherwise.
func kills(t *testing.T) int {
	if s := os.Getenv("SYNCLINE_KILLS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 5
}

func TestNoOperationThatHasReturnedIsLostByAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, testOptions())
	doc := create(t, p).ID()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var returned []string
	for range kills(t) {
		lines, cmd := startChild(t, "write", childPath+"="+path, childDoc+"="+doc.String())
		for range 1 + rand.IntN(60) {
			line, ok := <-lines
			if !ok {
				t.Fatal("the child ended by itself")
			}
			returned = append(returned, line)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for line := range lines {
			returned = append(returned, line)
		}
		cmd.Wait()
	}
	p = openPeer(t, path, testOptions())
	d, err := p.OpenDocument(bounded(t), doc)
	if err != nil {
		t.Fatal(err)
	}
	notes, err := d.Collection(bounded(t), "notes")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range returned {
		if _, ok := notes[name]; !ok {
			t.Errorf("note %s had been made and is missing", name)
		}
	}
	// At most one more per kill, whose return was not seen.
	if n := len(notes) - len(returned); n < 0 || n > kills(t) {
		t.Errorf("%d notes, %d returned", len(notes), len(returned))
	}
	checkActors(t, d)
}

func TestAnotherProcessWritesToTheSameFileAndIsKilled(t *testing.T) {
	r := serveRelay(t)
	path := filepath.Join(t.TempDir(), "peer.db")
	running := openPeer(t, path, remotes(testOptions(), r.url))
	far := newPeer(t, r.url)
	run(t, running)
	run(t, far)
	a := create(t, running)
	do(t, a, note("first"))
	f := fetch(t, far, a.ID())
	converge(t, a, f)
	var returned []string
	for range 2 {
		lines, cmd := startChild(t, "write", childPath+"="+path, childDoc+"="+a.ID().String())
		for i := range 20 {
			line, ok := <-lines
			if !ok {
				t.Fatal("the child ended by itself")
			}
			returned = append(returned, line)
			if i%4 == 0 { // both write, and so does somebody far away
				do(t, a, note("here "+line))
				do(t, f, note("far "+line))
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for line := range lines {
			returned = append(returned, line)
		}
		cmd.Wait()
	}
	until(t, "all that the child has written is at the far end", []*Document{f}, func() bool {
		notes, err := f.Collection(bounded(t), "notes")
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(returned, func(name string) bool { return notes[name] == nil })
	})
	converge(t, a, f)
	checkActors(t, f)
	if q := quarantineOf(t, running, a.ID()); len(q) > 0 {
		t.Errorf("quarantine %+v", q)
	}
}

// follower is a peer in a child that follows a document of this process.
type follower struct {
	t    *testing.T
	r    *server
	ada  *Peer
	a    *Document
	path string
	env  []string
}

func newFollower(t *testing.T, point applyPoint) *follower {
	f := &follower{t: t, r: serveRelay(t), path: filepath.Join(t.TempDir(), "peer.db")}
	f.ada = newPeer(t, f.r.url)
	f.a = create(t, f.ada)
	do(t, f.a, note("first"))
	f.env = []string{
		childPath + "=" + f.path, childURL + "=" + f.r.url, childDoc + "=" + f.a.ID().String(),
		childPoint + "=" + string(point), childKiller + "=killer",
	}
	return f
}

// killed starts the follower, has it come to what there is so far, then brings
// changes and waits for its death.
func (f *follower) killed(changes ...string) {
	f.t.Helper()
	if _, err := f.ada.Sync(bounded(f.t), SyncOptions{}); err != nil {
		f.t.Fatal(err)
	}
	lines, cmd := startChild(f.t, "follow", f.env...)
	if _, ok := <-lines; !ok {
		f.t.Fatal("the child ended early")
	}
	for _, name := range changes {
		do(f.t, f.a, note(name))
	}
	if _, err := f.ada.Sync(bounded(f.t), SyncOptions{}); err != nil {
		f.t.Fatal(err)
	}
	died(f.t, cmd)
}

// reopened opens the follower's store in this process.
func (f *follower) reopened() (*Peer, *Document) {
	f.t.Helper()
	p := openPeer(f.t, f.path, remotes(testOptions(), f.r.url))
	d, err := p.OpenDocument(bounded(f.t), f.a.ID())
	if err != nil {
		f.t.Fatal(err)
	}
	return p, d
}

func quarantineOf(t *testing.T, p *Peer, doc id.Document) []QuarantinedChange {
	t.Helper()
	s, err := p.Status(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Documents {
		if d.ID == doc {
			return d.Quarantined
		}
	}
	t.Fatalf("document %s is not in the status", doc)
	return nil
}

func TestWhatWasStoredAndNotBegunIsAppliedByTheNextStart(t *testing.T) {
	f := newFollower(t, applyStored)
	f.killed("killer") // which is innocent: the process ended before the core had it
	p, d := f.reopened()
	if q := quarantineOf(t, p, d.ID()); len(q) > 0 {
		t.Errorf("in quarantine: %+v", q)
	}
	if !slices.Equal(headsOf(t, d), headsOf(t, f.a)) || jsonOf(t, d) != jsonOf(t, f.a) {
		t.Error("the change that was acknowledged is missing")
	}
	marks, err := p.store.Applying(bounded(t), d.ID())
	if err != nil || len(marks) > 0 {
		t.Errorf("marks left: %v, %v", marks, err)
	}
}

func TestAChangeThatEndsTheProcessIsQuarantined(t *testing.T) {
	f := newFollower(t, applyBegun)
	other := create(t, f.ada)
	do(t, other, note("untouched"))
	f.killed("killer")
	killer := headsOf(t, f.a)[0]
	p, d := f.reopened()
	q := quarantineOf(t, p, d.ID())
	if len(q) != 1 || q[0].Hash != killer || q[0].Reason != reasonCrash {
		t.Fatalf("quarantine %+v, want change %s", q, killer)
	}
	if n := collectionLen(t, d, "notes"); n != 1 {
		t.Errorf("%d notes, want the one before", n)
	}
	// The document can be edited, other documents sync, and what builds on the
	// killer is not taken.
	do(t, d, note("after"))
	do(t, f.a, note("on top of it"))
	if _, err := f.ada.Sync(bounded(t), SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	o := fetch(t, p, other.ID())
	results, err := p.Sync(bounded(t), SyncOptions{})
	if !errors.Is(err, ErrNotSynced) {
		t.Errorf("sync: %v", err)
	}
	for _, r := range results {
		if want := map[bool]SyncOutcome{true: SyncFailed, false: SyncDone}[r.Document == d.ID()]; r.Outcome != want {
			t.Errorf("%+v, want %s", r, want)
		}
		if r.Document == d.ID() && !errors.Is(r.Err, ErrApart) {
			t.Errorf("%v", r.Err)
		}
	}
	if jsonOf(t, o) != jsonOf(t, other) {
		t.Error("another document was not synced")
	}
	if n := collectionLen(t, d, "notes"); n != 2 {
		t.Errorf("%d notes, want 2", n)
	}
	// Its own edit has reached the other side.
	if _, err := f.ada.Sync(bounded(t), SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := collectionLen(t, f.a, "notes"); n != 4 {
		t.Errorf("%d notes at the other side, want 4", n)
	}
	// A further start does not try it again.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p, d = f.reopened()
	if n := collectionLen(t, d, "notes"); n != 2 || len(quarantineOf(t, p, d.ID())) != 1 {
		t.Errorf("%d notes after another start", n)
	}
}

func TestTheOneThatEndsTheProcessIsFoundAmongSeveral(t *testing.T) {
	f := newFollower(t, applyBegun)
	f.killed("a", "b", "killer", "c", "d")
	// The next start tries them one by one, and the killer ends it again.
	_, cmd := startChild(t, "follow", f.env...)
	died(t, cmd)
	p, d := f.reopened()
	q := quarantineOf(t, p, d.ID())
	if len(q) != 1 {
		t.Fatalf("quarantine %+v", q)
	}
	changes, err := f.a.Changes(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(changes, func(c *chunk.Change) bool { return c.Hash == q[0].Hash })
	if i < 0 || !strings.Contains(changes[i].Message, "killer") {
		t.Errorf("the wrong change is in quarantine: %+v", q)
	}
	// What came before it is there; what came after builds on it.
	if n := collectionLen(t, d, "notes"); n != 3 {
		t.Errorf("%d notes, want first, a and b", n)
	}
}

func TestAChangeThatAnotherProcessDoesNotFinishIsLeftAside(t *testing.T) {
	r := serveRelay(t)
	ada := newPeer(t, r.url)
	a := create(t, ada)
	do(t, a, note("first"))
	path := filepath.Join(t.TempDir(), "peer.db")
	hasty := testOptions()
	hasty.elsewherePatience = time.Millisecond
	p := openPeer(t, path, remotes(hasty, r.url))
	d := fetch(t, p, a.ID())
	both := func() {
		t.Helper()
		for _, p := range []*Peer{ada, p} {
			if _, err := p.Sync(bounded(t), SyncOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	both()
	// Another store of the file begins with the change and goes no further.
	other, err := storage.Open(bounded(t), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	marks, err := other.Applying(bounded(t), a.ID())
	if err != nil || len(marks) != 1 {
		t.Fatalf("marks %+v, %v", marks, err)
	}
	if err := other.BeginApplying(bounded(t), []int64{marks[0].Row}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Value(bounded(t)); !errors.Is(err, storage.ErrApplying) {
		t.Errorf("the document that another process is busy with: %v", err)
	}
	verb := openPeer(t, path, hasty)
	v, err := verb.OpenDocument(bounded(t), a.ID())
	if err != nil {
		t.Fatal(err)
	}
	if n := collectionLen(t, v, "notes"); n != 0 {
		t.Errorf("%d notes, want none yet", n)
	}
	if err := verb.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if n := collectionLen(t, d, "notes"); n != 1 {
		t.Errorf("%d notes after the other process has ended, want 1", n)
	}
}

func TestMarksOfACleanEndAccuseNobody(t *testing.T) {
	r := serveRelay(t)
	ada := newPeer(t, r.url)
	a := create(t, ada)
	do(t, a, note("first"))
	if _, err := ada.Sync(bounded(t), SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, remotes(testOptions(), r.url))
	fetch(t, p, a.ID())
	if _, err := p.Sync(bounded(t), SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	marks, err := p.store.Applying(bounded(t), a.ID())
	if err != nil || len(marks) != 1 || marks[0].State != storage.MarkWaiting {
		t.Fatalf("marks %+v, %v; want one that waits: the document is not open", marks, err)
	}
	if err := p.store.BeginApplying(bounded(t), []int64{marks[0].Row}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPeer(t, path, testOptions())
	d, err := p.OpenDocument(bounded(t), a.ID())
	if err != nil {
		t.Fatal(err)
	}
	if q := quarantineOf(t, p, a.ID()); len(q) > 0 {
		t.Errorf("quarantine %+v", q)
	}
	if jsonOf(t, d) != jsonOf(t, a) {
		t.Error("the documents differ")
	}
}

func TestAFullDiskChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs to mount a small disk: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	p, err := Open(bounded(t), filepath.Join(dir, "peer.db"), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	d := create(t, p)
	do(t, d, note("first"))
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	for size := 64 << 10; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
	f.Close()
	long := strings.Repeat("x", 64<<10)
	made := 0
	for {
		_, err := d.Do(bounded(t), crdt.Create("notes", name(made), map[string]any{"text": long}))
		if errors.Is(err, storage.ErrFull) {
			break
		}
		if err != nil {
			t.Fatalf("on a full disk: %v", err)
		}
		made++
	}
	if n := collectionLen(t, d, "notes"); n != made+1 {
		t.Errorf("%d notes, want %d", n, made+1)
	}
	if _, err := d.Do(context.Background(), crdt.Create("notes", "again", map[string]any{"text": long})); !errors.Is(err, storage.ErrFull) {
		t.Errorf("still on a full disk: %v", err)
	}
	// A document that was to be made with what did not fit is not made.
	big := crdt.Create("notes", "big", map[string]any{"text": long})
	if _, err := p.Create(bounded(t), big); !errors.Is(err, storage.ErrFull) {
		t.Errorf("create on a full disk: %v", err)
	}
	other := create(t, newPeer(t))
	do(t, other, big)
	saved, err := other.Save(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Import(bounded(t), other.ID(), saved); !errors.Is(err, storage.ErrFull) {
		t.Errorf("import on a full disk: %v", err)
	}
	if infos, err := p.Documents(bounded(t)); err != nil || len(infos) != 1 {
		t.Errorf("%d documents, want the one there was; %v", len(infos), err)
	}
	if _, err := p.OpenDocument(bounded(t), other.ID()); !errors.Is(err, ErrUnknown) {
		t.Errorf("a document that was not made: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	late, err := p.Create(bounded(t), big)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.Import(bounded(t), other.ID(), saved); err != nil || n != 1 || collectionLen(t, late, "notes") != 1 {
		t.Errorf("%d changes imported with space again: %v", n, err)
	}
	do(t, d, note("with space again"))
	if n := collectionLen(t, d, "notes"); n != made+2 {
		t.Errorf("%d notes, want %d", n, made+2)
	}
	checkActors(t, d)
}
