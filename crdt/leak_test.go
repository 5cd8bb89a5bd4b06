package crdt_test

import (
	"bytes"
	"runtime/debug"
	"testing"

	"syncline/crdt"
	"syncline/crdt/id"
)

// resident is the memory of this process without what Go no longer needs.
func resident(t testing.TB) int64 {
	debug.FreeOSMemory()
	return rssBytes(t)
}

// What the core hands out for a read is given back: each of these would keep a
// megabyte a round, at the least, if it were not.
func TestReadsGiveTheirMemoryBack(t *testing.T) {
	const rounds, most = 40, 30 << 20
	d := openDoc(t, "author")
	begin := docDo(t, d, crdt.Create("c", "e", map[string]any{"blob": bytes.Repeat([]byte("x"), 3<<19), "t": "text"}))
	edit := docDo(t, d, crdt.Splice("c", "e", "t", 0, 4, ""), crdt.Set("c", "e", "k", 1))
	then := must(d.At([]id.Hash{begin.Hash}))
	for _, read := range []struct {
		name string
		f    func() error
	}{
		{"select", func() error {
			return d.Select(crdt.Selection{Collections: []string{"c"}, Conflicts: true}, func(crdt.Entity) error { return nil })
		}},
		{"select of the past", func() error {
			return then.Select(crdt.Selection{Collections: []string{"c"}}, func(crdt.Entity) error { return nil })
		}},
		{"value of the past", func() error { _, err := then.Value(); return err }},
		{"changes", func() error { _, err := d.Since(); return err }},
		{"invert", func() error { _, err := d.Invert(edit, crdt.InvertOptions{}); return err }},
		{"diff", func() error { _, err := d.Diff(nil, d.Heads()); return err }},
		{"entity that is not there", func() error {
			return d.Select(crdt.Selection{Entities: map[string][]string{"c": {"e", "x"}, "y": {"z"}}}, func(crdt.Entity) error { return nil })
		}},
	} {
		docOK(read.f())
		before := resident(t)
		for range rounds {
			docOK(read.f())
		}
		if grown := resident(t) - before; grown > most {
			t.Errorf("%d times %s took %d MB", rounds, read.name, grown>>20)
		}
	}
}
