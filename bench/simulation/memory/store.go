package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncline/crdt/id"
	"syncline/storage"
)

// Store is a disk as one process has it open. Its methods are those of storage.Store.
type Store struct {
	d       *Disk
	opening int64
	closed  bool
}

// Open opens the disk.
func (d *Disk) Open() *Store {
	d.opening++
	d.open[d.opening] = true
	return &Store{d: d, opening: d.opening}
}

// Close is storage.Store's. It may be called again, and after Crash.
func (s *Store) Close() error {
	if s.closed {
		return nil
	}
	for _, r := range s.d.rows {
		if r.by == s.opening {
			r.by = 0 // what was being applied did not end the process
		}
	}
	s.Crash()
	return nil
}

// Crash is what becomes of a store whose process dies.
func (s *Store) Crash() {
	s.closed = true
	delete(s.d.open, s.opening)
}

// StorageID is storage.Store's.
func (s *Store) StorageID() string { return s.d.id }

// Path is empty: there is no file.
func (s *Store) Path() string { return "" }

// LastRow is storage.Store's.
func (s *Store) LastRow() int64 { return s.d.next - 1 }

// Stats counts nothing.
func (s *Store) Stats() storage.Stats { return storage.Stats{} }

func (s *Store) ok(ctx context.Context) error {
	if s.closed {
		return storage.ErrClosed
	}
	return context.Cause(ctx)
}

// AddDocument is storage.Store's.
func (s *Store) AddDocument(ctx context.Context, doc id.Document) error {
	err := s.ok(ctx)
	if err == nil {
		s.d.document(doc)
	}
	return err
}

// Document is storage.Store's.
func (s *Store) Document(ctx context.Context, doc id.Document) (storage.DocumentInfo, error) {
	if err := s.ok(ctx); err != nil {
		return storage.DocumentInfo{}, err
	}
	if d := s.d.byDoc[doc]; d != nil {
		return d.info, nil
	}
	return storage.DocumentInfo{}, fmt.Errorf("read document %s: %w", doc, storage.ErrNotFound)
}

// KnownDocuments is storage.Store's.
func (s *Store) KnownDocuments(ctx context.Context, fn func(storage.DocumentInfo) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	for _, d := range slices.Clone(s.d.docs) {
		if err := fn(d.info); err != nil {
			return err
		}
	}
	return nil
}

// Append is storage.Store's.
func (s *Store) Append(ctx context.Context, b storage.Batch) ([]int64, error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	if err := s.d.fit(b.Projections); err != nil {
		return nil, err
	}
	return s.append(b), nil
}

// Journal is storage.Store's.
func (s *Store) Journal(ctx context.Context, doc id.Document, afterRow int64, fn func(row int64, hash id.Hash, head []byte) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	d := s.d.byDoc[doc]
	if d == nil {
		return nil
	}
	for _, n := range slices.Clone(d.rows) {
		if n > afterRow {
			if err := fn(n, s.d.rows[n].hash, s.d.rows[n].head); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bodies is storage.Store's.
func (s *Store) Bodies(ctx context.Context, doc id.Document, rows []int64, fn func(row int64, body []byte) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	rows = slices.Sorted(slices.Values(rows))
	for _, n := range slices.Compact(rows) {
		r := s.d.rows[n]
		if r == nil || r.doc.info.Doc != doc {
			return fmt.Errorf("read bodies of %s: row %d: %w", doc, n, storage.ErrNotFound)
		}
		if err := fn(n, r.body); err != nil {
			return err
		}
	}
	return nil
}

// Quarantined is storage.Store's.
func (s *Store) Quarantined(ctx context.Context, doc id.Document, fn func(storage.Evidence) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	if d := s.d.byDoc[doc]; d != nil {
		for _, e := range slices.Clone(d.quarantine) {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// Segments is storage.Store's: there are none.
func (s *Store) Segments(ctx context.Context, _ id.Document, _ func(storage.Segment) error) error {
	return s.ok(ctx)
}

// SegmentIndex is storage.Store's.
func (s *Store) SegmentIndex(context.Context, int64) ([]byte, error) { return nil, storage.ErrNotFound }

// SegmentBody is storage.Store's.
func (s *Store) SegmentBody(context.Context, int64) ([]byte, error) { return nil, storage.ErrNotFound }

// Applying is storage.Store's.
func (s *Store) Applying(ctx context.Context, doc id.Document) ([]storage.Mark, error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	d := s.d.byDoc[doc]
	if d == nil {
		return nil, nil
	}
	return s.marks(d.rows, func(*row) bool { return true }), nil
}

// Interrupted is storage.Store's.
func (s *Store) Interrupted(ctx context.Context) ([]storage.Mark, error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	return s.marks(slices.Sorted(maps.Keys(s.d.rows)), func(r *row) bool { return r.by != 0 && !s.d.open[r.by] }), nil
}

func (s *Store) marks(rows []int64, wanted func(*row) bool) (all []storage.Mark) {
	for _, n := range rows {
		r := s.d.rows[n]
		if !r.applying || !wanted(r) {
			continue
		}
		m := storage.Mark{Doc: r.doc.info.Doc, Row: n, Hash: r.hash, By: r.by}
		switch {
		case r.by == 0:
		case r.by == s.opening:
			m.State = storage.MarkOurs
		case s.d.open[r.by]:
			m.State = storage.MarkElsewhere
		default:
			m.State = storage.MarkInterrupted
		}
		all = append(all, m)
	}
	return all
}

// BeginApplying is storage.Store's.
func (s *Store) BeginApplying(ctx context.Context, rows []int64) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	for _, n := range rows {
		if r := s.d.rows[n]; r != nil && r.applying && r.by != 0 && r.by != s.opening && s.d.open[r.by] {
			return fmt.Errorf("begin to apply %d changes: %w", len(rows), storage.ErrApplying)
		}
	}
	for _, n := range rows {
		if r := s.d.rows[n]; r != nil && r.applying {
			r.by = s.opening
		}
	}
	return nil
}

// EndApplying is storage.Store's.
func (s *Store) EndApplying(ctx context.Context, rows []int64) error {
	err := s.ok(ctx)
	if err == nil {
		s.d.applied(rows)
	}
	return err
}

// ResetApplying is storage.Store's.
func (s *Store) ResetApplying(ctx context.Context, rows []int64) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	for _, n := range rows {
		if r := s.d.rows[n]; r != nil {
			r.by = 0
		}
	}
	return nil
}

// SyncState is storage.Store's.
func (s *Store) SyncState(ctx context.Context, doc id.Document, remote string) ([]byte, error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	if d := s.d.byDoc[doc]; d != nil {
		return d.states[remote], nil
	}
	return nil, nil
}

// SyncStates is storage.Store's.
func (s *Store) SyncStates(ctx context.Context, doc id.Document, fn func(remote string, state []byte) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	d := s.d.byDoc[doc]
	if d == nil {
		return nil
	}
	for _, remote := range slices.Sorted(maps.Keys(d.states)) {
		if err := fn(remote, d.states[remote]); err != nil {
			return err
		}
	}
	return nil
}

// SaveSyncState is storage.Store's.
func (s *Store) SaveSyncState(ctx context.Context, doc id.Document, remote string, state []byte) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	d := s.d.document(doc)
	if state == nil {
		delete(d.states, remote)
	} else {
		d.states[remote] = slices.Clone(state)
	}
	return nil
}

// Undelivered is storage.Store's.
func (s *Store) Undelivered(ctx context.Context, fn func(storage.Undelivered) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	for _, d := range slices.Clone(s.d.docs) {
		for _, remote := range slices.Sorted(maps.Keys(d.undelivered)) {
			if err := fn(d.undelivered[remote]); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetUndelivered is storage.Store's.
func (s *Store) SetUndelivered(ctx context.Context, doc id.Document, remote string, record []byte) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	if record == nil {
		if d := s.d.byDoc[doc]; d != nil {
			delete(d.undelivered, remote)
		}
		return nil
	}
	s.d.document(doc).undelivered[remote] = storage.Undelivered{Doc: doc, Remote: remote, Time: s.d.now(s.d.Now()), Record: slices.Clone(record)}
	return nil
}

// Operation is storage.Store's.
func (s *Store) Operation(ctx context.Context, number int64) (storage.Operation, error) {
	if err := s.ok(ctx); err != nil {
		return storage.Operation{}, err
	}
	if r := s.d.rows[number]; r != nil && r.operation != nil {
		return *r.operation, nil
	}
	return storage.Operation{}, fmt.Errorf("read operation %d: %w", number, storage.ErrNotFound)
}

// Operations is storage.Store's.
func (s *Store) Operations(ctx context.Context, doc id.Document, after int64, fn func(storage.Operation) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	d := s.d.byDoc[doc]
	if d == nil {
		return nil
	}
	for _, n := range slices.Clone(d.rows) {
		if o := s.d.rows[n].operation; o != nil && n > after {
			if err := fn(*o); err != nil {
				return err
			}
		}
	}
	return nil
}

// Value is storage.Store's.
func (s *Store) Value(ctx context.Context, key string) ([]byte, error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	if v, ok := s.d.meta[key]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("read %q: %w", key, storage.ErrNotFound)
}

// Values is storage.Store's.
func (s *Store) Values(ctx context.Context, prefix string, fn func(rest string, value []byte) error) error {
	if err := s.ok(ctx); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(s.d.meta)) {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			if err := fn(rest, s.d.meta[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetValue is storage.Store's.
func (s *Store) SetValue(ctx context.Context, key string, value []byte) error {
	err := s.ok(ctx)
	if err == nil {
		s.d.meta[key] = append([]byte{}, value...)
	}
	return err
}

// SetPassing is storage.Store's.
func (s *Store) SetPassing(ctx context.Context, key string, value []byte) error {
	return s.SetValue(ctx, key, value)
}

// InitValue is storage.Store's.
func (s *Store) InitValue(ctx context.Context, key string, value []byte) ([]byte, error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	if _, ok := s.d.meta[key]; !ok {
		s.d.meta[key] = append([]byte{}, value...)
	}
	return s.d.meta[key], nil
}

// DeleteValue is storage.Store's.
func (s *Store) DeleteValue(ctx context.Context, key string) error {
	err := s.ok(ctx)
	if err == nil {
		delete(s.d.meta, key)
	}
	return err
}

// DocumentsBetween is storage.Store's.
func (s *Store) DocumentsBetween(ctx context.Context, after, through int64) (docs []id.Document, err error) {
	if err := s.ok(ctx); err != nil {
		return nil, err
	}
	for n := after + 1; n <= min(through, s.d.next-1); n++ {
		if r := s.d.rows[n]; r != nil && !slices.Contains(docs, r.doc.info.Doc) {
			docs = append(docs, r.doc.info.Doc)
		}
	}
	return docs, nil
}

// Watch is not modelled: there are no other processes.
func (s *Store) Watch(context.Context, int64, func(storage.Arrival) error) error {
	return errors.ErrUnsupported
}
