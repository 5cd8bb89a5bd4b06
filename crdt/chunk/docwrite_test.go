package chunk

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// each hands out changes as EncodeDocument takes them.
func each(changes []*Change) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		for _, c := range changes {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// parseAll reads raw changes.
func parseAll(t testing.TB, raws [][]byte) (out []*Change) {
	t.Helper()
	for _, raw := range raws {
		c, err := ParseChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// comesBack writes changes as a document and expects to read them from it.
func comesBack(t testing.TB, changes []*Change) []byte {
	t.Helper()
	doc, err := EncodeDocument(each(changes), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDocument(doc)
	if err != nil {
		t.Fatalf("the document is refused: %v\n%x", err, doc)
	}
	if len(got) != len(changes) {
		t.Fatalf("%d changes come back, not %d", len(got), len(changes))
	}
	for i, c := range got {
		if !bytes.Equal(c.Raw(), changes[i].Raw()) {
			t.Fatalf("change %d comes back as another", i)
		}
	}
	return doc
}

// inflatedDocument returns what a document chunk holds, apart from how well its
// columns are deflated.
func inflatedDocument(t testing.TB, raw []byte) (d *document, changes, ops columnSet, headIndexes []byte) {
	t.Helper()
	_, _, body, _, err := split(raw)
	if err != nil {
		t.Fatal(err)
	}
	d = &document{budget: MaxDocumentBytes}
	r := &reader{buf: body}
	if err := d.readHeader(r, actorTable{}); err != nil {
		t.Fatal(err)
	}
	changes, ops, err = d.readColumns(r)
	if err != nil {
		t.Fatal(err)
	}
	return d, changes, ops, r.buf[r.off:]
}

// A document is the one that @automerge/automerge saves, byte for byte before
// its columns are deflated.
func TestEncodeDocumentWritesWhatJavaScriptSaves(t *testing.T) {
	same := func(t *testing.T, changes []*Change, saved []byte) {
		doc := comesBack(t, changes)
		d, changeCols, opCols, indexes := inflatedDocument(t, doc)
		wantD, wantChanges, wantOps, wantIndexes := inflatedDocument(t, saved)
		if !slices.Equal(d.actors, wantD.actors) || !slices.Equal(d.heads, wantD.heads) || !bytes.Equal(indexes, wantIndexes) {
			t.Errorf("actors %x, heads %s at %x; JavaScript has %x, %s at %x", d.actors, d.heads, indexes, wantD.actors, wantD.heads, wantIndexes)
		}
		for _, set := range []struct {
			name      string
			got, want columnSet
		}{{"change", changeCols, wantChanges}, {"operation", opCols, wantOps}} {
			for spec := range uint64(256) {
				if got, want := set.got[spec], set.want[spec]; !bytes.Equal(got, want) {
					t.Errorf("%s column %#x is\n%x, JavaScript writes\n%x", set.name, spec, got, want)
				}
			}
		}
		if len(doc)*100 > len(saved)*103 {
			t.Errorf("%d bytes, JavaScript needs %d", len(doc), len(saved))
		}
	}
	t.Run("histories", func(t *testing.T) {
		files, _ := filepath.Glob(filepath.Join(shared(t, "corpus", "histories"), "*.changes"))
		for _, f := range files {
			saved, err := os.ReadFile(f[:len(f)-len(".changes")] + ".automerge")
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(f), func(t *testing.T) { same(t, parseAll(t, rawChanges(t, f)), saved) })
		}
	})
	t.Run("paper", func(t *testing.T) {
		saved, err := os.ReadFile(shared(t, "corpus", "documents", "paper-js-100ops.automerge"))
		if err != nil {
			t.Fatal(err)
		}
		changes, err := ParseDocument(saved)
		if err != nil {
			t.Fatal(err)
		}
		same(t, changes, saved)
	})
}
