package query

import (
	"fmt"
	"strings"

	"github.com/mattn/go-sqlite3"

	"syncline/storage"
)

// functions are those that a statement may call: of plain SQLite all that compute
// something from their arguments. What it may not: load_extension, fts3_tokenizer,
// sqlite_* and whatever a later version brings.
var functions = wordSet(`
	abs avg ceil ceiling char coalesce concat concat_ws count cume_dist current_date current_time
	current_timestamp date datetime dense_rank first_value floor format glob group_concat hex
	if ifnull iif instr json json_array json_array_insert json_array_length json_error_position json_extract
	json_group_array json_group_object json_insert json_object json_patch json_pretty
	json_quote json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_array_insert
	jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object
	jsonb_patch jsonb_remove jsonb_replace jsonb_set julianday lag last_value lead length
	like likelihood likely lower ltrim match matchinfo max min nth_value ntile nullif
	octet_length offsets percent_rank printf quote random randomblob rank replace round
	row_number rtrim sign snippet soundex sqlite_version strftime string_agg substr
	substring subtype sum time timediff total trim typeof unhex unicode unixepoch unistr
	unistr_quote unlikely upper zeroblob -> ->>`)

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// actions name what else SQLite asks about, for the error; whatever is not
// listed is refused as well.
var actions = map[int]string{
	sqlite3.SQLITE_DELETE: "DELETE", sqlite3.SQLITE_INSERT: "INSERT", sqlite3.SQLITE_UPDATE: "UPDATE",
	sqlite3.SQLITE_PRAGMA: "PRAGMA", sqlite3.SQLITE_ATTACH: "ATTACH", sqlite3.SQLITE_DETACH: "DETACH",
	sqlite3.SQLITE_TRANSACTION: "a transaction", sqlite3.SQLITE_SAVEPOINT: "SAVEPOINT",
	sqlite3.SQLITE_ALTER_TABLE: "ALTER TABLE", sqlite3.SQLITE_REINDEX: "REINDEX", sqlite3.SQLITE_ANALYZE: "ANALYZE",
}

// phase says whose SQL a connection is busy with.
type phase int

const (
	ours      phase = iota // statements of this package: all is allowed
	preparing              // somebody's statement, which names what it reads
	running                // the same; the full-text index reads its own tables now
)

// authorize is SQLite's authorizer: it decides about each action of a statement, when
// that is prepared, and about those of SQL that runs inside it. It notes what is read.
func (c *conn) authorize(action int, a, b, db string) int {
	if c.phase == ours {
		return sqlite3.SQLITE_OK
	}
	switch action {
	case sqlite3.SQLITE_SELECT, sqliteRecursive:
		return sqlite3.SQLITE_OK
	case sqlite3.SQLITE_FUNCTION:
		if functions[storage.FoldName(b)] {
			return sqlite3.SQLITE_OK
		}
		return c.deny("the function %s is not available", b)
	case sqlite3.SQLITE_READ:
		return c.authorizeRead(a, db)
	}
	name := actions[action]
	if name == "" {
		name = "a change of the schema"
	}
	return c.deny("%s is not possible here; only SELECT, WITH, VALUES and EXPLAIN are", name)
}

// sqliteRecursive is the action of a recursive common table expression, which the
// driver does not name.
const sqliteRecursive = 33

// authorizeRead decides about a table, or a column of it. Without a database it is
// named as the statement names it: then views come first, and what is no table of the
// file is one of the statement's own.
func (c *conn) authorizeRead(name, db string) int {
	folded := storage.FoldName(name)
	switch {
	case strings.HasPrefix(folded, "sqlite_") || strings.HasPrefix(folded, "pragma_"):
	case (db == "temp" || db == "") && c.views[folded] != nil:
		return sqlite3.SQLITE_OK
	case db == "" && !c.tables[folded] && !modules[folded]:
		return sqlite3.SQLITE_OK
	case db == "temp":
	case folded == "json_each" || folded == "json_tree" || folded == "projections":
		return sqlite3.SQLITE_OK
	case folded == "entities":
		c.reads.entities = true
		return sqlite3.SQLITE_OK
	default:
		if n := c.own[folded]; n != 0 {
			c.reads.tables[n] = true
			return sqlite3.SQLITE_OK
		}
		// search_3_segdir and the like.
		if parts := strings.SplitN(folded, "_", 3); c.phase == running && len(parts) == 3 && c.own[parts[0]+"_"+parts[1]] != 0 {
			return sqlite3.SQLITE_OK
		}
	}
	return c.deny("the table %s is not available; the tables are the collections", shorten(name))
}

// modules can be named as tables without having been made.
var modules = wordSet(`fts3 fts4 fts3tokenize fts4aux rtree rtree_i32 dbstat bytecode tables_used sqlite_stmt completion generate_series`)

func (c *conn) deny(format string, args ...any) int {
	if c.denied == "" {
		c.denied = fmt.Sprintf(format, args...)
	}
	return sqlite3.SQLITE_DENY
}
