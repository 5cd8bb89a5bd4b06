package crdt_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/automerge/automerge-go"

	"syncline/crdt"
	"syncline/crdt/chunk"
)

func founding(t testing.TB, collection string) *chunk.Change {
	t.Helper()
	c, err := crdt.Founding(collection)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The hashes are the same for ever, and the core writes the same change.
func TestFoundingIsTheSameForEver(t *testing.T) {
	for name, want := range map[string]string{
		"items":     "0d251be0c4dba28088428764095286f39cb2b2c6c716b2c9fa7507fcf841323a",
		"größe/☃":   "a1bbb82639fcdf906f1333e9b2965f5687a12a5b2392390020918b96e823b496",
		"$syncline": "c2ea87abed73e7013d076262b633bca234ae1956727b7926665d14b6dfccb47e",
	} {
		c := founding(t, name)
		if c.Hash.String() != want {
			t.Errorf("%q: %s, want %s", name, c.Hash, want)
		}
		if got, ok := crdt.Founds(c); !ok || got != name {
			t.Errorf("%q: taken for that of %q, %v", name, got, ok)
		}
		d := automerge.New()
		if err := d.SetActorID(hex.EncodeToString([]byte(c.Actor))); err != nil {
			t.Fatal(err)
		}
		if err := d.RootMap().Set(name, automerge.NewMap()); err != nil {
			t.Fatal(err)
		}
		never := time.Unix(0, 0)
		h, err := d.Commit("collection "+name, automerge.CommitOptions{Time: &never})
		if err != nil {
			t.Fatal(err)
		}
		if h.String() != c.Hash.String() {
			t.Errorf("%q: the core writes %s", name, h)
		}
	}
	if _, err := crdt.Founding(""); !errors.Is(err, crdt.ErrInvalid) {
		t.Errorf("without a name: %v", err)
	}
}

func TestOnlyAFoundingFounds(t *testing.T) {
	d := openDoc(t, "a")
	for _, c := range []*chunk.Change{
		docDo(t, d, crdt.Create("items", "a", nil)),
		docDo(t, d, crdt.Set("items", "a", "n", 1)),
	} {
		if name, ok := crdt.Founds(c); ok {
			t.Errorf("%s is taken for the founding of %q", c.Hash, name)
		}
	}
}

// Who puts the first entities into a collection while they are apart put them into one.
func TestTwoFoundOneCollection(t *testing.T) {
	a, b := openDoc(t, "a"), openDoc(t, "b")
	base := docDo(t, a, crdt.Create("old", "x", nil))
	if err := b.Apply([]*chunk.Change{base}); err != nil {
		t.Fatal(err)
	}
	first := func(d *crdt.Document, name string) []*chunk.Change {
		t.Helper()
		ops := []crdt.Operation{crdt.Create("items", name, nil), crdt.Create("items", name+"2", nil), crdt.Create("old", name, nil)}
		all, err := d.Foundings(ops...)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d foundings, %v", len(all), err)
		}
		if err := d.Apply(all); err != nil {
			t.Fatal(err)
		}
		return append(all, docDo(t, d, ops...))
	}
	ours, theirs := first(a, "of a"), first(b, "of b")
	if err := errors.Join(a.Apply(theirs), b.Apply(ours)); err != nil {
		t.Fatal(err)
	}
	const want = `{"items":{"of a":{},"of a2":{},"of b":{},"of b2":{}},"old":{"of a":{},"of b":{},"x":{}}}`
	if x, y := docJSON(t, a), docJSON(t, b); x != want || y != want {
		t.Errorf("%s\n%s\nwant %s", x, y, want)
	}
	if all, err := a.Foundings(crdt.Create("items", "more", nil)); len(all) > 0 || err != nil {
		t.Errorf("%d foundings of a collection that is there, %v", len(all), err)
	}
}

// A batch that would be refused founds nothing, and leaves the document as it is.
func TestRefusedBatchFoundsNothing(t *testing.T) {
	d := openDoc(t, "a")
	docDo(t, d, crdt.Create("old", "x", nil))
	before := docJSON(t, d)
	all, err := d.Foundings(crdt.Create("items", "a", nil), crdt.Set("old", "nobody", "n", 1))
	var refused *crdt.OperationError
	if !errors.As(err, &refused) || refused.Index != 1 || !errors.Is(err, crdt.ErrNotFound) || len(all) > 0 {
		t.Errorf("%d foundings, %v", len(all), err)
	}
	if after := docJSON(t, d); after != before {
		t.Errorf("%s, and it was %s", after, before)
	}
}
