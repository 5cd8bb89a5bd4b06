package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"syncline/crdt/id"
)

var testTables = []Table{
	{Collection: "tasks", Columns: []Column{{Field: "title", Search: true}, {Field: "rank"}}},
	{Collection: "people", Columns: []Column{{Field: "name"}}},
}

// tablesOf reads all rows of the test's tables: "collection doc id" to what they say.
func tablesOf(t testing.TB, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, q := range []string{
		`SELECT 'tasks ' || _doc || ' ' || _id, json_array(title, rank, _extra, _conflict, _violation) FROM projection_1`,
		`SELECT 'people ' || _doc || ' ' || _id, json_array(name, _extra, _conflict, _violation) FROM projection_2`,
		`SELECT p.collection || ' ' || _doc || ' ' || _id, json_array(_json, _conflict) FROM entities AS e JOIN projections AS p ON p.id = e.collection`,
	} {
		err := s.piece(context.Background(), func(r *sql.Rows) (bool, error) {
			var key, value string
			err := r.Scan(&key, &value)
			all[key] = value
			return true, err
		}, q)
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wantOf is the same of rows as they were given.
func wantOf(rows map[string]EntityRow) map[string]string {
	all := map[string]string{}
	null := func(s string) string {
		if s == "" {
			return "null"
		}
		return fmt.Sprintf("%q", s)
	}
	for key, r := range rows {
		conflict := 0
		if r.Conflict {
			conflict = 1
		}
		switch r.Collection {
		case "tasks":
			all[key] = fmt.Sprintf("[%q,%d,%s,%d,%s]", r.Values[0], r.Values[1], null(r.JSON), conflict, null(r.Violation))
		case "people":
			all[key] = fmt.Sprintf("[%q,%s,%d,%s]", r.Values[0], null(r.JSON), conflict, null(r.Violation))
		default:
			all[key] = fmt.Sprintf("[%q,%d]", r.JSON, conflict)
		}
	}
	return all
}

// editor is a process with one document: it knows some rows of the journal and what
// they have done.
type editor struct {
	s     *Store
	def   Definition
	base  int64 // as it believes
	loose int64 // rows above that it knows
}

// shared is the truth about a document: what its journal comes to.
type shared struct {
	doc     id.Document
	journal []int64
	rows    map[string]EntityRow
	shown   map[string]EntityRow // what the tables are to show
	through int64                // how far
	changes int
}

func randomRow(r *rand.Rand) EntityRow {
	row := EntityRow{Entity: fmt.Sprint("e", r.IntN(6)), Conflict: r.IntN(4) == 0}
	if r.IntN(3) == 0 {
		row.JSON = fmt.Sprintf("x%d", r.IntN(3))
	}
	if r.IntN(5) == 0 {
		row.Violation = "odd"
	}
	switch r.IntN(4) {
	case 0:
		row.Collection, row.Values = "tasks", []any{fmt.Sprintf("word%d", r.IntN(4)), int64(r.IntN(3))}
	case 1:
		row.Collection, row.Values = "people", []any{fmt.Sprintf("name%d", r.IntN(4))}
	default:
		row.Collection, row.JSON, row.Violation = fmt.Sprint("loose", r.IntN(3)), fmt.Sprintf("{%d}", r.IntN(4)), ""
	}
	row.Gone = r.IntN(4) == 0
	return row
}

func (d *shared) note(rows map[string]EntityRow, r EntityRow) {
	key := fmt.Sprintf("%s %s %s", r.Collection, d.doc, r.Entity)
	if delete(rows, key); !r.Gone {
		rows[key] = r
	}
}

// TestProjectionsShowWhatTheyClaim has two processes change the same documents, with
// and without rows, in one transaction and in two, each knowing of the other or not.
// The tables show, of each document, exactly what it came to at its projected row.
func TestProjectionsShowWhatTheyClaim(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playProjections(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func playProjections(t *testing.T, r *rand.Rand) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "store.db")
	first, second := openAt(t, path, Options{}), openAt(t, path, Options{})
	def, err := first.SetTables(ctx, []byte("v1"), testTables)
	if err != nil {
		t.Fatal(err)
	}
	docs := []*shared{{doc: id.Document{1}}, {doc: id.Document{2}}}
	editors := map[*shared][]*editor{}
	for _, d := range docs {
		d.rows, d.shown = map[string]EntityRow{}, map[string]EntityRow{}
		editors[d] = []*editor{{s: first, def: def}, {s: second, def: def}}
	}
	for step := range 60 {
		d := docs[r.IntN(2)]
		e := editors[d][r.IntN(2)]
		d.step(t, r, e, step)
		want := wantOf(d.shown)
		for _, o := range docs {
			if o != d {
				maps.Copy(want, wantOf(o.shown))
			}
		}
		if got := tablesOf(t, first); !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d: the tables show\n%v\nwant\n%v", step, got, want)
		}
		_, behind, err := first.Behind(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range docs {
			lag := len(o.journal) > 0 && o.through < o.journal[len(o.journal)-1]
			if lag != slices.ContainsFunc(behind, func(l Lag) bool { return l.Doc == o.doc && l.Projected == o.through }) {
				t.Fatalf("step %d: behind %v; the document has rows up to %v and is shown through %d", step, behind, o.journal, o.through)
			}
		}
	}
	checkSearch(t, first)
	for _, d := range docs {
		if _, err := first.DeleteDocument(ctx, d.doc); err != nil {
			t.Fatal(err)
		}
	}
	if left := tablesOf(t, first); len(left) > 0 {
		t.Errorf("of deleted documents there is left %v", left)
	}
	checkSearch(t, first)
}

// step does one thing to a document.
func (d *shared) step(t *testing.T, r *rand.Rand, e *editor, step int) {
	t.Helper()
	ctx := context.Background()
	var rows []EntityRow
	for range 1 + r.IntN(4) {
		rows = append(rows, randomRow(r))
	}
	knows := func() bool { // all rows above its base
		above := int64(0)
		for _, row := range d.journal {
			if row > e.base {
				above++
			}
		}
		return e.base == d.through && above == e.loose
	}
	full := func(through int64) *Projection {
		p := &Projection{Doc: d.doc, Generation: e.def.Generation, Base: d.through, Through: through, Anew: true}
		for _, row := range d.rows {
			p.Rows = append(p.Rows, row)
		}
		return p
	}
	switch r.IntN(4) {
	case 0, 1: // a change with its rows
		p := &Projection{Doc: d.doc, Generation: e.def.Generation, Base: e.base, Changes: e.loose}
		// What it knows, it knows the outcome of.
		for _, row := range d.rows {
			p.Rows = append(p.Rows, row)
		}
		p.Rows = append(p.Rows, rows...)
		for key, row := range d.shown {
			if _, ok := d.rows[key]; !ok {
				row.Gone = true
				p.Rows = append([]EntityRow{row}, p.Rows...)
			}
		}
		whole := knows()
		d.append(t, e, rows, p)
		if p.Kept != whole {
			t.Fatalf("step %d: kept %t; base %d, %d loose, journal %v, shown through %d", step, p.Kept, e.base, e.loose, d.journal, d.through)
		}
		if p.Kept {
			d.shown, d.through = maps.Clone(d.rows), d.journal[len(d.journal)-1]
			e.base, e.loose = d.through, 0
		}
	case 2: // one whose rows wait
		d.append(t, e, rows, nil)
		e.loose++
	case 3: // it reads all that there is
		if len(d.journal) == 0 {
			return
		}
		last := d.journal[len(d.journal)-1]
		p := full(last)
		if r.IntN(2) == 0 && len(p.Rows) > 2 {
			// In two parts, and the other process comes between, or not.
			rest := p.Rows[2:]
			p.Rows, p.More = p.Rows[:2], true
			if err := e.s.Project(ctx, nil, p); err != nil || !p.Kept {
				t.Fatalf("the first part: kept %t, %v", p.Kept, err)
			}
			if lag, err := e.s.Lag(ctx, d.doc); err != nil || lag.Projected != 0 {
				t.Fatalf("between two parts: %+v, %v", lag, err)
			}
			p = &Projection{Doc: d.doc, Generation: e.def.Generation, Through: last, Rows: rest}
		}
		if err := e.s.Project(ctx, nil, p); err != nil || !p.Kept {
			t.Fatalf("step %d: kept %t, %v", step, p.Kept, err)
		}
		d.shown, d.through = maps.Clone(d.rows), last
		e.base, e.loose = last, 0
	}
}

// append stores a change.
func (d *shared) append(t *testing.T, e *editor, rows []EntityRow, p *Projection) {
	t.Helper()
	b := Batch{Entries: entries(d.doc, d.changes, 1)}
	d.changes++
	if p != nil {
		b.Projections = []*Projection{p}
	}
	stored, err := e.s.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	d.journal = append(d.journal, stored[0])
	for _, row := range rows {
		d.note(d.rows, row)
	}
}

// checkSearch has SQLite compare the full-text index with the rows.
func checkSearch(t *testing.T, s *Store) {
	t.Helper()
	err := s.write(context.Background(), 1, func(t *tx) error {
		return t.once(`INSERT INTO search_1 (search_1) VALUES ('integrity-check')`)
	})
	if err != nil {
		t.Errorf("the full-text index: %v", err)
	}
}

// A process that makes rows anew in parts loses them to another that begins later.
func TestWhoBeginsLastMakesTheRows(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "store.db")
	first, second := openAt(t, path, Options{}), openAt(t, path, Options{})
	doc := id.Document{1}
	def, err := first.SetTables(ctx, nil, testTables)
	if err != nil {
		t.Fatal(err)
	}
	last := mustAppend(t, first, entries(doc, 0, 3)...)[2]
	part := func(s *Store, anew, more bool, through int64, entity string) bool {
		p := &Projection{Doc: doc, Generation: def.Generation, Anew: anew, More: more, Through: through,
			Rows: []EntityRow{{Collection: "people", Entity: entity, Values: []any{entity}}}}
		if err := s.Project(ctx, nil, p); err != nil {
			t.Fatal(err)
		}
		return p.Kept
	}
	if !part(first, true, true, last, "a1") || !part(second, true, true, last, "b1") {
		t.Fatal("a beginning was not kept")
	}
	if part(first, false, true, last, "a2") || part(first, false, false, last, "a3") {
		t.Error("rows of the first were kept after the second had begun")
	}
	if p := (&Projection{Doc: doc, Generation: def.Generation, Changes: 3}); part(second, false, false, last, "b2") {
		if err := first.Project(ctx, nil, p); err != nil || p.Kept {
			t.Errorf("one from before: kept %t, %v", p.Kept, err)
		}
	} else {
		t.Error("the second's own end was not kept")
	}
	if got := slices.Sorted(maps.Keys(tablesOf(t, first))); len(got) != 2 {
		t.Errorf("rows %v", got)
	}
}

func TestNewTablesLeaveNothingOfTheOld(t *testing.T) {
	ctx := context.Background()
	s := openTemp(t)
	doc := id.Document{1}
	row := mustAppend(t, s, entry(doc, 0))[0]
	if lag, err := s.Lag(ctx, doc); err != nil || lag.Projected != -1 {
		t.Errorf("before there are tables: %+v, %v", lag, err)
	}
	if _, behind, err := s.Behind(ctx, 10); err != nil || len(behind) > 0 {
		t.Errorf("before there are tables: %v, %v", behind, err)
	}
	old, err := s.SetTables(ctx, []byte("v1"), testTables)
	if err != nil {
		t.Fatal(err)
	}
	p := &Projection{Doc: doc, Generation: old.Generation, Anew: true, Through: row, Rows: []EntityRow{
		{Collection: "tasks", Entity: "t", Values: []any{"milk", int64(1)}}, {Collection: "loose", Entity: "l", JSON: "{}"}}}
	if err := s.Project(ctx, nil, p); err != nil || !p.Kept {
		t.Fatalf("kept %t, %v", p.Kept, err)
	}
	fresh, err := s.SetTables(ctx, []byte("v2"), testTables[:1])
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Generation != old.Generation+1 {
		t.Errorf("generation %d after %d", fresh.Generation, old.Generation)
	}
	if err := s.Project(ctx, nil, p); err != nil || p.Kept {
		t.Errorf("rows for tables of before: kept %t, %v", p.Kept, err)
	}
	read, err := s.Definition(ctx)
	if err != nil || !reflect.DeepEqual(read, fresh) {
		t.Errorf("read %+v, %v; set %+v", read, err, fresh)
	}
	_, behind, err := s.Behind(ctx, 10)
	if err != nil || len(behind) != 1 || behind[0].Projected != 0 {
		t.Errorf("behind: %v, %v", behind, err)
	}
	p.Generation, p.Rows, p.Base = fresh.Generation, p.Rows[:1], row
	if err := s.Project(ctx, nil, p); err != nil || p.Kept {
		t.Errorf("on the base that it had in the tables of before: kept %t, %v", p.Kept, err)
	}
	p.Base = 0
	if err := s.Project(ctx, nil, p); err != nil || !p.Kept {
		t.Errorf("kept %t, %v", p.Kept, err)
	}
}

func TestTablesThatCannotBeAreRefused(t *testing.T) {
	s := openTemp(t)
	for name, tables := range map[string][]Table{
		"a collection twice": {{Collection: "a"}, {Collection: "a"}},
		"a field twice":      {{Collection: "a", Columns: []Column{{Field: "x"}, {Field: "x"}}}},
		"too many":           make([]Table, MaxTables+1),
		"too many columns":   {{Collection: "a", Columns: make([]Column, MaxColumns+1)}},
		"searched with =":    {{Collection: "a", Columns: []Column{{Field: "tokenize=x", Search: true}}}},
	} {
		if _, err := s.SetTables(context.Background(), nil, tables); !errors.Is(err, ErrDefinition) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
