package peer

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"syncline/crdt/id"
)

func readingOf(t testing.TB, p *Peer) Status {
	t.Helper()
	s, err := p.Status(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Another process on the file sees how the running peer stands while its relay is
// away: the depth grows, retries are counted by class, and all drains to nothing.
func TestStatusOfAPeerThatRunsElsewhere(t *testing.T) {
	r := serveRelay(t)
	path := filepath.Join(t.TempDir(), "peer.db")
	// It is there before the relay is known.
	other := openPeer(t, path, testOptions())
	p := openPeer(t, path, remotes(testOptions(), r.url))
	stop := run(t, p)
	d := create(t, p)
	await(t, do(t, d, note("a")), Acknowledged)
	// A look at the store, since nobody tells this process.
	see := func(what string, cond func(Status) bool) {
		t.Helper()
		ctx := bounded(t)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			s := readingOf(t, other)
			if cond(s) {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("never seen: %s; at last %+v", what, s)
			}
		}
	}
	see("it is connected and all has arrived", func(s Status) bool {
		return s.Running == 1 && len(s.Remotes) == 1 && s.Remotes[0].State == LinkConnected && s.Unacknowledged == 0 && s.Oldest.IsZero() &&
			s.Remotes[0].Pending == 0 && s.Counters.Reconciliation.Count() > 0
	})
	r.stop()
	var receipts []Receipt
	for i := range 5 {
		receipts = append(receipts, do(t, d, note(name(i))))
	}
	see("five changes wait, and attempts fail", func(s Status) bool {
		return s.Unacknowledged == 5 && s.Oldest.Equal(receipts[0].Time) && s.Remotes[0].Pending == 5 &&
			s.Counters.Retries[ClassRefused] > 0 && s.Remotes[0].Retries[ClassRefused] > 0 && s.Remotes[0].Reason != ""
	})
	serveRelayOn(t, r.path, r.addr)
	see("the outbox has drained", func(s Status) bool {
		return s.Unacknowledged == 0 && s.Remotes[0].State == LinkConnected && s.Remotes[0].Pending == 0
	})
	stop()
	see("nobody runs, and the remote is known still", func(s Status) bool {
		return s.Running == 0 && len(s.Remotes) == 1 && s.Remotes[0].URL == r.url && s.Remotes[0].State == LinkIdle
	})
}

// What a process left that died is not taken for one that runs, and is swept.
func TestTheReportOfADeadPeerIsForgotten(t *testing.T) {
	r := serveRelay(t)
	p := newPeer(t, r.url)
	dead := []byte(`{"Time":"2020-01-01T00:00:00Z","Remotes":[{"URL":"ws://nowhere"}]}`)
	for key, b := range map[string][]byte{keyReport + "dead": dead, keyReport + "broken": []byte("{")} {
		if err := p.store.SetValue(bounded(t), key, b); err != nil {
			t.Fatal(err)
		}
	}
	if s := readingOf(t, p); s.Running != 0 || len(s.Remotes) != 1 {
		t.Errorf("%+v", s)
	}
	stop := run(t, p)
	d := create(t, p)
	await(t, do(t, d, note("a")), Acknowledged)
	stop()
	n := 0
	if err := p.store.Values(bounded(t), keyReport, func(string, []byte) error { n++; return nil }); err != nil || n != 0 {
		t.Errorf("%d reports are left, %v", n, err)
	}
}

func TestReconciliationFallsIntoItsBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Peer{}
		d := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(72*time.Hour)).Draw(t, "duration"))
		p.tally.reconciled(d)
		h := p.Counters().Reconciliation
		i := slices.Index(h.Counts, 1)
		d = max(0, d)
		if h.Count() != 1 || len(h.Counts) != len(h.Bounds)+1 || h.Sum != d ||
			i < len(h.Bounds) && d > h.Bounds[i] || i > 0 && d <= h.Bounds[i-1] {
			t.Fatalf("%v is in bucket %d", d, i)
		}
		sum := p.Counters()
		sum.add(p.Counters())
		if sum.Reconciliation.Count() != 2 || len(sum.Retries) != len(classes) {
			t.Fatalf("%+v", sum)
		}
	})
}

// The outbox finds the one bad document among any, whichever are under way with it,
// and blames no other.
func TestOutboxFindsTheCulprit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const docs = 40
		box := newOutbox(Backoff{})
		bad := rapid.IntRange(0, docs-1).Draw(t, "bad")
		delivered := map[int]bool{}
		now := time.UnixMilli(0)
		f := &Fault{Class: ClassInternal, Err: ErrClosed}
		for attempt := 0; len(delivered) < docs-1 || box.letters[docN(bad)] == nil || box.letters[docN(bad)].state != letterDead; attempt++ {
			if attempt > 12 {
				t.Fatalf("after %d connections %d of %d are delivered, the bad one %d is %+v", attempt, len(delivered), docs-1, bad, box.letters[docN(bad)])
			}
			if at, ok := box.next(); ok {
				now = at
				box.due(now)
			}
			var left []int
			for i := range docs {
				if !delivered[i] && box.admits(docN(i)) {
					left = append(left, i)
				}
			}
			// The others first, in any order and so many at once; suspects one at a time.
			order := rapid.Permutation(left).Draw(t, "order")
			var first, alone []int
			for _, i := range order {
				if box.suspects[docN(i)] {
					alone = append(alone, i)
				} else {
					first = append(first, i)
				}
			}
			together := rapid.IntRange(1, 64).Draw(t, "together")
			connection := func(list []int, n int) (lost bool) {
				for len(list) > 0 {
					together := list[:min(n, len(list))]
					list = list[len(together):]
					if slices.Contains(together, bad) {
						var underWay []id.Document
						for _, i := range together {
							underWay = append(underWay, docN(i))
						}
						box.blame(underWay, f, now, .5)
						return true
					}
					for _, i := range together {
						delivered[i] = true
						box.settled(docN(i))
					}
				}
				return false
			}
			if !connection(first, together) {
				connection(alone, 1)
			}
			for doc := range box.letters {
				if doc != docN(bad) {
					t.Fatalf("document %d is blamed for %d", doc[0], bad)
				}
			}
		}
	})
}
