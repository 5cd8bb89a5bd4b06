package peer

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"syncline/crdt"
	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// Replica is one document as this peer has it. It may be used from any goroutine.
type Replica struct {
	id    id.Document
	actor id.Actor
	log   *slog.Logger

	mu      sync.Mutex
	doc     *crdt.Document
	g       *graph.Graph
	ops     *check.Document
	orphans *graph.Orphans
	bodies  [][]byte // by row
	changed chan struct{}
}

// ReplicaOptions says how a replica is made. The zero value is a new document.
type ReplicaOptions struct {
	ID     id.Document // zero: a fresh one
	Actor  id.Actor    // empty: a random one
	Logger *slog.Logger
}

// NewReplica returns a document without changes: a new one, or one that is to
// be fetched.
func NewReplica(o ReplicaOptions) *Replica {
	if o.ID == (id.Document{}) {
		o.ID = id.NewDocument()
	}
	if o.Actor == "" {
		random := id.NewDocument()
		o.Actor = id.Actor(random[:])
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := graph.New()
	return &Replica{
		id: o.ID, actor: o.Actor, log: o.Logger, doc: crdt.New(o.Actor), g: g, ops: check.New(g),
		orphans: graph.NewOrphans(graph.OrphanLimits{}), changed: make(chan struct{}),
	}
}

// ID names the document.
func (r *Replica) ID() id.Document { return r.id }

// Do applies operations as one change, which is visible at once and sent as soon
// as there is a link. It returns the change's hash. With an error nothing has
// happened.
func (r *Replica) Do(ops ...crdt.Operation) (id.Hash, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.doc.Do(time.Now(), ops...)
	if err != nil {
		return id.Hash{}, err
	}
	if err := r.add(c); err != nil {
		return id.Hash{}, fmt.Errorf("our own change was refused: %w", err)
	}
	r.publish()
	return c.Hash, nil
}

// Receive takes in changes from elsewhere that were decoded and validated. Those
// that do not fit the document are left out and reported in the error, and the
// others applied.
func (r *Replica) Receive(from string, changes []*chunk.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var added []*chunk.Change
	var refused error
	for queue := changes; len(queue) > 0; {
		c := queue[0]
		queue = queue[1:]
		if r.g.Contains(c.Hash) || r.orphans.Has(c.Hash) {
			continue
		}
		var missing *graph.MissingError
		switch err := r.add(c); {
		case errors.As(err, &missing):
			for _, o := range r.orphans.Hold(c, from, missing.Missing) {
				refused = errors.Join(refused, fmt.Errorf("change %s waited too long for what it depends on", o.Change.Hash))
			}
			continue
		case err != nil:
			r.orphans.Refuse(c.Hash)
			refused = errors.Join(refused, err)
			continue
		}
		added = append(added, c)
		for _, o := range r.orphans.Arrived(c.Hash) {
			queue = append(queue, o.Change)
		}
	}
	if len(added) == 0 {
		return refused
	}
	apply := func() error { return r.doc.Apply(added) }
	if r.publish() {
		apply = r.rebuild
	}
	return errors.Join(refused, apply())
}

// add checks a change and enters it into the graph, unpublished.
func (r *Replica) add(c *chunk.Change) error {
	evidence := slices.ContainsFunc(c.Deps, r.g.Quarantined)
	checked := r.ops.Check
	if evidence {
		checked = r.g.Check // what it refers to is not in the table
	}
	if err := checked(c); err != nil {
		return err
	}
	m := graph.MetaOf(c)
	m.Row = int64(len(r.bodies))
	if err := r.g.Add(m); err != nil {
		return err
	}
	if evidence {
		r.ops.Skip()
	} else {
		r.ops.Add(c)
	}
	r.bodies = append(r.bodies, c.Raw())
	return nil
}

// publish makes what was added visible and wakes who waits for it. It reports
// whether twins have changed which of the earlier changes stand, or a change that
// was just added does not.
func (r *Replica) publish() (twins bool) {
	v := r.g.Publish(nil)
	for _, t := range v.Twins {
		r.log.Warn("changes of one actor have the same sequence number; the one with the lowest hash stands",
			"doc", r.id.String(), "actor", t.Actor.String(), "seq", t.Seq)
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return len(v.Quarantined)+len(v.Restored) > 0
}

// rebuild makes the document and its table anew from the changes that stand.
func (r *Replica) rebuild() error {
	r.ops = check.New(r.g)
	var standing []*chunk.Change
	for node := range r.g.Nodes() {
		if !r.g.Has(r.g.Hash(node)) {
			r.ops.Skip()
			continue
		}
		c, err := chunk.ParseChange(r.bodies[r.g.Row(node)])
		if err != nil {
			return err
		}
		r.ops.Add(c)
		standing = append(standing, c)
	}
	doc := crdt.New(r.actor)
	if err := doc.Apply(standing); err != nil {
		doc.Close()
		return fmt.Errorf("rebuild document %s: %w", r.id, err)
	}
	r.doc.Close()
	r.doc = doc
	return nil
}

// Bodies makes the replica a session.Source. The caller holds the lock.
func (r *Replica) Bodies(rows []int64, yield func(body []byte) bool) error {
	for _, row := range rows {
		if !yield(r.bodies[row]) {
			break
		}
	}
	return nil
}

// Heads lists the hashes that nothing in the document depends on, ascending.
func (r *Replica) Heads() []id.Hash {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.g.Heads()
}

// JSON returns the document's content with sorted keys.
func (r *Replica) JSON() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doc.JSON()
}

// Changed returns a channel that is closed when the document changes next. Take
// it before looking at the document.
func (r *Replica) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Close gives the core's memory back.
func (r *Replica) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doc.Close()
}

var _ session.Source = (*Replica)(nil)
