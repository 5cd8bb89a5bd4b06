package fold

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// errUnfit: a part of a document cannot be folded, and nothing is lost by that.
var errUnfit = errors.New("it cannot be folded")

// Done says what a step did.
type Done struct {
	Doc      id.Document
	Work     Work
	Rows     int64 // that it wrote
	BytesIn  int64 // read, of bodies as they lay there
	BytesOut int64 // written, indexes included
}

// worker does steps on one document.
type worker struct {
	store *storage.Store
	doc   id.Document
	pause func() error // called every few milliseconds of work
	done  Done
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// fold folds the oldest rows of the journal, at most n.
func (w *worker) fold(ctx context.Context, n int64) error {
	var changes []*chunk.Change
	var metas []graph.Meta
	seen := map[id.Actor]uint64{}
	size := 0
	err := w.store.Entries(ctx, w.doc, 0, func(row int64, e storage.Entry) error {
		if int64(len(changes)) == n || size >= runBytes {
			return errEnough
		}
		c, err := chunk.ParseChange(e.Body)
		if err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		m, err := graph.DecodeMeta(e.Hash, row, e.Head)
		if err != nil {
			return err
		}
		if c.Hash != e.Hash {
			return fmt.Errorf("row %d holds change %s, not %s", row, c.Hash, e.Hash)
		}
		if last, ok := seen[c.Actor]; ok && c.Seq != last+1 {
			return errEnough // a twin: it goes into another segment than the first
		}
		seen[c.Actor] = c.Seq
		changes, metas = append(changes, c), append(metas, m)
		size += len(e.Body)
		return w.pause()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	w.done.BytesIn = int64(size)
	body, held, err := w.encode(changes)
	if err != nil {
		return err
	}
	f := storage.Fold{Segment: storage.Segment{Level: 1}, Body: body}
	return w.put(ctx, f, metas[:held])
}

// encode writes as many of the changes as fit one bundle, and proves that they come
// out of it as they were.
func (w *worker) encode(changes []*chunk.Change) (body []byte, n int, err error) {
	for n = len(changes); n > 0; n /= 2 {
		if body, err = chunk.EncodeBundle(changes[:n]); err == nil {
			break
		}
	}
	if n == 0 {
		return nil, 0, fmt.Errorf("%w: %w", errUnfit, err)
	}
	want := digest(func(yield func(id.Hash) bool) {
		for _, c := range changes[:n] {
			if !yield(c.Hash) {
				return
			}
		}
	})
	if err := w.prove(body, want); err != nil {
		return nil, 0, err
	}
	return body, n, nil
}

// prove decodes what was written and compares the hashes.
func (w *worker) prove(body []byte, want order) error {
	got := newOrder()
	for c, err := range chunk.Changes(body) {
		if err == nil {
			err = w.pause()
		}
		if err != nil {
			return fmt.Errorf("read what was written: %w", err)
		}
		got.add(c.Hash)
	}
	if !got.equal(want) {
		return fmt.Errorf("%w: written and read again, its changes are others", errUnfit)
	}
	return nil
}

// merge writes one segment in the place of several.
func (w *worker) merge(ctx context.Context, segments []storage.Segment) error {
	f := storage.Fold{Segment: storage.Segment{Level: segments[0].Level + 1}}
	var changes []*chunk.Change
	var metas []graph.Meta
	for _, info := range segments {
		run, err := openRun(ctx, w.store, info)
		if err != nil {
			return err
		}
		err = run.Metas(func(_ int, m *graph.Meta) bool {
			kept := *m
			kept.Deps, kept.Makes = slices.Clone(m.Deps), slices.Clone(m.Makes)
			metas = append(metas, kept)
			return true
		})
		if err != nil {
			return err
		}
		for c, err := range w.changesOf(ctx, info) {
			if err != nil {
				return err
			}
			changes = append(changes, c)
		}
		f.Replaces = append(f.Replaces, info.ID)
	}
	body, n, err := w.encode(changes)
	if err == nil && n < len(changes) {
		err = fmt.Errorf("%w: %d changes do not fit one bundle", errUnfit, len(changes))
	}
	if err != nil {
		return err
	}
	f.Body = body
	return w.put(ctx, f, metas)
}

// put folds rows into a segment.
func (w *worker) put(ctx context.Context, f storage.Fold, metas []graph.Meta) error {
	f.Doc, f.Kind, f.Rows = w.doc, kindBundle, int64(len(metas))
	f.FirstRow, f.LastRow = metas[0].Row, metas[len(metas)-1].Row
	f.Index = graph.EncodeRun(metas)
	w.done.Rows, w.done.BytesOut = f.Rows, int64(len(f.Index)+len(f.Body))
	_, err := w.store.Fold(ctx, f)
	if errors.Is(err, storage.ErrUnsettled) {
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	return err
}

// chunk writes the document chunk of all there is, if that is no more than the limits
// say.
func (w *worker) chunk(ctx context.Context, l *layout, lim *limits) error {
	k := storage.Segment{Doc: w.doc, Kind: kindDocument}
	heads, tops, want := map[id.Hash]struct{}{}, map[id.Actor]uint64{}, newOrder()
	var bytes, large int64
	all := func(yield func(*chunk.Change, error) bool) {
		for row, c := range w.all(ctx, l) {
			err := c.err
			if err == nil {
				n := int64(len(c.change.Raw()))
				bytes, large = bytes+n, large+max(0, n-largeChange)
			}
			if err == nil && (bytes > lim.bytes || large > lim.large) {
				err = fmt.Errorf("%w: its changes have more than %d bytes, or its large ones more than %d", errUnfit, lim.bytes, lim.large)
			}
			if err == nil && c.change.Seq != tops[c.change.Actor]+1 {
				err = fmt.Errorf("%w: actor %s has used sequence number %d twice", errUnfit, c.change.Actor, c.change.Seq)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, d := range c.change.Deps {
				delete(heads, d)
			}
			heads[c.change.Hash] = struct{}{}
			tops[c.change.Actor] = c.change.Seq
			want.add(c.change.Hash)
			if k.FirstRow == 0 {
				k.FirstRow = row
			}
			k.LastRow = row
			k.Rows++
			if !yield(c.change, nil) {
				return
			}
		}
	}
	body, err := chunk.EncodeDocument(all, w.pause)
	if errors.Is(err, chunk.ErrNotDocument) {
		err = fmt.Errorf("%w: %w", errUnfit, err)
	}
	if err != nil {
		return err
	}
	if err := w.prove(body, *want); err != nil {
		return err
	}
	x := chunkIndex{tops: tops}
	for h := range heads {
		x.heads = append(x.heads, h)
	}
	id.SortHashes(x.heads)
	index := x.encode()
	w.done.Rows, w.done.BytesOut = k.Rows, int64(len(index)+len(body))
	_, err = w.store.PutChunk(ctx, k, index, body)
	return err
}

// found is a change, or why it could not be read.
type found struct {
	change *chunk.Change
	err    error
}

// all goes through the changes of the document by row.
func (w *worker) all(ctx context.Context, l *layout) iter.Seq2[int64, found] {
	return func(yield func(int64, found) bool) {
		for _, info := range l.folded {
			run, err := openRun(ctx, w.store, info)
			if err != nil {
				yield(0, found{err: err})
				return
			}
			i := 0
			for c, err := range w.changesOf(ctx, info) {
				if err == nil && (i >= run.Len() || run.Hash(i) != c.Hash) {
					err = fmt.Errorf("segment %d and its index do not agree", info.ID)
				}
				if err != nil {
					yield(0, found{err: err})
					return
				}
				if !yield(run.Row(i), found{change: c}) {
					return
				}
				i++
			}
		}
		err := w.store.Entries(ctx, w.doc, 0, func(row int64, e storage.Entry) error {
			c, err := chunk.ParseChange(e.Body)
			if err == nil {
				err = w.pause()
			}
			if err != nil {
				return err
			}
			w.done.BytesIn += int64(len(e.Body))
			if !yield(row, found{change: c}) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(0, found{err: err})
		}
	}
}

// changesOf goes through the changes of a segment.
func (w *worker) changesOf(ctx context.Context, info storage.Segment) iter.Seq2[*chunk.Change, error] {
	return func(yield func(*chunk.Change, error) bool) {
		body, err := w.store.SegmentBody(ctx, info.ID)
		if err != nil {
			yield(nil, err)
			return
		}
		w.done.BytesIn += int64(len(body))
		for c, err := range chunk.Changes(body) {
			if err == nil {
				err = w.pause()
			}
			if err != nil {
				yield(nil, fmt.Errorf("segment %d: %w", info.ID, err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// order is which hashes there are and in which order, in a few bytes.
type order struct {
	sum hash.Hash
	n   int
}

func newOrder() *order { return &order{sum: sha256.New()} }

func digest(hashes iter.Seq[id.Hash]) order {
	o := newOrder()
	for h := range hashes {
		o.add(h)
	}
	return *o
}

func (o *order) add(h id.Hash) {
	o.sum.Write(h[:])
	o.n++
}

func (o *order) equal(p order) bool {
	return o.n == p.n && slices.Equal(o.sum.Sum(nil), p.sum.Sum(nil))
}
