package peer

import (
	"path/filepath"
	"reflect"
	"testing"
)

// TestAReadingOfAllAtOnceIsThatOfEach, of documents that were synced, that were never,
// that were and went on, that are empty and that have twins.
func TestAReadingOfAllAtOnceIsThatOfEach(t *testing.T) {
	r := serveRelay(t)
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, remotes(testOptions(), r.url))
	var went []*Document
	for i := range 6 {
		d := create(t, p)
		do(t, d, note(name(i)))
		if i >= 3 {
			went = append(went, d)
		}
	}
	create(t, p)
	if _, err := p.Sync(bounded(t), SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, d := range went {
		do(t, d, note("more"+name(i)))
	}
	for i := range 3 {
		d := create(t, p)
		do(t, d, note(name(i)))
		do(t, d, note("more"+name(i)))
	}
	c := newClones(t, nil)
	_, apart, _, settled := twinEdits(t, c)
	for _, change := range apart {
		if _, err := p.Import(bounded(t), settled.ID(), change.Raw()); err != nil {
			t.Fatal(err)
		}
	}
	for _, again := range []bool{false, true} { // with documents in use, and none
		if again {
			p.Close()
			p = openPeer(t, path, remotes(testOptions(), r.url))
		}
		all, err := p.takeCensus(bounded(t))
		if err != nil || all == nil {
			t.Fatalf("no census: %v", err)
		}
		infos, err := p.Documents(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		remotes := map[string]bool{p.others.at(r.url): true, "": true} // and one that was never reached
		pending := 0
		for _, info := range infos {
			whole, err := p.documentStatus(bounded(t), info, remotes, all)
			if err != nil {
				t.Fatal(err)
			}
			each, err := p.documentStatus(bounded(t), info, remotes, nil)
			if err != nil || !reflect.DeepEqual(whole, each) {
				t.Errorf("all at once:\n%+v\none by one (%v):\n%+v", whole, err, each)
			}
			pending += whole.Unacknowledged
		}
		if pending < 9 {
			t.Errorf("%d changes are pending", pending)
		}
	}
}
