package doctor

import (
	"context"

	"syncline/crdt/id"
	"syncline/storage"
)

// Kind is what sort of thing is wrong. The package's doc lists them.
type Kind string

// The kinds.
const (
	File       Kind = "file"
	Index      Kind = "index"
	Schema     Kind = "schema"
	Foreign    Kind = "foreign"
	Row        Kind = "row"
	Hash       Kind = "hash"
	Head       Kind = "head"
	Gap        Kind = "gap"
	Unfit      Kind = "unfit"
	Twin       Kind = "twin"
	Heads      Kind = "heads"
	Count      Kind = "count"
	Segment    Kind = "segment"
	SyncState  Kind = "sync-state"
	Applying   Kind = "applying"
	Quarantine Kind = "quarantine"
	Copy       Kind = "copy"
	Record     Kind = "record"
	Core       Kind = "core"
	Projection Kind = "projection"
)

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Kind     Kind
	Document id.Document // zero: the file as a whole
	Row      int64       // of the journal, or 0
	Hash     id.Hash     // the change it is about, or zero
	Name     string      // of an index, a table, a remote or a segment, or ""
	// What is wrong, in words.
	What string
	// Mend is what Repair does about it, in words; "" if it does nothing.
	Mend string
	// Why says why Repair does nothing, and what a person can do; "" with Mend.
	Why string
	// Note: nothing is wrong. It is told because it explains something else.
	Note bool
	// Fixed: Repair has done it.
	Fixed bool

	// Repair does it. nil with a Mend: opening the file as its owner does, which
	// finishes what a start-up has to, is all that is needed.
	Repair func(context.Context, *storage.Mending) error `json:"-"`
	// Open has the owner open the file after Repair, for the rest.
	Open bool `json:"-"`
	// Rows of the journal are exported before Repair is called.
	Rows []int64 `json:"-"`
}

// Report is the outcome of Examine or Repair.
type Report struct {
	Path string
	// Openings is how many stores have the file open, or had when their process died.
	Openings  int64
	Documents int
	Changes   int64
	// Findings as they are now. Mended are those that are no more.
	Findings []Finding
	Mended   []Finding
	// Export is the directory that evidence was written to; "" if there was none.
	Export string
	// Cut is how many findings were left out: of each kind the first thousand of a
	// document are kept.
	Cut int

	tried  map[key]bool // by a Repair
	failed map[key]error
}

// key tells one finding from another.
type key struct {
	kind Kind
	doc  id.Document
	row  int64
	hash id.Hash
	name string
}

func (f *Finding) key() key { return key{f.Kind, f.Document, f.Row, f.Hash, f.Name} }

// Healthy reports whether nothing is wrong.
func (r *Report) Healthy() bool {
	for i := range r.Findings {
		if !r.Findings[i].Note {
			return false
		}
	}
	return true
}

// maxFindings bounds those of one kind in one document.
const maxFindings = 1000
