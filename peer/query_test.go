package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/schema"
	"syncline/crdt/value"
	"syncline/storage"
	"syncline/storage/query"
)

// taskSchema says what tasks hold; notes are in no schema.
func taskSchema(t testing.TB, version int, more ...string) *schema.Schema {
	t.Helper()
	fields := map[string]schema.Field{
		"title": {Type: schema.Text, Search: true}, "rank": {Type: schema.Int}, "done": {Type: schema.Bool},
		"count": {Type: schema.Counter}, "due": {Type: schema.Timestamp}, "tags": {Type: schema.List},
	}
	for _, name := range more {
		fields[name] = schema.Field{Type: schema.Any}
	}
	s, err := schema.New(schema.Definition{ID: "test", Version: version, Open: true,
		Collections: map[string]schema.Collection{"tasks": {Fields: fields, Open: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rowsOf runs a query to its end; each row is a line.
func rowsOf(t testing.TB, p *Peer, sql string, args ...any) (lines []string) {
	t.Helper()
	rows, err := p.Query(bounded(t), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	for rows.Next() {
		lines = append(lines, fmt.Sprintf("%#v", rows.Values()))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return lines
}

const (
	selectTasks = `SELECT _doc, _id, count, done, due, rank, tags, title, _extra FROM tasks ORDER BY _doc, _id`
	selectNotes = `SELECT _collection, _doc, _id, _json FROM _entities ORDER BY _collection, _doc, _id`
)

// dumpOf is all that the tables show, in an order that depends on nothing else.
func dumpOf(t testing.TB, p *Peer) string {
	t.Helper()
	return strings.Join(append(rowsOf(t, p, selectTasks), rowsOf(t, p, selectNotes)...), "\n")
}

// walkOf is what they should show, by a walk over the documents of its own.
func walkOf(t testing.TB, p *Peer) string {
	t.Helper()
	docs, err := p.Documents(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	var tasks, others []string
	for _, info := range docs {
		d := &Document{p, info.ID}
		all, err := d.Value(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		for collection, v := range all {
			if hidden(collection) {
				continue
			}
			entities, _ := v.(map[string]any)
			for id, e := range entities {
				if collection == "tasks" {
					tasks = append(tasks, walkTask(info.ID.String(), id, e))
				} else {
					others = append(others, fmt.Sprintf("%#v", []any{collection, info.ID.String(), id, string(value.AppendJSON(nil, e))}))
				}
			}
		}
	}
	slices.Sort(tasks)
	slices.Sort(others)
	return strings.Join(append(tasks, others...), "\n")
}

func walkTask(doc, id string, e any) string {
	row := []any{doc, id}
	rest := map[string]any{}
	fields, _ := e.(map[string]any)
	for k, v := range fields {
		rest[k] = v
	}
	for _, k := range []string{"count", "done", "due", "rank", "tags", "title"} {
		v := fields[k]
		delete(rest, k)
		switch x := v.(type) {
		case bool:
			v = int64(0)
			if x {
				v = int64(1)
			}
		case time.Time:
			v = x.UnixMilli()
		case crdt.Counter:
			v = int64(x)
		case []any, map[string]any:
			b, _ := json.Marshal(x)
			v = string(b)
		}
		row = append(row, v)
	}
	var extra any
	if len(rest) > 0 {
		extra = string(value.AppendJSON(nil, rest))
	}
	return fmt.Sprintf("%#v", append(row, extra))
}

// checkTables fails unless the tables show the documents.
func checkTables(t testing.TB, p *Peer) {
	t.Helper()
	if got, want := dumpOf(t, p), walkOf(t, p); got != want {
		t.Fatalf("the tables show\n%s\nwant\n%s", got, want)
	}
}

// randomOperations draws what somebody does, given what there is.
func randomOperations(r *rand.Rand) []crdt.Operation {
	var ops []crdt.Operation
	for range 1 + r.IntN(3) {
		collection := []string{"tasks", "notes", "Notes"}[r.IntN(3)]
		id := fmt.Sprint("e", r.IntN(5))
		switch r.IntN(9) {
		case 0, 1, 2:
			ops = append(ops, crdt.Create(collection, id, map[string]any{"title": fmt.Sprint("words ", r.IntN(9)), "rank": r.IntN(9), "count": crdt.Counter(1)}))
		case 3:
			ops = append(ops, crdt.Delete(collection, id))
		case 4:
			ops = append(ops, crdt.Increment(collection, id, "count", 2))
		case 5:
			ops = append(ops, crdt.Set(collection, id, "tags", []any{"a", int64(r.IntN(3))}))
		case 6:
			ops = append(ops, crdt.Set(collection, id, "more", map[string]any{"deep": r.IntN(3)}))
		case 7:
			ops = append(ops, crdt.Splice(collection, id, "title", 0, 1, "x"))
		case 8:
			ops = append(ops, crdt.Update(collection, id, map[string]any{"done": r.IntN(2) == 0, "due": time.UnixMilli(r.Int64N(1e12))}))
		}
	}
	return ops
}

// Three peers edit two documents and get each other's changes in random order. At each
// moment the tables of each show what its documents say; in the end they are all alike,
// and stay so when they are made again by other schemas.
func TestTablesShowTheDocuments(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playTables(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func playTables(t *testing.T, r *rand.Rand) {
	ctx := bounded(t)
	var peers []*Peer
	for range 3 {
		o := testOptions()
		o.Schema = taskSchema(t, 1)
		o.Cache.Documents = 1 // so that one document is opened anew for the other
		peers = append(peers, openPeer(t, filepath.Join(t.TempDir(), "peer.db"), o))
	}
	docs := []*Document{create(t, peers[0]), create(t, peers[0])}
	exchange := func(from, to *Peer, d *Document) {
		there := &Document{from, d.ID()}
		b, err := there.Save(ctx)
		if err == nil {
			_, err = to.Import(ctx, d.ID(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range docs {
		for range 5 {
			d.Do(ctx, randomOperations(r)...)
		}
		for _, p := range peers[1:] {
			exchange(peers[0], p, d)
		}
	}
	for range 40 {
		p, d := peers[r.IntN(3)], docs[r.IntN(2)]
		if r.IntN(3) == 0 {
			exchange(peers[r.IntN(3)], p, d)
		} else if _, err := (&Document{p, d.ID()}).Do(ctx, randomOperations(r)...); err != nil {
			var failed *crdt.OperationError
			if !errors.As(err, &failed) && !errors.Is(err, crdt.ErrNoChange) {
				t.Fatal(err)
			}
		}
		checkTables(t, p)
	}
	for range 2 {
		for _, from := range peers {
			for _, to := range peers {
				exchange(from, to, docs[0])
				exchange(from, to, docs[1])
			}
		}
	}
	want := dumpOf(t, peers[0])
	for i, p := range peers {
		checkTables(t, p)
		if got := dumpOf(t, p); got != want {
			t.Fatalf("peer %d shows\n%s\nthe first\n%s", i, got, want)
		}
		path := p.Path()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		for version, more := range [][]string{{"more"}, nil} {
			o := testOptions()
			o.Schema = taskSchema(t, version+2, more...)
			p := openPeer(t, path, o)
			if version == 0 {
				if got := rowsOf(t, p, `SELECT count(*) FROM tasks WHERE _extra IS NOT NULL`); got[0] != `[]interface {}{0}` {
					t.Errorf("with a column for more, %s tasks still have it in _extra", got)
				}
			} else if got := dumpOf(t, p); got != want {
				t.Fatalf("made again, peer %d shows\n%s\nwant\n%s", i, got, want)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Nobody has asked for tables: nothing is projected. The first query makes them, and
// from then on they are kept.
func TestTheFirstQueryMakesTheTables(t *testing.T) {
	p := newPeer(t)
	d := create(t, p)
	do(t, d, note("a"))
	if lag, err := p.store.Lag(bounded(t), d.ID()); err != nil || lag.Projected != -1 {
		t.Errorf("before: %+v, %v", lag, err)
	}
	if got := rowsOf(t, p, `SELECT _json ->> 'text' FROM notes`); !slices.Equal(got, []string{`[]interface {}{"a"}`}) {
		t.Errorf("notes: %s", got)
	}
	do(t, d, note("b"))
	if lag, err := p.store.Lag(bounded(t), d.ID()); err != nil || lag.Projected != lag.LastRow {
		t.Errorf("after an operation: %+v, %v", lag, err)
	}
	other := create(t, p)
	do(t, other, note("c"))
	if got := rowsOf(t, p, `SELECT _id FROM notes WHERE _doc = ?`, other.ID()); len(got) != 1 {
		t.Errorf("of the other document: %s", got)
	}
}

// Rows come with each change from afar, and live queries tell of it.
func TestLiveTellsOfChangesFromAfar(t *testing.T) {
	r := serveRelay(t)
	near, far := newPeer(t, r.url), newPeer(t, r.url)
	run(t, near)
	run(t, far)
	a := create(t, near)
	do(t, a, note("first"))
	b := fetch(t, far, a.ID())
	converge(t, a, b)
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	n, told := 0, 0
	for result, err := range near.Live(ctx, `SELECT _id FROM notes ORDER BY _id`) {
		if err != nil {
			t.Fatal(err)
		}
		told++
		if len(result.Rows) > 5 {
			break
		}
		if n < 5 {
			n++
			do(t, b, note(name(n)))
			do(t, b, crdt.Create("others", name(n), map[string]any{}))
		}
	}
	if told < 2 || told > 7 {
		t.Errorf("told %d times of 6 states", told)
	}
	converge(t, a, b)
	if x, y := rowsOf(t, near, selectNotes), rowsOf(t, far, selectNotes); !slices.Equal(x, y) || len(x) != 11 {
		t.Errorf("near %d rows, far %d", len(x), len(y))
	}
}

// Two processes with one file both keep the tables, each with what it knows.
func TestTwoProcessesKeepTheTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peer.db")
	o := testOptions()
	o.Tables = true
	one, two := openPeer(t, path, o), openPeer(t, path, o)
	d := create(t, one)
	do(t, d, note("first"))
	e, err := two.OpenDocument(bounded(t), d.ID())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 60 {
		doc := []*Document{d, e}[r.IntN(2)]
		doc.Do(bounded(t), append(randomOperations(r), note(name(i)))...)
	}
	until(t, "both know all", []*Document{d, e}, func() bool { return slices.Equal(headsOf(t, d), headsOf(t, e)) })
	walk := walkOf(t, one)
	for _, p := range []*Peer{one, two} {
		got := strings.Join(rowsOf(t, p, selectNotes), "\n")
		if got != walkAsJSON(t, p) {
			t.Errorf("the tables show\n%s\nwant\n%s", got, walk)
		}
	}
}

// walkAsJSON is walkOf where nothing has a schema.
func walkAsJSON(t testing.TB, p *Peer) string {
	t.Helper()
	docs, err := p.Documents(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, info := range docs {
		all, err := (&Document{p, info.ID}).Value(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		for collection, v := range all {
			for id, e := range v.(map[string]any) {
				lines = append(lines, fmt.Sprintf("%#v", []any{collection, info.ID.String(), id, string(value.AppendJSON(nil, e))}))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A process dies with changes in the journal that the tables do not show, at each
// point of their way. The next start shows them, asked or not.
func TestAStartShowsWhatAKillHasLeft(t *testing.T) {
	for _, point := range []applyPoint{applyStored, applyDone} {
		t.Run(string(point), func(t *testing.T) {
			r := serveRelay(t)
			path := filepath.Join(t.TempDir(), "peer.db")
			far := newPeer(t, r.url)
			run(t, far)
			f := create(t, far)
			do(t, f, note("first"))
			lines, cmd := startChild(t, "follow", childPath+"="+path, childURL+"="+r.url, childDoc+"="+f.ID().String(),
				childPoint+"="+string(point), childKiller+"=killer", childTables+"=1")
			for line := range lines {
				if line == "open" {
					break
				}
			}
			do(t, f, note("killer"))
			died(t, cmd)
			o := testOptions()
			o.Tables = true
			p := openPeer(t, path, o)
			if got := rowsOf(t, p, `SELECT _id FROM notes ORDER BY _id`); point == applyStored && len(got) != 2 {
				t.Errorf("shown: %s", got)
			}
			if got := strings.Join(rowsOf(t, p, selectNotes), "\n"); got != walkAsJSON(t, p) {
				t.Errorf("the tables show\n%s\nwant\n%s", got, walkAsJSON(t, p))
			}
		})
	}
}

// The end comes between the journal and the rows of many documents: the start makes
// them up in the background, without a query.
func TestAStartCatchesUpByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peer.db")
	o := testOptions()
	o.Tables = true
	p := openPeer(t, path, o)
	d := create(t, p)
	do(t, d, note("a"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	plain := openPeer(t, path, testOptions())
	e, err := plain.OpenDocument(bounded(t), d.ID())
	if err != nil {
		t.Fatal(err)
	}
	do(t, e, note("b"))
	do(t, create(t, plain), note("c"))
	if _, behind, err := plain.store.Behind(bounded(t), 10); err != nil || len(behind) != 2 {
		t.Fatalf("behind: %v, %v", behind, err)
	}
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPeer(t, path, o)
	for {
		changed := p.store.(*storage.Store).TablesChanged()
		_, behind, err := p.store.Behind(bounded(t), 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(behind) == 0 {
			break
		}
		select {
		case <-changed:
		case <-bounded(t).Done():
			t.Fatalf("still behind: %v", behind)
		}
	}
}

// What comes from others is shown without anybody asking, from the first change on.
func TestWhatComesInIsShownUnasked(t *testing.T) {
	o := testOptions()
	o.Tables = true
	p := openPeer(t, filepath.Join(t.TempDir(), "peer.db"), o)
	from := newPeer(t)
	d := create(t, from)
	for i := range 3 {
		do(t, d, note(name(i)))
		b, err := d.Save(bounded(t))
		if err == nil {
			_, err = p.Import(bounded(t), d.ID(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
		if lag, err := p.store.Lag(bounded(t), d.ID()); err != nil || lag.Projected != lag.LastRow || lag.LastRow == 0 {
			t.Errorf("after %d imports: %+v, %v", i+1, lag, err)
		}
	}
}

func TestTablesOfAnotherSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peer.db")
	o := testOptions()
	o.Schema = taskSchema(t, 1)
	p := openPeer(t, path, o)
	d := create(t, p)
	do(t, d, crdt.Create("tasks", "a", map[string]any{"title": "Milk"}))
	byOthers(t, d, crdt.Set("tasks", "a", "rank", "none"))
	if got := rowsOf(t, p, `SELECT title, rank, _violation FROM tasks`); len(got) != 1 || !strings.Contains(got[0], `"Milk", "none"`) || !strings.Contains(got[0], "tasks/a/rank") {
		t.Errorf("a violation: %s", got)
	}
	if got := rowsOf(t, p, `SELECT _id FROM tasks_search WHERE tasks_search MATCH 'milk'`); len(got) != 1 {
		t.Errorf("found: %s", got)
	}
	// One without a schema takes what is there.
	q := openPeer(t, path, testOptions())
	if got := rowsOf(t, q, `SELECT title FROM tasks`); len(got) != 1 {
		t.Errorf("without a schema: %s", got)
	}
	// One with another makes the tables its own.
	o.Schema = taskSchema(t, 2, "more")
	other := openPeer(t, path, o)
	if got := rowsOf(t, other, `SELECT more FROM tasks`); len(got) != 1 {
		t.Errorf("by another schema: %s", got)
	}
	do(t, d, crdt.Set("tasks", "a", "title", "Tea"))
	for range 2 {
		if _, err := p.Query(bounded(t), `SELECT 1`); !errors.Is(err, ErrOtherTables) {
			t.Errorf("the first peer, whose tables are no more: %v", err)
		}
	}
	if got := rowsOf(t, q, `SELECT more FROM tasks`); len(got) != 1 {
		t.Errorf("without a schema, after the change: %s", got)
	}
	if got := rowsOf(t, other, `SELECT title FROM tasks`); !slices.Equal(got, []string{`[]interface {}{"Tea"}`}) {
		t.Errorf("after another edit: %s", got)
	}
	if _, err := other.Query(bounded(t), `DELETE FROM tasks`); !errors.Is(err, query.ErrRefused) {
		t.Errorf("a deletion: %v", err)
	}
}
