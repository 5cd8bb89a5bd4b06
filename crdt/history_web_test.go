package crdt_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// webWriter writes a history whose shape matters and not its content: each change
// sets one key. It costs a hundredth of what the core needs for one.
type webWriter struct {
	rng     *rand.Rand
	authors []webAuthor
	changes [][]byte
	maxOp   map[id.Hash]uint64
}

type webAuthor struct {
	actor id.Actor
	seq   uint64
	heads []id.Hash
}

func newWebWriter(rng *rand.Rand) *webWriter {
	w := &webWriter{rng: rng, maxOp: map[id.Hash]uint64{}}
	for range 1 + rng.IntN(5) {
		w.authors = append(w.authors, webAuthor{actor: id.Actor(binary.LittleEndian.AppendUint64(nil, rng.Uint64()))})
	}
	return w
}

// step adds one change, by an author who may first have met another.
func (w *webWriter) step() {
	a := &w.authors[w.rng.IntN(len(w.authors))]
	if w.rng.IntN(5) == 0 {
		a.heads = append(a.heads, w.authors[w.rng.IntN(len(w.authors))].heads...)
		id.SortHashes(a.heads)
		a.heads = slices.Compact(a.heads)
	}
	a.seq++
	h := chunk.Header{Actor: a.actor, Seq: a.seq, StartOp: 1, Deps: a.heads}
	for _, d := range a.heads {
		h.StartOp = max(h.StartOp, w.maxOp[d]+1)
	}
	op := chunk.Op{Key: string(rune('a' + w.rng.IntN(20))), Action: chunk.Set, Value: chunk.Value{Type: chunk.Uint, Raw: []byte{byte(w.rng.IntN(100))}}}
	raw := must(chunk.Encode(h, []chunk.Op{op}))
	hash := hashOf(raw)
	w.maxOp[hash] = h.StartOp
	a.heads = []id.Hash{hash}
	w.changes = append(w.changes, raw)
}
