package storage

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"syncline/crdt/id"
)

// TestEveryConnectionIsDurable takes every connection of both pools at once, so
// that none is looked at twice, and reads back what each was set to.
func TestEveryConnectionIsDurable(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "store.db"), Options{Readers: 6})
	ctx := context.Background()
	want := map[string]string{
		"synchronous": "2", "foreign_keys": "1", "recursive_triggers": "1", "trusted_schema": "0",
		"busy_timeout": "10000", "journal_mode": "wal", "temp_store": "2", "locking_mode": "normal", "fullfsync": "1",
	}
	check := func(pool, queryOnly string, conn *sql.Conn) {
		t.Helper()
		want["query_only"] = queryOnly
		for pragma, w := range want {
			var got string
			if err := conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil || got != w {
				t.Errorf("%s: pragma %s is %q, want %q (%v)", pool, pragma, got, w, err)
			}
		}
	}
	for range 2 {
		var held []*sql.Conn
		for i := range 6 {
			conn, err := s.readers.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
			check(fmt.Sprintf("reader %d", i), "1", conn)
			if _, err := conn.ExecContext(ctx, "DELETE FROM meta"); err == nil {
				t.Errorf("reader %d can write", i)
			}
		}
		if open := s.readers.Stats().OpenConnections; open != 6 {
			t.Errorf("%d reader connections, want 6", open)
		}
		for _, conn := range held {
			conn.Close()
		}
		// The writer's connection, and after it is lost, the one that replaces it.
		err := s.write(ctx, 1, func(t *tx) error { check("writer", "0", t.w.conn); return nil })
		if err != nil {
			t.Fatal(err)
		}
		loseConnection(t, s)
		mustAppend(t, s, entry(id.Document{1}, 0))
	}
}

// loseConnection leaves the writer with a connection that is stuck inside a
// transaction, as after an error that SQLite could not undo.
func loseConnection(t *testing.T, s *Store) {
	t.Helper()
	err := s.writer.queue.do(&job{ctx: context.Background(), outside: true, run: func(t *tx) error {
		if err := t.exec("BEGIN"); err != nil {
			return err
		}
		t.w.recoverConn(fmt.Errorf("the test says so"))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheJournalRefusesChangesOfItsRows(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	rows := mustAppend(t, s, entries(doc, 0, 3)...)
	for _, q := range []string{
		`UPDATE journal SET body = x''`,
		`DELETE FROM journal WHERE seq = 2`,
		`REPLACE INTO journal (seq, document, hash, actor, actor_seq, origin, time_ms, head, body)
			SELECT seq, document, hash, actor, actor_seq, origin, time_ms, head, x'00' FROM journal WHERE seq = 1`,
		`INSERT INTO journal (document, hash, actor, actor_seq, origin, time_ms, head, body) VALUES (99, zeroblob(32), x'', 0, '', 0, x'', x'')`,
		`INSERT INTO journal (document, hash, actor, actor_seq, origin, time_ms, head, body) VALUES (1, zeroblob(31), x'', 0, '', 0, x'', x'')`,
		`INSERT INTO journal (document, hash, actor, actor_seq, origin, time_ms, head, body) VALUES (1, zeroblob(32), x'', 0, '', 0, x'', 'text')`,
	} {
		if err := s.write(context.Background(), 1, func(t *tx) error { return t.exec(q) }); err == nil {
			t.Errorf("accepted: %s", q)
		}
	}
	if got, _ := journalOf(t, s, doc, 0); len(got) != len(rows) {
		t.Errorf("%d rows, want %d", len(got), len(rows))
	}
}

func TestPathsWithEveryKindOfCharacter(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b", "q?mode=memory", "h#sh", "per%41cent", "amp&=", "ünïcode", "semi;colon'quote\""} {
		path := filepath.Join(dir, name)
		s := openAt(t, path, Options{})
		mustAppend(t, s, entry(id.Document{1}, 1))
		var file string
		err := s.readers.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file)
		if err != nil || filepath.Base(file) != name {
			t.Errorf("store %q is in file %q (%v)", name, file, err)
		}
	}
}
