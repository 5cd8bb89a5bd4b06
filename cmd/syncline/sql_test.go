package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// shop makes a store with entities of several kinds.
func shop(t *testing.T) (db, doc, schema string) {
	t.Helper()
	db, doc = newStore(t)
	op(t, db, doc, "create", "items", "milk", `{"name":"Milk","stock":{"$counter":3},"price":1.5,"more":[1]}`)
	op(t, db, doc, "create", "items", "tea", `{"name":"Tea \u001b[2J\u202e, 茶","stock":{"$counter":0},"price":4}`)
	op(t, db, doc, "create", "notes", "n1", `{"text":"x"}`)
	schema = filepath.Join(t.TempDir(), "schema.json")
	write(t, schema, []byte(`{"schema":1,"id":"shop","version":1,"open":true,"collections":{"items":{"open":true,"fields":{
		"name":{"type":"text","search":true},"stock":{"type":"counter"},"price":{"type":"number"}}}}}`))
	return db, doc, schema
}

func TestSQLPrintsEachFormat(t *testing.T) {
	db, _, schema := shop(t)
	const statement = `SELECT _id, name, stock, price, _extra, x'00ff' AS bytes FROM items ORDER BY _id`
	for _, c := range []struct{ format, want string }{
		{"", "milk\tMilk\t3\t1.5\t{\"more\":[1]}\tx'00ff'\ntea\tTea \ufffd[2J\ufffd, 茶\t0\t4\t\tx'00ff'"},
		{"csv", "_id,name,stock,price,_extra,bytes\nmilk,Milk,3,1.5,\"{\"\"more\"\":[1]}\",x'00ff'\ntea,\"Tea \x1b[2J\u202e, 茶\",0,4,,x'00ff'"},
		{"json", `[{"_id":"milk","name":"Milk","stock":3,"price":1.5,"_extra":"{\"more\":[1]}","bytes":"AP8="},` + "\n" +
			`{"_id":"tea","name":"Tea \u001b[2J\u202e, 茶","stock":0,"price":4,"_extra":null,"bytes":"AP8="}]`},
		{"table", "_ID   NAME           STOCK  PRICE  _EXTRA        BYTES\n" +
			"milk  Milk               3    1.5  {\"more\":[1]}  x'00ff'\n" +
			"tea   Tea \ufffd[2J\ufffd, 茶      0      4  NULL          x'00ff'"},
	} {
		if got := done(t, "sql", "--db", db, "--schema", schema, "--format", c.format, statement); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.format, got, c.want)
		}
	}
	// The schema stays, until somebody gives another.
	if got := done(t, "sql", "--db", db, `SELECT s._id, i.stock FROM items_search AS s JOIN items AS i USING (_doc, _id) WHERE items_search MATCH 'milk'`); got != "milk\t3" {
		t.Errorf("found %q", got)
	}
	if got := done(t, "sql", "--db", db, "--format", "json", `SELECT 1 AS a, 2 AS a, 1e999 AS inf WHERE 0`); got != "[]" {
		t.Errorf("no rows: %q", got)
	}
	if got := done(t, "sql", "--db", db, "--format", "json", `SELECT 1 AS a, 2 AS a, 1e999 AS inf`); got != `[{"a":1,"a:1":2,"inf":null}]` {
		t.Errorf("odd columns: %q", got)
	}
}

func TestSQLListsTables(t *testing.T) {
	db, _, schema := shop(t)
	got := "\n" + done(t, "sql", "--db", db, "--schema", schema, "--tables") + "\n"
	for _, line := range []string{"items\tstock\tcounter\titems", "items_search\titems_search\tsearch\titems", "notes\t_json\tjson\tnotes", "_entities\t_collection\ttext\t"} {
		if !strings.Contains(got, "\n"+line+"\n") {
			t.Errorf("no line %q in%s", line, got)
		}
	}
}

func TestSQLRefuses(t *testing.T) {
	db, _, _ := shop(t)
	for _, c := range []struct {
		words []string
		args  []string
	}{
		{[]string{"DELETE", "SELECT"}, []string{"DELETE FROM items"}},
		{[]string{"refused", "DELETE"}, []string{"WITH x AS (SELECT 1) DELETE FROM main.entities"}},
		{[]string{"ATTACH"}, []string{"ATTACH 'x.db' AS x"}},
		{[]string{"load_extension", "not available"}, []string{"SELECT load_extension('x')"}},
		{[]string{"meta", "not available"}, []string{"SELECT * FROM meta"}},
		{[]string{"one statement"}, []string{"SELECT 1; DROP TABLE journal"}},
		{[]string{"no such table: missing"}, []string{"SELECT * FROM missing"}},
		{[]string{"no such column"}, []string{"SELECT missing FROM notes"}},
		{[]string{"too long", "limit 20ms"}, []string{"--timeout", "20ms", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"}},
		{[]string{"too many rows", "limit 1"}, []string{"--max-rows", "1", "SELECT 1 UNION SELECT 2"}},
		{[]string{"read the schema", "missing.json"}, []string{"--schema", "missing.json", "SELECT 1"}},
	} {
		refused(t, 1, c.words, append([]string{"sql", "--db", db}, c.args...)...)
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	write(t, bad, []byte(`{"schema":1,"id":"x","version":1,"collections":{"a":{"fields":{"b":{"type":"txet"}}}}}`))
	refused(t, 1, []string{"bad.json", "collections/a", "txet"}, "sql", "--db", db, "--schema", bad, "SELECT 1")
	refused(t, 2, []string{"--format", "xml"}, "sql", "--db", db, "--format", "xml", "SELECT 1")
	refused(t, 2, []string{"STATEMENT is missing"}, "sql", "--db", db)
	refused(t, 1, []string{"there is no file"}, "sql", "--db", filepath.Join(t.TempDir(), "x.db"), "SELECT 1")
}

func TestSQLLivePrintsEachResult(t *testing.T) {
	db, doc, _ := shop(t)
	v := start(t, "sql", "--db", db, "--live", "--format", "json", `SELECT _id, _json ->> 'name' AS name FROM items WHERE _id > 'n' ORDER BY _id`)
	v.await(`^\[\{"_id":"tea",.*\}\]$`)
	op(t, db, doc, "create", "others", "x", `{}`)
	op(t, db, doc, "create", "items", "wine", `{"name":"Wine"}`)
	v.await(`^\[\{"_id":"tea".*\},\{"_id":"wine","name":"Wine"\}\]$`)
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d after an interrupt", code)
	}
}

func TestTablesFitTheTerminal(t *testing.T) {
	for _, c := range []struct {
		widths []int
		width  int
		want   string
	}{
		{[]int{3, 4}, 80, "[3 4]"}, {[]int{3, 200}, 80, "[3 75]"}, {[]int{100, 5, 100}, 80, "[35 5 36]"}, {[]int{9, 9, 9}, 10, "[4 4 4]"}, {[]int{500}, 0, "[500]"},
	} {
		given := fmt.Sprint(c.widths)
		if got := fmt.Sprint(fitWidths(c.widths, c.width)); got != c.want {
			t.Errorf("%s in %d: %s, want %s", given, c.width, got, c.want)
		}
	}
	if got := narrow("日本語テキスト", 7); got != "日本語…" || wide(got) != 7 {
		t.Errorf("cut to %q, which takes %d", got, wide(got))
	}
}
