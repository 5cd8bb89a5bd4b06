package crdt_test

import (
	"fmt"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/crdttest"
)

// BenchmarkMerged reads 10,000 entities, of which each tenth has a conflict, with
// Select alone, with its conflicts, and by the rules.
func BenchmarkMerged(b *testing.B) {
	const entities = 10_000
	one := crdt.New("one")
	defer one.Close()
	var all []crdt.Operation
	for i := range entities {
		all = append(all, crdt.Create("c", fmt.Sprintf("e%05d", i), map[string]any{
			"max": i, "state": "draft", "counter": crdt.Counter(0), "winner": crdt.Scalar("text"), "union": []any{crdt.Scalar("a")},
		}))
	}
	c, err := one.Do(time.Unix(1, 0), all...)
	if err != nil {
		b.Fatal(err)
	}
	two, err := crdt.Open("two", []*chunk.Change{c})
	if err != nil {
		b.Fatal(err)
	}
	defer two.Close()
	for i, d := range []*crdt.Document{one, two} {
		var edits []crdt.Operation
		for n := 0; n < entities; n += 10 {
			edits = append(edits, crdt.Update("c", fmt.Sprintf("e%05d", n), map[string]any{"max": -1 - i, "state": []string{"sent", "paid"}[i]}))
		}
		if c, err = d.Do(time.Unix(2, 0), edits...); err != nil {
			b.Fatal(err)
		}
	}
	if err := one.Apply([]*chunk.Change{c}); err != nil {
		b.Fatal(err)
	}
	whole := crdt.Selection{Collections: []string{"c"}}
	b.Run("select", func(b *testing.B) {
		for b.Loop() {
			if err := one.Select(whole, func(crdt.Entity) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("conflicts", func(b *testing.B) {
		all := whole
		all.Conflicts = true
		for b.Loop() {
			if err := one.Select(all, func(crdt.Entity) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("merged", func(b *testing.B) {
		r := crdttest.Rules(b)
		for b.Loop() {
			if err := one.SelectMerged(r, whole, func(crdt.MergedEntity) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}
