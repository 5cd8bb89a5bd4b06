package session

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"syncline/crdt/graph"
	"syncline/crdt/id"
)

func hashOf(i int) id.Hash {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return sha256.Sum256(b[:])
}

// opaque is a Source of bodies that are not looked at.
type opaque []byte

func (o opaque) Bodies(rows []int64, yield func([]byte) bool) error {
	for range rows {
		if !yield(o) {
			return nil
		}
	}
	return nil
}

// steady is a document with a session that is in sync.
type steady struct {
	t      testing.TB
	g      *graph.Graph
	s      *Session
	actors int
	seq    []uint64
	last   []id.Hash
	n      int
	body   opaque
}

func newSteady(t testing.TB, changes, actors int) *steady {
	d := &steady{t: t, g: graph.New(), actors: actors, seq: make([]uint64, actors), last: make([]id.Hash, actors), body: make(opaque, 100)}
	for range changes {
		d.add()
	}
	d.g.Publish(nil)
	d.s = New(d.g, nil, Options{})
	d.say(d.g.Heads())
	if p, err := d.s.Generate(d.body, 0); err != nil || p == nil {
		t.Fatal("no first answer", err)
	}
	return d
}

// add makes the next change: of one actor in a line, or of several that see each
// other a little late.
func (d *steady) add() id.Hash {
	a := d.n % d.actors
	m := graph.Meta{Hash: hashOf(d.n), Actor: id.Actor(fmt.Sprint("actor ", a)), Seq: d.seq[a] + 1, StartOp: uint64(d.n + 1), NumOps: 1, Row: int64(d.n)}
	if d.seq[a] > 0 {
		m.Deps = append(m.Deps, d.last[a])
		if o := d.last[(a+1)%d.actors]; d.n%7 == 0 && o != d.last[a] && o != (id.Hash{}) {
			m.Deps = append(m.Deps, o)
			id.SortHashes(m.Deps)
		}
	}
	if err := d.g.Add(m); err != nil {
		d.t.Fatal(err)
	}
	d.seq[a]++
	d.last[a] = m.Hash
	d.n++
	return m.Hash
}

func (d *steady) say(heads []id.Hash) {
	d.s.Receive(&Message{V2: true, Heads: heads, Have: []Have{{LastSync: heads}}, HasFlags: true, Flags: SupportsSyncReset})
}

// edit is what one edit costs: it is published, sent, and acknowledged.
func (d *steady) edit() {
	d.add()
	d.g.Publish(nil)
	p, err := d.s.Generate(d.body, 0)
	if err != nil || p == nil {
		d.t.Fatal("an edit was not sent", err)
	}
	d.say(d.g.Heads())
	if p, err := d.s.Generate(d.body, 0); err != nil || p != nil {
		d.t.Fatal("an acknowledgement was answered", err)
	}
}

func BenchmarkSteadyEdit(b *testing.B) {
	for _, actors := range []int{1, 3} {
		for _, changes := range []int{100, 250_000} {
			b.Run(fmt.Sprintf("actors=%d/changes=%d", actors, changes), func(b *testing.B) {
				d := newSteady(b, changes, actors)
				b.ReportAllocs()
				for b.Loop() {
					d.edit()
				}
			})
		}
	}
}

// What an edit costs does not grow with the document.
func TestASteadyEditCostsTheSameInALongDocument(t *testing.T) {
	for _, actors := range []int{1, 3} {
		measure := func(changes int) float64 {
			d := newSteady(t, changes, actors)
			return testing.AllocsPerRun(500, d.edit)
		}
		if short, long := measure(100), measure(20_000); long > short+2 {
			t.Errorf("%d actors: an edit allocates %.0f times after 100 changes and %.0f times after 20,000", actors, short, long)
		}
	}
}
