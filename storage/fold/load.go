package fold

import (
	"context"
	"errors"
	"slices"

	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// Graph loads the whole graph of a document, without reading a body. A document
// that is not known has an empty one.
func Graph(ctx context.Context, store *storage.Store, doc id.Document) (*graph.Graph, error) {
	var g *graph.Graph
	err := whileFolded(ctx, store, doc, func(l *layout) error {
		g = graph.New()
		for _, info := range l.folded {
			run, err := openRun(ctx, store, info)
			if err != nil {
				return err
			}
			if err := g.AddRun(run); err != nil {
				return err
			}
		}
		return store.Journal(ctx, doc, 0, func(row int64, hash id.Hash, head []byte) error {
			m, err := graph.DecodeMeta(hash, row, head)
			if err != nil {
				return err
			}
			return g.Add(m)
		})
	})
	if err != nil {
		return nil, err
	}
	g.Publish(nil)
	return g, nil
}

// maxRecent is how many changes above its document chunk a shallow graph may have:
// past it, loading all of it costs little more.
const maxRecent = 1 << 14

// Shallow loads the newest part of a document as graph.Shallow wants it. It is nil
// if the document has no document chunk, or twins; then the whole graph is needed.
func Shallow(ctx context.Context, store *storage.Store, doc id.Document) (*graph.Graph, error) {
	var g *graph.Graph
	err := whileFolded(ctx, store, doc, func(l *layout) error {
		g = nil
		if l.chunk == nil {
			return nil
		}
		b, err := store.SegmentIndex(ctx, l.chunk.ID)
		if err != nil {
			return err
		}
		x, err := decodeChunkIndex(b)
		if err != nil {
			return err
		}
		recent, err := l.recent(ctx, store, doc)
		if err != nil {
			return err
		}
		through, above := l.chunk.LastRow, 0
		for i := range recent {
			m := &recent[i]
			if m.Row <= through {
				continue
			}
			if m.Seq != x.tops[m.Actor]+1 {
				return nil // twins
			}
			x.tops[m.Actor] = m.Seq
			above++
		}
		if above <= maxRecent {
			g = graph.Shallow(x.heads, through, int(l.chunk.Rows)+above, func(yield func(*graph.Meta) bool) {
				for i := range recent {
					if !yield(&recent[i]) {
						return
					}
				}
			})
		}
		return nil
	})
	return g, err
}

// recent lists the metadata of the changes above the document chunk, and of those
// below that are in the journal.
func (l *layout) recent(ctx context.Context, store *storage.Store, doc id.Document) (metas []graph.Meta, err error) {
	for _, info := range l.folded {
		if info.LastRow <= l.chunk.LastRow {
			continue
		}
		run, err := openRun(ctx, store, info)
		if err != nil {
			return nil, err
		}
		err = run.Metas(func(_ int, m *graph.Meta) bool {
			if m.Row > l.chunk.LastRow {
				kept := *m
				kept.Deps, kept.Makes = slices.Clone(m.Deps), nil
				metas = append(metas, kept)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	err = store.Journal(ctx, doc, 0, func(row int64, hash id.Hash, head []byte) error {
		m, err := graph.DecodeMeta(hash, row, head)
		metas = append(metas, m)
		return err
	})
	return metas, err
}

// layout is where the parts of a document lie.
type layout struct {
	folded []storage.Segment // by first row
	chunk  *storage.Segment  // nil if there is none
}

// through is the last row that is folded.
func (l *layout) through() int64 {
	if len(l.folded) == 0 {
		return 0
	}
	return l.folded[len(l.folded)-1].LastRow
}

// segmentOf returns the segment that a row was folded into.
func (l *layout) segmentOf(row int64) (storage.Segment, bool) {
	i, _ := slices.BinarySearchFunc(l.folded, row, func(s storage.Segment, row int64) int {
		if s.LastRow < row {
			return -1
		}
		return 1
	})
	if i == len(l.folded) || l.folded[i].FirstRow > row {
		return storage.Segment{}, false
	}
	return l.folded[i], true
}

func readLayout(ctx context.Context, store *storage.Store, doc id.Document) (*layout, error) {
	l := &layout{}
	err := store.Segments(ctx, doc, func(s storage.Segment) error {
		switch {
		case s.Folds:
			l.folded = append(l.folded, s)
		case s.Kind == kindDocument:
			l.chunk = &s
		}
		return nil
	})
	return l, err
}

// whileFolded runs read, which reads a document in several steps, again if rows
// were folded or segments replaced meanwhile.
func whileFolded(ctx context.Context, store *storage.Store, doc id.Document, read func(*layout) error) error {
	l, err := readLayout(ctx, store, doc)
	for err == nil {
		failed := read(l)
		if failed != nil && !errors.Is(failed, storage.ErrNotFound) && !errors.Is(failed, storage.ErrFolded) {
			return failed
		}
		var now *layout
		if now, err = readLayout(ctx, store, doc); err == nil && now.same(l) {
			return failed
		}
		l = now
	}
	return err
}

func (l *layout) same(o *layout) bool {
	ids := func(l *layout) (ids []int64) {
		for _, s := range l.folded {
			ids = append(ids, s.ID)
		}
		if l.chunk != nil {
			ids = append(ids, l.chunk.ID)
		}
		return ids
	}
	return slices.Equal(ids(l), ids(o))
}
