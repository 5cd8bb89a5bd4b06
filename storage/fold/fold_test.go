package fold

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

var doc = id.Document{1}

// history makes the changes of some actors who edit one document together: maps,
// text, lists, counters, deletions, and edits at once.
func history(t testing.TB, r *rand.Rand, n int) (changes []*chunk.Change) {
	t.Helper()
	var docs []*crdt.Document
	for i := range 1 + r.IntN(3) {
		docs = append(docs, crdt.New(id.Actor(fmt.Sprintf("actor %d of history", i))))
		defer docs[i].Close()
	}
	knows := make([]int, len(docs)) // how many of changes
	catchUp := func(i int) {
		for _, c := range changes[knows[i]:] {
			if c.Actor != docs[i].Actor() {
				if err := docs[i].Apply([]*chunk.Change{c}); err != nil {
					t.Fatal(err)
				}
			}
		}
		knows[i] = len(changes)
	}
	made := make([]bool, len(docs))
	for len(changes) < n {
		i := r.IntN(len(docs))
		if len(changes) == 0 || r.IntN(4) == 0 || knows[i] == 0 {
			catchUp(i)
		}
		var op crdt.Operation
		k := fmt.Sprint(r.IntN(6))
		switch at := r.IntN(10); {
		case !made[i]:
			made[i] = true
			fields := map[string]any{"text": "", "n": crdt.Counter(1)}
			op = crdt.Create("things", fmt.Sprint("of ", i), fields)
		case at < 5:
			op = crdt.Splice("things", fmt.Sprint("of ", i), "text", 0, 0, "typed ")
		case at < 7:
			op = crdt.Increment("things", fmt.Sprint("of ", i), "n", 3)
		default:
			op = crdt.Set("things", fmt.Sprint("of ", i), "field "+k, fmt.Sprint("value ", r.IntN(100)))
		}
		c, err := docs[i].Do(time.Unix(1_700_000_000+int64(len(changes)), 0), op)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	return changes
}

func openStore(t testing.TB) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// put appends changes, with rows of another document between them now and then.
func put(t testing.TB, s *storage.Store, r *rand.Rand, changes []*chunk.Change) {
	t.Helper()
	for len(changes) > 0 {
		n := 1 + r.IntN(len(changes))
		b := storage.Batch{}
		for _, c := range changes[:n] {
			b.Entries = append(b.Entries, storage.Entry{Doc: doc, Hash: c.Hash, Actor: c.Actor, ActorSeq: c.Seq, Origin: "test", Head: graph.MetaOf(c).Encode(), Body: c.Raw()})
			if r.IntN(8) == 0 {
				b.Entries = append(b.Entries, storage.Entry{Doc: id.Document{2}, Hash: id.Hash{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}, Actor: "other", ActorSeq: 1, Body: []byte("x")})
			}
		}
		if _, err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		changes = changes[n:]
	}
}

// compact runs steps until there is nothing to do, and counts them.
func compact(t testing.TB, s *storage.Store, lim limits) map[Work]int {
	t.Helper()
	count := map[Work]int{}
	c := NewCompactor(Options{Store: s, Share: 1, Did: func(d Done, _ time.Duration, err error) {
		if err != nil {
			t.Errorf("%s: %v", d.Work, err)
		}
		count[d.Work]++
	}})
	c.limits = lim
	for c.document(t.Context(), doc) {
	}
	return count
}

var small = limits{keep: 4, run: 8, heavyBytes: 1 << 20, heavyRows: 4, chunk: 16, part: 8, bytes: 1 << 30, large: 1 << 30}

// TestFoldedDocumentsAreTheSame folds random histories while they grow, and reads
// them in every way.
func TestFoldedDocumentsAreTheSame(t *testing.T) {
	works := map[Work]int{}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		changes := history(t, r, 60+r.IntN(200))
		s := openStore(t)
		cache := NewCache(int64(r.IntN(2)) << 20)
		source := SourceOf(t.Context(), s, cache, doc) // goes on while rows are folded under it
		for done := 0; done < len(changes); {
			n := min(len(changes)-done, 1+r.IntN(60))
			put(t, s, r, changes[done:done+n])
			done += n
			for w, k := range compact(t, s, small) {
				works[w] += k
			}
			same(t, r, s, source, changes[:done])
			if !shallow(t, r, s, source, changes[:done]) && int64(done) >= 2*small.chunk {
				t.Fatalf("%d changes have no shallow graph", done)
			}
		}
	}
	for _, w := range []Work{Fold, Merge, Chunk} {
		if works[w] == 0 {
			t.Errorf("no step was %q", w)
		}
	}
}

// What would take too much memory as one chunk stays in segments, and is tried again
// only when there is twice as much.
func TestALargeDocumentHasNoChunk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	small := small
	small.keep = 0
	for name, c := range map[string]struct {
		changes []*chunk.Change
		lim     limits
	}{
		"long":         {history(t, r, 160), small.upTo(2000, 1<<30)},
		"large values": {values(t, 160, 2*largeChange), small.upTo(1<<30, 30*largeChange)},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t)
			works := map[Work]int{}
			compactor := NewCompactor(Options{Store: s, Share: 1, Did: func(d Done, _ time.Duration, err error) {
				if d.Work == Chunk != (err != nil) {
					t.Errorf("%s: %v", d.Work, err)
				}
				works[d.Work]++
			}})
			compactor.limits = c.lim
			tried := []int{}
			done := 0
			for _, n := range []int{40, 70, 90, 160} {
				put(t, s, r, c.changes[done:n])
				done = n
				for compactor.document(t.Context(), doc) {
				}
				tried = append(tried, works[Chunk])
				same(t, r, s, SourceOf(t.Context(), s, NewCache(1<<20), doc), c.changes[:n])
			}
			if want := []int{1, 1, 2, 2}; !slices.Equal(tried, want) || works[Fold] == 0 {
				t.Errorf("tried %v times, want %v; %v", tried, want, works)
			}
		})
	}
}

func (l limits) upTo(bytes, large int64) limits {
	l.bytes, l.large = bytes, large
	return l
}

// values makes changes that each set a value of a length.
func values(t testing.TB, n, length int) (changes []*chunk.Change) {
	t.Helper()
	d := crdt.New("an author of values")
	defer d.Close()
	at := time.Unix(1_700_000_000, 0)
	for i := range n {
		op := crdt.Set("things", "thing", "field", strings.Repeat(string(rune('a'+i%26)), length))
		if i == 0 {
			op = crdt.Create("things", "thing", map[string]any{})
		}
		c, err := d.Do(at, op)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	return changes
}

// same reads graph, bodies and packed chunks.
func same(t *testing.T, r *rand.Rand, s *storage.Store, source *Source, changes []*chunk.Change) {
	t.Helper()
	g, err := Graph(t.Context(), s, doc)
	if err != nil {
		t.Fatal(err)
	}
	want := graph.New()
	for _, c := range changes {
		if err := want.Add(graph.MetaOf(c)); err != nil {
			t.Fatal(err)
		}
	}
	want.Publish(nil)
	if g.Len() != want.Len() || !slices.Equal(g.Heads(), want.Heads()) {
		t.Fatalf("the graph has %d changes, want %d", g.Len(), want.Len())
	}
	var rows []int64
	var asked []*chunk.Change
	from := r.IntN(len(changes))
	for n := from; n < len(changes); n++ {
		if g.Hash(n) != changes[n].Hash {
			t.Fatalf("node %d is another change", n)
		}
		if from%2 == 0 || r.IntN(3) > 0 {
			rows, asked = append(rows, g.Row(n)), append(asked, changes[n])
		}
	}
	i := 0
	err = source.Bodies(rows, func(b []byte) bool {
		if !bytes.Equal(b, asked[i].Raw()) {
			t.Fatalf("row %d has another body", rows[i])
		}
		i++
		return true
	})
	if err != nil || i != len(rows) {
		t.Fatalf("%d of %d bodies: %v", i, len(rows), err)
	}
	for _, bundles := range []bool{true, false} {
		budget := []int{0, 2000}[r.IntN(2)]
		left, at := asked, rows
		for len(at) > 0 {
			b, n, err := source.Pack(at, bundles, budget)
			if err != nil {
				t.Fatal(err)
			}
			if n < 1 || budget == 0 && n < len(at) {
				t.Fatalf("%d of %d rows were packed with a budget of %d", n, len(at), budget)
			}
			holds(t, b, left[:n])
			at, left = at[n:], left[n:]
		}
	}
}

// holds checks that chunks have at least these changes.
func holds(t *testing.T, chunks []byte, want []*chunk.Change) {
	t.Helper()
	got, err := chunk.ParseChunks(chunks)
	if err != nil {
		t.Fatal(err)
	}
	has := map[id.Hash]bool{}
	for _, c := range got {
		has[c.Hash] = true
	}
	for _, c := range want {
		if !has[c.Hash] {
			t.Fatalf("of %d changes %s is not among the %d that were packed", len(want), c.Hash, len(got))
		}
	}
}

// shallow loads the newest part and fetches all from it, if there is a document
// chunk for that.
func shallow(t *testing.T, r *rand.Rand, s *storage.Store, source *Source, changes []*chunk.Change) bool {
	t.Helper()
	g, err := Shallow(t.Context(), s, doc)
	if err != nil {
		t.Fatal(err)
	}
	if g == nil {
		return false
	}
	whole, err := Graph(t.Context(), s, doc)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.Heads(), whole.Heads()) || g.Len() != whole.Len() {
		t.Fatalf("shallow heads %v, want %v", g.Heads(), whole.Heads())
	}
	nodes := g.Since(nil)
	rows := make([]int64, len(nodes))
	for i, n := range nodes {
		rows[i] = g.Row(n)
	}
	b, n, err := source.Pack(rows, r.IntN(2) == 0, 0)
	if err != nil || n != len(rows) {
		t.Fatalf("%d of %d: %v", n, len(rows), err)
	}
	holds(t, b, changes)
	return true
}

// TestPlanEnds drives a plan over sizes alone: levels grow, and each change is
// rewritten a bounded number of times.
func TestPlanEnds(t *testing.T) {
	var l layout
	d := storage.DocumentInfo{}
	wrote := int64(0)
	for row := int64(1); row <= 100_000; row++ {
		d.Changes++
		d.RawChanges++
		for {
			s := standard.plan(d, &l, false, false)
			if s.what == Nothing {
				break
			}
			switch s.what {
			case Fold:
				d.RawChanges -= s.rows
				l.folded = append(l.folded, storage.Segment{Level: 1, Rows: s.rows})
				wrote += s.rows
			case Merge:
				at := slices.IndexFunc(l.folded, func(g storage.Segment) bool { return g.Level == s.replaces[0].Level })
				one := storage.Segment{Level: s.replaces[0].Level + 1}
				for _, g := range s.replaces {
					one.Rows += g.Rows
				}
				wrote += one.Rows
				l.folded = slices.Replace(l.folded, at, at+len(s.replaces), one)
			case Chunk:
				l.chunk = &storage.Segment{Rows: d.Changes}
			}
		}
	}
	if len(l.folded) > 6+3+3 || d.RawChanges >= standard.keep+standard.run {
		t.Errorf("%d segments and %d rows beside them", len(l.folded), d.RawChanges)
	}
	if wrote > 3*d.Changes {
		t.Errorf("%d changes were written %d times", d.Changes, wrote)
	}
}

// TestTwinsAreFolded puts two changes with one sequence number into a document:
// they go into different segments, and there is no document chunk.
func TestTwinsAreFolded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	changes := history(t, r, 40)
	h := changes[len(changes)-1]
	twin, err := chunk.Encode(chunk.Header{Actor: h.Actor, Seq: h.Seq, StartOp: h.StartOp, Deps: h.Deps, Message: "another"}, []chunk.Op{{Key: "k", Action: chunk.Set}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunk.ParseChange(twin)
	if err != nil {
		t.Fatal(err)
	}
	changes = append(changes, c)
	s := openStore(t)
	put(t, s, r, changes)
	lim := small
	lim.keep, lim.run, lim.chunk = 0, 41, 1
	co := NewCompactor(Options{Store: s, Share: 1})
	co.limits = lim
	for co.document(t.Context(), doc) {
	}
	l, err := readLayout(context.Background(), s, doc)
	if err != nil {
		t.Fatal(err)
	}
	if l.chunk != nil || len(l.folded) == 0 {
		t.Errorf("%d segments and a chunk (%v)", len(l.folded), l.chunk != nil)
	}
	g, err := Graph(t.Context(), s, doc)
	if err != nil {
		t.Fatal(err)
	}
	if g.Nodes() != len(changes) || g.Len() >= g.Nodes() {
		t.Errorf("%d of %d changes stand", g.Len(), g.Nodes())
	}
}

// TestReadersBesideACompactor reads a document while it grows and is folded.
func TestReadersBesideACompactor(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	changes := history(t, r, 1500)
	s := openStore(t)
	c := NewCompactor(Options{Store: s, Share: 1})
	c.limits = small
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	all.Go(func() { c.Run(ctx) })
	written, read := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		defer close(written)
		for i, left := 0, changes; len(left) > 0; i++ {
			n := min(len(left), 1+r.IntN(5))
			put(t, s, r, left[:n])
			c.Touched(doc, n)
			left = left[n:]
			if i%10 == 0 { // whoever is slower, one reads while the other writes
				select {
				case <-read:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	source := SourceOf(t.Context(), s, NewCache(1<<16), doc)
	for reads, shallow := 0, false; ; reads++ {
		select {
		case read <- struct{}{}:
		case <-written:
			if shallow { // which the compactor makes come true in the end
				return
			}
		}
		g, err := Graph(t.Context(), s, doc)
		if err != nil {
			t.Fatal(err)
		}
		rows := make([]int64, g.Nodes())
		for n := range rows {
			rows[n] = g.Row(n)
			if g.Hash(n) != changes[n].Hash {
				t.Fatalf("node %d of %d is another change", n, g.Nodes())
			}
		}
		if len(rows) == 0 {
			continue
		}
		b, n, err := source.Pack(rows, reads%2 == 0, 0)
		if err != nil || n != len(rows) {
			t.Fatalf("%d of %d: %v", n, len(rows), err)
		}
		holds(t, b, changes[:n])
		sh, err := Shallow(t.Context(), s, doc)
		if err != nil {
			t.Fatal(err)
		}
		if sh != nil {
			shallow = true
			if sh.Len() < g.Len() || len(sh.Heads()) == 0 {
				t.Fatalf("the shallow graph has %d changes, the whole one before had %d", sh.Len(), g.Len())
			}
		}
	}
}
