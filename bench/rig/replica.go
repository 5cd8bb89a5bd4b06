package rig

import (
	"fmt"
	"time"

	"syncline/crdt"
	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// Replica is a document as a peer has it, without store and network: changes of
// others are parsed and checked in full before the core sees them. Close it.
type Replica struct {
	*crdt.Document
	graph   *graph.Graph
	checker *check.Checker
	changes []*chunk.Change // by row of the graph, so deps first
}

// NewReplica returns an empty document that is edited as the given actor.
func NewReplica(actor id.Actor) *Replica {
	r := &Replica{Document: crdt.New(actor), graph: graph.New()}
	r.checker = check.New(r.graph, r)
	return r
}

// Bodies makes the replica the source of its checker.
func (r *Replica) Bodies(rows []int64, yield func(body []byte) bool) error {
	for _, row := range rows {
		if !yield(r.changes[row].Raw()) {
			break
		}
	}
	return nil
}

// Changes lists what the document is made of, deps first. It must not be modified.
func (r *Replica) Changes() []*chunk.Change { return r.changes }

// Raw lists the bytes of the changes, deps first.
func (r *Replica) Raw() [][]byte {
	raw := make([][]byte, 0, len(r.changes))
	for _, c := range r.changes {
		raw = append(raw, c.Raw())
	}
	return raw
}

// Do carries out a batch as one change, which has to stand the checks that others
// make of it.
func (r *Replica) Do(at time.Time, ops ...crdt.Operation) (*chunk.Change, error) {
	c, err := r.Document.Do(at, ops...)
	if err != nil {
		return nil, err
	}
	if c, err = chunk.ParseChange(c.Raw()); err == nil {
		err = r.keep(c)
	}
	if err != nil {
		return nil, fmt.Errorf("a change of our own: %w", err)
	}
	return c, nil
}

// Take takes in those of the changes that are new, as chunks of any type.
func (r *Replica) Take(chunks ...[]byte) error {
	var news []*chunk.Change
	for _, b := range chunks {
		changes, err := chunk.ParseChunks(b)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if r.graph.Contains(c.Hash) {
				continue
			}
			if err := r.keep(c); err != nil {
				return fmt.Errorf("change %s: %w", c.Hash, err)
			}
			news = append(news, c)
		}
	}
	return r.Apply(news)
}

// Merge takes in what another replica has and this one lacks.
func (r *Replica) Merge(from *Replica) error {
	var news [][]byte
	for _, c := range from.changes {
		if !r.graph.Contains(c.Hash) {
			news = append(news, c.Raw())
		}
	}
	return r.Take(news...)
}

func (r *Replica) keep(c *chunk.Change) error {
	if err := r.checker.Check(c); err != nil {
		return err
	}
	if err := r.graph.Add(graph.MetaOf(c)); err != nil {
		return err
	}
	r.checker.Added(c)
	r.graph.Publish([]int64{int64(len(r.changes))})
	r.checker.Settle()
	r.changes = append(r.changes, c)
	return nil
}
