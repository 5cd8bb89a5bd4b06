package peer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"syncline/crdt"
)

// BenchmarkFsync is what the disk does: a page written and synced.
func BenchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for b.Loop() {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDo measures operations until they are durable, by writers that each
// have a document of their own or share one.
func BenchmarkDo(b *testing.B) {
	for _, k := range []struct {
		name               string
		writers, documents int
	}{
		{"writers=1", 1, 1}, {"writers=64/documents=64", 64, 64}, {"writers=64/documents=1", 64, 1},
	} {
		b.Run(k.name, func(b *testing.B) {
			p := newPeer(b)
			var docs []*Document
			for range k.documents {
				d := create(b, p)
				do(b, d, crdt.Create("c", "n", map[string]any{"count": crdt.Counter(0)}))
				docs = append(docs, d)
			}
			work := make(chan int)
			var all sync.WaitGroup
			for w := range k.writers {
				all.Go(func() {
					for range work {
						if _, err := docs[w%k.documents].Do(context.Background(), crdt.Increment("c", "n", "count", 1)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			before := p.store.Stats().Commits
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			b.ReportMetric(float64(p.store.Stats().Commits-before)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkSeen measures the time from the call of an operation on one peer until
// another has it, through a relay: durable at all three.
func BenchmarkSeen(b *testing.B) {
	r := serveRelay(b)
	ada, ben := newPeer(b, r.url), newPeer(b, r.url)
	run(b, ada)
	run(b, ben)
	a := create(b, ada)
	do(b, a, crdt.Create("c", "n", map[string]any{"count": crdt.Counter(0)}))
	d := fetch(b, ben, a.ID())
	converge(b, a, d)
	var took []time.Duration
	for b.Loop() {
		changed := d.Changed()
		begun := time.Now()
		do(b, a, crdt.Increment("c", "n", "count", 1))
		<-changed
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkHistory measures how a history of one-edit changes comes to another
// peer that then opens it.
func BenchmarkHistory(b *testing.B) {
	const changes = 20_000
	r := serveRelay(b)
	ada := newPeer(b, r.url)
	a := create(b, ada)
	do(b, a, crdt.Create("c", "n", map[string]any{"text": ""}))
	var all sync.WaitGroup
	for w := range 64 {
		all.Go(func() {
			for range changes / 64 {
				if _, err := a.Do(context.Background(), crdt.Splice("c", "n", "text", 0, 0, strconv.Itoa(w%10))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := ada.Sync(context.Background(), SyncOptions{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p := newPeer(b, r.url)
		d := fetch(b, p, a.ID())
		if _, err := p.Sync(context.Background(), SyncOptions{}); err != nil {
			b.Fatal(err)
		}
		if jsonOf(b, d) == "" {
			b.Fatal("nothing")
		}
		p.Close()
	}
	b.ReportMetric(float64(changes*b.N)/b.Elapsed().Seconds(), "changes/s")
}

// BenchmarkManyDocuments reports the memory of a peer with 10,000 documents of
// about 1 KB, all synced with a relay, of which 50 are open.
func BenchmarkManyDocuments(b *testing.B) {
	const documents = 10_000
	r := serveRelay(b)
	path := filepath.Join(b.TempDir(), "peer.db")
	p := openPeer(b, path, remotes(testOptions(), r.url))
	begun := time.Now()
	fill(b, p, documents)
	creating := time.Since(begun)
	begun = time.Now()
	if _, err := p.Sync(context.Background(), SyncOptions{}); err != nil {
		b.Fatal(err)
	}
	syncing := time.Since(begun)
	begun = time.Now()
	if _, err := p.Sync(context.Background(), SyncOptions{}); err != nil {
		b.Fatal(err)
	}
	again := time.Since(begun)
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	r.stop()
	var memory []string
	for b.Loop() {
		lines, cmd := startChild(b, "many", childPath+"="+path)
		memory = strings.Fields(<-lines)
		if err := cmd.Wait(); err != nil || len(memory) != 3 {
			b.Fatalf("%v, %v", memory, err)
		}
	}
	for i, unit := range []string{"MiB-without", "MiB", "open"} {
		v, err := strconv.ParseFloat(memory[i], 64)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(v, unit)
	}
	b.ReportMetric(creating.Seconds(), "create-s")
	b.ReportMetric(syncing.Seconds(), "sync-s")
	b.ReportMetric(again.Seconds(), "sync-again-s")
}

// childOpensMany opens every document of a store, one after the other, with 50 at
// most open at a time, and prints its memory before and after, and how many are
// open.
func childOpensMany() error {
	before, err := resident()
	if err != nil {
		return err
	}
	const open = 50
	o := testOptions()
	o.Cache.Documents, o.MaxIdle = open, open
	p, err := Open(context.Background(), os.Getenv(childPath), o)
	if err != nil {
		return err
	}
	for _, doc := range p.knownDocuments() {
		if _, err := (&Document{p, doc}).JSON(context.Background()); err != nil {
			return err
		}
	}
	after, err := resident()
	if err != nil {
		return err
	}
	fmt.Println(float64(before)/(1<<20), float64(after)/(1<<20), p.cache.Len())
	return p.Close()
}

// resident is the memory of this process, in bytes.
func resident() (int64, error) {
	s, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(s))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// fill makes documents of one KB each.
func fill(b *testing.B, p *Peer, documents int) {
	b.Helper()
	text := strings.Repeat("x", 900)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range documents / 50 {
				d, err := p.Create(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := d.Do(context.Background(), crdt.Create("c", "n", map[string]any{"text": crdt.Scalar(text)})); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkStatus measures a reading, which is what a scrape costs, of a peer with
// 10,000 documents: when a remote has all of them, and when none has any.
func BenchmarkStatus(b *testing.B) {
	const documents = 10_000
	r := serveRelay(b)
	for _, synced := range []bool{true, false} {
		name := "nothing acknowledged"
		if synced {
			name = "all acknowledged"
		}
		b.Run(name, func(b *testing.B) {
			p := newPeer(b, r.url)
			fill(b, p, documents)
			if synced {
				if _, err := p.Sync(context.Background(), SyncOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			begun := time.Now()
			readingOf(b, p)
			b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms-first")
			for b.Loop() {
				if s := readingOf(b, p); (s.Unacknowledged == 0) != synced {
					b.Fatalf("%d changes are unacknowledged", s.Unacknowledged)
				}
			}
		})
	}
}
