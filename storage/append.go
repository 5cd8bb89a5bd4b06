package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"syncline/crdt/id"
)

// Limits of what is stored. Callers have tighter ones of their own.
const (
	// MaxBody is the largest head, body or other byte string: half of what
	// SQLite allows in a row, in bytes.
	MaxBody = 500_000_000
	// MaxName is the longest actor, origin, remote, reason or key in bytes.
	MaxName = 1024
)

// Entry is one change as the journal keeps it.
type Entry struct {
	Doc      id.Document
	Hash     id.Hash
	Actor    id.Actor
	ActorSeq uint64
	Origin   string    // which end it came from, as the caller names it
	Time     time.Time // kept in milliseconds; zero: the time of the transaction
	Head     []byte    // what the hash graph needs
	Body     []byte    // the chunk
	// Applying marks the row, unless it was there before, until Batch.Applied
	// names it.
	Applying bool
	// Operation is the record of what was done here that made this change, kept
	// under the row unless that was there before. nil: somebody else made it.
	Operation []byte
}

// Batch is what one Append stores, whole or not at all.
type Batch struct {
	Entries []Entry
	// Heads are, for some documents, their heads with the entries added.
	Heads map[id.Document][]id.Hash
	// Quarantine is evidence to keep with the entries.
	Quarantine []Evidence
	// Applied are rows whose marks are taken away; see Entry.Applying.
	Applied []int64
	// Projections are what the entries, and those before them, did to the rows of
	// tables.
	Projections []*Projection
}

// Append stores a batch and returns the row of each entry, in order. It returns
// after the batch is durable, shares its transaction with other callers', and
// keeps the batch's byte strings only until then. An entry whose document and
// hash are already in the journal, or earlier in the batch, gets the row they
// have; its other fields are not looked at. One whose row was folded is not
// recognised and gets another: callers ask their graph first, which has all.
//
// Errors: ErrInvalid, ErrDeleting, ErrFull, ErrReadOnly, ErrIO, ErrBusy, ErrDamaged,
// ErrClosed, or ctx's; with any of them nothing of the batch is stored. A
// context that ends once the transaction has begun is not heeded.
func (s *Store) Append(ctx context.Context, b Batch) (rows []int64, err error) {
	return s.append(ctx, b, nil)
}

func (s *Store) append(ctx context.Context, b Batch, queued func()) (rows []int64, err error) {
	size, err := b.check()
	if err != nil {
		return nil, fmt.Errorf("append %d changes: %w", len(b.Entries), err)
	}
	err = s.writer.queue.do(&job{ctx: ctx, size: size, queued: queued, run: func(t *tx) error {
		rows, err = t.append(&b)
		return err
	}})
	if err != nil {
		return nil, fmt.Errorf("append %d changes to %s: %w", len(b.Entries), s.path, err)
	}
	return rows, nil
}

// entryOverhead is about what an entry costs beside its head and body, in bytes.
const entryOverhead = 160

// markOverhead is about what taking a mark away costs.
const markOverhead = 16

// check refuses what the schema would and returns the size.
func (b *Batch) check() (size int64, err error) {
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.ActorSeq > math.MaxInt64 {
			return 0, fmt.Errorf("change %s: %w: actor sequence %d", e.Hash, ErrInvalid, e.ActorSeq)
		}
		err := errors.Join(checkName("actor", string(e.Actor)), checkName("origin", e.Origin), checkBytes("head", e.Head), checkBytes("body", e.Body), checkBytes("operation", e.Operation))
		if err != nil {
			return 0, fmt.Errorf("change %s: %w", e.Hash, err)
		}
		size += entryOverhead + int64(len(e.Head)+len(e.Body)+len(e.Operation))
	}
	for doc, heads := range b.Heads {
		if len(heads) > MaxBody/len(id.Hash{}) {
			return 0, fmt.Errorf("document %s: %w: %d heads", doc, ErrInvalid, len(heads))
		}
		size += entryOverhead + int64(len(heads)*len(id.Hash{}))
	}
	for i := range b.Quarantine {
		n, err := b.Quarantine[i].check()
		if err != nil {
			return 0, err
		}
		size += n
	}
	for _, p := range b.Projections {
		size += p.size()
	}
	return size + markOverhead*int64(len(b.Applied)), nil
}

func checkName(what, s string) error {
	if len(s) > MaxName {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrInvalid, what, len(s), MaxName)
	}
	return nil
}

func checkBytes(what string, b []byte) error {
	if len(b) > MaxBody {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrInvalid, what, len(b), MaxBody)
	}
	return nil
}

// touched is what a batch did to one document.
type touched struct {
	id                 int64 // in documents
	changes, bytes     int64 // added
	lastRow            int64
	heads              []id.Hash
	projected          any // the row up to which the tables show it, if that has moved
	setHeads, appended bool
}

// append stores the entries in chunks of as many rows as one statement takes.
// It numbers the rows itself: it holds the write lock, so nobody else can.
func (t *tx) append(b *Batch) ([]int64, error) {
	docs := make(map[id.Document]*touched)
	touch := func(doc id.Document) (*touched, error) {
		if d := docs[doc]; d != nil {
			return d, nil
		}
		n, err := t.document(doc)
		if err != nil {
			return nil, err
		}
		d := &touched{id: n}
		docs[doc] = d
		return d, nil
	}
	rows := make([]int64, len(b.Entries))
	now := t.now.UnixMilli()
	var args []any
	for done := 0; done < len(b.Entries); {
		n := 1
		for _, size := range insertSizes {
			if len(b.Entries)-done >= size {
				n = size
				break
			}
		}
		args = args[:0]
		for i := range n {
			e := &b.Entries[done+i]
			d, err := touch(e.Doc)
			if err != nil {
				return nil, err
			}
			ms := now
			if !e.Time.IsZero() {
				ms = e.Time.UnixMilli()
			}
			args = append(args, t.next+int64(i), d.id, e.Hash[:], []byte(e.Actor), int64(e.ActorSeq), e.Origin, ms, blob(e.Head), blob(e.Body))
		}
		if err := t.insert(b.Entries[done:done+n], rows[done:done+n], docs, args); err != nil {
			return nil, err
		}
		done += n
	}
	for doc, heads := range b.Heads {
		d, err := touch(doc)
		if err != nil {
			return nil, err
		}
		d.heads, d.setHeads = heads, true
	}
	for _, p := range b.Projections {
		d, err := touch(p.Doc)
		if err != nil {
			return nil, err
		}
		through, err := t.project(d.id, p, d.lastRow)
		if err != nil {
			return nil, err
		}
		if p.Kept && !p.More {
			d.projected = through
		}
	}
	for doc, d := range docs {
		if err := t.update(d); err != nil {
			return nil, fmt.Errorf("document %s: %w", doc, err)
		}
	}
	for i := range b.Quarantine {
		if err := t.quarantine(&b.Quarantine[i]); err != nil {
			return nil, err
		}
	}
	if err := t.applied(b.Applied); err != nil {
		return nil, err
	}
	return rows, nil
}

// insertSizes are the numbers of rows that one statement inserts: many, so that
// its cost is shared, and few of them, because each is a prepared statement.
var insertSizes = [...]int{64, 8, 1}

// insertStatements returns the statement for each size.
func insertStatements() map[int]string {
	m := make(map[int]string)
	for _, n := range insertSizes {
		m[n] = insertSQL(n)
	}
	return m
}

func insertSQL(n int) string {
	return `INSERT INTO journal (seq, document, hash, actor, actor_seq, origin, time_ms, head, body) VALUES ` +
		strings.Repeat(`(?,?,?,?,?,?,?,?,?),`, n-1) + `(?,?,?,?,?,?,?,?,?) ON CONFLICT (document, hash) DO NOTHING`
}

// insert stores entries with the numbers that args holds for them, writes the
// rows they have into rows, and moves t.next on.
func (t *tx) insert(entries []Entry, rows []int64, docs map[id.Document]*touched, args []any) error {
	r, err := t.result(t.w.inserts[len(entries)], args...)
	if err != nil {
		return fmt.Errorf("insert %d rows: %w", len(entries), err)
	}
	added, err := r.RowsAffected()
	if err != nil {
		return err
	}
	after := t.next
	for i := range entries {
		e := &entries[i]
		d := docs[e.Doc]
		row := t.next + int64(i)
		if added < int64(len(entries)) {
			// Some were there before; these statements say which and where.
			if row, err = t.int64(`SELECT seq FROM journal WHERE document = ? AND hash = ?`, d.id, e.Hash[:]); err != nil {
				return fmt.Errorf("find change %s: %w", e.Hash, err)
			}
		}
		rows[i] = row
		if row != t.next+int64(i) {
			continue
		}
		after = row + 1
		d.changes++
		d.bytes += int64(len(e.Body))
		d.lastRow, d.appended = row, true
		t.rows++
		t.bytes += int64(len(e.Head) + len(e.Body))
		if e.Applying {
			if err := t.mark(d.id, row); err != nil {
				return fmt.Errorf("mark change %s: %w", e.Hash, err)
			}
		}
		if e.Operation != nil {
			if err := t.note(d.id, row, e); err != nil {
				return err
			}
		}
	}
	t.next = after
	if added == int64(len(entries)) {
		return nil
	}
	// SQLite counts the numbers of refused rows as given. They were not, and
	// the count is what tells of rows from elsewhere.
	if err := t.exec(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'journal'`, t.next-1); err != nil {
		return fmt.Errorf("set the last row: %w", err)
	}
	return nil
}

// document returns the number of a document, making it known if it is not.
func (t *tx) document(doc id.Document) (int64, error) {
	n, err := t.known(doc)
	if !errors.Is(err, ErrNotFound) {
		return n, err
	}
	r, err := t.result(`INSERT INTO documents (doc, created_ms, projected_row)
		VALUES (?, ?, (SELECT iif(generation > 0, 0, -1) FROM projecting)) ON CONFLICT (doc) DO NOTHING`, doc[:], t.now.UnixMilli())
	if err != nil {
		return 0, fmt.Errorf("make document %s known: %w", doc, err)
	}
	if made, err := r.RowsAffected(); err != nil || made == 0 {
		return 0, errors.Join(err, fmt.Errorf("document %s: %w", doc, ErrDeleting))
	}
	return r.LastInsertId()
}

// known returns the number of a document; ErrNotFound if it is not known.
func (t *tx) known(doc id.Document) (int64, error) {
	return t.int64(`SELECT id FROM documents WHERE doc = ? AND deleting = 0`, doc[:])
}

func (t *tx) update(d *touched) error {
	if d.appended {
		err := t.exec(`UPDATE documents SET changes = changes + ?1, bytes = bytes + ?2, last_row = ?3,
			raw_changes = raw_changes + ?1, raw_bytes = raw_bytes + ?2, projected_row = ifnull(?4, projected_row) WHERE id = ?5`,
			d.changes, d.bytes, d.lastRow, d.projected, d.id)
		if err != nil {
			return fmt.Errorf("count changes: %w", err)
		}
	} else if d.projected != nil {
		if err := t.exec(`UPDATE documents SET projected_row = ? WHERE id = ?`, d.projected, d.id); err != nil {
			return fmt.Errorf("move the projected row: %w", err)
		}
	}
	if d.setHeads {
		if err := t.exec(`UPDATE documents SET heads = ? WHERE id = ?`, joinHashes(d.heads), d.id); err != nil {
			return fmt.Errorf("write heads: %w", err)
		}
	}
	return nil
}

// blob makes nil an empty blob; the driver would store NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// joinHashes sorts and concatenates hashes.
func joinHashes(hs []id.Hash) []byte {
	sorted := append([]id.Hash(nil), hs...)
	id.SortHashes(sorted)
	b := make([]byte, 0, len(sorted)*len(id.Hash{}))
	for _, h := range sorted {
		b = append(b, h[:]...)
	}
	return b
}

// splitHashes is the reverse of joinHashes. The schema holds the length.
func splitHashes(b []byte) []id.Hash {
	hs := make([]id.Hash, len(b)/len(id.Hash{}))
	for i := range hs {
		hs[i] = id.Hash(b[i*len(id.Hash{}):])
	}
	return hs
}
