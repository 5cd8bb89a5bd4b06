package chunk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func readFile(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameChanges expects the same changes in the same order.
func sameChanges(t testing.TB, got, want []*Change) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d changes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Hash != want[i].Hash || !bytes.Equal(got[i].Raw(), want[i].Raw()) {
			t.Fatalf("change %d is\n%x, want\n%x", i, got[i].Raw(), want[i].Raw())
		}
	}
}

// bundled encodes changes and expects them back.
func bundled(t testing.TB, changes []*Change) []byte {
	t.Helper()
	b, err := EncodeBundle(changes)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBundle(b)
	if err != nil {
		t.Fatalf("the bundle is refused: %v\n%x", err, b)
	}
	sameChanges(t, got, changes)
	return b
}

// Bundles by saveBundle of @automerge/automerge 3.5.0.
func TestBundlesOfJavaScript(t *testing.T) {
	_, raws := mixed(t)
	got, err := ParseBundle(readFile(t, "testdata", "mixed.bundle"))
	if err != nil {
		t.Fatal(err)
	}
	want := parseAll(t, raws)
	sameChanges(t, got, want)
	bundled(t, want)
}

func TestPaperBundle(t *testing.T) {
	for _, name := range []string{"paper-js-1op", "paper-js-100ops"} {
		theirs := shared(t, "corpus", "documents", name+".bundle")
		want, err := ParseDocument(readFile(t, shared(t, "corpus", "documents", name+".automerge")))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseBundle(readFile(t, theirs))
		if err != nil {
			t.Fatal(err)
		}
		sameChanges(t, got, want)
		if b := bundled(t, want); len(b) > 140_000 {
			t.Errorf("%s: %d bytes, more than 140,000", name, len(b))
		}
	}
}
