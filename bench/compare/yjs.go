package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"syncline/bench/light"
	"syncline/crdt/id"
)

// yjs is the protocol of Yjs servers. Replicas keep which items they have and no
// document. multiplexed: all documents share one connection, and each message
// begins with the document's name, as Hocuspocus has it; otherwise each document
// has a connection of its own, as y-websocket has it.
type yjs struct{ multiplexed bool }

func (y yjs) replica(doc id.Document, author int, h hearing) replica {
	return &yReplica{doc: doc.String(), client: yClients + uint64(author), hear: h, has: make(map[uint64]uint64)}
}

func (yjs) progress(c change) int { return int(c.(yUpdateOf).upTo) }

// yClients is added to authors, so that client ids are as long as random ones.
const yClients = 0x5000_0000

// The messages. Those from messageAuth on are Hocuspocus' own.
const (
	messageSync      = 0
	messageAuth      = 2
	messageSyncReply = 4
	messageStatus    = 8

	syncStep1  = 0 // what the sender has
	syncStep2  = 1 // what the other end lacked
	syncUpdate = 2
)

// yUpdateOf is a change: an update, and where its author's clock stands then.
type yUpdateOf struct {
	client, upTo uint64
	update       []byte
}

// yReplica is a replica. Frames go through receive and send, without the name of
// the document.
type yReplica struct {
	doc    string
	client uint64
	hear   hearing

	mu      sync.Mutex
	has     map[uint64]uint64 // clocks by client, one's own included
	items   []yItem           // made while it was not open; the first has clock 0
	given   []yUpdateOf       // the author's own, put while it was not open
	letters []yID             // the author's own, in the order of the text
	made    []change          // the same as updates
	waiting []uint64          // own clocks after each message that is not acknowledged
	status  bool              // the server acknowledges by status messages and not by an echo
	send    func([]byte) error
}

// open tells the server what is here and so asks for the rest.
func (r *yReplica) open(send func([]byte) error, status bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send, r.status = send, status
	vector := binary.AppendUvarint(nil, uint64(len(r.has)))
	for client, clock := range r.has {
		vector = binary.AppendUvarint(binary.AppendUvarint(vector, client), clock)
	}
	return r.send(appendYBytes([]byte{messageSync, syncStep1}, vector))
}

// receive takes in a message.
func (r *yReplica) receive(frame []byte) error {
	in := yReader{buf: frame}
	switch typ := in.uint(); typ {
	case messageSync, messageSyncReply:
		step := in.uint()
		body := in.bytes()
		if in.err != nil {
			return in.err
		}
		if step == syncStep1 {
			return r.answer(body)
		}
		return r.take(body, step == syncUpdate)
	case messageStatus:
		if in.uint() != 1 {
			return fmt.Errorf("the server has not taken an update of %s", r.doc)
		}
		r.acknowledge()
	case messageAuth:
		if in.uint() == 1 {
			return fmt.Errorf("no access to %s", r.doc)
		}
	}
	return in.err
}

// answer sends what the server lacks.
func (r *yReplica) answer(vector []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clock, err := readYStateVector(vector, r.client)
	if err != nil {
		return err
	}
	from := min(clock, uint64(len(r.items)))
	lacks := r.items[from:]
	if len(lacks) > 0 || r.status {
		r.waiting = append(r.waiting, r.has[r.client])
	}
	if err := r.send(appendYBytes([]byte{messageSync, syncStep2}, yUpdate(r.client, from, lacks))); err != nil {
		return err
	}
	given := r.given
	r.given = nil
	for _, c := range given {
		if err := r.push(c); err != nil {
			return err
		}
	}
	return nil
}

// take takes in an update.
func (r *yReplica) take(update []byte, live bool) error {
	type progress struct{ client, upTo uint64 }
	var news []progress
	echo := live // of a deletion, if it has no items
	r.mu.Lock()
	err := readYUpdate(update, func(client, upTo uint64) {
		echo = live && client == r.client
		if upTo > r.has[client] {
			r.has[client] = upTo
			news = append(news, progress{client, upTo})
		}
	})
	status := r.status
	r.mu.Unlock()
	if err != nil {
		return err
	}
	if r.hear.arrived != nil {
		for _, p := range news {
			r.hear.arrived(int(p.client-yClients), int(p.upTo))
		}
	}
	if echo && !status {
		r.acknowledge()
	}
	return nil
}

// acknowledge is called for each message of ours that the server has taken, in
// their order.
func (r *yReplica) acknowledge() {
	r.mu.Lock()
	var upTo uint64
	if len(r.waiting) > 0 {
		upTo, r.waiting = r.waiting[0], r.waiting[1:]
	}
	r.mu.Unlock()
	if upTo > 0 && r.hear.acknowledged != nil {
		r.hear.acknowledged(int(upTo))
	}
}

// make takes items of one's own in, and sends them if it is open. The caller
// holds mu.
func (r *yReplica) make(items ...yItem) error {
	clock := r.has[r.client]
	c := yUpdateOf{r.client, clock + uint64(len(items)), yUpdate(r.client, clock, items)}
	if r.send == nil {
		r.items = append(r.items, items...)
		r.made = append(r.made, c)
	}
	return r.push(c)
}

// push takes an update of one's own in, and sends it if it is open. The caller
// holds mu.
func (r *yReplica) push(c yUpdateOf) error {
	r.has[c.client] = max(r.has[c.client], c.upTo)
	if r.send == nil || c.client != r.client {
		return nil
	}
	r.waiting = append(r.waiting, c.upTo)
	return r.send(appendYBytes([]byte{messageSync, syncUpdate}, c.update))
}

func (r *yReplica) put(c change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := c.(yUpdateOf)
	if r.send == nil && own.client == r.client {
		r.given = append(r.given, own)
		return nil
	}
	return r.push(own)
}

func (r *yReplica) history() []change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.made)
}

// insert types a letter behind that many of the author's own. The caller holds mu.
func (r *yReplica) insert(at int) error {
	clock := r.has[r.client]
	it := yItem{value: string(rune('a' + clock%26))}
	if at > 0 {
		it.left = &r.letters[at-1]
	}
	if at < len(r.letters) {
		right := r.letters[at]
		it.right = &right
	}
	if it.left != nil {
		left := *it.left
		it.left = &left
	}
	r.letters = slices.Insert(r.letters, at, yID{r.client, clock})
	return r.make(it)
}

func (r *yReplica) letter() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.insert(len(r.letters))
	return int(r.has[r.client]), err
}

func (r *yReplica) scatter(n int, seed uint64) (int, error) {
	random := rand.New(rand.NewPCG(seed, r.client))
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		if err := r.insert(random.IntN(len(r.letters) + 1)); err != nil {
			return 0, err
		}
	}
	return int(r.has[r.client]), nil
}

func (r *yReplica) record(size int, seed uint64) (int, error) {
	var items []yItem
	for i, value := range light.Fields(size, seed) {
		items = append(items, yItem{key: light.FieldName(i), value: value})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.make(items...)
	return int(r.has[r.client]), err
}
