package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Look is one document of an inspection, at one moment, however long the look is.
type Look struct {
	InspectedDocument
	i   *Inspection
	ctx context.Context
}

// Document has fn look at one document, which all its reads then show as it was at
// one moment. It may take long: the write-ahead log of the file grows meanwhile if
// others write. ErrNotFound if it is not there.
func (i *Inspection) Document(ctx context.Context, number int64, fn func(*Look) error) error {
	if _, err := i.conn.ExecContext(ctx, `SAVEPOINT look`); err != nil {
		return fmt.Errorf("look at document %d: %w", number, classify(err))
	}
	defer i.conn.ExecContext(context.WithoutCancel(ctx), `RELEASE look`)
	l := &Look{i: i, ctx: ctx}
	l.Number = -1
	err := i.rows(ctx, func(r *sql.Rows) error {
		var v [11]any
		err := r.Scan(pointers(v[:])...)
		l.InspectedDocument = inspected(v[:])
		return err
	}, `SELECT `+documentColumns+`, deleting, id FROM documents WHERE id = ?`, number)
	if err == nil && l.Number < 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("look at document %d: %w", number, err)
	}
	return fn(l)
}

// Path is the file's.
func (l *Look) Path() string { return l.i.path }

// Row is a row of the journal as it lies there. Its byte strings are good until the
// call it was given to returns.
type Row struct {
	Row      int64
	Hash     []byte
	Actor    []byte
	ActorSeq int64
	Origin   string
	Time     time.Time
	Head     []byte
	Body     []byte
	Size     int64  // of the body
	Fault    string // the columns that are not what they should be, by name
}

// Rows calls fn with the rows of the document above one, in their order. A body of
// more than most bytes is left out. An error of fn ends the scan and is returned as it
// is; ErrDamaged ends it where a page cannot be read.
func (l *Look) Rows(after, most int64, fn func(Row) error) error {
	err := l.i.rows(l.ctx, func(r *sql.Rows) error {
		var v [9]any
		if err := r.Scan(pointers(v[:])...); err != nil {
			return err
		}
		c := columns{values: v[:]}
		row := Row{Row: c.int(0, "seq"), Hash: c.bytes(1, "hash"), Actor: c.bytes(2, "actor"), ActorSeq: c.int(3, "actor_seq"),
			Origin: string(c.bytes(4, "origin")), Time: time.UnixMilli(c.int(5, "time_ms")), Head: c.bytes(6, "head"), Size: c.int(7, "body")}
		if row.Size <= most {
			row.Body = c.bytes(8, "body")
		}
		row.Fault = c.faults()
		return fn(row)
	}, `SELECT seq, hash, actor, actor_seq, origin, time_ms, head, length(body), CASE WHEN length(body) <= ? THEN body END FROM journal
		WHERE document = ? AND seq > ? ORDER BY seq`, most, l.Number, after)
	return l.failed("read its rows", err)
}

// Bodies calls yield with the bodies of rows, as DocumentBodies does.
func (l *Look) Bodies(rows []int64, yield func(body []byte) bool) error {
	for _, row := range rows {
		var body sql.RawBytes
		err := l.i.rows(l.ctx, func(r *sql.Rows) error {
			if err := r.Scan(&body); err != nil {
				return err
			}
			if !yield(body) {
				return errEnough
			}
			return nil
		}, `SELECT body FROM journal WHERE seq = ? AND document = ?`, row, l.Number)
		if errors.Is(err, errEnough) {
			return nil
		}
		if err == nil && body == nil {
			err = ErrNotFound
		}
		if err != nil {
			return l.failed(fmt.Sprintf("read row %d", row), err)
		}
	}
	return nil
}

// Segments lists the segments of the document by first row, without what they hold.
func (l *Look) Segments() (all []Segment, err error) {
	err = l.i.rows(l.ctx, func(r *sql.Rows) error {
		g := Segment{Doc: l.Doc}
		var ms int64
		err := r.Scan(&g.ID, &g.Kind, &g.Level, &g.Folds, &g.FirstRow, &g.LastRow, &g.Rows, &ms, &g.RowSet, &g.IndexSize, &g.Size)
		g.Created = time.UnixMilli(ms)
		all = append(all, g)
		return err
	}, `SELECT id, kind, level, folds, first_row, last_row, rows, created_ms, row_set, length(part_index), length(body) FROM segments
		WHERE document = ? ORDER BY first_row, id`, l.Number)
	return all, l.failed("list its segments", err)
}

// Segment returns the index and the body of a segment.
func (l *Look) Segment(id int64) (index, body []byte, err error) {
	err = l.i.conn.QueryRowContext(l.ctx, `SELECT part_index, body FROM segments WHERE id = ?`, id).Scan(&index, &body)
	return index, body, l.failed(fmt.Sprintf("read segment %d", id), classify(err))
}

// Operations calls fn with the records of operations on the document, by row. An error
// of fn ends the scan and is returned as it is.
func (l *Look) Operations(fn func(Operation) error) error {
	err := l.i.rows(l.ctx, func(r *sql.Rows) error {
		o := Operation{Doc: l.Doc}
		var hash []byte
		var ms int64
		if err := r.Scan(&o.Row, &hash, &ms, &o.Record); err != nil {
			return err
		}
		copy(o.Hash[:], hash)
		o.Time = time.UnixMilli(ms)
		return fn(o)
	}, `SELECT row, hash, time_ms, record FROM operations WHERE document = ? ORDER BY row`, l.Number)
	return l.failed("read its operations", err)
}

// SyncStates calls fn with each sync state of the document. An error of fn ends the
// scan and is returned as it is.
func (l *Look) SyncStates(fn func(remote string, state []byte) error) error {
	return l.failed("read its sync states", l.named(fn, `SELECT remote, state FROM sync_states WHERE document = ? ORDER BY remote`))
}

// Undelivered is SyncStates for what is noted as not delivered.
func (l *Look) Undelivered(fn func(remote string, record []byte) error) error {
	return l.failed("read what is not delivered", l.named(fn, `SELECT remote, record FROM undelivered WHERE document = ? ORDER BY remote`))
}

func (l *Look) named(fn func(string, []byte) error, query string) error {
	return l.i.rows(l.ctx, func(r *sql.Rows) error {
		var name string
		var value []byte
		if err := r.Scan(&name, &value); err != nil {
			return err
		}
		return fn(name, value)
	}, query, l.Number)
}

// Evidence calls fn with what is in quarantine, oldest first, without the bodies. An
// error of fn ends the scan and is returned as it is.
func (l *Look) Evidence(fn func(Evidence) error) error {
	err := l.i.rows(l.ctx, func(r *sql.Rows) error {
		e := Evidence{Doc: l.Doc}
		var hash []byte
		var ms int64
		if err := r.Scan(&hash, &e.Reason, &e.Origin, &ms); err != nil {
			return err
		}
		copy(e.Hash[:], hash)
		e.Time = time.UnixMilli(ms)
		return fn(e)
	}, `SELECT hash, reason, origin, time_ms FROM quarantine WHERE document = ? ORDER BY id`, l.Number)
	return l.failed("read its quarantine", err)
}

// Marks calls fn with each row that is applying. One that a store has begun with is
// MarkElsewhere, or MarkInterrupted if that store is not open.
func (l *Look) Marks(fn func(Mark) error) error {
	err := l.i.rows(l.ctx, func(r *sql.Rows) error {
		m := Mark{Doc: l.Doc}
		var open bool
		if err := r.Scan(&m.Row, &m.By, &open); err != nil {
			return err
		}
		switch {
		case m.By == 0:
		case open:
			m.State = MarkElsewhere
		default:
			m.State = MarkInterrupted
		}
		return fn(m)
	}, `SELECT row, begun_by, begun_by IN (SELECT id FROM openings) FROM applying WHERE document = ? ORDER BY row`, l.Number)
	return l.failed("read which changes are applying", err)
}

// Withdrawn calls fn with what Mending took out of the journal and for what reason,
// without the bytes.
func (l *Look) Withdrawn(fn func(row int64, hash []byte, reason string, at time.Time) error) error {
	if l.i.version < withdrawnSince {
		return nil
	}
	err := l.i.rows(l.ctx, func(r *sql.Rows) error {
		var row, ms int64
		var hash []byte
		var reason string
		if err := r.Scan(&row, &hash, &reason, &ms); err != nil {
			return err
		}
		return fn(row, hash, reason, time.UnixMilli(ms))
	}, `SELECT row, hash, reason, time_ms FROM withdrawn WHERE source = 'journal' AND document = ? ORDER BY row`, l.Number)
	return l.failed("read what was withdrawn", err)
}

// withdrawnSince is the schema that has it.
const withdrawnSince = 5

// Counted is what there is of the document, to be compared with what its DocumentInfo
// says: changes in segments and in the journal, and those of the journal.
func (l *Look) Counted() (changes, rawChanges, rawBytes, lastRow, foldedRow int64, err error) {
	err = l.i.conn.QueryRowContext(l.ctx, countQuery, l.Number).Scan(&changes, &rawChanges, &rawBytes, &lastRow, &foldedRow)
	return changes, rawChanges, rawBytes, lastRow, foldedRow, l.failed("count its rows", classify(err))
}

const countQuery = `SELECT j.n + s.n, j.n, j.bytes, max(j.last, s.last), s.last FROM
	(SELECT count(*) AS n, coalesce(sum(length(body)), 0) AS bytes, coalesce(max(seq), 0) AS last FROM journal WHERE document = ?1) AS j,
	(SELECT coalesce(sum(rows), 0) AS n, coalesce(max(last_row), 0) AS last FROM segments WHERE document = ?1 AND folds = 1) AS s`

func (l *Look) failed(what string, err error) error {
	if err == nil || !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrIO) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
