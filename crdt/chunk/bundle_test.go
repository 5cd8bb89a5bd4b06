package chunk

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt/id"
)

func readFile(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameChanges expects the same changes in the same order.
func sameChanges(t testing.TB, got, want []*Change) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d changes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Hash != want[i].Hash || !bytes.Equal(got[i].Raw(), want[i].Raw()) {
			t.Fatalf("change %d is\n%x, want\n%x", i, got[i].Raw(), want[i].Raw())
		}
	}
}

// bundled encodes changes and expects them back.
func bundled(t testing.TB, changes []*Change) []byte {
	t.Helper()
	b, err := EncodeBundle(changes)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBundle(b)
	if err != nil {
		t.Fatalf("the bundle is refused: %v\n%x", err, b)
	}
	sameChanges(t, got, changes)
	return b
}

// Bundles by saveBundle of @automerge/automerge 3.5.0.
func TestBundlesOfJavaScript(t *testing.T) {
	_, raws := mixed(t)
	got, err := ParseBundle(readFile(t, "testdata", "mixed.bundle"))
	if err != nil {
		t.Fatal(err)
	}
	want := parseAll(t, raws)
	sameChanges(t, got, want)
	bundled(t, want)
}

func TestPaperBundle(t *testing.T) {
	document := readFile(t, shared(t, "corpus", "documents", "paper-js-100ops.automerge"))
	want, err := ParseDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBundle(readFile(t, shared(t, "corpus", "documents", "paper-js-100ops.bundle")))
	if err != nil {
		t.Fatal(err)
	}
	sameChanges(t, got, want)
	bundled(t, want)
}

// A history of 259,779 changes is small, and few of its changes are built without
// the others.
func TestPaperBundleOfSingleEdits(t *testing.T) {
	changes, err := ParseBundle(readFile(t, shared(t, "corpus", "documents", "paper-js-1op.bundle")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := EncodeBundle(changes)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 140_000 {
		t.Errorf("%d bytes, more than 140,000", len(b))
	}
	bundle, err := OpenBundle(b)
	if err != nil {
		t.Fatal(err)
	}
	hashes := make([]id.Hash, len(changes))
	for i, c := range changes {
		hashes[i] = c.Hash
	}
	for i := 0; i < len(changes); i += 1000 {
		c, err := bundle.Change(i, hashes)
		if err != nil {
			t.Fatal(err)
		}
		sameChanges(t, []*Change{c}, changes[i:i+1])
	}
}

// some returns some of a history, in any order in which deps come first.
func some(rng *rand.Rand, changes []*Change) (out []*Change) {
	share := rng.IntN(4)
	left := slices.DeleteFunc(slices.Clone(changes), func(*Change) bool { return rng.IntN(4) < share })
	for len(left) > 0 {
		i := rng.IntN(len(left))
		waits := func(c *Change) bool {
			return slices.ContainsFunc(left, func(o *Change) bool { return slices.Contains(c.Deps, o.Hash) })
		}
		for waits(left[i]) {
			i = (i + 1) % len(left)
		}
		out = append(out, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return out
}

func TestBundlesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		rng := rand.New(rand.NewPCG(seed, 2))
		want := some(rng, history(t, seed, rng.IntN(40)))
		b := bundled(t, want)
		for _, explicit := range []bool{true, false} {
			got, err := ParseBundle(rewritten(t, want, rng, explicit))
			if err != nil {
				rt.Fatalf("with rows in disorder, explicit %v: %v", explicit, err)
			}
			sameChanges(t, got, want)
		}
		bundle, err := OpenBundle(b)
		if err != nil {
			rt.Fatal(err)
		}
		hashes := make([]id.Hash, len(want))
		for i, c := range want {
			hashes[i] = c.Hash
		}
		if bundle.Len() != len(want) {
			rt.Fatalf("%d members, want %d", bundle.Len(), len(want))
		}
		for i, c := range want {
			if got, wanted := bundle.Member(i), (Member{c.Actor, c.Seq, c.StartOp, c.NumOps, c.Time, c.Message}); got != wanted {
				rt.Errorf("member %d is %+v, want %+v", i, got, wanted)
			}
			var deps []id.Hash
			for _, d := range bundle.Deps(i) {
				if int(d) < i {
					deps = append(deps, hashes[d])
				} else {
					deps = append(deps, bundle.External()[int(d)-len(want)])
				}
			}
			if !slices.Equal(deps, c.Deps) {
				rt.Errorf("deps of member %d are %v, want %v", i, deps, c.Deps)
			}
		}
		if len(want) > 0 {
			i := rng.IntN(len(want))
			c, err := bundle.Change(i, hashes[:i])
			if err != nil {
				rt.Fatal(err)
			}
			sameChanges(t, []*Change{c}, want[i:i+1])
		}
	})
}

// rewritten is a bundle of changes as others may write it: nothing deflated, rows
// in any order, and the counters of operations explicit or not.
func rewritten(t testing.TB, changes []*Change, rng *rand.Rand, explicit bool) []byte {
	t.Helper()
	e := bundleEncoder{changes: changes}
	if err := e.encodeMembers(); err != nil {
		t.Fatal(err)
	}
	order, err := e.byAuthor()
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		op    Op
		ctr   uint64
		local []uint32
	}
	var rows []row
	for _, i := range order {
		c := changes[i]
		local := []uint32{e.ranks[c.Actor]}
		for _, a := range c.OtherActors {
			local = append(local, e.ranks[a])
		}
		for ctr, op := range c.Ops() {
			o := *op
			o.Pred = slices.Clone(op.Pred)
			rows = append(rows, row{o, ctr, local})
		}
	}
	at := rng.Perm(len(rows))
	shuffled := make([]row, len(rows))
	inverse, counters := newDeltaEncoder(), newDeltaEncoder()
	for i, to := range at {
		shuffled[to] = rows[i]
		inverse.add(int64(to), true)
	}
	k := newBundleColumns()
	for _, r := range shuffled {
		k.add(&r.op, r.local)
		counters.add(int64(r.ctr), true)
	}
	columns := k.finish(0)
	if explicit {
		i := slices.IndexFunc(columns, func(c column) bool { return c.spec == colInsert })
		columns = slices.Insert(columns, i, column{colBundleIDCtr, counters.finish()})
	} else {
		columns = append(columns, column{colBundleRow, inverse.finish()})
	}
	return e.framed(e.memberColumns, columns)
}

// framed is a bundle of these columns, as they are.
func (e *bundleEncoder) framed(members, ops []column) []byte {
	b := e.appendHeader(nil)
	for _, columns := range [][]column{members, ops} {
		columns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return len(c.data) == 0 })
		b = appendColumns(appendTable(b, columns), columns)
	}
	raw, _, _ := frame(typeBundle, b)
	return raw
}

func TestEncodeBundleRefuses(t *testing.T) {
	var changes []*Change
	add := func(h Header, ops ...Op) {
		raw, err := Encode(h, ops)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, parseAll(t, [][]byte{raw})...)
	}
	set := Op{Key: "k", Action: Set}
	add(Header{Actor: "a", Seq: 1, StartOp: 1}, set, set)
	add(Header{Actor: "a", Seq: 2, StartOp: 3, Deps: []id.Hash{changes[0].Hash}}, set)
	add(Header{Actor: "a", Seq: 2, StartOp: 9}, set)
	add(Header{Actor: "a", Seq: 3, StartOp: 2}, set)
	many := make([]Op, 0, freeBundleRows+10_000)
	for len(many) < cap(many) {
		many = append(many, Op{Key: "k", Action: Delete, Pred: []Ref{{0, 1}}})
	}
	add(Header{Actor: "a", Seq: 2, StartOp: 3}, many...)
	for _, c := range []struct {
		name  string
		which []int
		want  string
	}{
		{"nothing", nil, ""},
		{"a chain", []int{0, 1}, ""},
		{"only the later", []int{1}, ""},
		{"deps last", []int{1, 0}, "comes after one that depends on it"},
		{"one twice", []int{0, 0}, "is there twice"},
		{"a twin", []int{0, 1, 2}, "same sequence number"},
		{"operations twice", []int{0, 3}, "or operation"},
		{"more than its bytes warrant", []int{0, 4}, "more than a reader takes"},
	} {
		var in []*Change
		for _, i := range c.which {
			in = append(in, changes[i])
		}
		b, err := EncodeBundle(in)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == "":
			got, err := ParseBundle(b)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			sameChanges(t, got, in)
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: error %v does not say %q", c.name, err, c.want)
		}
	}
}

func TestABundleServesManyAtOnce(t *testing.T) {
	want := history(t, 21, 60)
	bundle, err := OpenBundle(bundled(t, want))
	if err != nil {
		t.Fatal(err)
	}
	hashes := make([]id.Hash, len(want))
	for i, c := range want {
		hashes[i] = c.Hash
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range want {
				c, err := bundle.Change(i, hashes)
				if err != nil || c.Hash != want[i].Hash {
					t.Errorf("change %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := bundle.Change(len(want)-1, nil); err == nil && slices.ContainsFunc(bundle.Deps(len(want)-1), func(d uint32) bool { return int(d) < len(want) }) {
		t.Error("a change was built without the hashes of its deps")
	}
	if _, err := bundle.Change(len(want), hashes); err == nil {
		t.Error("a change that is not there was built")
	}
}
