package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/crdt"
	"syncline/crdt/id"
)

// nativeHistory is a document written by 1 to 4 actors that edit and merge. They
// may begin apart, so that their collections conflict. Close it.
func nativeHistory(seed uint64) (_ *rig.Replica, err error) {
	w := newWriter(seed)
	docs := make([]*rig.Replica, 1+w.IntN(4))
	for i := range docs {
		docs[i] = rig.NewReplica(id.Actor(w.actor()))
	}
	defer func() {
		for i, d := range docs {
			if i > 0 || err != nil {
				d.Close()
			}
		}
	}()
	at := time.Unix(1_700_000_000, 0)
	apart := w.chance(0.3)
	for i, d := range docs {
		if i == 0 || apart {
			_, err = d.Do(at, w.first()...)
		} else {
			err = d.Merge(docs[0])
		}
		if err != nil {
			return nil, err
		}
	}
	for target := 10 + w.IntN(50); target > 0; {
		d, from := pick(w, docs), pick(w, docs)
		if d != from && w.chance(0.3) {
			if err := d.Merge(from); err != nil {
				return nil, err
			}
			continue
		}
		target--
		value, err := d.Value()
		if err != nil {
			return nil, err
		}
		at = at.Add(time.Duration(w.IntN(5000)) * time.Millisecond)
		ops := w.batch(value)
		if _, err := d.Do(at, ops...); err != nil && !errors.Is(err, crdt.ErrNoChange) {
			return nil, fmt.Errorf("do %+v: %w", ops, err)
		}
	}
	for _, d := range docs[1:] {
		if err := docs[0].Merge(d); err != nil {
			return nil, err
		}
	}
	return docs[0], nil
}

// native is what can be compared of a document on this side.
type native interface {
	Heads() []id.Hash
	Value() (map[string]any, error)
	JSON() ([]byte, error)
	Save() ([]byte, error)
}

// same says how a native document and a dump differ.
func same(d native, dump js.Dump) error {
	if heads := rig.Hex(d.Heads()); !slices.Equal(heads, dump.Heads) {
		return fmt.Errorf("native heads are %v, JavaScript's %v", heads, dump.Heads)
	}
	value, err := d.Value()
	if err != nil {
		return err
	}
	b, err := d.JSON()
	if err != nil {
		return err
	}
	return sameContent(value, b, dump.Doc)
}

// loaded says how a saved document differs from the one that it was, kinds of
// values included, once it is loaded natively: checked like somebody else's, and
// trusted like our own.
func loaded(saved []byte, d native) error {
	checked := rig.NewReplica("checked")
	defer checked.Close()
	if err := checked.Take(saved); err != nil {
		return err
	}
	trusted, err := crdt.Load("trusted", saved)
	if err != nil {
		return err
	}
	defer trusted.Close()
	want, err := d.Value()
	if err != nil {
		return err
	}
	for _, again := range []native{checked, trusted} {
		if !slices.Equal(again.Heads(), d.Heads()) {
			return fmt.Errorf("loaded, its heads are %v, not %v", again.Heads(), d.Heads())
		}
		got, err := again.Value()
		if err != nil {
			return err
		}
		if kinds(got) != kinds(want) {
			return fmt.Errorf("loaded, it is\n%s\nnot\n%s", kinds(got), kinds(want))
		}
	}
	return nil
}

// resaved says how a native document differs from what JavaScript makes of what
// this side saves, and from what both then load of what JavaScript saves.
func resaved(ctx context.Context, a *js.Automerge, d native) error {
	saved, err := d.Save()
	if err != nil {
		return err
	}
	if err := loaded(saved, d); err != nil {
		return fmt.Errorf("saved natively: %w", err)
	}
	there, err := a.Inspect(ctx, saved)
	if err != nil {
		return err
	}
	if err := same(d, there.Dump); err != nil {
		return fmt.Errorf("saved natively, loaded by JavaScript: %w", err)
	}
	if err := loaded(there.Saved, d); err != nil {
		return fmt.Errorf("saved by JavaScript: %w", err)
	}
	again, err := a.Inspect(ctx, there.Saved)
	if err != nil {
		return err
	}
	if err := same(d, again.Dump); err != nil {
		return fmt.Errorf("saved and loaded by JavaScript: %w", err)
	}
	return nil
}

// JavaScript reads what native documents write: the same heads from the same
// bytes, the same content.
func TestNativeHistoriesAreReadByJavaScript(t *testing.T) {
	ctx := rig.Bounded(t)
	a := startAutomerge(ctx, t)
	count, seed := howMany(30, 1000), firstSeed(t)
	changes, conflicts := 0, 0
	for i := range count {
		d, err := nativeHistory(seed + uint64(i))
		if err != nil {
			t.Fatalf("%s=%d: %v", seedEnv, seed+uint64(i), err)
		}
		changes += len(d.Changes())
		if len(d.Heads()) > 1 {
			conflicts++
		}
		if err := readByJavaScript(ctx, a, d); err != nil {
			t.Errorf("%s=%d: %v", seedEnv, seed+uint64(i), err)
		}
		d.Close()
	}
	t.Logf("%d histories of %d changes, %d with several heads", count, changes, conflicts)
}

func readByJavaScript(ctx context.Context, a *js.Automerge, d *rig.Replica) error {
	h, err := a.Inspect(ctx, bytes.Join(d.Raw(), nil))
	if err != nil {
		return err
	}
	if err := same(d, h.Dump); err != nil {
		return err
	}
	theirs, err := decode(h.Doc)
	if err != nil {
		return err
	}
	if err := stringsAreStrings(theirs); err != nil {
		return err
	}
	if !slices.EqualFunc(sorted(h.Changes), sorted(d.Raw()), bytes.Equal) {
		return errors.New("JavaScript gives other bytes for the same changes")
	}
	return resaved(ctx, a, d)
}

func sorted(chunks [][]byte) [][]byte {
	chunks = slices.Clone(chunks)
	slices.SortFunc(chunks, bytes.Compare)
	return chunks
}

// Native documents read what JavaScript writes, and hand it back unchanged.
func TestJavaScriptHistoriesAreReadNatively(t *testing.T) {
	ctx := rig.Bounded(t)
	a := startAutomerge(ctx, t)
	count, seed := howMany(30, 1000), firstSeed(t)
	const at = 100 // how many to ask for at a time
	changes, conflicts := 0, 0
	for first := 0; first < count; first += at {
		histories := rig.Get(a.Histories(ctx, seed+uint64(first), min(at, count-first), js.Sizes{Least: 10, Most: 60}))(t)
		for i, h := range histories {
			changes += len(h.Changes)
			if len(h.Heads) > 1 {
				conflicts++
			}
			if err := readNatively(ctx, a, h); err != nil {
				t.Errorf("%s=%d: %v", seedEnv, seed+uint64(first+i), err)
			}
		}
	}
	t.Logf("%d histories of %d changes, %d with several heads", count, changes, conflicts)
}

func readNatively(ctx context.Context, a *js.Automerge, h js.History) error {
	d := rig.NewReplica("reader")
	defer d.Close()
	if err := d.Take(h.Changes...); err != nil {
		return err
	}
	if err := same(d, h.Dump); err != nil {
		return err
	}
	if err := loaded(h.Saved, d); err != nil {
		return fmt.Errorf("saved by JavaScript: %w", err)
	}
	return resaved(ctx, a, d)
}
