package fold

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// Reader is what is read of a store: a *storage.Store, or what stands for one.
type Reader interface {
	storage.BodyReader
	Document(ctx context.Context, doc id.Document) (storage.DocumentInfo, error)
	Journal(ctx context.Context, doc id.Document, afterRow int64, fn func(row int64, hash id.Hash, head []byte) error) error
	Segments(ctx context.Context, doc id.Document, fn func(storage.Segment) error) error
	SegmentIndex(ctx context.Context, segment int64) ([]byte, error)
	SegmentBody(ctx context.Context, segment int64) ([]byte, error)
}

// tries is how often a read begins anew because rows were folded under it, which
// takes a compactor longer than the read does.
const tries = 100

// Newest loads as much of a document as is cheap: its newest part if it is long, or
// all of it.
func Newest(ctx context.Context, store Reader, doc id.Document) (*graph.Graph, error) {
	d, err := store.Document(ctx, doc)
	if errors.Is(err, storage.ErrNotFound) {
		return graph.New(), nil
	}
	if err != nil {
		return nil, err
	}
	if d.Changes >= standard.chunk {
		// What lies beside the journal is no reason to refuse what is in it.
		if g, err := Shallow(ctx, store, doc); g != nil && err == nil {
			return g, nil
		}
	}
	return Graph(ctx, store, doc)
}

// Graph loads the whole graph of a document, without reading a body. A document
// that is not known has an empty one.
func Graph(ctx context.Context, store Reader, doc id.Document) (*graph.Graph, error) {
	for try := 1; ; try++ {
		d, err := store.Document(ctx, doc)
		if errors.Is(err, storage.ErrNotFound) {
			return graph.New(), nil
		}
		if err != nil {
			return nil, err
		}
		g, err := loadGraph(ctx, store, d)
		if err == nil && int64(g.Unpublished()) < d.Changes {
			err = fmt.Errorf("document %s: %d of %d changes are there: %w", doc, g.Unpublished(), d.Changes, storage.ErrNotFound)
		}
		if err == nil {
			g.Publish(nil)
			return g, nil
		}
		if !moved(err) || try == tries {
			return nil, err
		}
	}
}

// loadGraph reads the segments and then the journal. What is folded in between is
// read twice or not at all.
func loadGraph(ctx context.Context, store Reader, d storage.DocumentInfo) (*graph.Graph, error) {
	doc, l := d.Doc, &layout{}
	if d.FoldedRow > 0 {
		var err error
		if l, err = readLayout(ctx, store, doc); err != nil {
			return nil, err
		}
	}
	var err error
	g := graph.New()
	runs := make([]*graph.Run, len(l.folded))
	for i, info := range l.folded { // all at once, before one of them is replaced
		if runs[i], err = openRun(ctx, store, info); err != nil {
			return nil, err
		}
	}
	for _, run := range runs {
		if err := g.AddRun(run); err != nil {
			return nil, err
		}
	}
	err = store.Journal(ctx, doc, l.through(), func(row int64, hash id.Hash, head []byte) error {
		m, err := graph.DecodeMeta(hash, row, head)
		if err != nil {
			return err
		}
		if err = g.Add(m); err != nil {
			if _, missing := errors.AsType[*graph.MissingError](err); missing {
				return fmt.Errorf("%w: %w", err, storage.ErrNotFound) // folded meanwhile
			}
		}
		return err
	})
	return g, err
}

// moved reports whether a read failed because rows were folded, or segments
// replaced, since the layout was read.
func moved(err error) bool {
	return errors.Is(err, storage.ErrFolded) || errors.Is(err, storage.ErrNotFound)
}

// maxRecent is how many changes above its document chunk a shallow graph may have:
// past it, loading all of it costs little more.
const maxRecent = 1 << 14

// Shallow loads the newest part of a document as graph.Shallow wants it. It is nil
// if the document has no document chunk, or twins; then the whole graph is needed.
func Shallow(ctx context.Context, store Reader, doc id.Document) (*graph.Graph, error) {
	for try := 1; ; try++ {
		g, err := loadShallow(ctx, store, doc)
		if err == nil || !moved(err) || try == tries {
			return g, err
		}
	}
}

func loadShallow(ctx context.Context, store Reader, doc id.Document) (*graph.Graph, error) {
	d, err := store.Document(ctx, doc)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := readLayout(ctx, store, doc)
	if err != nil || l.chunk == nil || d.Changes-l.chunk.Rows > maxRecent {
		return nil, err
	}
	b, err := store.SegmentIndex(ctx, l.chunk.ID)
	if err != nil {
		return nil, err
	}
	x, err := decodeChunkIndex(b)
	if err != nil {
		return nil, err
	}
	recent, err := l.recent(ctx, store, doc)
	if err != nil {
		return nil, err
	}
	through, above := l.chunk.LastRow, int64(0)
	for i := range recent {
		m := &recent[i]
		if m.Row <= through {
			continue
		}
		if m.Seq != x.tops[m.Actor]+1 {
			return nil, nil // twins, or rows that were folded meanwhile
		}
		x.tops[m.Actor] = m.Seq
		above++
	}
	if l.chunk.Rows+above < d.Changes {
		return nil, fmt.Errorf("document %s: %d of %d changes are there: %w", doc, l.chunk.Rows+above, d.Changes, storage.ErrNotFound)
	}
	return graph.Shallow(x.heads, through, int(l.chunk.Rows+above), func(yield func(*graph.Meta) bool) {
		for i := range recent {
			if !yield(&recent[i]) {
				return
			}
		}
	}), nil
}

// recent lists the metadata of the changes above the document chunk, and of those
// below that are in the journal.
func (l *layout) recent(ctx context.Context, store Reader, doc id.Document) (metas []graph.Meta, err error) {
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
	err = store.Journal(ctx, doc, l.through(), func(row int64, hash id.Hash, head []byte) error {
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

func readLayout(ctx context.Context, store Reader, doc id.Document) (*layout, error) {
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
