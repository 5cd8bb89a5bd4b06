package peer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
)

// orderSchema has a rule that is written, one that is not, and a field without.
func orderSchema(t testing.TB, version int) *schema.Schema {
	t.Helper()
	s, err := schema.New(schema.Definition{ID: "org.example.orders", Version: version, Collections: map[string]schema.Collection{
		"orders": {Fields: map[string]schema.Field{
			"state": {Type: schema.String, Enum: []string{"draft", "sent", "paid"}, Merge: merge.Ranked},
			"tags":  {Type: schema.List, Merge: merge.Union},
			"note":  {Type: schema.Text},
			"best":  {Type: schema.Int, Merge: merge.Max},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// apart returns a document of two peers with the schema, who have edited it without each
// other, and know of all now.
func apart(t testing.TB, s *schema.Schema, one, two []crdt.Operation) (a, b *Document) {
	t.Helper()
	relay := serveRelay(t)
	open := func() *Peer {
		o := remotes(testOptions(), relay.url)
		o.Schema = s
		return openPeer(t, filepath.Join(t.TempDir(), "peer.db"), o)
	}
	p, q := open(), open()
	a = create(t, p)
	do(t, a, crdt.Create("orders", "o1", map[string]any{"state": crdt.Scalar("draft"), "note": "", "best": 0}))
	stop, halt := run(t, p), run(t, q)
	b = fetch(t, q, a.ID())
	converge(t, a, b)
	stop()
	halt()
	do(t, a, one...)
	do(t, b, two...)
	run(t, p)
	run(t, q)
	converge(t, a, b)
	return a, b
}

func conflictsOf(t testing.TB, d *Document) ConflictReading {
	t.Helper()
	r, err := d.ReadConflicts(bounded(t), ConflictQuery{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func edits(state, note string, tag any) []crdt.Operation {
	return []crdt.Operation{
		crdt.Set("orders", "o1", "state", crdt.Scalar(state)), crdt.Set("orders", "o1", "note", note),
		crdt.Set("orders", "o1", "tags", []any{tag}),
	}
}

func TestConflictsAreListedAndSettled(t *testing.T) {
	s := orderSchema(t, 1)
	a, b := apart(t, s, edits("paid", "from a", "x"), edits("sent", "from b", "y"))
	r := conflictsOf(t, a)
	if len(r.Conflicts) != 3 || r.More != 0 {
		t.Fatalf("%+v", r.Conflicts)
	}
	note, state, tags := r.Conflicts[0], r.Conflicts[1], r.Conflicts[2]
	if !note.Unsettled() || note.Due() || note.Place() != "orders/o1/note" || len(note.Values) != 2 {
		t.Errorf("%+v", note)
	}
	if state.Unsettled() || !state.Due() || len(state.Losers) != 1 || tags.Unsettled() || tags.Due() {
		t.Errorf("%+v\n%+v", state, tags)
	}
	if again := conflictsOf(t, b).Conflicts; again[0].ID != note.ID || again[1].ID != state.ID {
		t.Error("two peers call one conflict by two names")
	}

	// Without the mark of the schema, which has come with the first edit, nothing is
	// settled by it.
	byOthers(t, a, crdt.Delete(schema.Reserved, s.Mark().Entity))
	if _, _, err := a.SettleDeclared(bounded(t), r.Conflicts); !errors.Is(err, ErrOtherSchema) {
		t.Errorf("settled without a mark: %v", err)
	}
	if _, err := a.MarkSchema(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.MarkSchema(bounded(t)); !errors.Is(err, crdt.ErrNoChange) {
		t.Errorf("marked twice: %v", err)
	}
	converge(t, a, b)

	// Both settle what the rules decide, at once.
	done, receipt, err := a.SettleDeclared(bounded(t), r.Conflicts)
	if err != nil || len(done) != 1 || done[0].ID != state.ID || receipt.Steps[0].Verb != crdt.VerbSettle || receipt.Intent != "settle orders/o1" {
		t.Fatalf("%+v, %+v, %v", done, receipt, err)
	}
	if _, _, err := b.SettleDeclared(bounded(t), r.Conflicts); err != nil && !errors.Is(err, crdt.ErrNoChange) {
		t.Fatal(err)
	}
	converge(t, a, b)
	if _, _, err := a.SettleDeclared(bounded(t), r.Conflicts); !errors.Is(err, crdt.ErrNoChange) {
		t.Errorf("settled twice: %v", err)
	}
	if got := fmt.Sprint(entityOf(t, b)["state"]); got != "paid" {
		t.Errorf("without rules the state reads %v", got)
	}

	// What was settled by rule is nobody's to undo; what somebody did before it is.
	u, err := a.Undo(bounded(t))
	if err != nil || u.Receipt.Undoes == receipt.Hash {
		t.Errorf("%+v, %v", u, err)
	}
}

// A person chooses among the values, or another; what was chosen from is what was listed.
func TestAConflictIsSettledByAPerson(t *testing.T) {
	for _, which := range []int{0, 1} {
		a, b := apart(t, nil, edits("paid", "from a", "x"), edits("sent", "from b", "y"))
		all := conflictsOf(t, a).Conflicts
		if len(all) != 3 {
			t.Fatalf("%+v", all)
		}
		for _, c := range all {
			if !c.Unsettled() || c.Reason != merge.NoRule {
				t.Errorf("without a schema %s is left to %q", c.Place(), c.Reason)
			}
			if _, err := a.Settle(bounded(t), c, Choice{Operation: c.Values[which].Operation}); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Settle(bounded(t), c, Choice{Merged: true}); !errors.Is(err, ErrNoConflict) {
				t.Errorf("settled twice: %v", err)
			}
		}
		converge(t, a, b)
		if left := conflictsOf(t, b).Conflicts; len(left) > 0 {
			t.Errorf("left: %+v", left)
		}
		if got := entityOf(t, b)["note"]; got != all[0].Values[which].Value {
			t.Errorf("the note is %v, and %v was chosen", got, all[0].Values[which].Value)
		}
	}
}

func TestAPersonsChoiceIsChecked(t *testing.T) {
	s := orderSchema(t, 1)
	a, _ := apart(t, s, edits("paid", "from a", "x"), edits("sent", "from b", "y"))
	note, tags := conflictsOf(t, a).Conflicts[0], conflictsOf(t, a).Conflicts[2]
	for name, c := range map[string]Choice{
		"nothing": {}, "two things": {Merged: true, Value: "x"}, "another operation": {Operation: tags.Values[0].Operation},
	} {
		if _, err := a.Settle(bounded(t), note, c); !errors.Is(err, ErrNoChoice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := a.Settle(bounded(t), note, Choice{Value: 5}); err == nil {
		t.Error("a number for a text was taken")
	}
	if _, err := a.Settle(bounded(t), note, Choice{Value: "both"}); err != nil {
		t.Error(err)
	}
	// What a union reads is written only if somebody says so.
	if _, err := a.Settle(bounded(t), tags, Choice{Merged: true}); err != nil {
		t.Error(err)
	}
	e := entityOf(t, a)
	if got, _ := e["tags"].([]any); e["note"] != "both" || len(got) != 2 || !slices.Contains(got, any("x")) {
		t.Errorf("%v", e)
	}
}

// Two peers make one entity: a person chooses between the two.
func TestAnEntityThatWasMadeTwiceIsSettled(t *testing.T) {
	made := func(n int) []crdt.Operation {
		return []crdt.Operation{crdt.Create("orders", "o2", map[string]any{"best": n})}
	}
	a, b := apart(t, nil, made(1), made(2))
	all := conflictsOf(t, a).Conflicts
	if len(all) != 1 || len(all[0].Path) != 0 {
		t.Fatalf("%+v", all)
	}
	if _, err := a.Settle(bounded(t), all[0], Choice{Operation: all[0].Values[0].Operation}); err != nil {
		t.Fatal(err)
	}
	converge(t, a, b)
	e, err := b.Entity(bounded(t), "orders", "o2")
	if want := all[0].Values[0].Value.(map[string]any)["best"]; err != nil || e["best"] != want || len(conflictsOf(t, b).Conflicts) > 0 {
		t.Errorf("%v, %v, want %v", e, err, want)
	}
}

// Only what was touched since is read.
func TestConflictsSinceSomeHeads(t *testing.T) {
	a, _ := apart(t, nil, edits("paid", "from a", "x"), edits("sent", "from b", "y"))
	first := conflictsOf(t, a)
	if !first.Read.All {
		t.Error("all were read, and it says otherwise")
	}
	do(t, a, crdt.Create("orders", "o9", map[string]any{"best": 1}))
	r, err := a.ReadConflicts(bounded(t), ConflictQuery{Since: first.Heads})
	if err != nil || len(r.Conflicts) > 0 || !r.Read.Has("orders", "o9") || r.Read.Has("orders", "o1") {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = a.ReadConflicts(bounded(t), ConflictQuery{Limit: 1})
	if err != nil || len(r.Conflicts) != 1 || r.More != 2 || r.Conflicts[0].Values != nil {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = a.ReadConflicts(bounded(t), ConflictQuery{Collection: "orders", Entity: "o1"})
	if err != nil || len(r.Conflicts) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A peer with an older version of the schema leaves alone what a newer one has marked.
func TestAnotherVersionOfTheSchemaIsNotSettledBy(t *testing.T) {
	a, _ := apart(t, orderSchema(t, 1), edits("paid", "from a", "x"), edits("sent", "from b", "y"))
	newer := orderSchema(t, 2).Mark()
	byOthers(t, a, crdt.Update(schema.Reserved, newer.Entity, map[string]any{newer.Field: newer.Value}))
	r := conflictsOf(t, a)
	if !strings.Contains(r.Held, "version 2") {
		t.Errorf("held: %q", r.Held)
	}
	if _, _, err := a.SettleDeclared(bounded(t), r.Conflicts); !errors.Is(err, ErrOtherSchema) {
		t.Errorf("%v", err)
	}
}

// Two schemas of one document might each take away what the other has chosen.
func TestADocumentOfTwoSchemasIsNotSettledByEither(t *testing.T) {
	a, _ := apart(t, orderSchema(t, 1), edits("paid", "from a", "x"), edits("sent", "from b", "y"))
	byOthers(t, a, crdt.Create(schema.Reserved, "schema:org.example.other", map[string]any{"1": "x"}))
	r := conflictsOf(t, a)
	if _, _, err := a.SettleDeclared(bounded(t), r.Conflicts); !errors.Is(err, ErrOtherSchema) || !strings.Contains(r.Held, "org.example.other") {
		t.Errorf("%q, %v", r.Held, err)
	}
}

func entityOf(t testing.TB, d *Document) map[string]any {
	t.Helper()
	e, err := d.Entity(bounded(t), "orders", "o1")
	if err != nil {
		t.Fatal(err)
	}
	return e
}
