package light

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// ActorOf is the actor id of an author, AuthorOf its inverse.
func ActorOf(author int) id.Actor {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], uint64(author))
	return id.Actor(b[:])
}

// AuthorOf is the author with an actor id.
func AuthorOf(a id.Actor) int { return int(binary.BigEndian.Uint64([]byte(a)[8:])) }

// founder is the author of the first change of every document that has a text. It
// makes the text, and is the same bytes wherever it is needed.
const founder = 0

// textOp is the operation that made the text, as a change of an author that names
// the founder as its only other actor knows it.
var textOp = chunk.Ref{Actor: 1, Ctr: 1}

func founding() (*chunk.Change, error) {
	return Encode(chunk.Header{Actor: ActorOf(founder), Seq: 1, StartOp: 1, Time: Epoch},
		[]chunk.Op{{Key: "text", Action: chunk.MakeText}})
}

// Epoch is the time of all changes.
const Epoch = 1_760_000_000

// Encode makes a change.
func Encode(h chunk.Header, ops []chunk.Op) (*chunk.Change, error) {
	raw, err := chunk.Encode(h, ops)
	if err != nil {
		return nil, err
	}
	return chunk.ParseChange(raw)
}

// make makes a change on top of all that is here. The caller holds mu.
func (r *Replica) make(ops []chunk.Op, others ...id.Actor) error {
	c, err := Encode(chunk.Header{
		Actor: ActorOf(r.author), Seq: uint64(r.seq + 1), StartOp: r.maxOp + 1, Time: Epoch, Deps: r.g.Heads(), OtherActors: others,
	}, ops)
	if err != nil {
		return err
	}
	return r.take(c, nil)
}

// insert types a letter behind that many of the author's own. The caller holds mu.
func (r *Replica) insert(at int) error {
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
	}}, ActorOf(founder))
	r.letters = slices.Insert(r.letters, at, chunk.Ref{Ctr: r.maxOp})
	return err
}

// Letter makes a change that types a letter behind the author's last one, and sends
// it if the replica is open. It returns the author's progress.
func (r *Replica) Letter() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.insert(len(r.letters)); err != nil {
		return 0, err
	}
	return r.seq, r.speak()
}

// Scatter makes changes of one letter each, at random places.
func (r *Replica) Scatter(n int, seed uint64) (int, error) {
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

// Record makes a change that sets fields to values of size bytes in all.
func (r *Replica) Record(size int, seed uint64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ops []chunk.Op
	for i, value := range Fields(size, seed) {
		ops = append(ops, chunk.Op{Key: FieldName(i), Action: chunk.Set, Value: chunk.Value{Type: chunk.String, Raw: []byte(value)}})
	}
	if err := r.make(ops); err != nil {
		return 0, err
	}
	return r.seq, r.speak()
}

// FieldName is the key of a field of a record.
func FieldName(i int) string { return fmt.Sprintf("field%d", i) }

// Fields are ten values of random letters, of size bytes in all.
func Fields(size int, seed uint64) []string {
	random := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte('a' + random.IntN(26))
	}
	var values []string
	for i := range 10 {
		values = append(values, string(b[i*size/10:(i+1)*size/10]))
	}
	return values
}
