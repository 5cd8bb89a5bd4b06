package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"syncline/crdt/id"
)

// Mending puts right what an inspection has found. It has the file alone, from Mend
// until Close. Each of its methods is one transaction, durable when it returns: a kill
// between two leaves a file that is as damaged as before, or less. Its methods are for
// one goroutine.
//
// Nothing of a document is lost by it: what is taken out of the journal is kept in the
// file as it was.
type Mending struct {
	path string
	db   *sql.DB
	conn *sql.Conn
}

// Mend opens a file to mend it. ErrBusy if anybody has it open; else errors as
// Inspect's.
func Mend(ctx context.Context, path string) (*Mending, error) {
	m, err := startMending(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("mend %s: %w", path, err)
	}
	return m, nil
}

func startMending(ctx context.Context, path string) (_ *Mending, err error) {
	o := Options{}.withDefaults()
	known, err := inspect(ctx, path, o)
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, fmt.Errorf("%w: it is empty", ErrForeign)
	}
	m := &Mending{path: path, db: sql.OpenDB(&connector{
		driver: &sqlite3.SQLiteDriver{ConnectHook: setPragmas(pragmas)},
		// As in checkAlone: the first lock is kept for as long as the connection is.
		dsn: dsn(path, url.Values{"mode": {"rw"}, "_locking_mode": {"EXCLUSIVE"}, "_busy_timeout": {"0"}}),
	})}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if m.conn, err = m.db.Conn(ctx); err != nil {
		return nil, classify(err)
	}
	if err := migrate(ctx, m.conn, o.Log); err != nil {
		return nil, err
	}
	return m, nil
}

// Close lets others have the file. It may be called again.
func (m *Mending) Close() error {
	if m.conn != nil {
		m.conn.Close()
	}
	return classify(m.db.Close())
}

// Inspection looks at the file by way of the mending, which nobody else can. It needs
// no closing.
func (m *Mending) Inspection() *Inspection {
	return &Inspection{path: m.path, conn: m.conn, version: int64(len(migrations()))}
}

// transact runs fn in a transaction.
func (m *Mending) transact(ctx context.Context, fn func(exec func(query string, args ...any) error) error) (err error) {
	exec := func(query string, args ...any) error {
		_, err := m.conn.ExecContext(ctx, query, args...)
		return classify(err)
	}
	if err := exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			m.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if err := fn(exec); err != nil {
		return err
	}
	return exec("COMMIT")
}

// Withdraw takes a row out of the journal, and keeps it as it is, with the reason:
// the store no longer claims to have the change, so that sync brings it again.
// ErrNotFound if there is no such row.
func (m *Mending) Withdraw(ctx context.Context, row int64, reason string) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error { return m.withdraw(ctx, exec, row, reason) })
	if err != nil {
		return fmt.Errorf("withdraw row %d: %w", row, err)
	}
	return nil
}

func (m *Mending) withdraw(ctx context.Context, exec func(string, ...any) error, row int64, reason string) error {
	var document int64
	err := m.conn.QueryRowContext(ctx, `SELECT document FROM journal WHERE seq = ?`, row).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return classify(err)
	}
	err = exec(`INSERT INTO withdrawn (source, document, row, hash, actor, origin, reason, time_ms, head, body)
		SELECT 'journal', document, seq, hash, actor, origin, ?, ?, head, body FROM journal WHERE seq = ?`, reason, time.Now().UnixMilli(), row)
	if err != nil {
		return err
	}
	if err := exec(`DELETE FROM applying WHERE row = ?`, row); err != nil {
		return err
	}
	if err := exec(`DELETE FROM journal WHERE seq = ?`, row); err != nil {
		return err
	}
	return recount(exec, document)
}

// Restate puts a row in the place of the one with its number: what the change's bytes
// say, where a column beside them says another thing. The old one is kept as by
// Withdraw. Of e, Doc, Origin and Time are the old row's.
func (m *Mending) Restate(ctx context.Context, row int64, e Entry, reason string) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error {
		var document, ms int64
		var origin string
		err := m.conn.QueryRowContext(ctx, `SELECT document, origin, time_ms FROM journal WHERE seq = ?`, row).Scan(&document, &origin, &ms)
		if err != nil {
			return classify(err)
		}
		var marked bool
		err = m.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM applying WHERE row = ?)`, row).Scan(&marked)
		if err != nil {
			return classify(err)
		}
		if err := m.withdraw(ctx, exec, row, reason); err != nil {
			return err
		}
		err = exec(`INSERT INTO journal (seq, document, hash, actor, actor_seq, origin, time_ms, head, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row, document, e.Hash[:], []byte(e.Actor), int64(e.ActorSeq), origin, ms, blob(e.Head), blob(e.Body))
		if err != nil {
			return err
		}
		if marked { // it has not been through the document
			if err := exec(`INSERT INTO applying (row, document) VALUES (?, ?)`, row, document); err != nil {
				return err
			}
		}
		return recount(exec, document)
	})
	if err != nil {
		return fmt.Errorf("restate row %d: %w", row, err)
	}
	return nil
}

// SetOperation keeps a record for the change in a row, in place of one that is there,
// which is kept as by Withdraw.
func (m *Mending) SetOperation(ctx context.Context, document int64, o Operation, reason string) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error {
		err := exec(`INSERT INTO withdrawn (source, document, row, hash, actor, origin, reason, time_ms, head, body)
			SELECT 'operations', document, row, hash, x'', '', ?, ?, x'', record FROM operations WHERE row = ?`, reason, time.Now().UnixMilli(), o.Row)
		if err != nil {
			return err
		}
		if err := exec(`DELETE FROM operations WHERE row = ?`, o.Row); err != nil {
			return err
		}
		return exec(`INSERT INTO operations (row, document, hash, time_ms, record) VALUES (?, ?, ?, ?, ?)`,
			o.Row, document, o.Hash[:], o.Time.UnixMilli(), blob(o.Record))
	})
	if err != nil {
		return fmt.Errorf("set operation %d: %w", o.Row, err)
	}
	return nil
}

// SetHeads notes the heads of a document.
func (m *Mending) SetHeads(ctx context.Context, document int64, heads []id.Hash) error {
	return m.one(ctx, "set heads", `UPDATE documents SET heads = ? WHERE id = ?`, joinHashes(heads), document)
}

// Recount counts the rows of a document anew.
func (m *Mending) Recount(ctx context.Context, document int64) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error { return recount(exec, document) })
	if err != nil {
		return fmt.Errorf("count the rows of document %d: %w", document, err)
	}
	return nil
}

// recount also has the projections of the document made anew: they show what was
// there before.
func recount(exec func(string, ...any) error, document int64) error {
	if err := exec(`UPDATE documents SET projected_row = 0 WHERE id = ? AND projected_row > 0`, document); err != nil {
		return err
	}
	return exec(`UPDATE documents SET (changes, raw_changes, raw_bytes, last_row, folded_row) = (`+countQuery+`) WHERE id = ?1`, document)
}

// Quarantine keeps a change of the journal out of its document.
func (m *Mending) Quarantine(ctx context.Context, document int64, hash id.Hash, reason string) error {
	return m.one(ctx, "put in quarantine", `INSERT INTO quarantine (document, hash, reason, origin, time_ms, body) VALUES (?, ?, ?, '', ?, x'')
		ON CONFLICT (document, hash) DO NOTHING`, document, hash[:], reason, time.Now().UnixMilli())
}

// ForgetSyncState forgets what is known of a remote's copy of a document; of all
// remotes, if remote is "".
func (m *Mending) ForgetSyncState(ctx context.Context, document int64, remote string) error {
	return m.one(ctx, "forget sync states", `DELETE FROM sync_states WHERE document = ?1 AND (remote = ?2 OR ?2 = '')`, document, remote)
}

// ForgetUndelivered forgets why a remote is not sent a document.
func (m *Mending) ForgetUndelivered(ctx context.Context, document int64, remote string) error {
	return m.one(ctx, "forget what is not delivered", `DELETE FROM undelivered WHERE document = ? AND remote = ?`, document, remote)
}

// DropChunk deletes a segment that lies beside its rows. ErrInvalid if it stands in
// their place.
func (m *Mending) DropChunk(ctx context.Context, segment int64) error {
	var folds int64
	err := m.conn.QueryRowContext(ctx, `SELECT folds FROM segments WHERE id = ?`, segment).Scan(&folds)
	if err == nil && folds != 0 {
		err = fmt.Errorf("%w: rows were folded into segment %d", ErrInvalid, segment)
	}
	if err != nil {
		return fmt.Errorf("drop segment %d: %w", segment, classify(err))
	}
	return m.one(ctx, "drop a segment", `DELETE FROM segments WHERE id = ?`, segment)
}

// DropUnreferenced deletes a row that belongs to one that is not there, of a table in
// which such a row says nothing: marks, sync states, notes of deliveries. ErrInvalid
// for the others.
func (m *Mending) DropUnreferenced(ctx context.Context, table string, row int64) error {
	query := map[string]string{
		"applying":    `DELETE FROM applying WHERE row = ?`,
		"sync_states": `DELETE FROM sync_states WHERE document NOT IN (SELECT id FROM documents)`,
		"undelivered": `DELETE FROM undelivered WHERE document NOT IN (SELECT id FROM documents)`,
	}[table]
	if query == "" {
		return fmt.Errorf("drop a row of %s: %w: it may be the only one of what it holds", table, ErrInvalid)
	}
	if table == "applying" {
		return m.one(ctx, "drop a mark", query, row)
	}
	return m.one(ctx, "drop what belongs to nothing", query)
}

// Reindex makes an index anew from its table; also a full-text index.
func (m *Mending) Reindex(ctx context.Context, index string) error {
	if strings.HasPrefix(index, searchPrefix) {
		return m.one(ctx, "make a full-text index anew", `INSERT INTO "`+index+`" ("`+index+`") VALUES ('rebuild')`)
	}
	return m.one(ctx, "make an index anew", `REINDEX "`+index+`"`)
}

// RestoreSchema makes an index or a trigger that is missing or another than it should
// be, from FileFault.Name and Code. ErrInvalid for a table: what was in it is gone.
func (m *Mending) RestoreSchema(ctx context.Context, f FileFault) error {
	var kind, name string
	if _, err := fmt.Sscan(f.Name, &kind, &name); err != nil || kind != "index" && kind != "trigger" || f.Code == "" {
		return fmt.Errorf("restore %s: %w", f.Name, ErrInvalid)
	}
	err := m.transact(ctx, func(exec func(string, ...any) error) error {
		if err := exec(`DROP ` + kind + ` IF EXISTS "` + name + `"`); err != nil {
			return err
		}
		return exec(f.Code)
	})
	if err != nil {
		return fmt.Errorf("restore %s: %w", f.Name, err)
	}
	return nil
}

// Renew makes the file another than the one it was copied from: it gets a storage id
// of its own, and a value in place of the one under a key.
func (m *Mending) Renew(ctx context.Context, key string, value []byte) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error {
		if err := exec(`UPDATE meta SET value = ? WHERE key = ?`, []byte(newUUID()), keyStorageID); err != nil {
			return err
		}
		return exec(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, blob(value))
	})
	if err != nil {
		return fmt.Errorf("renew the identity of the file: %w", err)
	}
	return nil
}

// one runs a statement in a transaction of its own.
func (m *Mending) one(ctx context.Context, what, query string, args ...any) error {
	err := m.transact(ctx, func(exec func(string, ...any) error) error { return exec(query, args...) })
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
