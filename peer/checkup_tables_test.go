package peer

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/peer/doctor"
	"syncline/storage"
)

// tabled is the file of a peer with tables: tasks have one of their own, with a
// full-text index, notes are in the one of all others.
type tabled struct {
	patient
	o     Options
	shown string // by all tables
}

func newTabled(t *testing.T) *tabled {
	t.Helper()
	s := &tabled{patient: patient{t: t, path: filepath.Join(t.TempDir(), "peer.db")}, o: testOptions()}
	s.o.Schema = taskSchema(t, 1)
	p := openPeer(t, s.path, s.o)
	for i := range 2 {
		d := create(t, p)
		for k := range 4 {
			do(t, d, note(name(k)), crdt.Create("tasks", name(k), map[string]any{
				"title": fmt.Sprint("buy ", name(k)), "rank": k, "done": k == 1, "count": crdt.Counter(2), "tags": []any{"a"}, "odd": 0.5}))
		}
		if i == 0 {
			s.doc = d.ID()
		}
	}
	s.shown = dumpOf(t, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// another is a copy of the file.
func (s *tabled) another(t *testing.T) *tabled {
	t.Helper()
	c := *s
	c.t, c.path = t, filepath.Join(t.TempDir(), "peer.db")
	copyFile(t, s.path, c.path)
	return &c
}

// alter runs statements on the file as somebody with a shell would: triggers fire.
func (s *tabled) alter(statements ...string) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
	}
}

// dump is what the tables show to a peer without a schema, which takes them as they are.
func (s *tabled) dump() string {
	s.t.Helper()
	p := openPeer(s.t, s.path, testOptions())
	defer p.Close()
	if got := rowsOf(s.t, p, `SELECT _id FROM tasks_search WHERE tasks_search MATCH 'spoilt'`); len(got) != 0 {
		s.t.Errorf("the index has a word of before: %s", got)
	}
	if got := rowsOf(s.t, p, `SELECT _id FROM tasks_search WHERE tasks_search MATCH 'n0001'`); len(got) != 2 {
		s.t.Errorf("by a word of theirs are found: %s", got)
	}
	return dumpOf(s.t, p)
}

// lag is how far the tables show the document.
func (s *tabled) lag() storage.Lag {
	s.t.Helper()
	store, err := storage.Open(bounded(s.t), s.path, storage.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	lag, err := store.Lag(bounded(s.t), s.doc)
	if err != nil {
		s.t.Fatal(err)
	}
	return lag
}

func TestTablesThatShowSomethingElseAreFoundAndMadeAnew(t *testing.T) {
	const one = `_doc = (SELECT min(_doc) FROM entities) AND _id = 'n0001'`
	healthy := newTabled(t)
	notes := `(SELECT id FROM projections WHERE collection = 'notes')`
	for _, c := range []struct {
		name   string
		damage []string
		says   []string
	}{
		{"a row of a table", []string{`UPDATE projection_1 SET title = 'spoilt' WHERE ` + one}, []string{"a row says something else (tasks/n0001)"}},
		{"a value of another type", []string{`UPDATE projection_1 SET rank = '1' WHERE ` + one}, []string{"a row says something else (tasks/n0001)"}},
		{"what has no column", []string{`UPDATE projection_1 SET _extra = NULL WHERE ` + one}, []string{"a row says something else (tasks/n0001)"}},
		{"a conflict that is none", []string{`UPDATE entities SET _conflict = 1 WHERE ` + one}, []string{"a row says something else (notes/n0001)"}},
		{"a row as JSON", []string{`UPDATE entities SET _json = '{"text":"spoilt"}' WHERE ` + one}, []string{"a row says something else (notes/n0001)"}},
		{"a row that is gone", []string{`DELETE FROM entities WHERE ` + one}, []string{"an entity has no row (notes/n0001)"}},
		{"a row of a table that is gone", []string{`DELETE FROM projection_1 WHERE ` + one}, []string{"an entity has no row (tasks/n0001)"}},
		{"a row of nothing", []string{`INSERT INTO entities (collection, _doc, _id, _json, _conflict) SELECT collection, _doc, 'ghost', _json, 0 FROM entities WHERE ` + one},
			[]string{"a row is of nothing in it (notes/ghost)"}},
		{"a row of nothing in a table", []string{`INSERT INTO projection_1 (_doc, _id, title, _conflict) SELECT _doc, 'ghost', 'spoilt', 0 FROM projection_1 WHERE ` + one},
			[]string{"a row is of nothing in it (tasks/ghost)"}},
		{"a row in the wrong table", []string{`INSERT INTO entities (collection, _doc, _id, _json, _conflict) SELECT 1, _doc, _id, '{}', 0 FROM projection_1 WHERE ` + one},
			[]string{"a row is of nothing in it"}},
		{"a row of another name", []string{`UPDATE entities SET _id = 'renamed' WHERE ` + one}, []string{"an entity has no row (notes/n0001)", "a row is of nothing in it (notes/renamed)"}},
		{"several", []string{`UPDATE projection_1 SET title = 'spoilt' WHERE _doc = (SELECT min(_doc) FROM entities)`, `DELETE FROM entities WHERE collection = ` + notes + ` AND ` + one},
			[]string{"4 rows say something else (tasks/n0000, tasks/n0001, tasks/n0002 …)", "an entity has no row (notes/n0001)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := healthy.another(t)
			if r := s.look(); len(r.Findings) > 0 {
				t.Fatalf("healthy, it has\n%s", words(r))
			}
			s.alter(c.damage...)
			found := s.look()
			if len(found.Findings) != 1 || found.Findings[0].Kind != doctor.Projection {
				t.Fatalf("found\n%s", words(found))
			}
			f := found.Findings[0]
			for _, text := range c.says {
				if !strings.Contains(f.What, text) {
					t.Errorf("it says %q, want %q in it", f.What, text)
				}
			}
			if f.Document == (id.Document{}) || f.Mend == "" {
				t.Errorf("it names no document, or no mend: %+v", f)
			}
			s.doc = f.Document
			if r := s.mend(CheckupOptions{}); !r.Healthy() || len(r.Mended) != 1 || len(r.Findings) > 0 {
				t.Fatalf("after mending\n%s", words(r))
			}
			if l := s.lag(); l.Projected != l.LastRow || l.LastRow == 0 {
				t.Errorf("the rows were not made anew: %+v", l)
			}
			if got := s.dump(); got != s.shown {
				t.Errorf("the tables show\n%s\nwant\n%s", got, s.shown)
			}
		})
	}
}

// What bypasses the triggers leaves the full-text index behind as well.
func TestAFullTextIndexThatIsBehindItsTable(t *testing.T) {
	healthy := newTabled(t)
	for _, c := range []struct {
		name   string
		damage string
		kinds  []doctor.Kind
	}{
		{"a word", `UPDATE projection_1 SET title = 'spoilt' WHERE _id = 'n0001'`, []doctor.Kind{doctor.Index, doctor.Projection}},
		{"a row", `DELETE FROM projection_1 WHERE _id = 'n0001'`, []doctor.Kind{doctor.Index, doctor.Projection}},
		{"the index alone", `DELETE FROM search_1 WHERE docid = 2`, []doctor.Kind{doctor.Index}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := healthy.another(t)
			s.hurt(c.damage)
			if found := s.look(); !slices.Equal(wrong(found), c.kinds) {
				t.Fatalf("found\n%s", words(found))
			}
			if r := s.mend(CheckupOptions{}); !r.Healthy() {
				t.Fatalf("after mending\n%s", words(r))
			}
			if got := s.dump(); got != s.shown {
				t.Errorf("the tables show\n%s\nwant\n%s", got, s.shown)
			}
		})
	}
}

// Rows of a document that was never in the file belong to nobody who could be asked.
func TestRowsOfADocumentThatIsNotThere(t *testing.T) {
	s := newTabled(t)
	stranger := id.NewDocument().String()
	s.alter(fmt.Sprintf(`INSERT INTO entities (collection, _doc, _id, _json, _conflict) SELECT collection, '%s', _id, _json, 0 FROM entities LIMIT 1`, stranger),
		`INSERT INTO projection_1 (_doc, _id, title, _conflict) VALUES ('no document', 'x', 'spoilt', 0)`)
	found := s.look()
	if len(found.Findings) != 2 || !slices.Equal(wrong(found), []doctor.Kind{doctor.Projection}) || found.Findings[0].Name != stranger || found.Findings[1].Name != "no document" {
		t.Fatalf("found\n%s", words(found))
	}
	if r := s.mend(CheckupOptions{}); !r.Healthy() || len(r.Mended) != 2 {
		t.Fatalf("after mending\n%s", words(r))
	}
	if got := s.dump(); got != s.shown {
		t.Errorf("the tables show\n%s\nwant\n%s", got, s.shown)
	}
}

// Tables that are behind are nobody's fault, whatever they show.
func TestTablesThatAreBehindAreNotAccused(t *testing.T) {
	s := newTabled(t)
	p := openPeer(t, s.path, testOptions()) // it keeps no tables
	d, err := p.OpenDocument(bounded(t), s.doc)
	if err != nil {
		t.Fatal(err)
	}
	do(t, d, note("more"), crdt.Delete("tasks", name(1)))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if l := s.lag(); l.Projected == l.LastRow {
		t.Fatal("the tables are not behind")
	}
	if r := s.look(); len(r.Findings) > 0 {
		t.Errorf("found\n%s", words(r))
	}
}

// Whatever peers do, the tables that they keep are those that the doctor expects.
func TestTablesThatPeersKeepAreNotAccused(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 7))
		o := testOptions()
		o.Tables = seed%2 == 0
		if !o.Tables {
			o.Schema = taskSchema(t, 1)
		}
		one, two := openPeer(t, filepath.Join(t.TempDir(), "one.db"), o), openPeer(t, filepath.Join(t.TempDir(), "two.db"), o)
		d := create(t, one)
		for range 30 {
			from, to := one, two
			if r.IntN(2) == 0 {
				from, to = two, one
			}
			(&Document{from, d.ID()}).Do(bounded(t), randomOperations(r)...)
			if r.IntN(3) == 0 {
				b, err := (&Document{from, d.ID()}).Save(bounded(t))
				if err == nil {
					_, err = to.Import(bounded(t), d.ID(), b)
				}
				if err != nil && !errors.Is(err, storage.ErrNotFound) {
					t.Fatal(err)
				}
			}
		}
		for _, p := range []*Peer{one, two} {
			rowsOf(t, p, `SELECT 1`) // when all is shown
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if report, err := Checkup(bounded(t), p.Path(), CheckupOptions{}); err != nil || len(report.Findings) > 0 {
				t.Errorf("seed %d: %v\n%s", seed, err, words(report))
			}
		}
	}
}

// Where functions of an app choose, the doctor does not know what a row has to say, but
// that there has to be one; and all about rows that they do not choose in.
func TestTablesThatFunctionsOfAnAppKeep(t *testing.T) {
	var functions merge.Functions
	err := functions.Register("sum", 1, func(set []merge.Candidate) (any, bool) {
		n := int64(0)
		for _, c := range set {
			v, _ := c.Value.(int64)
			n += v
		}
		return n, true
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &tabled{patient: patient{t: t, path: filepath.Join(t.TempDir(), "peer.db")}, o: testOptions()}
	s.o.Functions = &functions
	s.o.Schema, err = schema.New(schema.Definition{ID: "test", Version: 1, Open: true, Collections: map[string]schema.Collection{
		"tasks": {Open: true, Fields: map[string]schema.Field{"rank": {Type: schema.Int, Merge: "sum@1"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	p, far := openPeer(t, s.path, s.o), newPeer(t)
	d := create(t, p)
	do(t, d, crdt.Create("tasks", "contested", map[string]any{"rank": 1}), crdt.Create("tasks", "plain", map[string]any{"rank": 1}))
	exchange := func(from, to *Peer) {
		t.Helper()
		b, err := (&Document{from, d.ID()}).Save(bounded(t))
		if err == nil {
			_, err = to.Import(bounded(t), d.ID(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	exchange(p, far)
	do(t, &Document{far, d.ID()}, crdt.Set("tasks", "contested", "rank", 20))
	do(t, d, crdt.Set("tasks", "contested", "rank", 10))
	exchange(far, p)
	if got := rowsOf(t, p, `SELECT rank FROM tasks WHERE _id = 'contested'`); got[0] != `[]interface {}{30}` {
		t.Fatalf("the function was not asked: %s", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if r := s.look(); len(r.Findings) > 0 {
		t.Errorf("healthy, it has\n%s", words(r))
	}
	s.alter(`UPDATE projection_1 SET rank = 2 WHERE _id = 'plain'`)
	if r := s.look(); !slices.Equal(wrong(r), []doctor.Kind{doctor.Projection}) || !strings.Contains(words(r), "(tasks/plain)") {
		t.Errorf("found\n%s", words(r))
	}
	if r := s.mend(CheckupOptions{}); !r.Healthy() {
		t.Errorf("after mending\n%s", words(r))
	}
	p = openPeer(t, s.path, s.o) // the doctor has left it to the app
	if got := rowsOf(t, p, `SELECT rank FROM tasks ORDER BY _id`); !slices.Equal(got, []string{`[]interface {}{30}`, `[]interface {}{1}`}) {
		t.Errorf("after mending the app sees %s", got)
	}
}

// Tables that are not there, or are others, are made again, once for all documents.
func TestATableThatIsNotAsItWasDefined(t *testing.T) {
	alsoIndex := map[string]int{"gone from its words": 1} // SQLite says something, too
	for name, damage := range map[string][]string{
		"gone":                {`DROP TABLE projection_1`, `DROP TABLE search_1`},
		"without its column":  {`DROP TRIGGER search_1_updating`, `DROP TRIGGER search_1_updated`, `ALTER TABLE projection_1 RENAME COLUMN rank TO other`},
		"gone from its words": {`DROP TABLE projection_1`},
		"without its words":   {`DROP TABLE search_1`},
		"without a trigger":   {`DROP TRIGGER search_1_deleted`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTabled(t)
			s.alter(damage...)
			r := s.look()
			last := r.Findings[len(r.Findings)-1]
			if last.Kind != doctor.Projection || len(r.Findings) != 1+alsoIndex[name] || last.Mend == "" || r.Documents != 2 || r.Changes != 12 {
				t.Errorf("%d documents, %d changes, found\n%s", r.Documents, r.Changes, words(r))
			}
			if r := s.mend(CheckupOptions{}); !r.Healthy() || len(r.Mended) != 1 {
				t.Errorf("after mending\n%s", words(r))
			}
			if got := dumpOf(t, openPeer(t, s.path, s.o)); got != s.shown {
				t.Errorf("after mending it shows\n%s\nwant\n%s", got, s.shown)
			}
			db := func() *sql.DB {
				db, err := sql.Open("sqlite3", s.path)
				if err != nil {
					t.Fatal(err)
				}
				return db
			}()
			defer db.Close()
			var found int
			if err := db.QueryRow(`SELECT count(*) FROM search_1 WHERE search_1 MATCH 'buy'`).Scan(&found); err != nil || found != 8 {
				t.Errorf("%d of 8 texts are found: %v", found, err)
			}
		})
	}
}
