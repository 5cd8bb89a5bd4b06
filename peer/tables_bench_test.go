package peer

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"syncline/bench/trace"
	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
	"syncline/storage"
)

// benchTables opens a store with the tables of the test's schema.
func benchTables(b *testing.B) *tables {
	b.Helper()
	store, err := storage.Open(context.Background(), filepath.Join(b.TempDir(), "store.db"), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	rules := crdt.Rules{Schema: taskSchema(b, 1)}
	d, err := store.SetTables(context.Background(), nil, definitionOf(rules.Schema))
	if err != nil {
		b.Fatal(err)
	}
	return newTables(store, d, rules)
}

// project stores what a set has touched of a document, as a desk does.
func (t *tables) project(b *testing.B, doc id.Document, core *crdt.Document, set *dirty.Set) {
	b.Helper()
	p := &storage.Projection{Doc: doc, Generation: t.generation, Through: 1, Base: 1}
	err := t.fill(p, core, set, false)
	if err == nil {
		err = t.store.Project(context.Background(), nil, p)
	}
	if err != nil || !p.Kept {
		b.Fatalf("kept %t, %v", p.Kept, err)
	}
}

func task(i int) map[string]any {
	return map[string]any{"title": fmt.Sprintf("Task number %d of many, with a few words", i), "rank": i, "done": i%3 == 0, "count": crdt.Counter(i), "due": time.UnixMilli(int64(i))}
}

func mustDo(b *testing.B, d *crdt.Document, ops ...crdt.Operation) *chunk.Change {
	b.Helper()
	c, err := d.Do(time.Unix(1, 0), ops...)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// cpu is the time that this process has had a CPU: on a machine with others, the time
// of day says little.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProjectionOfChanges takes in 1,000 changes of somebody else, each of one
// entity out of 10,000, and projects the 1,000 entities: the CPU time of each, of a
// document that nobody edits at the same time and of one with concurrent changes, in
// which the core is asked for conflicts. Applying is the call of the core alone.
func BenchmarkProjectionOfChanges(b *testing.B) {
	for _, forked := range []bool{false, true} {
		b.Run(fmt.Sprintf("forked=%t", forked), func(b *testing.B) { benchProjection(b, forked) })
	}
}

func benchProjection(b *testing.B, forked bool) {
	const entities, changed = 10_000, 1000
	author := crdt.New(id.Actor("author0000000000"))
	defer author.Close()
	var all []crdt.Operation
	for i := range entities {
		all = append(all, crdt.Create("tasks", name(i), task(i)))
	}
	first := mustDo(b, author, all...)
	t := benchTables(b)
	doc := id.Document{1}
	if _, err := t.store.Append(context.Background(), storage.Batch{Entries: []storage.Entry{{Doc: doc, Hash: first.Hash, Actor: first.Actor, Body: first.Raw()}}}); err != nil {
		b.Fatal(err)
	}
	base := &storage.Projection{Doc: doc, Generation: t.generation, Through: 1, Anew: true}
	if err := t.fill(base, author, &dirty.Set{Collections: map[string]struct{}{"tasks": {}}}, false); err != nil {
		b.Fatal(err)
	}
	if err := t.store.Project(context.Background(), nil, base); err != nil || !base.Kept {
		b.Fatal(err)
	}
	core, err := crdt.Open(id.Actor("reader0000000000"), []*chunk.Change{first})
	if err != nil {
		b.Fatal(err)
	}
	defer core.Close()
	if _, err := core.Touched(nil); err != nil { // goes over the history once
		b.Fatal(err)
	}
	var applying, reading, writing time.Duration
	round := 0
	for b.Loop() {
		b.StopTimer()
		round++
		var changes []*chunk.Change
		for i := range changed {
			changes = append(changes, mustDo(b, author, crdt.Update("tasks", name(i*7%entities), map[string]any{"rank": round*entities + i, "due": time.UnixMilli(int64(i + round))})))
		}
		runtime.GC()
		b.StartTimer()
		begun := cpu(b)
		if err := core.Apply(changes); err != nil {
			b.Fatal(err)
		}
		applied := cpu(b)
		set, err := core.Touched(changes)
		if err != nil || set.Len() != changed {
			b.Fatalf("%d entities touched, %v", set.Len(), err)
		}
		p := &storage.Projection{Doc: doc, Generation: t.generation, Through: 1, Base: 1}
		if err := t.fill(p, core, &set, forked); err != nil {
			b.Fatal(err)
		}
		read := cpu(b)
		if err := t.store.Project(context.Background(), nil, p); err != nil || !p.Kept {
			b.Fatalf("kept %t, %v", p.Kept, err)
		}
		writing += cpu(b) - read
		reading += read - applied
		applying += applied - begun
	}
	n := float64(b.N)
	b.ReportMetric(applying.Seconds()*1e3/n, "ms-applying")
	b.ReportMetric(reading.Seconds()*1e3/n, "ms-reading")
	b.ReportMetric(writing.Seconds()*1e3/n, "ms-writing")
	b.ReportMetric((reading+writing).Seconds()/applying.Seconds(), "ratio")
}

// BenchmarkImportWithTables takes 1,000 changes of 1,000 entities all the way: checked,
// journaled, applied, and, with tables, projected. The CPU time of it.
func BenchmarkImportWithTables(b *testing.B) {
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("tables=%t", kept), func(b *testing.B) {
			o := testOptions()
			if kept {
				o.Schema = taskSchema(b, 1)
			}
			p := openPeer(b, filepath.Join(b.TempDir(), "peer.db"), o)
			author := crdt.New(id.Actor("author0000000000"))
			defer author.Close()
			var all []crdt.Operation
			for i := range 10_000 {
				all = append(all, crdt.Create("tasks", name(i), task(i)))
			}
			doc := id.Document{1}
			take := func(chunks []byte) {
				if _, err := p.Import(context.Background(), doc, chunks); err != nil {
					b.Fatal(err)
				}
			}
			take(mustDo(b, author, all...).Raw())
			d := &Document{p, doc}
			if _, err := d.Entity(context.Background(), "tasks", name(1)); err != nil {
				b.Fatal(err)
			}
			round := 0
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				round++
				var chunks []byte
				for i := range 1000 {
					chunks = append(chunks, mustDo(b, author, crdt.Update("tasks", name(i*7), map[string]any{"rank": round*10_000 + i, "due": time.UnixMilli(int64(i + round))})).Raw()...)
				}
				runtime.GC()
				b.StartTimer()
				begun := cpu(b)
				take(chunks)
				spent += cpu(b) - begun
			}
			b.ReportMetric(spent.Seconds()*1e3/float64(b.N), "cpu-ms")
		})
	}
}

// BenchmarkOperationsWithTables is the cost of a durable operation, with and without
// tables, one after another and from 64 callers at a time.
func BenchmarkOperationsWithTables(b *testing.B) {
	for _, kept := range []bool{false, true} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("tables=%t/callers=%d", kept, callers), func(b *testing.B) {
				o := testOptions()
				if kept {
					o.Schema = taskSchema(b, 1)
				}
				p := openPeer(b, filepath.Join(b.TempDir(), "peer.db"), o)
				d, err := p.Create(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				b.SetParallelism(callers)
				next := make(chan int, callers)
				go func() {
					for i := range b.N {
						next <- i
					}
					close(next)
				}()
				done := make(chan error, callers)
				b.ResetTimer()
				for range callers {
					go func() {
						for i := range next {
							if _, err := d.Do(context.Background(), crdt.Create("tasks", name(i), task(i))); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range callers {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
			})
		}
	}
}

// BenchmarkLiveLatency is the time from a call of Do until a live query has told of
// it, over 1,000 entities.
func BenchmarkLiveLatency(b *testing.B) {
	o := testOptions()
	o.Schema = taskSchema(b, 1)
	p := openPeer(b, filepath.Join(b.TempDir(), "peer.db"), o)
	var all []crdt.Operation
	for i := range 1000 {
		all = append(all, crdt.Create("tasks", name(i), task(i)))
	}
	d, err := p.Create(context.Background(), all...)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	told := make(chan any)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for r, err := range p.Live(ctx, `SELECT count, title FROM tasks WHERE _id = ?`, name(7)) {
			if err != nil {
				return
			}
			select {
			case told <- r.Rows[0][0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	<-told
	var all1 []time.Duration
	for b.Loop() {
		begun := time.Now()
		if _, err := d.Do(ctx, crdt.Increment("tasks", name(7), "count", 1)); err != nil {
			b.Fatal(err)
		}
		<-told
		all1 = append(all1, time.Since(begun))
	}
	cancel()
	<-ended
	slices.Sort(all1)
	b.ReportMetric(float64(all1[len(all1)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(all1[len(all1)*99/100].Microseconds()), "µs-p99")
}

// BenchmarkQuery asks a document of 100,000 entities, and 10,000 of them by words.
func BenchmarkQuery(b *testing.B) {
	o := testOptions()
	o.Schema = taskSchema(b, 1)
	p := openPeer(b, filepath.Join(b.TempDir(), "peer.db"), o)
	words := []string{"apple", "river", "stone", "cloud", "paper", "glass", "wheel", "light", "sugar", "north"}
	var first id.Document
	for part := range 10 {
		var all []crdt.Operation
		for i := part * 10_000; i < (part+1)*10_000; i++ {
			fields := task(i)
			fields["title"] = fmt.Sprintf("%s %s %s number%d", words[i%10], words[i/10%10], words[i/100%10], i)
			if part > 0 {
				fields["title"] = "x"
			}
			all = append(all, crdt.Create("tasks", name(i), fields))
		}
		d, err := p.Create(context.Background(), all...)
		if err != nil {
			b.Fatal(err)
		}
		if part == 0 {
			first = d.ID()
		}
	}
	for _, q := range []struct{ name, sql string }{
		{"aggregate", `SELECT done, count(*), sum(rank), max(count) FROM tasks GROUP BY done`},
		{"filter", `SELECT _id, title FROM tasks WHERE rank BETWEEN 50000 AND 50100 AND done`},
		{"all rows", `SELECT _id, title, rank FROM tasks`},
		{"by id", `SELECT title FROM tasks WHERE _doc = '` + first.String() + `' AND _id = 'n0004'`},
		{"words, 10,000 texts", `SELECT _id, snippet(tasks_search) FROM tasks_search WHERE tasks_search MATCH 'apple river'`},
		{"prefix, 10,000 texts", `SELECT count(*) FROM tasks_search WHERE tasks_search MATCH 'number99*'`},
	} {
		b.Run(q.name, func(b *testing.B) {
			rows := 0
			for b.Loop() {
				rows = len(collectRows(b, p, q.sql))
			}
			b.ReportMetric(float64(rows), "rows")
		})
	}
}

func collectRows(b *testing.B, p *Peer, sql string) (all [][]any) {
	b.Helper()
	rows, err := p.Query(context.Background(), sql)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		all = append(all, rows.Values())
	}
	if rows.Err() != nil {
		b.Fatal(rows.Err())
	}
	return all
}

// BenchmarkProjectionOfTheTrace projects the recorded paper, a text of 105,000
// characters and 260,000 changes: all of it, and what its last edit has touched.
func BenchmarkProjectionOfTheTrace(b *testing.B) {
	path, err := trace.Path(trace.Paper)
	if err != nil {
		b.Skip(err)
	}
	tr, err := trace.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	core := crdt.New(id.Actor("author0000000000"))
	defer core.Close()
	first := mustDo(b, core, crdt.Create("notes", "paper", map[string]any{"text": tr.Start}))
	var last *chunk.Change
	begun := time.Now()
	for _, e := range tr.Edits {
		var ops []crdt.Operation
		for _, p := range e.Patches {
			ops = append(ops, crdt.Splice("notes", "paper", "text", p.Pos, p.Del, p.Ins))
		}
		last = mustDo(b, core, ops...)
	}
	edit := time.Since(begun) / time.Duration(len(tr.Edits))
	t := benchTables(b)
	doc := id.Document{1}
	if _, err := t.store.Append(context.Background(), storage.Batch{Entries: []storage.Entry{{Doc: doc, Hash: first.Hash, Actor: first.Actor, Body: first.Raw()}}}); err != nil {
		b.Fatal(err)
	}
	whole := func() {
		p := &storage.Projection{Doc: doc, Generation: t.generation, Through: 1, Anew: true}
		if lag, err := t.store.Lag(context.Background(), doc); err != nil {
			b.Fatal(err)
		} else {
			p.Base = lag.Projected
		}
		err := t.fill(p, core, &dirty.Set{Collections: map[string]struct{}{"notes": {}}}, false)
		if err == nil {
			err = t.store.Project(context.Background(), nil, p)
		}
		if err != nil || !p.Kept {
			b.Fatalf("kept %t, %v", p.Kept, err)
		}
	}
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			whole()
		}
	})
	b.Run("last edit", func(b *testing.B) {
		whole()
		if _, err := core.Touched(nil); err != nil { // goes over the history once
			b.Fatal(err)
		}
		b.ReportMetric(float64(edit.Microseconds()), "µs-making-it")
		for b.Loop() {
			set, err := core.Touched([]*chunk.Change{last})
			if err != nil || set.Len() != 1 {
				b.Fatalf("%d touched, %v", set.Len(), err)
			}
			t.project(b, doc, core, &set)
		}
	})
}
