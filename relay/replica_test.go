package relay

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// replica is a document at a client: its changes, and the session with the relay.
type replica struct {
	t       testing.TB
	doc     id.Document
	actor   id.Actor
	seq     uint64
	g       *graph.Graph
	orphans *graph.Orphans
	bodies  [][]byte // by row
	maxOp   uint64
	session *session.Session
}

func newReplica(t testing.TB, doc id.Document, actor string) *replica {
	r := &replica{t: t, doc: doc, actor: id.Actor(fmt.Sprintf("%-16s", actor)), g: graph.New(), orphans: graph.NewOrphans(graph.OrphanLimits{})}
	r.begin(nil)
	return r
}

// begin starts a new session, on top of what an earlier one saved.
func (r *replica) begin(saved []byte) {
	r.session = session.New(r.g, r.orphans, session.Options{})
	if saved != nil {
		if err := r.session.Resume(saved); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Bodies makes the replica the source of its session.
func (r *replica) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		if !yield(r.bodies[row]) {
			break
		}
	}
	return nil
}

// change makes a change on top of the present heads, without taking it in.
func (r *replica) change(key, value string) *chunk.Change {
	raw, err := chunk.Encode(chunk.Header{
		Actor: r.actor, Seq: r.seq + 1, StartOp: r.maxOp + 1, Time: 1_760_000_000, Deps: r.g.Heads(),
	}, []chunk.Op{{Key: key, Action: chunk.Set, Value: chunk.Value{Type: chunk.String, Raw: []byte(value)}}})
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := chunk.ParseChange(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// edit makes a change and takes it in.
func (r *replica) edit(key string) *chunk.Change {
	c := r.change(key, fmt.Sprint("value ", r.seq))
	r.take(c)
	return c
}

func (r *replica) take(c *chunk.Change) {
	err := r.g.Add(graph.MetaOf(c))
	if errors.Is(err, graph.ErrKnown) {
		return
	}
	if missing, ok := errors.AsType[*graph.MissingError](err); ok {
		r.orphans.Hold(c, graph.Sender{}, missing.Missing)
		return
	}
	if err != nil {
		r.t.Fatalf("replica of %s: %v", r.actor, err)
	}
	r.g.Publish([]int64{int64(len(r.bodies))})
	r.bodies = append(r.bodies, c.Raw())
	r.maxOp = max(r.maxOp, c.MaxOp())
	if c.Actor == r.actor {
		r.seq = max(r.seq, c.Seq)
	}
	for _, o := range r.orphans.Arrived(c.Hash) {
		r.take(o.Change)
	}
}

// generate returns the next sync message, or nil.
func (r *replica) generate() []byte {
	data, err := r.session.Generate(r, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

// receive takes in a sync message.
func (r *replica) receive(data []byte) {
	m, err := session.Decode(data)
	if err != nil {
		r.t.Fatal(err)
	}
	changes, err := m.Changes()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range changes {
		r.take(c)
	}
	r.session.Receive(m)
}

func (r *replica) has(hashes ...id.Hash) bool { return len(r.g.Missing(hashes)) == 0 }

func sameHeads(rs ...*replica) bool {
	for _, r := range rs[1:] {
		if !slices.Equal(r.g.Heads(), rs[0].g.Heads()) {
			return false
		}
	}
	return true
}
