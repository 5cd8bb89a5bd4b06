package crdt_test

import (
	"fmt"
	"testing"

	"syncline/crdt"
	"syncline/crdt/chunk"
)

// A document of 10,000 entities, read out of the core whole; BenchmarkValue10000 has
// the same by automerge-go's own API.
func BenchmarkSelect10000(b *testing.B) {
	d, err := crdt.Open("reader", manyEntities(b, 10_000))
	docOK(err)
	defer d.Close()
	for _, conflicts := range []bool{false, true} {
		b.Run(fmt.Sprintf("conflicts=%v", conflicts), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				docOK(d.Select(crdt.Selection{Collections: []string{"notes"}, Conflicts: conflicts}, func(crdt.Entity) error { return nil }))
			}
		})
	}
}

// What it takes to show 1,000 changed entities of 10,000 beside what it takes to
// apply their changes.
func BenchmarkChanged1000(b *testing.B) {
	history := manyEntities(b, 10_000)
	author, err := crdt.Open("editor", history)
	docOK(err)
	defer author.Close()
	var edits []*chunk.Change
	for i := range 1000 {
		edits = append(edits, docDo(b, author, crdt.Update("notes", fmt.Sprintf("note-%d", 7*i), map[string]any{"n": -i - 1, "done": i%2 != 0})))
	}
	d, err := crdt.Open("reader", history)
	docOK(err)
	_, err = d.Touched(nil)
	docOK(err)
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			d.Close()
			d, err = crdt.Open("reader", history)
			docOK(err)
			_, err = d.Touched(nil)
			docOK(err)
			b.StartTimer()
			docOK(d.Apply(edits))
		}
	})
	b.Run("touched", func(b *testing.B) {
		for b.Loop() {
			_, err := d.Touched(edits)
			docOK(err)
		}
	})
	for _, conflicts := range []bool{false, true} {
		b.Run(fmt.Sprintf("touched-and-select/conflicts=%v", conflicts), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := d.Touched(edits)
				docOK(err)
				sel := crdt.SelectionOf(s)
				sel.Conflicts = conflicts
				n := 0
				docOK(d.Select(sel, func(crdt.Entity) error { n++; return nil }))
				if n != 1000 {
					b.Fatalf("%d entities", n)
				}
			}
		})
	}
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			fresh, err := crdt.Open("reader", history)
			docOK(err)
			b.StartTimer()
			_, err = fresh.Touched(edits)
			docOK(err)
			b.StopTimer()
			fresh.Close()
			b.StartTimer()
		}
	})
	d.Close()
}
