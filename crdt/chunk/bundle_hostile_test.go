package chunk

import (
	"bytes"
	"compress/flate"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A flipped bit is refused, or gives changes that are well formed by themselves:
// nothing in a bundle says which ones it held.
func TestEveryFlippedBitOfABundleIsRefusedOrMakesGoodChanges(t *testing.T) {
	changes := history(t, 3, 8)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, b := range [][]byte{bundled(t, changes), rewritten(t, changes, rng, true), rewritten(t, changes, rng, false), readFile(t, "testdata", "mixed.bundle")} {
		refused := 0
		for i := 9; i < len(b); i++ {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << (i % 8)
			got, err := ParseBundle(fix(flipped))
			if err != nil {
				refused++
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("byte %d: error %v does not wrap ErrMalformed", i, err)
				}
			}
			for _, c := range got {
				if _, err := ParseChange(c.Raw()); err != nil {
					t.Errorf("bit %d of byte %d: a change is refused by itself: %v", i%8, i, err)
				}
			}
		}
		if refused < len(b)/5 {
			t.Errorf("of %d flipped bundles %d were refused", len(b), refused)
		}
	}
}

func TestOpenBundleRefuses(t *testing.T) {
	changes := history(t, 8, 12)
	encode := func(edit func(e *bundleEncoder, members, ops map[uint64][]byte)) []byte {
		e := bundleEncoder{changes: changes}
		if err := e.encodeMembers(); err != nil {
			t.Fatal(err)
		}
		if err := e.encodeOps(); err != nil {
			t.Fatal(err)
		}
		var sets [2]map[uint64][]byte
		for i, columns := range [][]column{e.memberColumns, e.ops.finish(e.numOps)} {
			sets[i] = map[uint64][]byte{}
			for _, c := range columns {
				sets[i][c.spec] = c.data
			}
		}
		edit(&e, sets[0], sets[1])
		var tables [2][]column
		for i, set := range sets {
			for spec, data := range set {
				tables[i] = append(tables[i], column{spec, data})
			}
			slices.SortFunc(tables[i], func(a, b column) int { return int(a.spec) - int(b.spec) })
		}
		return e.framed(tables[0], tables[1])
	}
	numOps := 0
	for _, c := range changes {
		numOps += int(c.NumOps)
	}
	deltas := func(n int, f func(i int) int) []byte {
		k := newDeltaEncoder()
		for i := range n {
			k.add(int64(f(i)), true)
		}
		return k.finish()
	}
	type columns = map[uint64][]byte
	for _, c := range []struct {
		name string
		edit func(e *bundleEncoder, members, ops columns)
		want string
	}{
		{"nothing is wrong", func(e *bundleEncoder, m, o columns) {}, ""},
		{"actors in disorder", func(e *bundleEncoder, m, o columns) { slices.Reverse(e.actors) }, "ascending order"},
		{"an actor twice", func(e *bundleEncoder, m, o columns) { e.actors = append(e.actors, e.actors[len(e.actors)-1]) }, "ascending order"},
		{"an actor is missing", func(e *bundleEncoder, m, o columns) { e.actors = e.actors[:1] }, "out of range"},
		{"a row twice", func(e *bundleEncoder, m, o columns) {
			o[colBundleRow] = deltas(numOps, func(i int) int { return max(i, 1) })
		}, "two operations"},
		{"a row that is not there", func(e *bundleEncoder, m, o columns) {
			o[colBundleRow] = deltas(numOps, func(i int) int { return i + 1 })
		}, "row of operation"},
		{"rows of other authors", func(e *bundleEncoder, m, o columns) {
			o[colBundleRow] = deltas(numOps, func(i int) int { return numOps - 1 - i })
		}, "not by the author"},
		{"too few rows", func(e *bundleEncoder, m, o columns) {
			o[colBundleRow] = deltas(numOps-1, func(i int) int { return i })
		}, "row of operation"},
		{"counters of others", func(e *bundleEncoder, m, o columns) {
			delete(o, colBundleRow)
			o[colBundleIDCtr] = deltas(numOps, func(i int) int { return i + 1 })
		}, "is not there"},
		{"both forms", func(e *bundleEncoder, m, o columns) {
			o[colBundleIDCtr] = deltas(numOps, func(i int) int { return i + 1 })
		}, "both forms"},
		{"neither form", func(e *bundleEncoder, m, o columns) { delete(o, colBundleRow) }, "counter of row 0"},
		{"an unknown column", func(e *bundleEncoder, m, o columns) { o[0xc2] = []byte{0x7f, 1} }, "column 0xc2 is unknown"},
		{"an unknown column of changes", func(e *bundleEncoder, m, o columns) { m[0xc2] = []byte{0x7f, 1} }, "column 0xc2 is unknown"},
		{"no actions", func(e *bundleEncoder, m, o columns) { delete(o, colAction) }, "but its changes have"},
		{"no values", func(e *bundleEncoder, m, o columns) { delete(o, colValueMeta) }, "values"},
		{"no sequence numbers", func(e *bundleEncoder, m, o columns) { delete(m, colBundleSeq) }, "sequence number"},
		{"a sequence number twice", func(e *bundleEncoder, m, o columns) {
			m[colBundleSeq] = deltas(len(changes), func(int) int { return 1 })
		}, "same sequence number"},
		{"ends before starts", func(e *bundleEncoder, m, o columns) {
			m[colBundleMaxOp] = deltas(len(changes), func(int) int { return 0 })
		}, "last operation"},
		{"deps that come later", func(e *bundleEncoder, m, o columns) {
			n := int(e.numDeps)
			m[colBundleDepIndex] = deltas(n, func(int) int { return len(changes) - 1 })
		}, "not before it"},
		{"deps that are nowhere", func(e *bundleEncoder, m, o columns) {
			m[colBundleDepIndex] = deltas(int(e.numDeps), func(int) int { return len(changes) })
		}, "not before it"},
		{"extra bytes of nobody", func(e *bundleEncoder, m, o columns) { m[colBundleExtra] = append(slices.Clone(m[colBundleExtra]), 1) }, "belong to no change"},
		{"values of nobody", func(e *bundleEncoder, m, o columns) { o[colValue] = append(slices.Clone(o[colValue]), 1) }, "behind the last one"},
		{"a row too many", func(e *bundleEncoder, m, o columns) { o[colInsert] = append(slices.Clone(o[colInsert]), 1) }, "actions"},
	} {
		_, err := OpenBundle(encode(c.edit))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: refused: %v", c.name, err)
		case c.want != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v does not say %q", c.name, err, c.want)
		}
	}
	good := encode(func(*bundleEncoder, columns, columns) {})
	if _, err := OpenBundle(append(good, 0)); err == nil {
		t.Error("a byte behind the chunk was accepted")
	}
	bad := bytes.Clone(good)
	bad[len(bad)-1]++
	if _, err := OpenBundle(bad); err == nil {
		t.Error("a wrong checksum was accepted")
	}
}

// spent is how many bytes f allocates.
func spent(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A few bytes that claim much cost no more than the rows that any bundle may have.
func TestClaimsOfBundlesAreCapped(t *testing.T) {
	ints := func(n, v int64) []byte { return AppendUint(AppendInt(nil, n), uint64(v)) }
	deltas := func(first, n, v int64) []byte {
		return AppendInt(AppendInt(AppendInt([]byte{0x7f}, first), n-1), v)
	}
	zeros := func(n int) []byte {
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, flate.BestCompression)
		block := make([]byte, 1<<20)
		for range n >> 20 {
			w.Write(block)
		}
		w.Close()
		return z.Bytes()
	}
	// What n changes of one actor with m operations each need.
	members := func(n, m int64) []column {
		return []column{{colBundleActor, ints(n, 0)}, {colBundleSeq, ints(n, 1)}, {colBundleStartOp, deltas(1, n, m)},
			{colBundleMaxOp, deltas(m, n, m)}}
	}
	const most = freeBundleChanges
	for name, c := range map[string]struct {
		members, ops []column
		cap          uint64 // in bytes
	}{
		"changes":       {members(1<<40, 0), nil, 1 << 20},
		"empty changes": {members(most, 0), nil, 100 << 20}, // these are good
		"deps":          {append(members(2, 0), column{colBundleDepCount, ints(2, 1<<40)}), nil, 1 << 20},
		"many deps":     {append(members(most, 0), column{colBundleDepCount, ints(most, 1<<16)}), nil, 60 << 20},
		"operations":    {members(1, freeBundleRows), []column{{colAction, ints(1<<40, 1)}}, 20 << 20},
		"an operation":  {members(1, MaxOps), []column{{colAction, ints(MaxOps, 1)}}, 1 << 20},
		"predecessors":  {members(1, 1000), []column{{colAction, ints(1000, 3)}, {colPredCount, ints(1000, 1<<40)}}, 1 << 20},
		"values": {members(1, 1), []column{{colBundleIDActor, ints(1, 0)}, {colAction, []byte{0x7f, 1}},
			{colValueMeta, AppendUint([]byte{0x7f}, 1<<60)}}, 1 << 20},
		"messages": {append(members(most, 0), column{colBundleMessage, appendString(AppendInt(nil, most), strings.Repeat("m", 4096))}), nil, 300 << 20},
		"a bomb":   {members(1, 1), []column{{colValue | deflatedColumn, zeros(48 << 20)}}, 120 << 20},
	} {
		e := bundleEncoder{}
		e.actors = append(e.actors, author)
		b := e.framed(c.members, c.ops)
		var err error
		n := spent(func() { _, err = ParseBundle(b) })
		if n > c.cap {
			t.Errorf("%s: %d bytes for a bundle of %d", name, n, len(b))
		}
		if (err == nil) != (name == "empty changes") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// FuzzParseBundle takes the body of a bundle, so that no input is lost to its header.
func FuzzParseBundle(f *testing.F) {
	add := func(raw []byte) {
		_, _, body, _, err := split(raw)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	add(readFile(f, "testdata", "mixed.bundle"))
	_, raws := mixed(f)
	rng := rand.New(rand.NewPCG(1, 1))
	for seed := range uint64(5) {
		changes := history(f, seed, int(seed)*4)
		if seed == 0 {
			changes = parseAll(f, raws)
		}
		add(bundled(f, changes))
		add(rewritten(f, changes, rng, true))
		add(rewritten(f, changes, rng, false))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b, _, _ := frame(typeBundle, body)
		changes, err := ParseBundle(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v does not wrap ErrMalformed", err)
			}
			return
		}
		for _, c := range changes {
			if _, err := ParseChange(c.Raw()); err != nil {
				t.Errorf("a change of an accepted bundle is refused by itself: %v", err)
			}
		}
		// Written again it can only fail for its size: its bytes may be others.
		if again, err := EncodeBundle(changes); err == nil {
			got, err := ParseBundle(again)
			if err != nil {
				t.Fatalf("written again it is refused: %v", err)
			}
			sameChanges(t, got, changes)
		}
	})
}
