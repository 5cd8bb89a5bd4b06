package peer

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// markful is a store that may not take marks away.
type markful struct {
	Store
	full bool
}

func (s *markful) EndApplying(ctx context.Context, rows []int64) error {
	if s.full {
		return storage.ErrFull
	}
	return s.Store.EndApplying(ctx, rows)
}

// A mark that is there when its process dies has its change put in quarantine. One that
// the disk did not take away is taken away as soon as it does, though nothing else
// happens to the document.
func TestMarksThatTheDiskDidNotTakeAwayGoLater(t *testing.T) {
	s := newSingle(t)
	store := &markful{Store: s.Peer.store}
	s.Peer.store = store
	doc := id.NewDocument()
	core := crdt.New("somebody else")
	defer core.Close()
	bring := func(name string) {
		t.Helper()
		_, err := core.Do(time.Unix(1, 0), note(name))
		var b []byte
		if err == nil {
			b, err = core.Save()
		}
		if err == nil {
			_, err = s.Import(bounded(t), doc, b)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.pump()
	}
	marks := func() int {
		t.Helper()
		all, err := store.Applying(bounded(t), doc)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	bring("first")
	jsonOf(t, &Document{s.Peer, doc}) // it is open
	store.full = true
	bring("second")
	if n := marks(); n != 1 {
		t.Fatalf("%d marks are there of a change that the core has", n)
	}
	for range 3 { // others want its place
		jsonOf(t, create(t, s.Peer))
		s.pump()
	}
	s.wait()
	if s.desks.get(doc) == nil {
		t.Fatal("nobody knows of the mark any more")
	}
	store.full = false
	s.wait()
	if n := marks(); n != 0 {
		t.Errorf("%d marks are there, and the disk takes all", n)
	}
}

// A change that another process gives to its core as a document is opened here holds that
// up, and does not make it fail.
func TestAChangeThatAnotherProcessIsJustApplyingIsWaitedFor(t *testing.T) {
	r := serveRelay(t)
	ada := newPeer(t, r.url)
	a := create(t, ada)
	do(t, a, note("first"))
	syncOnce(t, ada)
	path := filepath.Join(t.TempDir(), "peer.db")
	other, err := storage.Open(bounded(t), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var rows []int64
	o, attempts := remotes(testOptions(), r.url), 0
	o.elsewherePatience = patience
	o.onApply = func(at applyPoint, _ []*chunk.Change) {
		if at != applyStored {
			return
		}
		if attempts++; attempts == 2 { // the first was in vain
			if err := other.EndApplying(bounded(t), rows); err != nil {
				t.Error(err)
			}
		}
	}
	p := openPeer(t, path, o)
	d := fetch(t, p, a.ID())
	syncOnce(t, p)
	marks, err := other.Applying(bounded(t), a.ID())
	if err != nil || len(marks) != 1 {
		t.Fatalf("marks %+v, %v", marks, err)
	}
	rows = []int64{marks[0].Row}
	if err := other.BeginApplying(bounded(t), rows); err != nil {
		t.Fatal(err)
	}
	if n := collectionLen(t, d, "notes"); n != 1 || attempts != 2 {
		t.Errorf("%d notes after %d attempts", n, attempts)
	}
}
