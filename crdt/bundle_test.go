package crdt_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/bench/js"
	"syncline/crdt/chunk"
)

var bundledFlag = flag.Int("bundled", 20, "random histories whose bundles TestBundlesAreRead writes and reads, half of them by automerge-go and half by JavaScript")

// What EncodeBundle writes is to JavaScript what the raw changes are, and what its
// saveBundle writes is that to us.
//
//	go test ./crdt -run TestBundlesAreRead -bundled 4000 -seed 7 -timeout 1h
func TestBundlesAreRead(t *testing.T) {
	js.Require(t)
	n := *bundledFlag / 2
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		r := newReaders(t)
		for i := range n {
			h := goHistory(*seedFlag<<32 + uint64(i))
			r.readBundles(h, uint64(i))
			r.readBundles(annotated(h, uint64(i)), uint64(i))
		}
		r.report(n)
	})
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		r := newReaders(t)
		for from := 0; from < n; from += 100 {
			hs, err := r.worker.Histories(r.ctx, *seedFlag*1_000_037+uint64(from), min(100, n-from), js.Sizes{Least: 3, Most: 60})
			if err != nil {
				t.Fatal(err)
			}
			for i, made := range hs {
				h := history{name: fmt.Sprintf("js-%d", from+i), changes: made.Changes}
				r.readBundles(h, uint64(from+i))
				r.readBundles(annotated(h, uint64(from+i)), uint64(from+i))
			}
		}
		r.report(n)
	})
}

func (r *readers) readBundles(h history, seed uint64) {
	r.t.Helper()
	r.changes += len(h.changes)
	var changes []*chunk.Change
	for _, raw := range h.changes {
		changes = append(changes, must(chunk.ParseChange(raw)))
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	want, err := r.worker.Inspect(r.ctx, h.changes...)
	if err != nil {
		r.defects++ // see readInJavaScript
		r.restart()
		return
	}
	for what, bundles := range map[string][][]byte{
		"one bundle": {must(chunk.EncodeBundle(changes))}, "parts": bundleParts(rng, changes),
	} {
		if err := r.readParts(h, bundles, want); err != nil {
			r.t.Fatalf("seed %d, %s, %s: %v", *seedFlag, h.name, what, err)
		}
	}
	if err := r.saveBundles(h, rng); err != nil {
		r.t.Fatalf("seed %d, %s, saveBundle: %v", *seedFlag, h.name, err)
	}
}

// bundleParts cuts a history into bundles in any order, which overlap and of which most
// have deps outside.
func bundleParts(rng *rand.Rand, changes []*chunk.Change) (bundles [][]byte) {
	groups := make([][]*chunk.Change, 1+rng.IntN(4))
	for i, c := range changes {
		in := rng.IntN(len(groups))
		if rng.IntN(2) == 0 {
			in = i * len(groups) / len(changes) // runs, as in a journal
		}
		groups[in] = append(groups[in], c)
		if other := rng.IntN(8 * len(groups)); other < len(groups) && other != in {
			groups[other] = append(groups[other], c)
		}
	}
	for _, g := range groups {
		bundles = append(bundles, must(chunk.EncodeBundle(g)))
	}
	rng.Shuffle(len(bundles), func(i, j int) { bundles[i], bundles[j] = bundles[j], bundles[i] })
	return bundles
}

// readParts loads bundles, and syncs them as the blob of one V2 message.
func (r *readers) readParts(h history, bundles [][]byte, want js.History) error {
	got, err := r.worker.Inspect(r.ctx, bundles...)
	if err != nil {
		return fmt.Errorf("loadIncremental: %w", err)
	}
	if err := sameInJavaScript(got.Dump, want.Dump); err != nil {
		return fmt.Errorf("loadIncremental: %w", err)
	}
	if err := sameRaws(got.Changes, h.changes); err != nil {
		return fmt.Errorf("loadIncremental: %w", err)
	}
	doc, err := r.sync(slices.Concat(bundles...), want.Heads)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	dump, err := doc.Dump(r.ctx)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := sameInJavaScript(dump, want.Dump); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return doc.Free(r.ctx)
}

// sameRaws expects the same changes in whatever order, deflated or not.
func sameRaws(got, want [][]byte) error {
	var all [2][][]byte
	for i, raws := range [][][]byte{got, want} {
		for _, raw := range raws {
			b, err := inflated(raw)
			if err != nil {
				return err
			}
			all[i] = append(all[i], b)
		}
		slices.SortFunc(all[i], bytes.Compare)
	}
	if !slices.EqualFunc(all[0], all[1], bytes.Equal) {
		return fmt.Errorf("%d changes are not the %d there should be", len(got), len(want))
	}
	return nil
}

// saveBundles lets JavaScript bundle all of a history, and some of it.
func (r *readers) saveBundles(h history, rng *rand.Rand) error {
	doc, err := r.worker.Create(r.ctx, "")
	if err != nil {
		return err
	}
	if _, err := doc.LoadIncremental(r.ctx, concat(h.changes)); err != nil {
		return err
	}
	for _, all := range []bool{true, false} {
		hashes := []string{}
		var want [][]byte
		for _, raw := range h.changes {
			if all || rng.IntN(2) == 0 {
				hashes, want = append(hashes, must(chunk.ParseChange(raw)).Hash.String()), append(want, raw)
			}
		}
		bundle, err := doc.Bundle(r.ctx, hashes)
		if err != nil {
			return err
		}
		changes, err := chunk.ParseBundle(bundle)
		if err != nil {
			return err
		}
		var got [][]byte
		for _, c := range changes {
			got = append(got, c.Raw())
		}
		if err := sameRaws(got, want); err != nil {
			return fmt.Errorf("%d of %d changes: %w", len(hashes), len(h.changes), err)
		}
	}
	return doc.Free(r.ctx)
}
