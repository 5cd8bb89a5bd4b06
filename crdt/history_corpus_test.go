package crdt_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// jsHistories reads the histories that @automerge/automerge wrote: each raw
// change behind a little-endian uint32 length. Empty where they are absent.
func jsHistories(t testing.TB) []history {
	files, err := filepath.Glob(filepath.Join(sharedDir(t), "corpus", "histories", "*.changes"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	var hs []history
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		h := history{name: filepath.Base(f)}
		for len(b) > 0 {
			n := binary.LittleEndian.Uint32(b)
			raw, err := inflated(b[4 : 4+n])
			if err != nil {
				t.Fatalf("%s: change %d: %v", f, len(h.changes), err)
			}
			h.changes = append(h.changes, raw)
			b = b[4+n:]
		}
		hs = append(hs, h)
	}
	return hs
}

// inflated returns the type 1 form of a change chunk.
func inflated(raw []byte) ([]byte, error) {
	kind, body, ok := chunkBody(raw)
	switch {
	case ok && kind == 1:
		return raw, nil
	case ok && kind == 2:
		body, err := io.ReadAll(flate.NewReader(bytes.NewReader(body)))
		return encodeChunk(1, body), err
	}
	return nil, fmt.Errorf("not a change chunk")
}
