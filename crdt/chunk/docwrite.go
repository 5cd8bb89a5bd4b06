package chunk

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"syncline/crdt/id"
)

// ErrNotDocument is what the error of EncodeDocument wraps when the changes are
// readable but a document chunk cannot hold them so that they come out of it as
// they were. They have to be kept as changes or bundles.
var ErrNotDocument = errors.New("these changes make no document chunk")

func notDocument(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrNotDocument, fmt.Errorf(format, args...))
}

// EncodeDocument writes changes as one document chunk: all operations in the order
// of the document that they make, deletions as marks on what they delete, and the
// metadata of each change. It is the smallest form of a long history and the one
// that is loaded fastest. The changes must come after their deps, and all of a
// document's must come, each once; the chunk keeps their order. An error that
// comes with a change stops the encoding and is returned.
//
// It is a sort, not a replica: a change is taken apart when it comes and not
// kept, so that the caller may read them one by one. Memory is some 45 bytes for
// each operation that is not a deletion, 12 for each predecessor, 20 for each
// change, and the bytes of values, keys and messages; and time is a microsecond
// for each operation.
//
// Once all changes are in, pause is called every few thousand operations and
// after each column, mostly a fraction of a millisecond apart; sorting a hundred
// thousand operations, or deflating as many letters, takes some milliseconds. It
// may sleep, to keep to a share of the processor, and its error stops the
// encoding and is returned. It may be nil.
//
// What makes no document chunk is an error that wraps ErrNotDocument. Whoever
// drops the changes in exchange for the chunk should first expand it again and
// compare hashes.
func EncodeDocument(changes iter.Seq2[*Change, error], pause func() error) ([]byte, error) {
	w := newDocumentWriter()
	for c, err := range changes {
		if err != nil {
			return nil, err
		}
		if err := w.add(c); err != nil {
			return nil, notDocument("change %s: %w", c.Hash, err)
		}
	}
	return w.finish(pacer{pause: pause})
}

// pacer calls pause now and then.
type pacer struct {
	pause func() error
	steps int
}

const stepsBetweenPauses = 4096

func (p *pacer) step() error {
	if p.steps++; p.steps < stepsBetweenPauses || p.pause == nil {
		return nil
	}
	p.steps = 0
	return p.pause()
}

// documentWriter holds what the changes so far were taken apart into. Actors,
// keys and changes are named by index, in the order in which they came;
// operations by row.
type documentWriter struct {
	actors  []writerActor
	actorOf map[id.Actor]uint32
	local   []uint32 // the actors of the change at hand: Ref.Actor to index

	index   changeIndex
	maxOps  pages[uint32]      // by change
	heads   map[uint32]id.Hash // changes that none depends on
	columns changeColumns
	bytes   int // of all changes

	rows    pages[docRow]
	succs   pages[docSucc]
	objects []docObject // the first is the root, the others in the order of rows
	lastObj uint32      // the one that was looked up last
	values  byteStore
	keys    []string // of maps, and names of marks
	keyOf   map[string]uint32
	marks   []docMark // in the order of rows
}

// writerActor is what is known of one actor.
type writerActor struct {
	id   id.Actor
	seq  uint64
	max  uint64  // the last counter that it used
	runs []opRun // its operations that have rows, ascending
}

// opRun says that the operations numbered ctr and following have rows row and
// following.
type opRun struct{ ctr, row, n uint32 }

func newDocumentWriter() *documentWriter {
	return &documentWriter{
		actorOf: map[id.Actor]uint32{}, index: newChangeIndex(), heads: map[uint32]id.Hash{},
		columns: newChangeColumns(), objects: []docObject{{}}, keyOf: map[string]uint32{},
	}
}

// add takes a change apart. After an error the writer is of no use.
func (w *documentWriter) add(c *Change) error {
	author, err := w.actor(c.Actor)
	if err != nil {
		return err
	}
	a := &w.actors[author]
	switch {
	case c.Seq != a.seq+1:
		return fmt.Errorf("it is number %d of actor %s and comes after number %d", c.Seq, c.Actor, a.seq)
	case c.StartOp <= a.max:
		return fmt.Errorf("its first operation is %d, and its actor has used %d", c.StartOp, a.max)
	}
	n := uint32(w.columns.changes)
	top, err := w.addDeps(c)
	switch {
	case err != nil:
		return err
	case c.StartOp <= top:
		return fmt.Errorf("its first operation is %d, and its deps reach %d", c.StartOp, top)
	case c.NumOps == 0 && c.StartOp != top+1:
		// A document does not tell where a change without operations starts.
		return fmt.Errorf("it has no operations and starts at %d, and its deps reach %d", c.StartOp, top)
	case !w.index.add(c.Hash):
		return errors.New("it comes twice")
	}
	a.seq, a.max = c.Seq, c.MaxOp()
	w.heads[n] = c.Hash
	w.maxOps.add(uint32(c.MaxOp()))
	w.columns.add(c, author)
	w.bytes += len(c.Raw())
	return w.addOps(c, author)
}

// addDeps writes the deps of the next change, and returns the largest counter
// that they reach.
func (w *documentWriter) addDeps(c *Change) (top uint64, err error) {
	for _, d := range c.Deps {
		i, ok := w.index.find(d)
		if !ok {
			return 0, fmt.Errorf("its dep %s did not come before it", d)
		}
		delete(w.heads, i)
		top = max(top, uint64(*w.maxOps.at(i)))
		w.columns.addDep(i)
	}
	return top, nil
}

// maxDocumentActors is how many fit into a docRow.
const maxDocumentActors = 1 << 24

func (w *documentWriter) actor(a id.Actor) (uint32, error) {
	i, ok := w.actorOf[a]
	if !ok {
		if len(w.actors) == maxDocumentActors {
			return 0, fmt.Errorf("the document has %d actors, and there is no room for more", len(w.actors))
		}
		i = uint32(len(w.actors))
		w.actors = append(w.actors, writerActor{id: a})
		w.actorOf[a] = i
	}
	return i, nil
}

// finish sorts what was added and writes the chunk. The writer is of no use then.
func (w *documentWriter) finish(pace pacer) ([]byte, error) {
	w.index, w.maxOps, w.actorOf, w.keyOf = changeIndex{}, pages[uint32]{}, nil, nil
	actors := make([]id.Actor, len(w.actors))
	for i := range w.actors {
		actors[i] = w.actors[i].id
		w.actors[i].runs = nil
	}
	rank := ranks(actors)
	slices.Sort(actors)

	changes, err := w.columns.finish(rank, &pace)
	if err != nil {
		return nil, err
	}
	o := &documentOrder{documentWriter: w, pace: &pace, rank: rank}
	if err := o.link(); err != nil {
		return nil, err
	}
	k := newRowColumns(w.values.total)
	err = o.walk(func(row uint32) error {
		k.add(o, row)
		return pace.step()
	})
	if err != nil {
		return nil, err
	}
	return w.chunk(actors, changes, k.finish(), &pace)
}

// chunk puts the parts of a document together.
func (w *documentWriter) chunk(actors []id.Actor, changes, ops []column, pace *pacer) (raw []byte, err error) {
	if err := w.fits(changes, ops); err != nil {
		return nil, err
	}
	b := AppendUint(nil, uint64(len(actors)))
	for _, a := range actors {
		b = appendString(b, string(a))
	}
	heads := slices.SortedFunc(maps.Keys(w.heads), func(a, b uint32) int { return w.heads[a].Compare(w.heads[b]) })
	b = AppendUint(b, uint64(len(heads)))
	for _, i := range heads {
		h := w.heads[i]
		b = append(b, h[:]...)
	}
	if changes, err = pace.deflate(changes); err != nil {
		return nil, err
	}
	if ops, err = pace.deflate(ops); err != nil {
		return nil, err
	}
	b = appendTable(appendTable(b, changes), ops)
	b = appendColumns(appendColumns(b, changes), ops)
	for _, i := range heads {
		b = AppendUint(b, uint64(i))
	}
	raw, _, _ = frame(typeDocument, b)
	return raw, nil
}

// fits reports whether a reader takes a document with these columns.
func (w *documentWriter) fits(sets ...[]column) error {
	inflated := 0
	for _, c := range slices.Concat(sets...) {
		inflated += len(c.data)
	}
	if max(inflated, w.bytes) > MaxDocumentBytes {
		return notDocument("they are larger than the limit of %d bytes", MaxDocumentBytes)
	}
	if rows := max(w.rows.len(), w.succs.len(), w.columns.changes, w.columns.deps); rows > freeDocumentRows+documentRowsPerByte*inflated {
		return notDocument("%d operations, changes or deps in %d bytes are more than a reader takes", rows, inflated)
	}
	return nil
}

// deflate is deflateColumns with a pause after each column.
func (p *pacer) deflate(columns []column) ([]column, error) {
	kept := columns[:0]
	for _, c := range columns {
		small, err := deflateColumns([]column{c})
		if err == nil && p.pause != nil {
			err = p.pause()
		}
		if err != nil {
			return nil, err
		}
		kept = append(kept, small...)
	}
	return kept, nil
}
