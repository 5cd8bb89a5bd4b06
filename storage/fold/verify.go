package fold

import (
	"errors"
	"fmt"
	"reflect"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// Verify decodes a segment that rows were folded into, all of it, and returns what
// the graph knows of its changes, by row. The error says in what the segment does not
// hold what it stands for.
func Verify(info storage.Segment, index, body []byte) ([]graph.Meta, error) {
	if info.Kind != kindBundle {
		return nil, fmt.Errorf("segment %d is of a kind %d that rows are not folded into", info.ID, info.Kind)
	}
	run, err := graph.OpenRun(index)
	if err != nil {
		return nil, fmt.Errorf("segment %d: its index: %w", info.ID, err)
	}
	if n := run.Len(); int64(n) != info.Rows || n == 0 || run.Row(0) != info.FirstRow || run.Row(n-1) != info.LastRow {
		return nil, fmt.Errorf("segment %d has %d changes in its index and stands for %d rows", info.ID, n, info.Rows)
	}
	metas := make([]graph.Meta, 0, run.Len())
	err = run.Metas(func(_ int, m *graph.Meta) bool {
		kept := *m
		kept.Deps, kept.Makes = append([]id.Hash(nil), m.Deps...), append([]chunk.Make(nil), m.Makes...)
		metas = append(metas, kept)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("segment %d: its index: %w", info.ID, err)
	}
	i := 0
	for c, err := range chunk.Changes(body) {
		if err != nil {
			return nil, fmt.Errorf("segment %d, change %d: %w", info.ID, i, err)
		}
		if i == len(metas) {
			return nil, fmt.Errorf("segment %d has more changes than its index, which has %d", info.ID, i)
		}
		m := graph.MetaOf(c)
		m.Row = metas[i].Row
		if m.Hash != metas[i].Hash {
			return nil, fmt.Errorf("segment %d gives change %s for row %d, which was %s", info.ID, m.Hash, m.Row, metas[i].Hash)
		}
		if !sameMeta(m, metas[i]) {
			return nil, fmt.Errorf("segment %d: its index and change %s disagree", info.ID, m.Hash)
		}
		i++
	}
	if i < len(metas) {
		return nil, fmt.Errorf("segment %d has %d changes and an index of %d", info.ID, i, len(metas))
	}
	return metas, nil
}

// sameMeta takes absent and empty lists for the same.
func sameMeta(a, b graph.Meta) bool {
	if len(a.Makes) == 0 && len(b.Makes) == 0 {
		a.Makes, b.Makes = nil, nil
	}
	if len(a.Deps) == 0 && len(b.Deps) == 0 {
		a.Deps, b.Deps = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// VerifyChunk decodes a document chunk that lies beside the rows it stands for. has
// says whether the document has a change.
func VerifyChunk(info storage.Segment, index, body []byte, has func(id.Hash) bool) error {
	if info.Kind != kindDocument {
		return fmt.Errorf("segment %d is of an unknown kind %d", info.ID, info.Kind)
	}
	x, err := decodeChunkIndex(index)
	if err != nil {
		return fmt.Errorf("segment %d: %w", info.ID, err)
	}
	n, tops, inner := int64(0), map[id.Actor]uint64{}, map[id.Hash]bool{}
	for c, err := range chunk.Changes(body) {
		if err != nil {
			return fmt.Errorf("segment %d, change %d: %w", info.ID, n, err)
		}
		if !has(c.Hash) {
			return fmt.Errorf("segment %d gives change %s, which the document does not have", info.ID, c.Hash)
		}
		tops[c.Actor] = max(tops[c.Actor], c.Seq)
		for _, d := range c.Deps {
			inner[d] = true
		}
		n++
	}
	for _, h := range x.heads {
		if inner[h] || !has(h) {
			return fmt.Errorf("segment %d: its index names head %s, which is none", info.ID, h)
		}
	}
	switch {
	case n != info.Rows:
		return fmt.Errorf("segment %d has %d changes and stands for %d rows", info.ID, n, info.Rows)
	case !reflect.DeepEqual(tops, x.tops):
		return errors.New("its index and its changes disagree about their authors")
	}
	return nil
}
