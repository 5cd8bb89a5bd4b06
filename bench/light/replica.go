package light

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// Hearing is told of what comes to a replica, by the goroutine that reads. An
// author's progress is the number of the author's last change. Either may be nil.
type Hearing struct {
	// Arrived: another author's changes up to this one are here.
	Arrived func(author, upTo int)
	// Acknowledged: the server has this author's changes up to this one.
	Acknowledged func(upTo int)
}

// Replica is a document at one client. What it is told by the server comes through
// Receive, what it has to say leaves through the function that it was opened with.
// Its methods may be called from any goroutine.
type Replica struct {
	doc    id.Document
	author int
	hear   Hearing

	mu      sync.Mutex
	g       *graph.Graph
	orphans *graph.Orphans
	changes []*chunk.Change // by row
	maxOp   uint64
	seq     int
	letters []chunk.Ref      // the author's own, in the order of the text
	unacked []int            // nodes of own changes that are not acknowledged
	acked   int              // of own changes
	session *session.Session // nil until it is open
	saved   []byte           // of the last session
	send    func([]byte, bool) error

	keeps    bool     // received has what came, as it came
	received [][]byte // sync messages
}

// NewReplica returns an empty document. author tells the clients of a document apart
// and is at least 1.
func NewReplica(doc id.Document, author int, h Hearing) *Replica {
	return &Replica{doc: doc, author: author, hear: h, g: graph.New(), orphans: graph.NewOrphans(graph.OrphanLimits{})}
}

// Document is the id of the document.
func (r *Replica) Document() id.Document { return r.doc }

// Bodies makes the replica the source of its session.
func (r *Replica) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		if !yield(r.changes[row].Raw()) {
			break
		}
	}
	return nil
}

// Open begins a session, which speaks through send; resumed, on top of what the last
// one shared with the other end.
func (r *Replica) Open(send func(data []byte, request bool) error, resumed bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = session.New(r.g, r.orphans, session.Options{})
	if resumed && r.saved != nil {
		if err := r.session.Resume(r.saved); err != nil {
			return fmt.Errorf("resume document %s: %w", r.doc, err)
		}
	}
	r.send = send
	return r.speak()
}

// Leave ends the session. Changes made from now on wait for the next one.
func (r *Replica) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session != nil {
		r.saved = r.session.Save()
		r.session = nil
	}
}

// sendBudget is how many bytes of changes go into one message.
const sendBudget = 8 << 20

// Empty reports whether nothing of the document is here.
func (r *Replica) Empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.g.Len() == 0
}

// waits reports whether the document has to come from the server: nothing is here,
// and who cares for no acknowledgements is not about to make it.
func (r *Replica) waits() bool { return r.Empty() && r.hear.Acknowledged == nil }

// Heads are the hashes of the changes that none here builds on.
func (r *Replica) Heads() []id.Hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.g.Heads())
}

// Missing are those of the hashes whose changes are not here.
func (r *Replica) Missing(hashes []id.Hash) []id.Hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.g.Missing(hashes)
}

// Own are the hashes of the author's changes up to a progress.
func (r *Replica) Own(upTo int) (hashes []id.Hash) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.changes {
		if AuthorOf(c.Actor) == r.author && int(c.Seq) <= upTo {
			hashes = append(hashes, c.Hash)
		}
	}
	return hashes
}

// Acked is the author's progress that the server has acknowledged.
func (r *Replica) Acked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// History is what Put gives another replica to have the same.
func (r *Replica) History() []*chunk.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}

// KeepMessages has Messages return the sync messages that come from now on.
func (r *Replica) KeepMessages() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeps = true
}

// Messages are the sync messages that came, as they came.
func (r *Replica) Messages() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.received)
}

// speak sends what the session has to say. The caller holds mu.
func (r *Replica) speak() error {
	if r.session == nil {
		return nil
	}
	request := r.g.Len() == 0
	for {
		data, err := r.session.Generate(r, sendBudget)
		if err != nil || data == nil {
			return err
		}
		if err := r.send(data, request); err != nil || !r.session.Pending() {
			return err
		}
	}
}

// Receive takes in a sync message and answers it.
func (r *Replica) Receive(data []byte) error {
	m, err := session.Decode(data)
	if err != nil {
		return err
	}
	changes, err := m.Changes()
	if err != nil {
		return err
	}
	upTo := make(map[int]int, 4) // progress of others
	acked := 0
	r.mu.Lock()
	if r.keeps {
		r.received = append(r.received, data)
	}
	for _, c := range changes {
		if err = r.take(c, upTo); err != nil {
			break
		}
	}
	if err == nil && r.session != nil {
		r.session.Receive(m)
		err = r.speak()
		acked = r.settle()
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	if r.hear.Arrived != nil {
		for author, n := range upTo {
			r.hear.Arrived(author, n)
		}
	}
	if r.hear.Acknowledged != nil && acked > 0 {
		r.hear.Acknowledged(acked)
	}
	return nil
}

// settle returns up to which own change the server has now acknowledged, or 0 if
// it is no more than before. The caller holds mu.
func (r *Replica) settle() int {
	if len(r.unacked) == 0 {
		return 0
	}
	theirs := r.g.Ancestors(r.session.Acked())
	n := 0
	for n < len(r.unacked) && theirs.Has(r.unacked[n]) {
		n++
	}
	if n == 0 {
		return 0
	}
	r.unacked = r.unacked[n:]
	r.acked += n
	return r.acked
}

// take adds a change to the graph, or keeps it until what it depends on is here,
// and notes in upTo what it brings. The caller holds mu.
func (r *Replica) take(c *chunk.Change, upTo map[int]int) error {
	err := r.g.Add(graph.MetaOf(c))
	if errors.Is(err, graph.ErrKnown) {
		return nil
	}
	if missing, ok := errors.AsType[*graph.MissingError](err); ok {
		r.orphans.Hold(c, graph.Sender{}, missing.Missing)
		return nil
	}
	if err != nil {
		return fmt.Errorf("change %s: %w", c.Hash, err)
	}
	r.g.Publish([]int64{int64(len(r.changes))})
	r.changes = append(r.changes, c)
	r.maxOp = max(r.maxOp, c.MaxOp())
	switch author := AuthorOf(c.Actor); {
	case author == r.author:
		r.seq = int(c.Seq)
		r.unacked = append(r.unacked, r.g.Nodes()-1)
	case upTo != nil:
		upTo[author] = int(c.Seq)
	}
	for _, o := range r.orphans.Arrived(c.Hash) {
		if err := r.take(o.Change, upTo); err != nil {
			return err
		}
	}
	return nil
}

// Put takes in a change and sends it if the replica is open. If it is of the
// author, it counts as made here.
func (r *Replica) Put(c *chunk.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.take(c, nil); err != nil {
		return err
	}
	return r.speak()
}
