package chunk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// shared is where documents made by other implementations may lie.
func shared(t testing.TB, parts ...string) string {
	root := os.Getenv("SYNCLINE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	p := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no shared corpus at %s", p)
	}
	return p
}

// rawChanges reads a .changes file: chunks, each behind its length.
func rawChanges(t testing.TB, file string) (out [][]byte) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint32(b)
		out = append(out, b[4:4+n])
		b = b[4+n:]
	}
	return out
}

func TestHistoriesOfJavaScript(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared(t, "corpus", "histories"), "*.changes"))
	for _, f := range files {
		var want struct{ Heads, Changes []string }
		b, err := os.ReadFile(f[:len(f)-len(".changes")] + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		for i, raw := range rawChanges(t, f) {
			c, err := ParseChange(raw)
			if err != nil {
				t.Errorf("%s change %d: %v", filepath.Base(f), i, err)
				continue
			}
			if c.Hash.String() != want.Changes[i] {
				t.Errorf("%s change %d: hash %s, want %s", filepath.Base(f), i, c.Hash, want.Changes[i])
			}
			if again := reencode(t, c); !bytes.Equal(again, c.Raw()) {
				t.Errorf("%s change %d: encoded again it differs:\n%x\n%x", filepath.Base(f), i, again, c.Raw())
			}
		}
	}
}

// reencode writes a change again from its header and operations.
func reencode(t testing.TB, c *Change) []byte {
	var ops []Op
	for _, op := range c.Ops() {
		o := *op
		o.Pred = append([]Ref(nil), op.Pred...)
		ops = append(ops, o)
	}
	raw, err := Encode(c.Header(), ops)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestDocumentsOfJavaScript(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared(t, "corpus", "histories"), "*.automerge"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		changes, err := ParseDocument(b)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		want := map[string]bool{}
		for _, raw := range rawChanges(t, f[:len(f)-len(".automerge")]+".changes") {
			c, err := ParseChange(raw)
			if err != nil {
				t.Fatal(err)
			}
			want[string(c.Raw())] = true
		}
		for _, c := range changes {
			if !want[string(c.Raw())] {
				t.Errorf("%s: change %s is not one of the history", filepath.Base(f), c.Hash)
			}
			delete(want, string(c.Raw()))
		}
		if len(want) > 0 {
			t.Errorf("%s: %d changes are missing", filepath.Base(f), len(want))
		}
	}
}

func TestPaperDocument(t *testing.T) {
	for name, n := range map[string]int{"paper-js-1op": 259779, "paper-js-100ops": 2599} {
		b, err := os.ReadFile(shared(t, "corpus", "documents", name+".automerge"))
		if err != nil {
			t.Fatal(err)
		}
		changes, err := ParseChunks(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(changes) != n {
			t.Errorf("%s: %d changes, want %d", name, len(changes), n)
		}
	}
}
