package storage

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
)

func mustFold(t testing.TB, s *Store, f Fold) int64 {
	t.Helper()
	segment, err := s.Fold(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	return segment
}

func mustDocument(t testing.TB, s *Store, doc id.Document) DocumentInfo {
	t.Helper()
	d, err := s.Document(context.Background(), doc)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAFoldStandsInThePlaceOfItsRows(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc, other := id.Document{1}, id.Document{2}
	r := mustAppend(t, s, entry(doc, 0), entry(doc, 1), entry(other, 0), entry(doc, 2), entry(doc, 3))
	whole := mustDocument(t, s, doc)

	first := Segment{Doc: doc, Kind: 7, Level: 1, FirstRow: r[0], LastRow: r[1], Rows: 2}
	first.ID = mustFold(t, s, Fold{Segment: first, Index: []byte("index"), Body: []byte("two")})
	if rows, _ := journalOf(t, s, doc, 0); !slices.Equal(rows, []int64{r[3], r[4]}) {
		t.Errorf("in the journal are rows %d", rows)
	}
	d := mustDocument(t, s, doc)
	if d.Changes != 4 || d.Bytes != whole.Bytes || d.RawChanges != 2 || d.FoldedRow != r[1] || d.LastRow != r[4] {
		t.Errorf("document %+v", d)
	}
	if want := int64(len(entry(doc, 2).Body) + len(entry(doc, 3).Body)); d.RawBytes != want {
		t.Errorf("%d bytes are not folded, want %d", d.RawBytes, want)
	}

	// The next takes over the first and goes on over another document's row.
	second := Segment{Doc: doc, Kind: 7, Level: 2, FirstRow: r[0], LastRow: r[3], Rows: 3}
	second.ID = mustFold(t, s, Fold{Segment: second, Index: []byte("i"), Body: []byte("three"), Replaces: []int64{first.ID}})
	got := segmentsOf(t, s, doc)
	if len(got) != 1 || !got[0].Folds || got[0].ID != second.ID || got[0].Rows != 3 || got[0].Size != 5 || got[0].IndexSize != 1 {
		t.Errorf("segments %+v", got)
	}
	if _, err := s.SegmentBody(ctx, first.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the first is still there: %v", err)
	}
	if index, err := s.SegmentIndex(ctx, second.ID); err != nil || string(index) != "i" {
		t.Errorf("index %q, %v", index, err)
	}
	// The other document's row within the range is untouched.
	if rows, _ := journalOf(t, s, other, 0); !slices.Equal(rows, []int64{r[2]}) {
		t.Errorf("the other has rows %d", rows)
	}
	if docs, err := s.DocumentsBetween(ctx, 0, r[1]); err != nil || !slices.Equal(docs, []id.Document{doc}) {
		t.Errorf("rows of %x (%v)", docs, err)
	}
	if docs, err := s.DocumentsBetween(ctx, r[1], r[4]); err != nil || !slices.Equal(docs, []id.Document{doc, other}) {
		t.Errorf("rows of %x (%v)", docs, err)
	}
	// Numbers go on.
	if next := mustAppend(t, s, entry(doc, 4)); next[0] <= r[4] {
		t.Errorf("row %d after row %d", next[0], r[4])
	}
}

func TestBodiesNameTheFirstRowThatIsFolded(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	r := mustAppend(t, s, entries(doc, 0, 6)...)
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[0], LastRow: r[2], Rows: 3}})
	told := 0
	tell := func(int64, []byte) error { told++; return nil }
	err := s.Bodies(ctx, doc, []int64{r[4], r[2], r[1]}, tell)
	var folded *FoldedError
	if !errors.As(err, &folded) || !errors.Is(err, ErrFolded) || folded.Row != r[1] || folded.Doc != doc || told != 0 {
		t.Errorf("%v after %d bodies", err, told)
	}
	if err := s.Bodies(ctx, doc, r[3:], tell); err != nil || told != 3 {
		t.Errorf("%v after %d bodies", err, told)
	}
	// In the order asked for, and what comes before it is told of.
	told = 0
	err = BodiesOf(ctx, s, doc).Bodies([]int64{r[4], r[5], r[0]}, func([]byte) bool { told++; return true })
	if !errors.As(err, &folded) || folded.Row != r[0] || told != 2 {
		t.Errorf("%v after %d bodies", err, told)
	}
	if err := s.Bodies(ctx, doc, []int64{r[5], 99}, tell); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrFolded) {
		t.Errorf("a row that never was: %v", err)
	}
}

func TestFoldsThatAreRefused(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc, other := id.Document{1}, id.Document{2}
	r := mustAppend(t, s, append(entries(doc, 0, 3), entry(other, 0), entry(doc, 3), entry(doc, 4), entry(doc, 5))...)
	first := mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[0], LastRow: r[1], Rows: 2}})
	second := mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[2], LastRow: r[2], Rows: 1}})
	theirs := mustFold(t, s, Fold{Segment: Segment{Doc: other, FirstRow: r[3], LastRow: r[3], Rows: 1}})
	segments, info := segmentsOf(t, s, doc), mustDocument(t, s, doc)
	set := []byte{1}
	for name, f := range map[string]Fold{
		"later rows first":                {Segment: Segment{FirstRow: r[5], LastRow: r[6], Rows: 2}},
		"too few rows":                    {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 1}},
		"too many rows":                   {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 3}},
		"no rows":                         {Segment: Segment{FirstRow: r[4], LastRow: r[5]}},
		"beginning before its rows":       {Segment: Segment{FirstRow: r[3], LastRow: r[5], Rows: 2}},
		"ending after its rows":           {Segment: Segment{FirstRow: r[4], LastRow: 99, Rows: 3}},
		"reversed":                        {Segment: Segment{FirstRow: r[5], LastRow: r[4], Rows: 2}},
		"nothing there":                   {Segment: Segment{FirstRow: 50, LastRow: 60, Rows: 1}},
		"row zero":                        {Segment: Segment{FirstRow: 0, LastRow: r[1], Rows: 2}, Replaces: []int64{first}},
		"folded before":                   {Segment: Segment{FirstRow: r[0], LastRow: r[1], Rows: 2}},
		"half a segment":                  {Segment: Segment{FirstRow: r[1], LastRow: r[2], Rows: 2}, Replaces: []int64{first, second}},
		"a segment outside":               {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 2}, Replaces: []int64{second}},
		"a segment that is not there":     {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 2}, Replaces: []int64{77}},
		"another document's segment":      {Segment: Segment{FirstRow: r[2], LastRow: r[4], Rows: 2}, Replaces: []int64{second, theirs}},
		"one of two segments":             {Segment: Segment{FirstRow: r[0], LastRow: r[2], Rows: 3}, Replaces: []int64{first}},
		"with a set":                      {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 2, RowSet: set}},
		"with a body that is too large":   {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 2}, Body: make([]byte, MaxBody+1)},
		"with an index that is too large": {Segment: Segment{FirstRow: r[4], LastRow: r[5], Rows: 2}, Index: make([]byte, MaxBody+1)},
	} {
		f.Doc = doc
		if _, err := s.Fold(ctx, f); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Fold(ctx, Fold{Segment: Segment{Doc: id.Document{9}, FirstRow: 1, LastRow: 1, Rows: 1}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown document: %v", err)
	}
	if got := segmentsOf(t, s, doc); !reflect.DeepEqual(got, segments) {
		t.Errorf("refused folds left %+v, before %+v", got, segments)
	}
	if got := mustDocument(t, s, doc); !reflect.DeepEqual(got, info) {
		t.Errorf("refused folds left %+v, before %+v", got, info)
	}
	if rows, _ := journalOf(t, s, doc, 0); !slices.Equal(rows, r[4:]) {
		t.Errorf("refused folds left rows %d, before %d", rows, r[4:])
	}
}

func TestRowsThatAreNotSettledStay(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	doc := id.Document{1}
	es := entries(doc, 0, 4)
	es[1].Applying = true
	r := mustAppend(t, s, es...)
	fold := Fold{Segment: Segment{Doc: doc, FirstRow: r[0], LastRow: r[1], Rows: 2}}
	if _, err := s.Fold(ctx, fold); !errors.Is(err, ErrUnsettled) {
		t.Errorf("a row that is applying: %v", err)
	}
	if err := s.EndApplying(ctx, r[:2]); err != nil {
		t.Fatal(err)
	}
	mustFold(t, s, fold)
	if err := s.Quarantine(ctx, Evidence{Doc: doc, Hash: es[3].Hash, Reason: "twin"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fold(ctx, Fold{Segment: Segment{Doc: doc, FirstRow: r[2], LastRow: r[3], Rows: 2}}); !errors.Is(err, ErrUnsettled) {
		t.Errorf("a row in quarantine: %v", err)
	}
	mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[2], LastRow: r[2], Rows: 1}})
}

// TestTheFileKeepsWhatIsNotFolded does what no code here does.
func TestTheFileKeepsWhatIsNotFolded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path, Options{})
	doc, other := id.Document{1}, id.Document{2}
	r := mustAppend(t, s, entry(doc, 0), entry(other, 0), entry(doc, 1), entry(doc, 2))
	segment := mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: r[0], LastRow: r[2], Rows: 2}})
	if _, err := s.PutChunk(context.Background(), Segment{Doc: doc, FirstRow: r[0], LastRow: r[3], Rows: 3}, nil, nil); err != nil {
		t.Fatal(err)
	}
	db := sqlite(t, path, `PRAGMA recursive_triggers = ON`)
	defer db.Close()
	for statement, args := range map[string][]any{
		`DELETE FROM journal WHERE seq = ?`:                     {r[3]},
		`DELETE FROM journal WHERE seq + 0 = ?`:                 {r[1]}, // between folded rows, another document's
		`UPDATE journal SET body = x'00' WHERE seq = ?`:         {r[3]},
		`DELETE FROM segments WHERE id = ?`:                     {segment},
		`UPDATE segments SET last_row = last_row + ?`:           {1},
		`UPDATE segments SET folds = 0 WHERE id = ?`:            {segment},
		`REPLACE INTO segments SELECT * FROM segments`:          nil,
		`REPLACE INTO journal SELECT * FROM journal LIMIT 1000`: nil,
	} {
		if _, err := db.Exec(statement, args...); err == nil || !strings.Contains(err.Error(), "never") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if rows, _ := journalOf(t, s, doc, 0); !slices.Equal(rows, r[3:]) {
		t.Errorf("rows %d", rows)
	}
	if got := segmentsOf(t, s, doc); len(got) != 2 {
		t.Errorf("segments %+v", got)
	}
	// A document that is being deleted may lose its parts, and never comes back.
	for _, statement := range []string{
		`UPDATE documents SET deleting = 99 WHERE doc = x'01000000000000000000000000000000'`,
		`DELETE FROM journal WHERE seq = 4`,
		`DELETE FROM segments`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if _, err := db.Exec(`UPDATE documents SET deleting = 0`); err == nil {
		t.Error("a document of which parts are gone was taken back")
	}
}

func TestFoldableDocuments(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	many, few, large := id.Document{1}, id.Document{2}, id.Document{3}
	r := mustAppend(t, s, entries(many, 0, 200)...)
	mustAppend(t, s, entries(few, 0, 3)...)
	e := entry(large, 0)
	e.Body = make([]byte, 100_000)
	mustAppend(t, s, e)
	for _, c := range []struct {
		changes, bytes int64
		limit          int
		want           []id.Document
	}{
		{0, 0, 9, nil},
		{1, 0, 9, []id.Document{many, few, large}},
		{1, 0, 2, []id.Document{many, few}},
		{200, 100_000, 9, []id.Document{many, large}},
		{201, 100_000, 9, []id.Document{large}},
		{201, 100_001, 9, nil},
		{0, 70_000, 9, []id.Document{large}},
	} {
		got, err := s.Foldable(ctx, c.changes, c.bytes, c.limit)
		var docs []id.Document
		for _, d := range got {
			docs = append(docs, d.Doc)
		}
		if err != nil || !slices.Equal(docs, c.want) {
			t.Errorf("%d changes, %d bytes: %x, %v; want %x", c.changes, c.bytes, docs, err, c.want)
		}
	}
	mustFold(t, s, Fold{Segment: Segment{Doc: many, FirstRow: r[0], LastRow: r[150], Rows: 151}})
	if got, err := s.Foldable(ctx, 50, 0, 1); err != nil || len(got) != 0 {
		t.Errorf("folded, and still %+v, %v", got, err)
	}
	var plan, rest string
	var n int
	err := s.readers.QueryRow(`EXPLAIN QUERY PLAN SELECT doc FROM documents WHERE (raw_changes >= 64 OR raw_bytes >= 65536) AND
		deleting = 0 AND (raw_changes >= ? OR raw_bytes >= ?) ORDER BY raw_changes DESC, id LIMIT ?`, 64, 65536, 1).Scan(&n, &n, &rest, &plan)
	if err != nil || !strings.Contains(plan, "documents_foldable") {
		t.Errorf("the index is not used: %s, %v", plan, err)
	}
}

// TestAFileOfSchemaTwoIsBroughtUp makes a file as it was before there were folds.
func TestAFileOfSchemaTwoIsBroughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	sqlite(t, path, migrations()[0], migrations()[1],
		`PRAGMA application_id = 1400458350`, `PRAGMA user_version = 2`,
		`INSERT INTO documents (id, doc, changes, bytes, last_row, created_ms) VALUES (1, x'01000000000000000000000000000000', 2, 3, 2, 5)`,
		`INSERT INTO journal VALUES (1, 1, zeroblob(32), x'00', 1, '', 5, x'', x'aa'), (2, 1, randomblob(32), x'00', 1, '', 5, x'', x'bbcc')`,
		`INSERT INTO segments (document, kind, level, first_row, last_row, rows, created_ms, body) VALUES (1, 3, 4, 1, 2, 2, 6, x'dd')`).Close()
	s := openAt(t, path, Options{})
	doc := id.Document{1}
	d := mustDocument(t, s, doc)
	if d.Changes != 2 || d.RawChanges != 2 || d.RawBytes != 3 || d.FoldedRow != 0 || d.LastRow != 2 {
		t.Errorf("document %+v", d)
	}
	got := segmentsOf(t, s, doc)
	if len(got) != 1 || got[0].Folds || got[0].Kind != 3 || got[0].Level != 4 || got[0].Rows != 2 || got[0].Size != 1 || got[0].IndexSize != 0 {
		t.Fatalf("segments %+v", got)
	}
	if next := mustFold(t, s, Fold{Segment: Segment{Doc: doc, FirstRow: 1, LastRow: 2, Rows: 2}}); next <= got[0].ID {
		t.Errorf("segment %d after segment %d", next, got[0].ID)
	}
	if rows := mustAppend(t, s, entry(doc, 0)); rows[0] != 3 {
		t.Errorf("row %d after row 2", rows[0])
	}
}
