package peer

import (
	"strings"
	"testing"

	"syncline/crdt/id"
	"syncline/storage"
)

func TestADocumentThatCannotBeReadDisturbsNoOther(t *testing.T) {
	r := serveRelay(t)
	p := newPeer(t, r.url)
	good := create(t, p)
	do(t, good, note("a"))
	// A row that is no change, as a disk may make one.
	bad := create(t, p)
	_, err := p.store.Append(bounded(t), storage.Batch{Entries: []storage.Entry{{Doc: bad.ID(), Hash: id.Hash{1}, Head: []byte("rot"), Body: []byte("rot")}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := bad.Heads(bounded(t)); err == nil || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("heads of a document that cannot be read: %v", err)
		}
		if _, err := bad.Do(bounded(t), note("b")); err == nil {
			t.Error("it can be edited")
		}
	}
	results, err := p.Sync(bounded(t), SyncOptions{})
	if err == nil || len(results) != 2 {
		t.Fatalf("%+v, %v", results, err)
	}
	for _, res := range results {
		if want := map[bool]SyncOutcome{true: SyncDone, false: SyncFailed}[res.Document == good.ID()]; res.Outcome != want {
			t.Errorf("%+v, want %s", res, want)
		}
	}
}
