package query

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"syncline/crdt/id"
	"syncline/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a store with two collections: tasks has a definition and a full-text
// index, notes has not.
type fixture struct {
	t     testing.TB
	store *storage.Store
	def   storage.Definition
	doc   id.Document
	base  int64
	n     int
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return fixtureAt(t, filepath.Join(t.TempDir(), "store.db"))
}

func fixtureAt(t testing.TB, path string) *fixture {
	t.Helper()
	s, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{t: t, store: s, doc: id.Document{1}}
	f.define(storage.Table{Collection: "tasks", Columns: []storage.Column{
		{Field: "title", Type: "text", Search: true}, {Field: "note", Type: "text", Search: true}, {Field: "rank", Type: "int"},
	}})
	return f
}

func (f *fixture) define(tables ...storage.Table) {
	f.t.Helper()
	def, err := f.store.SetTables(context.Background(), []byte("test"), tables)
	if err != nil {
		f.t.Fatal(err)
	}
	f.def, f.base = def, 0
}

// put stores a change with the rows that it leads to.
func (f *fixture) put(rows ...storage.EntityRow) {
	f.t.Helper()
	f.n++
	p := &storage.Projection{Doc: f.doc, Generation: f.def.Generation, Base: f.base, Rows: rows}
	body := fmt.Appendf(nil, "change %d", f.n)
	stored, err := f.store.Append(context.Background(), storage.Batch{
		Entries:     []storage.Entry{{Doc: f.doc, Hash: id.Hash{byte(f.n), byte(f.n >> 8), byte(f.n >> 16)}, Actor: "actor", ActorSeq: uint64(f.n), Body: body}},
		Projections: []*storage.Projection{p},
	})
	if err != nil || !p.Kept {
		f.t.Fatalf("kept %t, %v", p.Kept, err)
	}
	f.base = stored[0]
}

func task(id, title, note string, rank int64) storage.EntityRow {
	return storage.EntityRow{Collection: "tasks", Entity: id, Values: []any{title, note, rank}}
}

func note(id, json string) storage.EntityRow {
	return storage.EntityRow{Collection: "notes", Entity: id, JSON: json}
}

func (f *fixture) engine(o Options) *Engine {
	e := New(f.store, o)
	f.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			f.t.Error(err)
		}
	})
	return e
}

// all runs a query to its end.
func all(t testing.TB, e *Engine, text string, args ...any) [][]any {
	t.Helper()
	rows, err := try(e, text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rows
}

func try(e *Engine, text string, args ...any) (all [][]any, err error) {
	rows, err := e.Query(context.Background(), text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		all = append(all, rows.Values())
	}
	return all, rows.Err()
}

func expect(t *testing.T, got [][]any, want ...[]any) {
	t.Helper()
	if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestCollectionsAreViews(t *testing.T) {
	f := newFixture(t)
	e := f.engine(Options{})
	f.put(task("a", "Milk", "two", 1), note("n", `{"text":"x","n":5}`))
	f.put(storage.EntityRow{Collection: "tasks", Entity: "b", Values: []any{nil, []byte{1, 2}, 1.5}, JSON: `{"more":1}`, Conflict: true, Violation: "rank: not an int"})
	doc := f.doc.String()
	expect(t, all(t, e, `SELECT * FROM tasks ORDER BY _id`),
		[]any{doc, "a", "Milk", "two", int64(1), nil, int64(0), nil},
		[]any{doc, "b", nil, []byte{1, 2}, 1.5, `{"more":1}`, int64(1), "rank: not an int"})
	expect(t, all(t, e, `SELECT _id, _json ->> 'text', json_extract(_json, '$.n') FROM notes`), []any{"n", "x", int64(5)})
	expect(t, all(t, e, `SELECT _collection, _id FROM _entities`), []any{"notes", "n"})
	f.put(storage.EntityRow{Collection: "tasks", Entity: "a", Gone: true}, storage.EntityRow{Collection: "notes", Entity: "n", Gone: true})
	expect(t, all(t, e, `SELECT _id FROM tasks`), []any{"b"})
	expect(t, all(t, e, `SELECT count(*) FROM notes`), []any{int64(0)})
	if _, err := try(e, `SELECT * FROM missing`); !errors.Is(err, ErrSQL) || !strings.Contains(err.Error(), "no such table: missing") {
		t.Errorf("a collection that is not there: %v", err)
	}
}

func TestArgumentsAndScan(t *testing.T) {
	f := newFixture(t)
	e := f.engine(Options{})
	at := time.UnixMilli(1700000000123).UTC()
	f.put(storage.EntityRow{Collection: "tasks", Entity: "a", Values: []any{"t", nil, at.UnixMilli()}})
	rows, err := e.Query(t.Context(), `SELECT title, rank, rank, ? FROM tasks WHERE rank = ? AND _doc = ?`, true, at, f.doc)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var title string
	var when time.Time
	var n int64
	var yes bool
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	if err := rows.Scan(&title, &when, &n, &yes); err != nil || title != "t" || !when.Equal(at) || n != at.UnixMilli() || !yes {
		t.Errorf("%q %s %d %t, %v", title, when, n, yes, err)
	}
	if err := rows.Scan(&n, &when, &n, &yes); err == nil {
		t.Error("a text went into an int64")
	}
	if _, err := try(e, `SELECT ?`); !errors.Is(err, ErrSQL) {
		t.Errorf("an argument is missing: %v", err)
	}
}

// Names of collections and fields are anybody's.
func TestAnyNameCanBeSelectedFrom(t *testing.T) {
	f := newFixture(t)
	names := []string{"journal", "documents", "sqlite_master", "select", `a"b`, "naïve ☃", "", "nul\x00", "Same", "same", "_entities", "json_each", "projection_1", strings.Repeat("x", 500), "a;b", "entities", "tasks_search"}
	fields := []string{"_doc", "_id", "order", `q"q`, "Case", "case", "rowid", "_row", "nul\x00", "", "é=1", "a]b"}
	table := storage.Table{Collection: "odd"}
	var values []any
	for i, field := range fields {
		table.Columns = append(table.Columns, storage.Column{Field: field})
		values = append(values, int64(i))
	}
	searched := storage.Table{Collection: "tasks", Columns: []storage.Column{{Field: "title", Search: true}}}
	f.define(searched, table)
	for i, name := range names {
		f.put(storage.EntityRow{Collection: name, Entity: "e", JSON: fmt.Sprintf(`{"n":%d}`, i)})
	}
	f.put(storage.EntityRow{Collection: "odd", Entity: "e", Values: values}, storage.EntityRow{Collection: "tasks", Entity: "e", Values: []any{"milk"}})
	e := f.engine(Options{})
	views, err := e.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	visible := map[string]string{}
	for _, v := range views {
		if v.Name == viewEntities {
			continue
		}
		if !v.Search {
			visible[v.Collection] = v.Name
			continue
		}
		expect(t, all(t, e, fmt.Sprintf(`SELECT _id FROM %s WHERE %[1]s MATCH 'milk'`, storage.QuoteName(v.Name))), []any{"e"})
	}
	for i, name := range names {
		expect(t, all(t, e, `SELECT _json ->> 'n' FROM `+storage.QuoteName(visible[name])), []any{int64(i)})
		expect(t, all(t, e, `SELECT _json ->> 'n' FROM _entities WHERE _collection = ?`, name), []any{int64(i)})
	}
	for i, c := range f.def.Tables[1].Columns {
		expect(t, all(t, e, `SELECT `+storage.QuoteName(c.Name)+` FROM odd`), []any{int64(i)})
	}
	for _, plain := range []string{"journal", "documents", "select", `a"b`, "naïve ☃", "json_each", "a;b"} {
		if visible[plain] != plain {
			t.Errorf("%q is called %q", plain, visible[plain])
		}
	}
	for _, ambiguous := range []string{"same", "SAME"} {
		if _, err := try(e, `SELECT * FROM `+ambiguous); !errors.Is(err, ErrSQL) {
			t.Errorf("%s, of which there are two: %v", ambiguous, err)
		}
	}
}

func TestFullTextFollowsTheRows(t *testing.T) {
	f := newFixture(t)
	e := f.engine(Options{})
	f.put(task("a", "Crème brûlée", "burn the sugar", 1), task("b", "Milk", "CREME fraîche", 2), task("c", "Sugar", "", 3))
	search := func(words string) [][]any {
		t.Helper()
		return all(t, e, `SELECT _id FROM tasks_search WHERE tasks_search MATCH ? ORDER BY _id`, words)
	}
	expect(t, search("creme"), []any{"a"}, []any{"b"})
	expect(t, search("title:sugar"), []any{"c"})
	expect(t, search("sug* NOT burn"), []any{"c"})
	expect(t, all(t, e, `SELECT t.rank, snippet(tasks_search, '[', ']', '…', -1, 4) FROM tasks_search AS s JOIN tasks AS t USING (_doc, _id)
		WHERE s.tasks_search MATCH 'sugar AND burn'`), []any{int64(1), "[burn] the [sugar]"})
	f.put(task("a", "Custard", "", 9), storage.EntityRow{Collection: "tasks", Entity: "b", Gone: true})
	expect(t, search("creme"))
	expect(t, search("custard"), []any{"a"})
	if _, err := try(e, `SELECT _id FROM tasks_search WHERE tasks_search MATCH '"'`); !errors.Is(err, ErrSQL) {
		t.Errorf("a malformed search: %v", err)
	}
}

func TestLimitsStopAQuery(t *testing.T) {
	f := newFixture(t)
	f.put(task("a", "x", "", 1), task("b", strings.Repeat("x", 3000), "", 2))
	endless := `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT %s FROM c`
	for name, c := range map[string]struct {
		limits Limits
		text   string
		want   error
	}{
		"time":            {Limits{Time: 30 * time.Millisecond}, fmt.Sprintf(endless, "count(*)"), ErrTime},
		"time, streaming": {Limits{Time: 30 * time.Millisecond}, fmt.Sprintf(endless, "x"), ErrTime},
		"time, in a sort": {Limits{Time: 30 * time.Millisecond}, fmt.Sprintf(endless, "x") + ` ORDER BY x DESC`, ErrTime},
		"rows":            {Limits{Rows: 10}, fmt.Sprintf(endless, "x"), ErrTooMany},
		"statement":       {Limits{SQL: 100}, `SELECT ` + strings.Repeat("1+", 100) + `1`, ErrRefused},
		"value made":      {Limits{Value: 1000}, `SELECT zeroblob(1000000)`, ErrSQL},
		"value stored":    {Limits{Value: 1000}, `SELECT title FROM tasks`, ErrSQL},
	} {
		e := f.engine(Options{Limits: c.limits})
		rows, err := try(e, c.text)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %d rows, %v, want %v", name, len(rows), err, c.want)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	e := f.engine(Options{Connections: 1})
	rows, err := e.Query(ctx, fmt.Sprintf(endless, "x"))
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	mine := errors.New("mine")
	cancel(mine)
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), mine) {
		t.Errorf("the caller's end: %v", rows.Err())
	}
	// The connection was given back, though nobody closed the rows.
	expect(t, all(t, e, `SELECT count(*) FROM tasks`), []any{int64(2)})
}

func TestCloseEndsWhatRuns(t *testing.T) {
	f := newFixture(t)
	e := New(f.store, Options{})
	rows, err := e.Query(t.Context(), `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c`)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), ErrClosed) {
		t.Errorf("rows of a closed engine: %v", rows.Err())
	}
	if _, err := try(e, `SELECT 1`); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed engine: %v", err)
	}
}

// A query sees one moment, and new tables are seen by the next.
func TestQuerySeesOneMomentAndTheNextDefinition(t *testing.T) {
	f := newFixture(t)
	e := f.engine(Options{})
	for i := range 50 {
		f.put(task(fmt.Sprint(i), "x", "", 1))
	}
	rows, err := e.Query(t.Context(), `SELECT _id FROM tasks`)
	if err != nil {
		t.Fatal(err)
	}
	f.define(storage.Table{Collection: "notes", Columns: []storage.Column{{Field: "text"}}})
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 50 {
		t.Errorf("%d rows while the tables were replaced, %v", n, err)
	}
	if _, err := try(e, `SELECT * FROM tasks`); !errors.Is(err, ErrSQL) {
		t.Errorf("a table that is no more: %v", err)
	}
	expect(t, all(t, e, `SELECT text FROM notes`))
}
