package crdt_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/automerge/automerge-go"

	"syncline/crdt/id"
)

// history is the changes of one document, in an order that respects deps, as
// type 1 chunks.
type history struct {
	name    string
	changes [][]byte

	// Where mutants are made from it: all operations, the hashes of its changes, and
	// its document chunk.
	ops      []known
	hashes   map[id.Hash]bool
	document []byte
}

// goHistory writes a random history with automerge-go: up to four actors that
// edit everything the Go API can write, meet now and then, and are merged at
// the end. The same seed gives the same bytes.
func goHistory(seed uint64) history {
	w := &writer{rng: rand.New(rand.NewPCG(seed, 1)), clock: time.Unix(1_700_000_000, 0)}
	for range 1 + w.rng.IntN(4) {
		actor := make([]byte, 1+w.rng.IntN(16))
		for i := range actor {
			actor[i] = byte(w.rng.Uint32())
		}
		d := automerge.New()
		must0(d.SetActorID(hex.EncodeToString(actor)))
		w.docs = append(w.docs, d)
	}
	if w.rng.IntN(2) == 0 { // a common start, so that the actors share objects
		w.step(w.docs[0])
		w.step(w.docs[0])
		for _, d := range w.docs[1:] {
			must(d.Merge(w.docs[0]))
		}
	}
	for range 3 + w.rng.IntN(25) {
		d := w.docs[w.rng.IntN(len(w.docs))]
		if other := w.docs[w.rng.IntN(len(w.docs))]; other != d && w.rng.IntN(3) == 0 {
			must(d.Merge(other))
		}
		w.step(d)
	}
	for _, d := range w.docs[1:] {
		must(w.docs[0].Merge(d))
	}
	h := history{name: fmt.Sprintf("go-%d", seed)}
	for _, c := range must(w.docs[0].Changes()) {
		h.changes = append(h.changes, c.Save())
	}
	return h
}

func must[T any](v T, err error) T {
	must0(err)
	return v
}

func must0(err error) {
	if err != nil {
		panic(err)
	}
}

// writer holds what goHistory writes with.
type writer struct {
	rng   *rand.Rand
	docs  []*automerge.Doc
	clock time.Time
}

// step is one change: some edits, or none.
func (w *writer) step(d *automerge.Doc) {
	for range w.rng.IntN(5) {
		w.editSomewhere(d)
	}
	w.clock = w.clock.Add(time.Duration(w.rng.IntN(10_000)-500) * time.Millisecond)
	at := w.clock
	message := ""
	switch w.rng.IntN(8) {
	case 0:
		at = time.Time{}
	case 1:
		message = "edit tasks/α; create 🐑"
	}
	must(d.Commit(message, automerge.CommitOptions{Time: &at, AllowEmpty: true}))
}

// editSomewhere walks down from the root and edits where it stops.
func (w *writer) editSomewhere(d *automerge.Doc) {
	v := d.Root()
	for {
		var inside []*automerge.Value
		switch v.Kind() {
		case automerge.KindMap:
			values := must(v.Map().Values())
			for _, k := range slices.Sorted(maps.Keys(values)) {
				inside = append(inside, values[k])
			}
		case automerge.KindList:
			inside = must(v.List().Values())
		}
		var containers []*automerge.Value
		for _, e := range inside {
			switch e.Kind() {
			case automerge.KindMap, automerge.KindList, automerge.KindText, automerge.KindCounter:
				containers = append(containers, e)
			}
		}
		if len(containers) == 0 || w.rng.IntN(4) == 0 {
			break
		}
		v = containers[w.rng.IntN(len(containers))]
	}
	w.edit(v)
}

func (w *writer) edit(v *automerge.Value) {
	switch v.Kind() {
	case automerge.KindMap:
		m, key := v.Map(), w.key()
		if w.rng.IntN(5) == 0 {
			must0(m.Delete(key))
		} else {
			must0(m.Set(key, w.value()))
		}
	case automerge.KindList:
		l, n := v.List(), v.List().Len()
		switch op := w.rng.IntN(6); {
		case op == 0 && n > 0:
			must0(l.Delete(w.rng.IntN(n)))
		case op == 1 && n > 0:
			must0(l.Set(w.rng.IntN(n), w.value()))
		case op == 2:
			must0(l.Append(w.value(), w.value()))
		default:
			must0(l.Insert(w.rng.IntN(n+1), w.value()))
		}
	case automerge.KindText:
		t, n := v.Text(), v.Text().Len()
		at := w.rng.IntN(n + 1)
		must0(t.Splice(at, w.rng.IntN(min(n-at, 3)+1), w.text()))
	case automerge.KindCounter:
		must0(v.Counter().Inc(int64(w.rng.IntN(200) - 100)))
	}
}

// key is one of few, so that actors meet on it.
func (w *writer) key() string {
	keys := []string{"a", "b", "c", "title", "läst", "0", "🔑", "a longer key, with spaces in it"}
	return keys[w.rng.IntN(len(keys))]
}

func (w *writer) text() string {
	texts := []string{"", "x", "hello", "äöü", "🐑🐑", "line\nline\ttab", "x\x00y"}
	return texts[w.rng.IntN(len(texts))]
}

func (w *writer) value() any {
	r := w.rng
	switch r.IntN(16) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return []int64{0, -1, 63, 64, -64, -65, math.MaxInt64, math.MinInt64, r.Int64()}[r.IntN(9)]
	case 3:
		return []uint64{0, 1, 127, 128, math.MaxUint64, r.Uint64()}[r.IntN(6)]
	case 4:
		return []float64{0, -0.5, math.Inf(1), math.NaN(), math.MaxFloat64, r.NormFloat64()}[r.IntN(6)]
	case 5:
		return time.UnixMilli(int64(r.Uint32()) * 1000)
	case 6:
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	case 7, 8:
		return automerge.NewCounter(int64(r.IntN(2000) - 1000))
	case 9, 10:
		return automerge.NewMap()
	case 11, 12:
		return automerge.NewList()
	case 13, 14:
		return automerge.NewText(w.text())
	default:
		return w.text()
	}
}
