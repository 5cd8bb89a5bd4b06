package fold

import (
	"context"
	"errors"
	"fmt"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// Source gives the changes of one document, from the journal and from segments. It
// is a session.Packer and a check.Source. It is not safe for concurrent use.
type Source struct {
	ctx   context.Context
	store Reader
	cache *Cache
	doc   id.Document
	raw   storage.DocumentBodies

	layout *layout          // as it was last read; nil until it is needed
	recent map[int64][]byte // bodies of the present round
	packed packed
	buffer []byte // what Pack last gave, if that was short
}

// SourceOf returns the changes of a document, for as long as ctx lasts.
func SourceOf(ctx context.Context, store Reader, cache *Cache, doc id.Document) *Source {
	return &Source{ctx: ctx, store: store, cache: cache, doc: doc, raw: storage.BodiesOf(ctx, store, doc)}
}

// Add remembers the body of a row that was just stored, which must not be modified,
// so that passing it on reads nothing.
func (s *Source) Add(row int64, body []byte) {
	if s.recent == nil {
		s.recent = make(map[int64][]byte)
	}
	s.recent[row] = body
}

// Forget ends the round in which bodies were added.
func (s *Source) Forget() { clear(s.recent) }

// Bodies calls yield with the change chunk of each row, in the order of rows, until
// yield returns false. The chunk is yield's only until it returns.
func (s *Source) Bodies(rows []int64, yield func(body []byte) bool) error {
	for try := 1; ; try++ {
		done := 0
		more := true
		err := s.bodies(rows, func(b []byte) bool {
			done++
			more = yield(b)
			return more
		})
		rows = rows[done:]
		// Rows may be folded, and segments replaced, at any time.
		if err == nil || !more || !moved(err) || try == tries {
			return err
		}
		s.layout = nil
	}
}

func (s *Source) bodies(rows []int64, yield func([]byte) bool) error {
	for len(rows) > 0 {
		if b, ok := s.recent[rows[0]]; ok {
			if !yield(b) {
				return nil
			}
			rows = rows[1:]
			continue
		}
		if s.layout != nil && rows[0] <= s.layout.through() {
			c, err := s.folded(rows[0])
			if err != nil {
				return err
			}
			if !yield(c.Raw()) {
				return nil
			}
			rows = rows[1:]
			continue
		}
		n := 1
		for n < len(rows) && s.recent[rows[n]] == nil && (s.layout == nil || rows[n] > s.layout.through()) {
			n++
		}
		more, done := true, 0
		err := s.raw.Bodies(rows[:n], func(b []byte) bool {
			more = yield(b)
			done++
			return more
		})
		if s.layout == nil && errors.Is(err, storage.ErrFolded) {
			// The usual case is a document without segments: it is looked at only now.
			if err = s.look(); err == nil && s.layout.through() < rows[done] {
				err = fmt.Errorf("row %d of %s is neither in the journal nor in a segment", rows[done], s.doc)
			}
		}
		if err != nil || !more {
			return err
		}
		rows = rows[done:]
	}
	return nil
}

func (s *Source) look() (err error) {
	if s.layout == nil {
		s.layout, err = readLayout(s.ctx, s.store, s.doc)
	}
	return err
}

// folded builds the change of a folded row.
func (s *Source) folded(row int64) (*chunk.Change, error) {
	info, ok := s.layout.segmentOf(row)
	if !ok {
		return nil, fmt.Errorf("row %d of %s: %w", row, s.doc, storage.ErrNotFound)
	}
	opened, err := s.cache.open(s.ctx, s.store, info)
	if err != nil {
		return nil, err
	}
	return opened.change(row)
}
