package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// Sweep calls fn with the rows of the journal above one, over all documents, ascending
// and at most limit of them: for who looks at all of the file, a little at a time. It
// returns the last row, after if there was none. As with Journal, what is folded is
// passed over. An error of fn ends the scan and is returned as it is. The byte strings
// are fn's to keep.
func (s *Store) Sweep(ctx context.Context, after int64, limit int, fn func(row int64, e Entry) error) (last int64, err error) {
	type found struct {
		row int64
		e   Entry
	}
	var piece []found
	size := 0
	err = s.piece(ctx, func(r *sql.Rows) (bool, error) {
		var f found
		var doc, hash, actor []byte
		var ms int64
		if err := r.Scan(&f.row, &doc, &hash, &actor, &f.e.ActorSeq, &f.e.Origin, &ms, &f.e.Head, &f.e.Body); err != nil {
			return false, err
		}
		f.e.Doc, f.e.Hash, f.e.Actor, f.e.Time = id.Document(doc), id.Hash(hash), id.Actor(actor), time.UnixMilli(ms)
		piece = append(piece, f)
		size += len(f.e.Head) + len(f.e.Body)
		return size < pieceBytes, nil
	}, `SELECT j.seq, d.doc, j.hash, j.actor, j.actor_seq, j.origin, j.time_ms, j.head, j.body
		FROM journal AS j CROSS JOIN documents AS d ON d.id = j.document WHERE j.seq > ? AND d.deleting = 0 ORDER BY j.seq LIMIT ?`, after, limit)
	if err != nil {
		return after, fmt.Errorf("sweep the rows after %d: %w", after, err)
	}
	for _, f := range piece {
		if err := fn(f.row, f.e); err != nil {
			return after, err
		}
		after = f.row
	}
	return after, nil
}
