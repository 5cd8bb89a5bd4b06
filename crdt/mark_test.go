package crdt_test

import (
	"fmt"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/schema"
)

// markVersion is a schema in a version, with a merge function of a version.
func markVersion(t testing.TB, version, function int) *schema.Schema {
	t.Helper()
	s, err := schema.Parse(fmt.Appendf(nil, `{"schema": 1, "id": "shop", "version": %d,
		"collections": {"c": {"fields": {"f": {"type": "int", "merge": "discount@%d"}}}}}`, version, function))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// marked carries out what MarkSchema asks for, and returns the change or nil.
func marked(t testing.TB, d *crdt.Document, s *schema.Schema) []*chunk.Change {
	t.Helper()
	ops, err := d.MarkSchema(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(ops) == 0 {
		return nil
	}
	return []*chunk.Change{must(d.Do(time.Unix(1, 0), ops...))}
}

func relation(t testing.TB, d *crdt.Document, s *schema.Schema) schema.Relation {
	t.Helper()
	return must(d.Standing(s)).Relation
}

// Peers who mark a document at the same time agree after one more look at most.
func TestMarksOfPeersWhoMeetLater(t *testing.T) {
	one, two := markVersion(t, 1, 1), markVersion(t, 2, 2)
	a, b := crdt.New("a"), crdt.New("b")
	defer a.Close()
	defer b.Close()
	fromA, fromB := marked(t, a, one), marked(t, b, two)
	if relation(t, a, one) != schema.Same || relation(t, a, two) != schema.Older || relation(t, b, one) != schema.Newer {
		t.Error("a mark is not seen")
	}
	tell := func(d *crdt.Document, changes []*chunk.Change) {
		t.Helper()
		if err := d.Apply(changes); err != nil {
			t.Fatal(err)
		}
	}
	tell(a, fromB)
	tell(b, fromA)
	// One of the two has hidden the other's map. Whoever misses the own mark writes it
	// again; then nobody does.
	for range 2 {
		fromA, fromB = marked(t, a, one), marked(t, b, two)
		tell(a, fromB)
		tell(b, fromA)
	}
	if relation(t, a, one) != schema.Newer || relation(t, b, two) != schema.Same {
		t.Errorf("they stand %s and %s", relation(t, a, one), relation(t, b, two))
	}
	if again := append(marked(t, a, one), marked(t, b, two)...); again != nil {
		t.Errorf("%d marks are written again", len(again))
	}
	if words := must(a.Standing(one)).Words(); words == "" {
		t.Error("nobody is told")
	}
}

// Two who give one version different contents, here different versions of a merge
// function, are told so and do not write over each other.
func TestMarksOfOneVersionThatDiffer(t *testing.T) {
	ours, theirs := markVersion(t, 1, 1), markVersion(t, 1, 2)
	a := crdt.New("a")
	defer a.Close()
	marked(t, a, markVersion(t, 7, 1))
	b := must(crdt.Load("b", must(a.Save())))
	defer b.Close()
	// Both write at once, as who does not look first would.
	mark := func(d *crdt.Document, s *schema.Schema) []*chunk.Change {
		m := s.Mark()
		return []*chunk.Change{must(d.Do(time.Unix(1, 0), crdt.Update(schema.Reserved, m.Entity, map[string]any{m.Field: m.Value})))}
	}
	fromA, fromB := mark(a, ours), mark(b, theirs)
	if err := a.Apply(fromB); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(fromA); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*crdt.Document{a, b} {
		for _, s := range []*schema.Schema{ours, theirs} {
			if at := must(d.Standing(s)); at.Relation != schema.Differs || at.Words() == "" {
				t.Errorf("%s: %+v", d.Actor(), at)
			}
			if again := marked(t, d, s); again != nil {
				t.Error("a mark was written over another")
			}
		}
	}
}

// What others have put where the mark goes is left as it is.
func TestMarksWhereSomethingElseIs(t *testing.T) {
	s := markVersion(t, 1, 1)
	d := crdt.New("a")
	defer d.Close()
	must(d.Do(time.Unix(1, 0), crdt.Create(schema.Reserved, "other", map[string]any{s.Mark().Entity: "x"}),
		crdt.Create(schema.Reserved, s.Mark().Entity, map[string]any{"1": 5, "x": []any{}})))
	if relation(t, d, s) != schema.Unmarked {
		t.Error("a number is taken for a mark")
	}
	marked(t, d, s)
	if relation(t, d, s) != schema.Same {
		t.Error("it cannot be marked")
	}
}
