package crdt_test

import (
	"fmt"
	"testing"

	"github.com/automerge/automerge-go"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// manyEntities is the history of a document of n entities, in changes of 100.
func manyEntities(t testing.TB, n int) []*chunk.Change {
	d := openDoc(t, "author")
	var history []*chunk.Change
	for i := 0; i < n; {
		var ops []crdt.Operation
		for ; len(ops) < 100 && i < n; i++ {
			ops = append(ops, crdt.Create("notes", fmt.Sprintf("note-%d", i), map[string]any{
				"title": fmt.Sprintf("Note %d", i), "n": i, "done": i%2 == 0, "at": docTime, "tags": []any{crdt.Scalar("a"), crdt.Scalar("b")},
			}))
		}
		history = append(history, docDo(t, d, ops...))
	}
	return history
}

// small is a history of n changes with one typed character each.
func small(t testing.TB, n int) []*chunk.Change {
	d := openDoc(t, "author")
	history := []*chunk.Change{docDo(t, d, crdt.Create("notes", "n", map[string]any{"t": ""}))}
	for i := range n - 1 {
		history = append(history, docDo(t, d, crdt.Splice("notes", "n", "t", i, 0, "x")))
	}
	return history
}

func BenchmarkDo(b *testing.B) {
	b.Run("splice", func(b *testing.B) {
		d := openDoc(b, "author")
		docDo(b, d, crdt.Create("notes", "n", map[string]any{"t": ""}))
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			docDo(b, d, crdt.Splice("notes", "n", "t", n, 0, "x"))
			n++
		}
	})
	b.Run("set", func(b *testing.B) {
		d := openDoc(b, "author")
		docDo(b, d, crdt.Create("notes", "n", map[string]any{"k": 0}))
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			docDo(b, d, crdt.Set("notes", "n", "k", n))
		}
	})
	b.Run("automerge-go-set", func(b *testing.B) {
		d := automerge.New()
		docOK(d.Path("notes", "n", "k").Set(0))
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			docOK(d.Path("notes", "n", "k").Set(n))
			hash, err := d.Commit("update notes/n")
			docOK(err)
			c, err := d.Change(hash)
			docOK(err)
			c.Save()
		}
	})
}

func BenchmarkApply1000(b *testing.B) {
	history := small(b, 1000)
	b.Run("document", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d, err := crdt.Open("reader", history)
			docOK(err)
			d.Close()
		}
	})
	var all []byte
	for _, c := range history {
		all = append(all, c.Raw()...)
	}
	b.Run("automerge-go", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			loaded, err := automerge.LoadChanges(all)
			docOK(err)
			docOK(automerge.New().Apply(loaded...))
		}
	})
}

func BenchmarkApplyOne(b *testing.B) {
	history := small(b, 10_000)
	d, err := crdt.Open("reader", history[:1])
	docOK(err)
	defer func() { d.Close() }()
	n := 1
	for b.Loop() {
		if n == len(history) {
			b.StopTimer()
			d.Close()
			d, err = crdt.Open("reader", history[:1])
			docOK(err)
			n = 1
			b.StartTimer()
		}
		docOK(d.Apply(history[n : n+1]))
		n++
	}
}

func BenchmarkValue10000(b *testing.B) {
	history := manyEntities(b, 10_000)
	d, err := crdt.Open("reader", history)
	docOK(err)
	defer d.Close()
	read := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				docOK(f())
			}
		})
	}
	read("document", func() error { _, err := d.Value(); return err })
	read("json", func() error { _, err := d.JSON(); return err })
	read("entity", func() error { _, err := d.Entity("notes", "note-5000"); return err })
	half, err := d.At([]id.Hash{history[len(history)/2].Hash})
	docOK(err)
	read("at-half", func() error { _, err := half.Value(); return err })
	read("at-half-entity", func() error { _, err := half.Entity("notes", "note-1000"); return err })
	var all []byte
	for _, c := range history {
		all = append(all, c.Raw()...)
	}
	stock, err := automerge.Load(all)
	docOK(err)
	read("automerge-go", func() error { _, err := automerge.As[map[string]any](stock.Root()); return err })
}

func BenchmarkViewOfLongHistory(b *testing.B) {
	history := small(b, 10_000)
	d, err := crdt.Open("reader", history)
	docOK(err)
	defer d.Close()
	v, err := d.At([]id.Hash{history[len(history)/2].Hash})
	docOK(err)
	for b.Loop() {
		_, err := v.Value()
		docOK(err)
	}
}
