package query

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"syncline/storage"
)

// follow pulls results one by one, so that a test drives the loop's body.
func follow(t *testing.T, e *Engine, text string, args ...any) (next func() *Result, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	pull, end := iter.Pull2(e.Live(ctx, text, args...))
	next = func() *Result {
		t.Helper()
		r, err, ok := pull()
		if err != nil || !ok {
			t.Fatalf("live %s: %v", text, err)
		}
		return r
	}
	stop = func() {
		cancel()
		end()
	}
	t.Cleanup(stop)
	return next, stop
}

// runsOf counts how often a listener runs, after each of the given changes.
func (f *fixture) runsOf(text string, changes ...func()) (runs []int, results []bool) {
	f.t.Helper()
	e := f.engine(Options{})
	s, err := parse(text, 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	l := &listener{e: e, statement: s}
	look := func() {
		r, err := l.look(context.Background())
		if err != nil {
			f.t.Fatalf("%s: %v", text, err)
		}
		runs, results = append(runs, l.runs), append(results, r != nil)
	}
	look()
	for _, change := range changes {
		change()
		look()
	}
	return runs, results
}

func TestLiveRunsOnlyWhenSomethingItReadsHasChanged(t *testing.T) {
	for _, c := range []struct {
		text    string
		runs    []int  // after: the first look, a task, a note, another collection, a task as it was
		results []bool // of the same
	}{
		{`SELECT title FROM tasks`, []int{1, 2, 2, 2, 2}, []bool{true, true, false, false, false}},
		{`SELECT count(*) FROM tasks`, []int{1, 2, 2, 2, 2}, []bool{true, false, false, false, false}},
		{`SELECT count(*) FROM notes`, []int{1, 1, 2, 2, 2}, []bool{true, false, true, false, false}},
		{`SELECT t.title, (SELECT count(*) FROM "notes") FROM tasks t`, []int{1, 2, 3, 3, 3}, []bool{true, true, true, false, false}},
		{`SELECT _id FROM tasks_search WHERE tasks_search MATCH 'second'`, []int{1, 2, 2, 2, 2}, []bool{true, true, false, false, false}},
		{`SELECT count(*) FROM _entities`, []int{1, 1, 2, 3, 3}, []bool{true, false, true, true, false}},
		{`SELECT count(*) FROM main.entities`, []int{1, 1, 2, 3, 3}, []bool{true, false, true, true, false}},
		{`SELECT 1`, []int{1, 1, 1, 1, 1}, []bool{true, false, false, false, false}},
		{`SELECT 1 WHERE 1 IN (SELECT rank FROM tasks)`, []int{1, 2, 2, 2, 2}, []bool{true, false, false, false, false}},
		{`WITH n AS MATERIALIZED (SELECT * FROM notes) SELECT count(*) FROM n`, []int{1, 1, 2, 2, 2}, []bool{true, false, true, false, false}},
	} {
		f := newFixture(t)
		f.put(task("a", "First", "", 1), note("n", `{}`))
		runs, results := f.runsOf(c.text,
			func() { f.put(task("a", "Second", "", 1)) },
			func() { f.put(note("m", `{}`)) },
			func() { f.put(storage.EntityRow{Collection: "others", Entity: "o", JSON: `{}`}) },
			func() { f.put(task("a", "Second", "", 1)) })
		if !slices.Equal(runs, c.runs) || !slices.Equal(results, c.results) {
			t.Errorf("%s\nran %v, want %v; told %t, want %t", c.text, runs, c.runs, results, c.results)
		}
	}
}

func TestLiveTellsASlowConsumerTheNewest(t *testing.T) {
	f := newFixture(t)
	e := f.engine(Options{})
	next, _ := follow(t, e, `SELECT count(*) FROM tasks`)
	if n := next().Rows[0][0]; n != int64(0) {
		t.Fatalf("%v at first", n)
	}
	for i := range 10 {
		f.put(task(fmt.Sprint(i), "x", "", 1))
	}
	if n := next().Rows[0][0]; n != int64(10) {
		t.Errorf("after 10 changes that nobody looked at: %v", n)
	}
}

func TestLiveWakesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	f := fixtureAt(t, path)
	// Another store of the same file is another process to it.
	other, err := storage.Open(t.Context(), path, storage.Options{Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() {
		watched <- other.Watch(ctx, 0, func(storage.Arrival) error { return nil })
	}()
	defer func() {
		cancel()
		<-watched
	}()
	here := f.engine(Options{})
	there := New(other, Options{})
	defer there.Close()
	nextHere, stopHere := follow(t, here, `SELECT title FROM tasks`)
	nextThere, stopThere := follow(t, there, `SELECT title FROM tasks`)
	defer stopThere()
	defer stopHere()
	nextHere()
	nextThere()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.put(task("a", "Milk", "", 1))
	}()
	for name, next := range map[string]func() *Result{"here": nextHere, "in another process": nextThere} {
		if r := next(); len(r.Rows) != 1 || r.Rows[0][0] != "Milk" {
			t.Errorf("%s: %v", name, r.Rows)
		}
	}
	<-done
	// Rows alone, without a change in the journal.
	p := &storage.Projection{Doc: f.doc, Generation: f.def.Generation, Base: f.base, Through: f.base, Rows: []storage.EntityRow{task("a", "Tea", "", 1)}}
	if err := f.store.Project(t.Context(), nil, p); err != nil || !p.Kept {
		t.Fatalf("kept %t, %v", p.Kept, err)
	}
	for name, next := range map[string]func() *Result{"here": nextHere, "in another process": nextThere} {
		if r := next(); len(r.Rows) != 1 || r.Rows[0][0] != "Tea" {
			t.Errorf("%s: %v", name, r.Rows)
		}
	}
}

func TestLiveEndsWithItsReason(t *testing.T) {
	f := newFixture(t)
	e := New(f.store, Options{Limits: Limits{Live: 2}})
	defer e.Close()
	f.put(task("a", "x", "", 1), task("b", "x", "", 1), task("c", "x", "", 1))
	end := func(text string, ctx context.Context) (last error) {
		for _, err := range e.Live(ctx, text) {
			last = err
		}
		return last
	}
	mine := errors.New("mine")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(mine)
	for _, c := range []struct {
		text string
		ctx  context.Context
		want error
	}{
		{`SELECT * FROM tasks`, t.Context(), ErrTooMany},
		{`DELETE FROM tasks`, t.Context(), ErrRefused},
		{`SELECT * FROM missing`, t.Context(), ErrSQL},
		{`SELECT 1`, ctx, mine},
	} {
		if err := end(c.text, c.ctx); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.text, err, c.want)
		}
	}
	results := 0
	for r, err := range e.Live(t.Context(), `SELECT count(*) FROM tasks`) {
		if r == nil {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("the engine was closed: %v", err)
			}
			continue
		}
		results++
		go e.Close()
	}
	if results != 1 {
		t.Errorf("%d results", results)
	}
}
