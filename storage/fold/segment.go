package fold

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// Kinds of segments, as storage.Segment has them: the types of their chunks.
const (
	kindDocument = 0
	kindBundle   = 3
)

// segment is a bundle with its index, opened to build single changes.
type segment struct {
	info   storage.Segment
	run    *graph.Run
	bundle *chunk.Bundle
	hashes []id.Hash
}

// change builds the change of a row.
func (s *segment) change(row int64) (*chunk.Change, error) {
	i, ok := s.run.Find(row)
	if !ok {
		return nil, fmt.Errorf("segment %d does not hold row %d", s.info.ID, row)
	}
	c, err := s.bundle.Change(i, s.hashes)
	if err != nil {
		return nil, fmt.Errorf("segment %d, row %d: %w", s.info.ID, row, err)
	}
	if c.Hash != s.hashes[i] {
		return nil, fmt.Errorf("segment %d gives change %s for row %d, which was %s; restore the database from a backup", s.info.ID, c.Hash, row, s.hashes[i])
	}
	return c, nil
}

// cost is about what the opened segment takes in memory.
func (s *segment) cost() int64 {
	return s.info.IndexSize + 4*s.info.Size + 200*s.info.Rows
}

// Cache keeps opened segments: people edit where they edited before, and each edit
// is checked against the changes that it refers to. One serves all documents of a
// store.
type Cache struct {
	limit int64

	mu   sync.Mutex
	held int64
	byID map[int64]*list.Element // of *segment
	used *list.List              // the one used last is in front
}

// NewCache returns a cache that holds about limit bytes.
func NewCache(limit int64) *Cache {
	return &Cache{limit: limit, byID: map[int64]*list.Element{}, used: list.New()}
}

// open returns a segment from the cache or from the store. Segments do not
// change, and their ids are given once.
func (c *Cache) open(ctx context.Context, store Reader, info storage.Segment) (*segment, error) {
	if s := c.find(info.ID); s != nil {
		return s, nil
	}
	run, err := openRun(ctx, store, info)
	if err != nil {
		return nil, err
	}
	body, err := store.SegmentBody(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	s := &segment{info: info, run: run, hashes: make([]id.Hash, run.Len())}
	if s.bundle, err = chunk.OpenBundle(body); err != nil {
		return nil, fmt.Errorf("segment %d: %w", info.ID, err)
	}
	if s.bundle.Len() != run.Len() {
		return nil, fmt.Errorf("segment %d has %d changes and an index of %d", info.ID, s.bundle.Len(), run.Len())
	}
	for i := range s.hashes {
		s.hashes[i] = run.Hash(i)
	}
	c.keep(s)
	return s, nil
}

func openRun(ctx context.Context, store Reader, info storage.Segment) (*graph.Run, error) {
	index, err := store.SegmentIndex(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	run, err := graph.OpenRun(index)
	if err != nil {
		return nil, fmt.Errorf("segment %d: %w", info.ID, err)
	}
	return run, nil
}

func (c *Cache) find(id int64) *segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*segment)
}

func (c *Cache) keep(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[s.info.ID] != nil {
		return // another reader was faster
	}
	c.byID[s.info.ID] = c.used.PushFront(s)
	for c.held += s.cost(); c.held > c.limit && c.used.Len() > 1; {
		old := c.used.Remove(c.used.Back()).(*segment)
		delete(c.byID, old.info.ID)
		c.held -= old.cost()
	}
}
