package query

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncline/storage"
)

// refused are statements that must not run. Some are no SQL; what matters is that
// each ends with an error of ours and leaves everything as it is.
var refused = []string{
	// Writes.
	`INSERT INTO tasks (title) VALUES ('x')`, `INSERT INTO main.projection_1 (_doc, _id, _conflict) VALUES ('a', 'b', 0)`,
	`INSERT OR REPLACE INTO meta VALUES ('a', 'b')`, `REPLACE INTO meta VALUES ('a', 'b')`, `UPDATE tasks SET title = 'x'`,
	`UPDATE main.projection_1 SET title = 'x'`, `DELETE FROM main.projection_1`, `DELETE FROM journal`, `DELETE FROM main.journal RETURNING *`,
	`WITH x AS (SELECT 1) DELETE FROM main.projection_1`, `WITH x AS (SELECT 1) INSERT INTO meta SELECT 'a', 'b'`,
	`WITH x AS (SELECT 1) UPDATE main.projection_1 SET title = 'y'`, `WITH x AS (DELETE FROM main.journal RETURNING 1) SELECT * FROM x`,
	`INSERT INTO main.search_1 (search_1) VALUES ('optimize')`, `INSERT INTO search_1 (search_1) VALUES ('rebuild')`,
	`EXPLAIN DELETE FROM main.projection_1`, `EXPLAIN QUERY PLAN INSERT INTO meta VALUES ('a', 'b')`, `EXPLAIN PRAGMA user_version`,
	// The schema.
	`CREATE TABLE t (a)`, `CREATE TEMP TABLE t (a)`, `CREATE TEMPORARY VIEW v AS SELECT 1`, `CREATE TABLE t AS SELECT 1`, `CREATE INDEX i ON main.projection_1 (title)`,
	`CREATE TRIGGER t AFTER INSERT ON main.journal BEGIN SELECT 1; END`, `CREATE TEMP TRIGGER t INSTEAD OF INSERT ON tasks BEGIN SELECT 1; END`,
	`CREATE VIRTUAL TABLE v USING fts4(a)`, `CREATE VIRTUAL TABLE temp.v USING fts3tokenize('simple')`, `CREATE VIRTUAL TABLE v USING rtree(a, b, c)`, `CREATE VIRTUAL TABLE temp.v USING fts4aux(main, search_1)`,
	`DROP TABLE main.projection_1`, `DROP VIEW tasks`, `DROP VIEW temp.tasks`, `DROP TRIGGER journal_is_never_updated`, `DROP INDEX documents_behind`, `ALTER TABLE main.projection_1 ADD COLUMN x`,
	`ALTER TABLE main.journal RENAME TO j`, `REINDEX`, `ANALYZE`, `VACUUM`, `VACUUM main`, `VACUUM INTO '$DIR/copy.db'`, `vacuum into '$DIR/copy.db'`, `/* SELECT */ VACUUM INTO '$DIR/copy.db'`,
	`-- SELECT` + "\n" + `VACUUM INTO '$DIR/copy.db'`,
	// Other files and code.
	`ATTACH '$DIR/other.db' AS other`, `ATTACH DATABASE ':memory:' AS m`, `WITH x AS (ATTACH '$DIR/other.db' AS o) SELECT 1`, `SELECT (ATTACH '$DIR/other.db' AS o)`, `DETACH main`,
	`SELECT load_extension('$DIR/evil.so')`, `SELECT load_extension('$DIR/evil.so', 'init')`, `SELECT LOAD_EXTENSION('x')`, `SELECT "load_extension"('x')`, `SELECT readfile('/etc/passwd')`,
	`SELECT writefile('$DIR/copy.db', 'x')`, `SELECT * FROM fsdir('/')`, `SELECT edit('x', 'sh')`, `SELECT fts3_tokenizer('simple')`, `SELECT fts3_tokenizer('simple', x'4141414141414141')`,
	`SELECT hex(fts3_tokenizer('porter')) FROM tasks`, `SELECT * FROM fts3tokenize('simple', 'a b')`, `SELECT count(*) FROM fts3tokenize`,
	`SELECT sqlite_compileoption_get(1)`, `SELECT sqlite_compileoption_used('X')`, `SELECT sqlite_source_id()`, `SELECT sqlite_log(1, 'x')`, `SELECT sqlite_offset(title) FROM tasks`, `SELECT optimize(search_1) FROM main.search_1`,
	`SELECT rtreecheck('main')`, `SELECT rtreenode(2, x'00')`, `SELECT last_insert_rowid()`, `SELECT changes()`, `SELECT total_changes()`, `SELECT system('id')`, `SELECT eval('DELETE FROM journal')`, `SELECT crypto('x')`,
	// PRAGMA, in every dress.
	`PRAGMA writable_schema = ON`, `PRAGMA query_only = OFF`, `PRAGMA user_version = 99`, `PRAGMA journal_mode = DELETE`, `PRAGMA trusted_schema = ON`, `PRAGMA temp_store_directory = '/tmp'`, `PRAGMA hard_heap_limit = 1`, `PRAGMA key = 'x'`,
	`SELECT * FROM pragma_table_info('journal')`, `SELECT count(*) FROM pragma_table_info('journal')`, `SELECT * FROM pragma_database_list`, `SELECT file FROM pragma_database_list`, `SELECT * FROM main.pragma_user_version`, `SELECT * FROM pragma_function_list`, `SELECT * FROM pragma_module_list`,
	`SELECT * FROM pragma_wal_checkpoint`, `SELECT * FROM pragma_optimize`, `SELECT * FROM "PRAGMA_TABLE_LIST"`, `SELECT count(*) FROM tasks, pragma_journal_mode`, `SELECT 1 FROM tasks WHERE EXISTS (SELECT 1 FROM pragma_table_xinfo('meta'))`,
	// What the file keeps for itself.
	`SELECT * FROM meta`, `SELECT count(*) FROM meta`, `SELECT 1 FROM meta`, `SELECT value FROM main.meta WHERE key = 'device-secret'`, `SELECT * FROM journal`, `SELECT count(*) FROM journal`, `SELECT count(*) FROM main.journal`, `SELECT 1 FROM main."journal"`,
	`SELECT body FROM main.[journal]`, `SELECT * FROM documents`, `SELECT * FROM operations`, `SELECT * FROM applying`, `SELECT * FROM openings`, `SELECT * FROM quarantine`, `SELECT * FROM segments`, `SELECT * FROM sync_states`, `SELECT * FROM undelivered`, `SELECT * FROM projecting`,
	`SELECT * FROM sqlite_master`, `SELECT * FROM sqlite_schema`, `SELECT * FROM main.sqlite_schema`, `SELECT sql FROM temp.sqlite_temp_schema`, `SELECT * FROM sqlite_temp_master`, `SELECT count(*) FROM sqlite_sequence`, `SELECT * FROM sqlite_stat1`, `SELECT * FROM sqlite_dbpage`, `SELECT * FROM dbstat`, `SELECT * FROM sqlite_stmt`, `SELECT * FROM bytecode('SELECT 1')`,
	`SELECT * FROM main.search_1_segdir`, `SELECT * FROM search_1_segments`, `SELECT count(*) FROM search_1_stat`, `SELECT (SELECT count(*) FROM meta)`, `SELECT title FROM tasks UNION ALL SELECT value FROM meta`, `SELECT title FROM tasks UNION SELECT hex(body) FROM main.journal`,
	`SELECT * FROM tasks JOIN meta`, `SELECT * FROM tasks WHERE title IN (SELECT value FROM meta)`, `SELECT * FROM tasks WHERE title IN meta`, `SELECT * FROM tasks WHERE title IN main.journal`, `SELECT * FROM tasks ORDER BY (SELECT value FROM meta)`, `WITH m AS (SELECT * FROM meta) SELECT * FROM m`, `WITH RECURSIVE m(v) AS (SELECT value FROM meta UNION SELECT v FROM m) SELECT * FROM m`,
	`SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM meta)) FROM tasks`, `SELECT sum(rank) OVER (ORDER BY (SELECT count(*) FROM meta)) FROM tasks`, `EXPLAIN SELECT * FROM meta`, `VALUES ((SELECT value FROM meta LIMIT 1))`, `SELECT * FROM json_each((SELECT value FROM meta LIMIT 1))`,
	// Transactions and several statements.
	`BEGIN`, `BEGIN EXCLUSIVE`, `COMMIT`, `END`, `ROLLBACK`, `SAVEPOINT x`, `RELEASE x`, `SELECT 1; DELETE FROM main.journal`, `SELECT 1; SELECT 2`, `SELECT 1;;SELECT 2`, `SELECT 1 /* ; */; VACUUM`, `SELECT ';' ; PRAGMA user_version = 5`, `SELECT 1 -- ;` + "\n" + `; ATTACH 'x' AS y`, "SELECT 1;\x00DELETE FROM meta", `SELECT "a;" ; SELECT 1`, "SELECT 1 AS [;] ; SELECT 2", "SELECT 1 AS `;` ; SELECT 2",
	// Too much.
	`SELECT zeroblob(2000000000)`, `SELECT randomblob(2000000000)`, `SELECT length(zeroblob(100000000))`, `SELECT printf('%.*c', 100000000, 'x')`, `SELECT replace(hex(zeroblob(8000000)), '0', 'aaaaaaaaaaaa')`, `SELECT group_concat(hex(zeroblob(5000000))) FROM (VALUES (1), (2), (3))`, `SELECT json_group_array(hex(zeroblob(5000000))) FROM (VALUES (1), (2), (3))`,
	`WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c`, `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c ORDER BY 1`, `WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT (x + 1) % 100000000 FROM c) SELECT sum(x) FROM c`, `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c a, c b`,
	`SELECT ` + strings.Repeat("1+", 5000) + "1", `SELECT 1` + strings.Repeat(" UNION SELECT 1", 1000), `SELECT '` + strings.Repeat("a", 200_000) + `'`, `SELECT title LIKE '` + strings.Repeat("%a", 400) + `' FROM tasks`,
	// No statement.
	``, ` `, `;`, `-- nothing`, `/* nothing`, `SELECT`, `SELECT 'open`, `SELECT "open`, "\xff", "SELECT '\xff'", `.tables`, `.load evil.so`, `\d`, `SHOW TABLES`, `EXPLAIN`,
}

// allowed are statements that look like those, and are harmless.
var allowed = []string{
	`SELECT 1`, `select 1;`, ` SELECT 1 ; ; -- more`, `/* a */ SELECT 1 /* ; */`, `VALUES (1), (2)`, `WITH x AS (SELECT 1 AS a) SELECT a FROM x`, `SELECT ';DELETE FROM journal'`, `SELECT 1 AS ";"`,
	`EXPLAIN SELECT * FROM tasks`, `EXPLAIN QUERY PLAN SELECT * FROM tasks`, `SELECT 'PRAGMA'`, `SELECT count(*) FROM tasks`, `SELECT * FROM temp.tasks`, `SELECT "title" FROM [tasks]`, `WITH journal AS (SELECT title FROM tasks) SELECT title FROM journal`,
	`WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT x FROM c`, `SELECT value FROM json_each('[1,2]')`, `SELECT key, value FROM json_tree('{"a":[1]}')`, `SELECT hex(randomblob(8)), random()`, `SELECT datetime(0, 'unixepoch')`, `SELECT row_number() OVER (ORDER BY rank) FROM tasks`,
	`SELECT group_concat(title, ';') FROM tasks`, `SELECT title LIKE '%a%', title GLOB '*a*' FROM tasks`, `SELECT t.title FROM tasks t LEFT JOIN tasks u ON t._id = u._id`, `SELECT _id FROM tasks INTERSECT SELECT _id FROM tasks`, `SELECT iif(rank > 1, 'a', 'b') FROM tasks`, `SELECT json_object('a', title) FROM tasks`,
	`SELECT x'00', zeroblob(10)`,
}

func TestHostileStatementsAreRefused(t *testing.T) {
	f := newFixture(t)
	f.put(task("a", "Milk", "two", 1))
	dir := t.TempDir()
	e := f.engine(Options{Limits: Limits{Time: 100 * time.Millisecond}, Connections: 1})
	before := dump(t, f.store)
	for _, text := range refused {
		text = strings.ReplaceAll(text, "$DIR", dir)
		rows, err := try(e, text)
		known := errors.Is(err, ErrRefused) || errors.Is(err, ErrSQL) || errors.Is(err, ErrTime)
		if !known {
			t.Errorf("%.100q gave %d rows and the error %v", text, len(rows), err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("statements have made files: %v, %v", left, err)
	}
	if after := dump(t, f.store); after != before {
		t.Errorf("the file has changed:\n%s\nwas\n%s", after, before)
	}
	for _, text := range allowed {
		if _, err := patiently(e, text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if len(refused) < 150 {
		t.Errorf("only %d statements", len(refused))
	}
}

// patiently tries until the time is enough, which is short here and may pass while the
// machine does something else.
func patiently(e *Engine, text string) (all [][]any, err error) {
	for {
		if all, err = try(e, text); !errors.Is(err, ErrTime) {
			return all, err
		}
	}
}

// dump shows the rows and the schema as another reader sees them.
func dump(t *testing.T, s *storage.Store) string {
	t.Helper()
	raw, err := s.Reader(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := &conn{c: raw}
	var b strings.Builder
	for _, q := range []string{
		`SELECT type, name, sql FROM sqlite_schema ORDER BY name`, `SELECT * FROM projection_1`, `SELECT seq, hash FROM journal`, `SELECT key FROM meta ORDER BY key`,
		`SELECT * FROM pragma_user_version, pragma_journal_mode`,
	} {
		if err := c.each(context.Background(), q, func(v []driver.Value) error {
			for _, x := range v {
				if s, ok := x.(string); ok {
					b.WriteString(s)
				}
			}
			b.WriteString("\n")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Were the authorizer to let something pass, the connection could still not write.
func TestTheConnectionItselfOnlyReads(t *testing.T) {
	f := newFixture(t)
	f.put(task("a", "Milk", "two", 1))
	raw, err := f.store.Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, text := range []string{`DELETE FROM projection_1`, `CREATE TABLE t (a)`, `PRAGMA user_version = 5`, `INSERT INTO meta VALUES ('a', x'00')`} {
		if _, err := raw.Exec(`PRAGMA query_only = OFF`, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec(text, nil); err == nil {
			t.Errorf("%s went through", text)
		}
	}
}

// FuzzStatement holds what the scanner says against SQLite: what passes is one
// statement, and nothing that it can be made of writes.
func FuzzStatement(f *testing.F) {
	for _, text := range append(append([]string{}, refused...), allowed...) {
		f.Add(text)
	}
	dir := f.TempDir()
	fix := fixtureAt(f, filepath.Join(dir, "store.db"))
	fix.put(task("a", "Milk", "two", 1))
	e := New(fix.store, Options{Limits: Limits{Time: 50 * time.Millisecond, Rows: 100}})
	f.Cleanup(func() { e.Close() })
	commits := fix.store.Stats().Commits
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "into") && strings.Contains(strings.ToLower(text), "vacuum") {
			t.Skip()
		}
		_, err := try(e, text)
		if err == nil && len(text) > 100_000 {
			t.Error("too long, and run")
		}
		if fix.store.Stats().Commits != commits {
			t.Error("something was written")
		}
		if rows, err := patiently(e, `SELECT title FROM tasks`); err != nil || len(rows) != 1 {
			t.Errorf("the next query: %v, %v", rows, err)
		}
	})
}
