package chunk

import (
	"fmt"
	"iter"
	"slices"

	"syncline/crdt/id"
)

// ParseChunks decodes concatenated chunks of any type, validating every change.
// Document chunks and bundles are expanded into their changes. The result keeps b,
// which must not be modified afterwards.
func ParseChunks(b []byte) ([]*Change, error) { return collect(Changes(b)) }

// Changes is ParseChunks one change after the other, for input that is not to lie
// in memory as changes. It ends after an error; what came before it was valid.
func Changes(b []byte) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		actors := actorTable{}
		for len(b) > 0 {
			rest, more, err := changesOf(b, actors, func(c *Change) bool { return yield(c, nil) })
			if err != nil {
				yield(nil, err)
			}
			if err != nil || !more {
				return
			}
			b = rest
		}
	}
}

// changesOf yields the changes of the first chunk in b.
func changesOf(b []byte, actors actorTable, yield func(*Change) bool) (rest []byte, more bool, err error) {
	typ, whole, body, rest, err := split(b)
	if err != nil {
		return nil, false, err
	}
	hash, err := hashOf(whole)
	if err != nil {
		return nil, false, err
	}
	switch typ {
	case typeDocument:
		more, err = expand(body, actors, yield)
	case typeBundle:
		more, err = unbundle(body, actors, yield)
	default:
		var c *Change
		if c, err = parseChange(whole, body, hash, actors); err == nil {
			more = yield(c)
		}
	}
	return rest, more, err
}

func unbundle(body []byte, actors actorTable, yield func(*Change) bool) (more bool, err error) {
	b, err := openBundle(body, actors)
	if err != nil {
		return false, err
	}
	for c, err := range b.Changes() {
		if err != nil || !yield(c) {
			return false, err
		}
	}
	return true, nil
}

func collect(changes iter.Seq2[*Change, error]) (out []*Change, err error) {
	for c, err := range changes {
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// ParseDocument expands one document chunk into the changes it stands for, in
// an order in which deps come first. Their hashes are checked against the heads
// that the chunk states.
func ParseDocument(b []byte) ([]*Change, error) {
	typ, whole, body, rest, err := split(b)
	if err != nil {
		return nil, err
	}
	if typ != typeDocument || len(rest) > 0 {
		return nil, malformed("it is not one document chunk")
	}
	if _, err := hashOf(whole); err != nil {
		return nil, err
	}
	var out []*Change
	if _, err := expand(body, actorTable{}, func(c *Change) bool { out = append(out, c); return true }); err != nil {
		return nil, err
	}
	return out, nil
}

// The columns of a document chunk: id<<4 | type. The others are those of a change.
const (
	colDocIDActor    = 0x21
	colDocIDCtr      = 0x23
	colDocSuccCount  = 0x80
	colDocSuccActor  = 0x81
	colDocSuccCtr    = 0x83
	colDocActor      = 0x01
	colDocSeq        = 0x03
	colDocMaxOp      = 0x13
	colDocTime       = 0x23
	colDocMessage    = 0x35
	colDocDepCount   = 0x40
	colDocDepIndex   = 0x43
	colDocExtraMeta  = 0x56
	colDocExtraValue = 0x57
	deflatedColumn   = 0x08
)

// document is a document chunk on its way to changes.
type document struct {
	actors []id.Actor
	heads  []id.Hash
	budget int // inflated bytes left
	rows   uint64
	ops    []docOp
	order  []uint32 // all of ops, by actor and counter
	succs  []succ
	marks  []markName // in the order of ops
	keys   []string   // of map keys and mark names, named by index
	values []byte
}

// expand yields the changes of a document chunk. If it ends with an error, those
// before it were valid one by one.
func expand(body []byte, actors actorTable, yield func(*Change) bool) (more bool, err error) {
	d := &document{budget: MaxDocumentBytes}
	r := &reader{buf: body}
	if err := d.readHeader(r, actors); err != nil {
		return false, malformed("document: %w", err)
	}
	changeCols, opCols, err := d.readColumns(r)
	if err != nil {
		return false, malformed("document: %w", err)
	}
	// Indexes of the heads among the changes may follow; the heads say the same.
	d.rows = freeDocumentRows + documentRowsPerByte*uint64(MaxDocumentBytes-d.budget)
	if err := d.readOps(opCols); err != nil {
		return false, malformed("document operations: %w", err)
	}
	if more, err = d.rebuild(changeCols, actors, yield); err != nil {
		return false, malformed("document changes: %w", err)
	}
	return more, nil
}

func (d *document) readHeader(r *reader, actors actorTable) error {
	n, err := r.uint()
	if err != nil || n > uint64(r.rest()) {
		return fmt.Errorf("number of actors: %w", orRange(err))
	}
	for range n {
		a, err := r.actor(actors)
		if err != nil {
			return fmt.Errorf("actors: %w", err)
		}
		if k := len(d.actors); k > 0 && d.actors[k-1] >= a {
			return fmt.Errorf("actors are not in ascending order")
		}
		d.actors = append(d.actors, a)
	}
	if n, err = r.uint(); err != nil || n > uint64(r.rest())/32 {
		return fmt.Errorf("number of heads: %w", orRange(err))
	}
	for range n {
		b, _ := r.take(32)
		d.heads = append(d.heads, id.Hash(b))
	}
	return nil
}

// columnSet holds the columns of a table by their specification.
type columnSet map[uint64][]byte

// readColumns reads both column tables and then their data, inflated.
func (d *document) readColumns(r *reader) (changes, ops columnSet, err error) {
	type entry struct{ spec, size uint64 }
	var tables [2][]entry
	for i := range tables {
		n, err := r.uint()
		if err != nil || n > uint64(r.rest())/2 {
			return nil, nil, fmt.Errorf("column table: %w", orRange(err))
		}
		for range n {
			var e entry
			if e.spec, err = r.uint(); err != nil {
				return nil, nil, fmt.Errorf("column table: %w", err)
			}
			if e.size, err = r.uint(); err != nil {
				return nil, nil, fmt.Errorf("column table: %w", err)
			}
			tables[i] = append(tables[i], e)
		}
	}
	sets := [2]columnSet{{}, {}}
	for i, table := range tables {
		for _, e := range table {
			data, err := r.take(e.size)
			if err != nil {
				return nil, nil, fmt.Errorf("column %#x: %w", e.spec, err)
			}
			spec := e.spec &^ deflatedColumn
			if e.spec&deflatedColumn != 0 {
				if data, err = inflate(data, d.budget); err != nil {
					return nil, nil, fmt.Errorf("column %#x: %w", e.spec, err)
				}
			}
			if d.budget -= len(data); d.budget < 0 {
				return nil, nil, fmt.Errorf("its columns inflate past the limit of %d bytes", MaxDocumentBytes)
			}
			if _, twice := sets[i][spec]; twice {
				return nil, nil, fmt.Errorf("column %#x stands twice", spec)
			}
			sets[i][spec] = data
		}
	}
	return sets[0], sets[1], nil
}

// take removes a column from the set; what is left in the end is unknown.
func (s columnSet) take(spec uint64) []byte {
	b := s[spec]
	delete(s, spec)
	return b
}

func (s columnSet) empty() error {
	for spec, b := range s {
		if len(b) > 0 {
			return fmt.Errorf("column %#x is unknown", spec)
		}
	}
	return nil
}

// checkHeads compares the heads that the chunk states with those of its changes.
func (d *document) checkHeads(heads []id.Hash) error {
	id.SortHashes(heads)
	id.SortHashes(d.heads)
	if !slices.Equal(heads, d.heads) {
		return fmt.Errorf("the hashes of its changes do not lead to the heads it states")
	}
	return nil
}
