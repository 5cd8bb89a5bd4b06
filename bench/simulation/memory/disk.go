// Package memory is a model of a storage.Store: what a peer and a relay use of one,
// in memory and in plain Go. Simulations run on it in great numbers, where files would
// take too long, and a property test holds it to what the real one answers. It knows
// nothing of segments, which have simulations of their own.
package memory

import (
	"maps"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/storage"
)

// Disk is what outlives a process: open a Store on it, or several in turn. It is for
// one goroutine.
type Disk struct {
	// Now is the clock of what is stored.
	Now func() time.Time

	id      string
	next    int64 // the row to be given next
	docs    []*document
	byDoc   map[id.Document]*document
	meta    map[string][]byte
	opening int64 // the last one
	open    map[int64]bool
	rows    map[int64]*row
	tables  tables
}

type document struct {
	info        storage.DocumentInfo
	rows        []int64
	have        map[id.Hash]int64
	quarantine  []storage.Evidence
	quarantined map[id.Hash]bool
	states      map[string][]byte
	undelivered map[string]storage.Undelivered
	shown       shown
}

type row struct {
	doc        *document
	hash       id.Hash
	head, body []byte
	applying   bool
	by         int64 // the opening that has begun to apply it
	operation  *storage.Operation
}

// NewDisk returns an empty disk whose storage id is given.
func NewDisk(storageID string, now func() time.Time) *Disk {
	return &Disk{
		Now: now, id: storageID, next: 1, byDoc: map[id.Document]*document{}, meta: map[string][]byte{},
		open: map[int64]bool{}, rows: map[int64]*row{},
	}
}

// ID is the storage id.
func (d *Disk) ID() string { return d.id }

// Clone returns a copy as it is now, which nobody has open: a backup, or what a machine
// finds after a crash. Byte strings are shared, as nobody writes into them.
func (d *Disk) Clone() *Disk {
	c := &Disk{
		Now: d.Now, id: d.id, next: d.next, opening: d.opening, meta: maps.Clone(d.meta),
		byDoc: make(map[id.Document]*document, len(d.byDoc)), open: map[int64]bool{}, rows: make(map[int64]*row, len(d.rows)),
		tables: d.tables,
	}
	moved := make(map[*document]*document, len(d.docs))
	for _, old := range d.docs {
		doc := *old
		doc.rows, doc.have = slices.Clone(old.rows), maps.Clone(old.have)
		doc.quarantine, doc.quarantined = slices.Clone(old.quarantine), maps.Clone(old.quarantined)
		doc.states, doc.undelivered = maps.Clone(old.states), maps.Clone(old.undelivered)
		doc.shown = old.shown.clone()
		moved[old] = &doc
		c.docs = append(c.docs, &doc)
		c.byDoc[doc.info.Doc] = &doc
	}
	for n, old := range d.rows {
		r := *old
		r.doc = moved[old.doc]
		c.rows[n] = &r
	}
	return c
}

// document returns a document, which is made known if it is not.
func (d *Disk) document(doc id.Document) *document {
	known := d.byDoc[doc]
	if known == nil {
		known = &document{
			info:  storage.DocumentInfo{Doc: doc, Created: d.now(time.Time{}), Heads: []id.Hash{}},
			shown: shown{rows: map[cell]storage.EntityRow{}},
			have:  map[id.Hash]int64{}, quarantined: map[id.Hash]bool{}, states: map[string][]byte{}, undelivered: map[string]storage.Undelivered{},
		}
		if d.tables.generation == 0 {
			known.shown.through = -1
		}
		d.docs = append(d.docs, known)
		d.byDoc[doc] = known
	}
	return known
}

// now is a time as it is kept: in milliseconds, and the clock's if it is zero.
func (d *Disk) now(t time.Time) time.Time {
	if t.IsZero() {
		t = d.Now()
	}
	return time.UnixMilli(t.UnixMilli())
}

func (s *Store) append(b storage.Batch) []int64 {
	d := s.d
	before := make([]int64, len(b.Projections))
	for i, p := range b.Projections {
		if doc := d.byDoc[p.Doc]; doc != nil {
			before[i] = doc.info.LastRow
		}
	}
	rows := make([]int64, len(b.Entries))
	for done := 0; done < len(b.Entries); {
		// As many at a time as the real one inserts: a row that is there leaves a gap.
		n := 1
		for _, size := range [...]int{64, 8} {
			if len(b.Entries)-done >= size {
				n = size
				break
			}
		}
		after := d.next
		for i := range n {
			number := d.next + int64(i)
			rows[done+i] = d.insert(&b.Entries[done+i], number)
			if rows[done+i] == number {
				after = number + 1
			}
		}
		d.next = after
		done += n
	}
	for doc, heads := range b.Heads {
		heads = append([]id.Hash{}, heads...)
		id.SortHashes(heads)
		d.document(doc).info.Heads = heads
	}
	for i, p := range b.Projections {
		s.project(d.document(p.Doc), p, before[i])
	}
	for _, e := range b.Quarantine {
		doc := d.document(e.Doc)
		if !doc.quarantined[e.Hash] {
			e.Time, e.Body = d.now(e.Time), append([]byte{}, e.Body...)
			doc.quarantined[e.Hash] = true
			doc.quarantine = append(doc.quarantine, e)
		}
	}
	d.applied(b.Applied)
	return rows
}

// insert gives an entry the row, unless it has one.
func (d *Disk) insert(e *storage.Entry, number int64) int64 {
	doc := d.document(e.Doc)
	if old, ok := doc.have[e.Hash]; ok {
		return old
	}
	r := &row{doc: doc, hash: e.Hash, head: slices.Clone(e.Head), body: slices.Clone(e.Body), applying: e.Applying}
	if e.Operation != nil {
		r.operation = &storage.Operation{Doc: e.Doc, Row: number, Hash: e.Hash, Time: d.now(e.Time), Record: slices.Clone(e.Operation)}
	}
	d.rows[number] = r
	doc.have[e.Hash] = number
	doc.rows = append(doc.rows, number)
	i := &doc.info
	i.Changes, i.Bytes, i.LastRow = i.Changes+1, i.Bytes+int64(len(e.Body)), number
	i.RawChanges, i.RawBytes = i.Changes, i.Bytes
	return number
}

func (d *Disk) applied(rows []int64) {
	for _, n := range rows {
		if r := d.rows[n]; r != nil {
			r.applying, r.by = false, 0
		}
	}
}
