package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"syncline/crdt/id"
)

// Journal calls fn with each row of a document above afterRow, in the order of
// rows, without reading bodies. head is fn's only until it returns. An error of
// fn ends the scan and is returned as it is. Rows appended meanwhile are told
// too. Rows that were folded are passed over: whoever needs them reads the
// segments, and after the journal, so that what is folded in between is seen
// twice and not missed. A document that is not known has no rows.
func (s *Store) Journal(ctx context.Context, doc id.Document, afterRow int64, fn func(row int64, hash id.Hash, head []byte) error) error {
	var (
		rows   = make([]int64, 0, 64)
		hashes = make([]id.Hash, 0, 64)
		heads  arena
		hash   sql.RawBytes
		head   sql.RawBytes
	)
	for {
		rows, hashes = rows[:0], hashes[:0]
		heads.reset()
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			var row int64
			if err := r.Scan(&row, &hash, &head); err != nil {
				return false, err
			}
			rows = append(rows, row)
			hashes = append(hashes, id.Hash(hash))
			heads.add(head)
			return !heads.full(), nil
		}, `SELECT seq, hash, head FROM journal
			WHERE document = `+numberOf+` AND seq > ? ORDER BY seq LIMIT ?`, doc[:], afterRow, pieceRows)
		if err != nil {
			return fmt.Errorf("read the journal of %s: %w", doc, err)
		}
		for i, row := range rows {
			if err := fn(row, hashes[i], heads.at(i)); err != nil {
				return err
			}
		}
		if !heads.full() {
			return nil
		}
		afterRow = rows[len(rows)-1]
	}
}

// Bodies calls fn with the body of each of the given rows of a document, in
// ascending order of rows and once for each, whatever order they are given in.
// body is fn's only until it returns. A row that is not in the journal of this
// document is ErrNotFound, or a *FoldedError if it lies in the range of a segment
// that rows of the document were folded into; fn has then been told of the rows
// below it. An error of fn ends the read and is returned as it is.
func (s *Store) Bodies(ctx context.Context, doc id.Document, rows []int64, fn func(row int64, body []byte) error) error {
	if !slices.IsSorted(rows) {
		rows = slices.Sorted(slices.Values(rows))
	}
	rows = slices.Compact(slices.Clone(rows))
	var (
		bodies arena
		body   sql.RawBytes
	)
	for len(rows) > 0 {
		// One query looks up the whole piece; SQLite sorts the list and walks
		// the table forwards, which for neighbouring rows is a range scan.
		ask := rows[:min(len(rows), pieceRows)]
		list, err := json.Marshal(ask)
		if err != nil {
			return err
		}
		bodies.reset()
		err = s.piece(ctx, func(r *sql.Rows) (bool, error) {
			var row int64
			if err := r.Scan(&row, &body); err != nil {
				return false, err
			}
			if n := len(bodies.ends); row != ask[n] {
				return false, nil
			}
			bodies.add(body)
			return !bodies.full(), nil
		}, `SELECT seq, body FROM journal
			WHERE seq IN (SELECT value FROM json_each(?)) AND +document = `+numberOf+` ORDER BY seq`, string(list), doc[:])
		if err != nil {
			return fmt.Errorf("read bodies of %s: %w", doc, err)
		}
		n := len(bodies.ends)
		for i, row := range ask[:n] {
			if err := fn(row, bodies.at(i)); err != nil {
				return err
			}
		}
		if n < len(ask) && !bodies.full() {
			return fmt.Errorf("read bodies of %s: %w", doc, s.missing(ctx, doc, ask[n]))
		}
		rows = rows[n:]
	}
	return nil
}

// missing says why a row is not in the journal of a document.
func (s *Store) missing(ctx context.Context, doc id.Document, row int64) error {
	folded, err := s.folded(ctx, doc, row)
	switch {
	case err != nil:
		return err
	case folded:
		return &FoldedError{Doc: doc, Row: row}
	}
	return fmt.Errorf("row %d: %w", row, ErrNotFound)
}

// Entries calls fn with all that the journal has of a document above afterRow,
// in the order of rows; as with Journal, that is what is not folded. For export
// and inspection: what syncs uses Journal and Bodies. The byte strings are fn's to keep.
func (s *Store) Entries(ctx context.Context, doc id.Document, afterRow int64, fn func(row int64, e Entry) error) error {
	type found struct {
		row int64
		e   Entry
	}
	var piece []found
	for {
		piece = piece[:0]
		size := 0
		err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
			f := found{e: Entry{Doc: doc}}
			var hash, actor []byte
			var ms int64
			if err := r.Scan(&f.row, &hash, &actor, &f.e.ActorSeq, &f.e.Origin, &ms, &f.e.Head, &f.e.Body); err != nil {
				return false, err
			}
			f.e.Hash, f.e.Actor, f.e.Time = id.Hash(hash), id.Actor(actor), time.UnixMilli(ms)
			piece = append(piece, f)
			size += len(f.e.Head) + len(f.e.Body)
			return size < pieceBytes, nil
		}, `SELECT seq, hash, actor, actor_seq, origin, time_ms, head, body FROM journal
			WHERE document = `+numberOf+` AND seq > ? ORDER BY seq LIMIT ?`, doc[:], afterRow, pieceRows)
		if err != nil {
			return fmt.Errorf("read the entries of %s: %w", doc, err)
		}
		if len(piece) == 0 {
			return nil
		}
		for _, f := range piece {
			if err := fn(f.row, f.e); err != nil {
				return err
			}
		}
		afterRow = piece[len(piece)-1].row
	}
}
