package peer

import (
	"errors"
	"slices"
	"testing"

	"syncline/crdt"
	"syncline/crdt/chunk"
)

// away are two peers with a document that both have, and nothing between them.
func away(t *testing.T) (docs [2]*Document) {
	t.Helper()
	docs[0] = create(t, newPeer(t))
	do(t, docs[0], note("first"))
	docs[1] = fetch(t, newPeer(t), docs[0].ID())
	bring(t, docs[1], changesOf(t, docs[0])...)
	return docs
}

func foundings(t *testing.T, d *Document) (names []string) {
	t.Helper()
	for _, c := range changesOf(t, d) {
		if name, ok := crdt.Founds(c); ok {
			names = append(names, name)
		}
	}
	return names
}

// Two that each put the first entities into a collection while they are apart both have all
// of them when they meet: as values, in the tables, and each as its own operation.
func TestACollectionThatTwoBeginIsOne(t *testing.T) {
	docs := away(t)
	for i, name := range []string{"ours", "theirs"} {
		d := docs[i]
		rowsOf(t, d.p, selectNotes) // the tables are there before
		r := do(t, d, crdt.Create("items", name, map[string]any{"n": crdt.Counter(1)}), crdt.Create("more", name, nil))
		do(t, d, crdt.Increment("items", name, "n", 1))
		log, err := d.Log(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(log, func(e LogEntry) bool { return e.Hash == r.Hash })
		if at < 0 || log[at].Receipt.Sequence != r.Sequence || r.Sequence == 0 {
			t.Errorf("receipt %d of %s is not in the log", r.Sequence, r.Hash)
		}
		for _, e := range log {
			if e.Receipt.Sequence == 0 && e.Ours {
				t.Errorf("%s, %q, is ours and has no receipt", e.Hash, e.Intent)
			}
		}
	}
	ours, theirs := changesOf(t, docs[0]), changesOf(t, docs[1])
	bring(t, docs[0], theirs...)
	bring(t, docs[1], ours...)
	const items = `"items":{"ours":{"n":2},"theirs":{"n":2}},"more":{"ours":{},"theirs":{}}`
	for i, d := range docs {
		if got, want := jsonOf(t, d), `{`+items+`,"notes":{"first":{"text":"first"}}}`; got != want {
			t.Errorf("peer %d has %s, want %s", i, got, want)
		}
		if n := len(rowsOf(t, d.p, `SELECT 1 FROM _entities WHERE _collection IN ('items', 'more')`)); n != 4 {
			t.Errorf("peer %d shows %d entities, want 4", i, n)
		}
		if names := foundings(t, d); len(names) != 2 {
			t.Errorf("peer %d has the foundings of %q", i, names)
		}
		do(t, d, crdt.Set("items", "ours", "seen", true), crdt.Delete("items", "theirs"))
	}
}

// A change may come before the founding that it builds on, and that may then be made here:
// a filter was mistaken, or the disk was full. It waits no longer then.
func TestWhatWaitsForAFoundingThatIsMadeHere(t *testing.T) {
	docs := away(t)
	do(t, docs[0], crdt.Create("items", "theirs", nil))
	do(t, docs[0], crdt.Set("items", "theirs", "n", 1))
	late := slices.DeleteFunc(changesOf(t, docs[0]), func(c *chunk.Change) bool {
		_, founds := crdt.Founds(c)
		return founds
	})
	bring(t, docs[1], late...)
	if len(changesOf(t, docs[1])) > 1 {
		t.Fatal("it did not wait")
	}
	do(t, docs[1], crdt.Create("items", "ours", nil))
	if got, want := jsonOf(t, docs[1]), `{"items":{"ours":{},"theirs":{"n":1}},"notes":{"first":{"text":"first"}}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	do(t, docs[1], crdt.Set("items", "theirs", "n", 2))
}

// An operation that is refused leaves no collection behind, and an undo takes the entity
// and not the collection.
func TestAFoundingOnlyGoesWithAnOperation(t *testing.T) {
	d := away(t)[0]
	before := jsonOf(t, d)
	_, err := d.Do(bounded(t), crdt.Create("items", "a", nil), crdt.Delete("notes", "nobody"))
	if !errors.Is(err, crdt.ErrNotFound) || jsonOf(t, d) != before || len(foundings(t, d)) > 0 {
		t.Errorf("%v, and it is %s", err, jsonOf(t, d))
	}
	do(t, d, crdt.Create("items", "a", nil))
	if _, err := d.Undo(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got, want := jsonOf(t, d), `{"items":{},"notes":{"first":{"text":"first"}}}`; got != want {
		t.Errorf("undone it is %s, want %s", got, want)
	}
}

// What somebody has made in the name of a founding does not keep others from writing.
func TestAForgedFoundingIsInNobodysWay(t *testing.T) {
	d := away(t)[0]
	f, err := crdt.Founding("items")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := chunk.Encode(chunk.Header{Actor: f.Actor, Seq: 1, StartOp: 1, Message: "forged"},
		[]chunk.Op{{Key: "elsewhere", Action: chunk.MakeMap}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.p.Import(bounded(t), d.ID(), raw); err != nil {
		t.Fatal(err)
	}
	do(t, d, crdt.Create("items", "a", nil))
	if got, want := jsonOf(t, d), `{"elsewhere":{},"items":{"a":{}},"notes":{"first":{"text":"first"}}}`; got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}
