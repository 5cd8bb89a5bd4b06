package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// automerge is the automerge-repo protocol. Its replicas keep the hash graph and
// the bytes of changes but no document, and the sessions of them are those of our
// peers and relay: stock servers are spared what stock clients cost them.
type automerge struct{}

func (automerge) replica(doc id.Document, author int, h hearing) replica {
	return &automergeReplica{doc: doc, author: author, hear: h, g: graph.New(), orphans: graph.NewOrphans(graph.OrphanLimits{})}
}

func (automerge) progress(c change) int { return int(c.(*chunk.Change).Seq) }

// actorOf is the actor id of an author, authorOf its inverse.
func actorOf(author int) id.Actor {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], uint64(author))
	return id.Actor(b[:])
}

func authorOf(a id.Actor) int { return int(binary.BigEndian.Uint64([]byte(a)[8:])) }

// founder is the author of the first change of every document that has a text. It
// makes the text, and is the same bytes wherever it is needed.
const founder = 0

// textOp is the operation that made the text, as a change of an author that names
// the founder as its only other actor knows it.
var textOp = chunk.Ref{Actor: 1, Ctr: 1}

func founding() (*chunk.Change, error) {
	return encode(chunk.Header{Actor: actorOf(founder), Seq: 1, StartOp: 1, Time: epoch},
		[]chunk.Op{{Key: "text", Action: chunk.MakeText}})
}

// epoch is the time of all changes.
const epoch = 1_760_000_000

func encode(h chunk.Header, ops []chunk.Op) (*chunk.Change, error) {
	raw, err := chunk.Encode(h, ops)
	if err != nil {
		return nil, err
	}
	return chunk.ParseChange(raw)
}

// automergeReplica is a replica. What it is told by the server comes through
// receive, what it has to say leaves through send.
type automergeReplica struct {
	doc    id.Document
	author int
	hear   hearing

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
	send    func([]byte, bool) error

	keeps    bool     // received has what came, as it came
	received [][]byte // sync messages
}

// Bodies makes the replica the source of its session.
func (r *automergeReplica) Bodies(rows []int64, yield func([]byte) bool) error {
	for _, row := range rows {
		if !yield(r.changes[row].Raw()) {
			break
		}
	}
	return nil
}

// open begins a session, which speaks through send.
func (r *automergeReplica) open(send func(data []byte, request bool) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = session.New(r.g, r.orphans, session.Options{})
	r.send = send
	return r.speak()
}

// sendBudget is how many bytes of changes go into one message.
const sendBudget = 8 << 20

// empty reports whether nothing of the document is here.
func (r *automergeReplica) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.g.Len() == 0
}

// speak sends what the session has to say. The caller holds mu.
func (r *automergeReplica) speak() error {
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

// receive takes in a sync message and answers it.
func (r *automergeReplica) receive(data []byte) error {
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
	if err == nil {
		r.session.Receive(m)
		err = r.speak()
		acked = r.settle()
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	if r.hear.arrived != nil {
		for author, n := range upTo {
			r.hear.arrived(author, n)
		}
	}
	if r.hear.acknowledged != nil && acked > 0 {
		r.hear.acknowledged(acked)
	}
	return nil
}

// settle returns up to which own change the server has now acknowledged, or 0 if
// it is no more than before. The caller holds mu.
func (r *automergeReplica) settle() int {
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
func (r *automergeReplica) take(c *chunk.Change, upTo map[int]int) error {
	err := r.g.Add(graph.MetaOf(c))
	if errors.Is(err, graph.ErrKnown) {
		return nil
	}
	if missing, ok := errors.AsType[*graph.MissingError](err); ok {
		r.orphans.Hold(c, "", missing.Missing)
		return nil
	}
	if err != nil {
		return fmt.Errorf("change %s: %w", c.Hash, err)
	}
	r.g.Publish([]int64{int64(len(r.changes))})
	r.changes = append(r.changes, c)
	r.maxOp = max(r.maxOp, c.MaxOp())
	switch author := authorOf(c.Actor); {
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

func (r *automergeReplica) put(c change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.take(c.(*chunk.Change), nil); err != nil {
		return err
	}
	return r.speak()
}

func (r *automergeReplica) history() []change {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []change
	for _, c := range r.changes {
		all = append(all, c)
	}
	return all
}

// make makes a change on top of all that is here. The caller holds mu.
func (r *automergeReplica) make(ops []chunk.Op, others ...id.Actor) error {
	c, err := encode(chunk.Header{
		Actor: actorOf(r.author), Seq: uint64(r.seq + 1), StartOp: r.maxOp + 1, Time: epoch, Deps: r.g.Heads(), OtherActors: others,
	}, ops)
	if err != nil {
		return err
	}
	return r.take(c, nil)
}

// insert types a letter behind that many of the author's own. The caller holds mu.
func (r *automergeReplica) insert(at int) error {
	if r.g.Len() == 0 {
		c, err := founding()
		if err == nil {
			err = r.take(c, nil)
		}
		if err != nil {
			return err
		}
	}
	var behind chunk.Ref // the head of the text
	if at > 0 {
		behind = r.letters[at-1]
	}
	err := r.make([]chunk.Op{{
		Obj: textOp, Elem: behind, IsElem: true, Insert: true, Action: chunk.Set,
		Value: chunk.Value{Type: chunk.String, Raw: []byte{byte('a' + r.seq%26)}},
	}}, actorOf(founder))
	r.letters = append(r.letters, chunk.Ref{})
	copy(r.letters[at+1:], r.letters[at:])
	r.letters[at] = chunk.Ref{Ctr: r.maxOp}
	return err
}

func (r *automergeReplica) letter() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.insert(len(r.letters)); err != nil {
		return 0, err
	}
	return r.seq, r.speak()
}

func (r *automergeReplica) scatter(n int, seed uint64) (int, error) {
	random := rand.New(rand.NewPCG(seed, uint64(r.author)))
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		if err := r.insert(random.IntN(len(r.letters) + 1)); err != nil {
			return 0, err
		}
	}
	return r.seq, r.speak()
}

func (r *automergeReplica) record(size int, seed uint64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ops []chunk.Op
	for i, value := range fields(size, seed) {
		ops = append(ops, chunk.Op{Key: fieldName(i), Action: chunk.Set, Value: chunk.Value{Type: chunk.String, Raw: []byte(value)}})
	}
	if err := r.make(ops); err != nil {
		return 0, err
	}
	return r.seq, r.speak()
}

func fieldName(i int) string { return fmt.Sprintf("field%d", i) }

// fields are ten values of random letters, of size bytes in all.
func fields(size int, seed uint64) []string {
	random := rand.New(rand.NewPCG(seed, 0))
	b := bytes.Repeat([]byte{0}, size)
	for i := range b {
		b[i] = byte('a' + random.IntN(26))
	}
	var values []string
	for i := range 10 {
		values = append(values, string(b[i*size/10:(i+1)*size/10]))
	}
	return values
}
