package peer

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/intake"
	"syncline/storage"
)

func TestWhatALoserDidIsIssuedAgainInEveryOrder(t *testing.T) {
	won := map[bool]bool{}
	for len(won) < 2 { // either side may have the lower hash
		c := newClones(t, nil)
		before, apart, again, settled := twinEdits(t, c)
		side := apart[0].Hash.Compare(apart[2].Hash) < 0
		if won[side] {
			continue
		}
		won[side] = true
		heads, want := headsOf(t, settled), jsonOf(t, settled)
		for i, order := range permutations(apart) {
			// One more copy finds out by itself, and does the same.
			_, d := c.open(nil)
			if i%2 == 0 {
				jsonOf(t, d) // the core is open
			}
			bring(t, d, order...)
			if got := headsOf(t, d); !slices.Equal(got, heads) || jsonOf(t, d) != want {
				t.Fatalf("order %d at a copy: heads %v, want %v", i, got, heads)
			}
			// Somebody else issues nothing, and gets what was issued anywhere between.
			p := newPeer(t)
			o := create(t, p)
			bring(t, o, before...)
			for _, x := range again {
				order = slices.Insert(order, rand.IntN(len(order)+1), x)
			}
			bring(t, o, order...)
			if got := headsOf(t, o); !slices.Equal(got, heads) || jsonOf(t, o) != want {
				t.Fatalf("order %d at a third peer: heads %v, want %v", i, got, heads)
			}
			for _, p := range []*Peer{d.p, p} {
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestClonesThatRunOnConvergeThroughARelay(t *testing.T) {
	r := serveRelay(t)
	c := newClones(t, nil)
	left, l := c.open(sameActors(1), r.url)
	right, rt := c.open(sameActors(1), r.url)
	third := newPeer(t, r.url)
	jsonOf(t, l)
	jsonOf(t, rt)
	edit(t, l, "left", 1)
	edit(t, rt, "right", 2)
	stops := []func(){run(t, left), run(t, right), run(t, third)}
	o := fetch(t, third, c.doc)
	converge(t, l, rt, o)
	until(t, "both edits are at the third peer", []*Document{l, rt, o}, func() bool {
		return collectionLen(t, o, "notes") == 3 && slices.Equal(headsOf(t, l), headsOf(t, o)) && slices.Equal(headsOf(t, rt), headsOf(t, o))
	})
	checkBoth(t, o)
	checkActors(t, o)
	do(t, l, note("the left goes on"))
	do(t, rt, note("the right goes on"))
	converge(t, l, rt, o)
	// Whose changes stand may never have been sent the others.
	quarantined := map[*Peer]int{}
	for _, p := range []*Peer{left, right} {
		s := statusOf(t, p, c.doc)
		quarantined[p] = len(s.Quarantined)
		if n := quarantined[p]; n != 0 && n != 2 || s.Divergences != n {
			t.Errorf("%d divergences, quarantine %+v", s.Divergences, s.Quarantined)
		}
		for _, q := range s.Quarantined {
			if q.Reason != reasonTwin || q.Again == (id.Hash{}) || q.Lost != 0 {
				t.Errorf("in quarantine %+v", q)
			}
		}
	}
	if quarantined[left]+quarantined[right] == 0 {
		t.Error("nobody has counted the twins")
	}
	// Nothing is issued a second time by another start.
	heads := headsOf(t, o)
	for _, stop := range stops {
		stop()
	}
	for _, p := range []*Peer{left, right} {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		again := openPeer(t, p.Path(), testOptions())
		d, err := again.OpenDocument(bounded(t), c.doc)
		if err != nil {
			t.Fatal(err)
		}
		if got := headsOf(t, d); !slices.Equal(got, heads) {
			t.Errorf("heads after another start %v, want %v", got, heads)
		}
		got := statusOf(t, again, c.doc).Quarantined
		if len(got) != quarantined[p] || len(got) > 0 && got[0].Again == (id.Hash{}) {
			t.Errorf("quarantine after another start: %+v", got)
		}
	}
}

// The process may die when the twin is durable and nothing is issued yet.
func TestWhatWasNotIssuedBeforeADeathIsByTheNextStart(t *testing.T) {
	c := newClones(t, nil)
	before, apart, again, settled := twinEdits(t, c)
	p, _ := c.open(nil)
	path := p.Path()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := storage.Open(bounded(t), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(again) + 1 {
		// First the twins alone, then with a part of what is issued again.
		have := slices.Concat(apart, again[:n])
		for _, x := range have {
			s := intake.Staged{Change: x, From: graph.Sender{Name: originImport}}
			if _, err := store.Append(bounded(t), storage.Batch{Entries: []storage.Entry{entry(c.doc, &s, kept{})}}); err != nil {
				t.Fatal(err)
			}
		}
		cut := filepath.Join(t.TempDir(), "cut.db")
		copyFile(t, path, cut)
		var log strings.Builder
		for start := range 2 {
			o := testOptions()
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			p := openPeer(t, cut, o)
			d, err := p.OpenDocument(bounded(t), c.doc)
			if err != nil {
				t.Fatal(err)
			}
			if got := headsOf(t, d); !slices.Equal(got, headsOf(t, settled)) {
				t.Errorf("with %d rows, start %d: heads %v", len(have), start, got)
			}
			checkBoth(t, d)
			if n := len(changesOf(t, d)); n != len(before)+4 {
				t.Errorf("%d changes stand", n)
			}
			if s := statusOf(t, p, c.doc); len(s.Quarantined) != 2 || s.Quarantined[0].Again == (id.Hash{}) || s.Divergences != 2 {
				t.Errorf("with %d rows, start %d: status %+v", len(have), start, s)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		said := strings.Count(log.String(), "were issued again")
		if want := map[bool]int{true: 1}[n < len(again)]; said != want {
			t.Errorf("with %d rows: the log says %d times that changes were issued again, want %d", len(have), said, want)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// A foreign change that was built on the loser goes with it; what of ours builds on
// that is issued again as far as it can be, and the rest is reported.
func TestWhatBuildsOnAnothersLostChangeIsLeftOutAndCounted(t *testing.T) {
	c := newClones(t, nil)
	var l, o, other *Document
	for {
		_, l = c.open(sameActors(1))
		_, other = c.open(sameActors(1))
		do(t, l, crdt.Update("notes", "shared", map[string]any{"title": "lost"}))
		do(t, other, crdt.Update("notes", "shared", map[string]any{"title": "won"}))
		if headsOf(t, other)[0].Compare(headsOf(t, l)[0]) < 0 {
			break
		}
		c = newClones(t, nil)
	}
	// Somebody builds on the loser, and we on that.
	o = create(t, newPeer(t))
	bring(t, o, changesOf(t, l)...)
	do(t, o, crdt.Splice("notes", "shared", "text", 2, 0, "theirs"), note("theirs"))
	bring(t, l, changesOf(t, o)...)
	do(t, l, crdt.Splice("notes", "shared", "text", 3, 0, "X"), crdt.Increment("notes", "shared", "n", 7),
		crdt.Update("notes", "theirs", map[string]any{"text": "ours"}))
	lost := headsOf(t, l)[0]
	bring(t, l, changesOf(t, other)...)
	v := jsonOf(t, l)
	if !strings.Contains(v, `"n":7`) || strings.Contains(v, "theirs") || strings.Contains(v, "X") {
		t.Errorf("the document is\n%s", v)
	}
	s := statusOf(t, l.p, c.doc)
	i := slices.IndexFunc(s.Quarantined, func(q QuarantinedChange) bool { return q.Hash == lost })
	if i < 0 || s.Quarantined[i].Again == (id.Hash{}) || s.Quarantined[i].Lost == 0 {
		t.Errorf("status %+v", s)
	}
	// Theirs is theirs to issue again, which their device does when it finds out. It
	// has the tag of another device.
	for _, q := range s.Quarantined {
		c := slices.ContainsFunc(changesOf(t, o), func(c *chunk.Change) bool { return c.Hash == q.Hash && !newDevice(l.p.secret, l.doc).wrote(c.Actor) })
		if c != (q.Again == id.Hash{}) {
			t.Errorf("%+v; of another device: %v", q, c)
		}
	}
}

// Two processes on one file may both find out, and issue the same.
func TestTwoProcessesIssueTheSameAgain(t *testing.T) {
	c := newClones(t, nil)
	_, apart, _, settled := twinEdits(t, c)
	p, d := c.open(nil)
	other, err := openPeer(t, p.Path(), testOptions()).OpenDocument(bounded(t), c.doc)
	if err != nil {
		t.Fatal(err)
	}
	jsonOf(t, other)
	bring(t, d, apart[:2]...)
	bring(t, other, apart[2:]...)
	until(t, "both know all", []*Document{d, other}, func() bool {
		return slices.Equal(headsOf(t, d), headsOf(t, settled)) && slices.Equal(headsOf(t, other), headsOf(t, settled))
	})
	checkBoth(t, d)
	checkBoth(t, other)
	do(t, d, note("on top"))
	converge(t, d, other)
}

// kill -9 with what was issued again in the journal and not in the core: begun or
// not, done or not.
func TestAKillWhileWhatIsIssuedAgainIsApplied(t *testing.T) {
	r := serveRelay(t)
	for _, point := range []applyPoint{applyStored, applyDone} {
		c := newClones(t, nil)
		_, apart, again, settled := twinEdits(t, c)
		loser, winner := apart[:2], apart[2:]
		if winner[0].Hash.Compare(loser[0].Hash) > 0 {
			loser, winner = winner, loser
		}
		p, d := c.open(nil)
		bring(t, d, loser...)
		jsonOf(t, d)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		// The relay has the winner.
		far := newPeer(t, r.url)
		f := fetch(t, far, c.doc)
		bring(t, f, changesOf(t, settled)[:len(changesOf(t, settled))-len(again)-len(winner)]...)
		bring(t, f, winner...)
		if _, err := far.Sync(bounded(t), SyncOptions{}); err != nil {
			t.Fatal(err)
		}
		_, cmd := startChild(t, "follow", childPath+"="+p.Path(), childURL+"="+r.url, childDoc+"="+c.doc.String(),
			childPoint+"="+string(point), childKiller+"="+loser[1].Message)
		died(t, cmd)
		p = openPeer(t, p.Path(), testOptions())
		d, err := p.OpenDocument(bounded(t), c.doc)
		if err != nil {
			t.Fatal(err)
		}
		checkBoth(t, d)
		if got := headsOf(t, d); !slices.Equal(got, headsOf(t, settled)) {
			t.Errorf("%s: heads %v, want %v", point, got, headsOf(t, settled))
		}
		if q := statusOf(t, p, c.doc).Quarantined; len(q) != 2 {
			t.Errorf("%s: quarantine %+v", point, q)
		}
	}
}

// What beat a change of ours may come to be out itself, because it builds on a
// loser among twins of another device. Then ours stands again, and what it was
// issued again as does not.
func TestAChangeThatStandsAgainIsNotThereTwice(t *testing.T) {
	ada := newClones(t, nil)
	ben := newClones(t, &ada.doc)
	add := func(d *Document, n int64, title string) *chunk.Change {
		t.Helper()
		before := changesOf(t, d)
		do(t, d, crdt.Increment("notes", "shared", "n", n), crdt.Update("notes", "shared", map[string]any{"title": title}))
		return changesOf(t, d)[len(before)]
	}
	_, seed := ada.open(nil)
	base := changesOf(t, seed)
	_, b1 := ben.open(sameActors(1))
	_, b2 := ben.open(sameActors(1))
	bring(t, b1, base...)
	bring(t, b2, base...)
	high, low := add(b1, 1, "one"), add(b2, 1, "two")
	if high.Hash.Compare(low.Hash) < 0 {
		high, low, b1, b2 = low, high, b2, b1
	}
	var a1 *Document
	var ours, beats *chunk.Change
	for try := 0; ours == nil || beats.Hash.Compare(ours.Hash) > 0; try++ {
		var a2 *Document
		_, a1 = ada.open(sameActors(1))
		_, a2 = ada.open(sameActors(1))
		bring(t, a2, high)
		ours, beats = add(a1, 100, "ours"), add(a2, 1000, fmt.Sprint("beats ", try))
	}
	n := func(d *Document) string {
		e, err := d.Entity(bounded(t), "notes", "shared")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(e["n"])
	}
	bring(t, a1, high, beats)
	if got := n(a1); got != "1101" || !statusHas(t, a1, ours) {
		t.Errorf("the counter is at %s, want 1101; status %+v", got, statusOf(t, a1.p, ada.doc))
	}
	bring(t, a1, low)
	if got := n(a1); got != "1101" || statusHas(t, a1, ours) || !statusHas(t, a1, beats) {
		t.Errorf("the counter is at %s, want 1101; status %+v", got, statusOf(t, a1.p, ada.doc))
	}
	bring(t, b1, low)
	for range 2 {
		bring(t, a1, changesOf(t, b1)...)
		bring(t, b1, changesOf(t, a1)...)
	}
	for _, d := range []*Document{a1, b1} {
		if got := n(d); got != "1102" {
			t.Errorf("the counter is at %s, want 1102", got)
		}
	}
	if !slices.Equal(headsOf(t, a1), headsOf(t, b1)) {
		t.Error("the heads differ")
	}
}

// Who sees a change that was issued again can forge a twin of it that beats it. The
// operations are issued once more, wherever that is learned of and when.
func TestATwinOfWhatWasIssuedAgain(t *testing.T) {
	c := newClones(t, nil)
	before, apart, again, settled := twinEdits(t, c)
	forged := again[0]
	for at := int64(1); forged.Hash.Compare(again[0].Hash) >= 0; at++ {
		forged = forge(t, again[0], at)
	}
	bring(t, settled, forged)
	checkBoth(t, settled)
	heads := headsOf(t, settled)
	if n := len(changesOf(t, settled)); n != len(before)+5 {
		t.Errorf("%d changes stand", n)
	}
	for i, order := range permutations(append(slices.Clone(apart), forged)) {
		if i%7 != 0 {
			continue // a copy of the file costs more than the order is worth
		}
		_, d := c.open(nil)
		bring(t, d, order...)
		checkBoth(t, d)
		if got := headsOf(t, d); !slices.Equal(got, heads) {
			t.Errorf("order %d: heads %v, want %v", i, got, heads)
		}
	}
}

func TestADiskThatFailsWhileChangesAreIssuedAgain(t *testing.T) {
	c := newClones(t, nil)
	_, apart, _, settled := twinEdits(t, c)
	_, d := c.open(nil)
	bring(t, d, apart[:2]...)
	// A round that cannot be stored leaves nothing behind; the next makes it good.
	err := d.p.ask(bounded(t), c.doc, func(k *desk) error {
		for _, x := range apart[2:] {
			k.r.intake.Take(x, graph.Sender{Name: originImport})
		}
		if _, err := k.store(); err != nil {
			return err
		}
		if !k.r.contested {
			return errors.New("nothing is contested")
		}
		if _, err := k.again.step(); err != nil {
			return err
		}
		if n := len(k.r.intake.Staged()); n != 2 {
			return fmt.Errorf("%d changes staged", n)
		}
		k.settle(k.r.commit(nil, storage.ErrFull))
		k.again.forget()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	jsonOf(t, d)
	if got := headsOf(t, d); !slices.Equal(got, headsOf(t, settled)) {
		t.Errorf("heads %v", got)
	}
	checkBoth(t, d)
}
