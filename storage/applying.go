package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"syncline/crdt/id"
)

// A change of somebody else is *applying* from its append until the caller has
// seen it safely through the document (Batch.Applied). What a process was
// applying when it died is found by the next one that opens the file.

// ErrApplying: another process that has the file open is applying the change.
var ErrApplying = errors.New("another process is applying the change")

// MarkState says how far the application of a change has come.
type MarkState int

const (
	// MarkWaiting: nobody has begun.
	MarkWaiting MarkState = iota
	// MarkOurs: this store has begun.
	MarkOurs
	// MarkElsewhere: another store has begun that has the file open, or died
	// since and the file has not been opened by one alone after that.
	MarkElsewhere
	// MarkInterrupted: a store had begun whose process died.
	MarkInterrupted
)

// Mark is a row of the journal that is applying.
type Mark struct {
	Doc   id.Document
	Row   int64
	Hash  id.Hash
	State MarkState
	By    int64 // tells apart which store has begun; 0 if none
}

// BeginApplying notes that rows marked by Entry.Applying are now given to the
// document. The note survives the death of the process, which is what it is
// for; it may not survive that of the machine, so it costs no fsync. ErrApplying
// if a row is being applied elsewhere; then none is noted. Rows without a mark
// are passed over.
func (s *Store) BeginApplying(ctx context.Context, rows []int64) error {
	err := s.unsynced(ctx, rows, func(t *tx, list string) error {
		err := t.exec(`UPDATE applying SET begun_by = ?1
			WHERE row IN (SELECT value FROM json_each(?2)) AND (begun_by = 0 OR begun_by NOT IN (SELECT id FROM openings))`, s.opening, list)
		if err != nil {
			return err
		}
		n, err := t.int64(`SELECT count(*) FROM applying WHERE row IN (SELECT value FROM json_each(?)) AND begun_by <> ?`, list, s.opening)
		if err == nil && n > 0 {
			err = ErrApplying
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("begin to apply %d changes: %w", len(rows), err)
	}
	return nil
}

// EndApplying takes the marks of rows away, which have come safely through the
// document. It costs no fsync either: should the machine lose it, they are
// applied once more. Batch.Applied does the same in a transaction with others.
func (s *Store) EndApplying(ctx context.Context, rows []int64) error {
	err := s.unsynced(ctx, rows, func(t *tx, list string) error {
		return t.exec(`DELETE FROM applying WHERE row IN (SELECT value FROM json_each(?))`, list)
	})
	if err != nil {
		return fmt.Errorf("end the application of %d changes: %w", len(rows), err)
	}
	return nil
}

// unsynced runs fn in a transaction of its own whose commit does not wait for the
// disk. In WAL mode NORMAL syncs at checkpoints, so the file stays sound.
func (s *Store) unsynced(ctx context.Context, rows []int64, fn func(t *tx, list string) error) error {
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return s.writer.queue.do(&job{ctx: ctx, outside: true, run: func(t *tx) (err error) {
		if err := t.exec(`PRAGMA synchronous = NORMAL`); err != nil {
			return err
		}
		defer func() {
			if serr := t.exec(`PRAGMA synchronous = FULL`); serr != nil {
				t.w.drop() // the next connection has it by itself
				err = errors.Join(err, serr)
			}
		}()
		if err := t.exec("BEGIN IMMEDIATE"); err != nil {
			t.w.recoverConn(err)
			return err
		}
		defer func() {
			if err != nil {
				t.w.rollback()
			}
		}()
		if err := fn(t, string(list)); err != nil {
			t.w.forgetProjections()
			return err
		}
		if err := t.exec("COMMIT"); err != nil {
			t.w.forgetProjections()
			return err
		}
		if t.tables {
			t.w.tablesChanged()
		}
		return nil
	}})
}

// mark notes that a row is applying.
func (t *tx) mark(document, row int64) error {
	return t.exec(`INSERT INTO applying (row, document) VALUES (?, ?)`, row, document)
}

// applied takes marks away.
func (t *tx) applied(rows []int64) error {
	if len(rows) == 0 {
		return nil
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM applying WHERE row IN (SELECT value FROM json_each(?))`, string(list)); err != nil {
		return fmt.Errorf("clear marks: %w", err)
	}
	return nil
}

// Applying lists the rows of a document that are applying, ascending.
func (s *Store) Applying(ctx context.Context, doc id.Document) ([]Mark, error) {
	return s.marks(ctx, `WHERE a.document = `+numberOf, doc[:])
}

// Interrupted lists the rows, over all documents, that processes were applying
// when they died, ascending.
func (s *Store) Interrupted(ctx context.Context) ([]Mark, error) {
	return s.marks(ctx, `WHERE a.begun_by <> 0 AND a.begun_by NOT IN (SELECT id FROM openings)`)
}

func (s *Store) marks(ctx context.Context, where string, args ...any) (all []Mark, err error) {
	for {
		n := len(all)
		after := int64(0)
		if n > 0 {
			after = all[n-1].Row
		}
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			var m Mark
			var doc, hash []byte
			var open bool
			if err := r.Scan(&m.Row, &doc, &hash, &m.By, &open); err != nil {
				return false, err
			}
			m.Doc, m.Hash = id.Document(doc), id.Hash(hash)
			switch {
			case m.By == 0:
			case m.By == s.opening:
				m.State = MarkOurs
			case open:
				m.State = MarkElsewhere
			default:
				m.State = MarkInterrupted
			}
			all = append(all, m)
			return true, nil
		}, `SELECT a.row, d.doc, j.hash, a.begun_by, a.begun_by IN (SELECT id FROM openings)
			FROM applying AS a JOIN journal AS j ON j.seq = a.row JOIN documents AS d ON d.id = a.document `+
			where+` AND d.deleting = 0 AND a.row > ? ORDER BY a.row LIMIT ?`, append(args[:len(args):len(args)], after, pieceRows)...)
		if err != nil {
			return nil, fmt.Errorf("list what is being applied: %w", err)
		}
		if len(all)-n < pieceRows {
			return all, nil
		}
	}
}

// ResetApplying makes marked rows wait again, whoever had begun with them.
// Durable when it returns; errors as Append's.
func (s *Store) ResetApplying(ctx context.Context, rows []int64) error {
	list, err := json.Marshal(rows)
	if err == nil {
		err = s.write(ctx, markOverhead*int64(len(rows)), func(t *tx) error {
			return t.exec(`UPDATE applying SET begun_by = 0 WHERE row IN (SELECT value FROM json_each(?))`, string(list))
		})
	}
	if err != nil {
		return fmt.Errorf("reset %d marks: %w", len(rows), err)
	}
	return nil
}
