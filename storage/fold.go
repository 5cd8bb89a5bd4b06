package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"syncline/crdt/id"
)

// ErrFolded: a row is no longer in the journal; a segment stands in its place.
// Errors that say so are also a *FoldedError.
var ErrFolded = errors.New("the row was folded into a segment")

// FoldedError says which row a read of bodies met first that is folded.
type FoldedError struct {
	Doc id.Document
	Row int64
}

func (e *FoldedError) Error() string { return fmt.Sprintf("row %d of %s: %s", e.Row, e.Doc, ErrFolded) }
func (e *FoldedError) Unwrap() error { return ErrFolded }

// ErrUnsettled: among the rows to fold is one that is applying or of which there
// is evidence in the quarantine. The first passes; the other stays in the
// journal, and what comes after it too.
var ErrUnsettled = errors.New("a row is applying or in quarantine")

// Fold is a segment that takes the place of rows, and of earlier such segments.
type Fold struct {
	Segment // Folds is taken as set, RowSet must be nil
	Index   []byte
	Body    []byte
	// Replaces are the segments whose rows it takes over: all that fold rows in
	// its range.
	Replaces []int64
}

// Fold puts a segment in the place of rows of the journal and of earlier folding
// segments and returns its id. In one transaction: before it, all rows are where
// they were; after it they are gone from there, and a kill at any moment leaves
// the one or the other. That the body gives back what the rows said is for the
// caller to have proven.
//
// [FirstRow, LastRow] must begin and end with rows of the document and consist
// exactly of the rows it still has in the journal there and of those of the
// segments in Replaces, Rows in all. Rows are folded from the document's oldest
// on: there may be none in the journal before them. ErrInvalid otherwise;
// ErrUnsettled; ErrNotFound if the document is not known; others as Append's.
// With any of them nothing is changed.
//
// Bodies answers ErrFolded for the rows from then on, Journal and Entries pass
// over them, and Append no longer recognises their hashes.
func (s *Store) Fold(ctx context.Context, f Fold) (segment int64, err error) {
	f.Folds = true
	err = errors.Join(checkBytes("index", f.Index), checkBytes("body", f.Body))
	if err == nil && f.RowSet != nil {
		err = fmt.Errorf("%w: it stands for all of its rows and has a set of them", ErrInvalid)
	}
	if err == nil {
		// To delete a row costs about what its overhead did when it came.
		size := int64(len(f.Index)+len(f.Body)) + entryOverhead*min(max(f.Rows, 1), math.MaxInt32)
		err = s.write(ctx, size, func(t *tx) error {
			segment, err = t.fold(&f)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("fold rows %d to %d of %s: %w", f.FirstRow, f.LastRow, f.Doc, err)
	}
	return segment, nil
}

func (t *tx) fold(f *Fold) (int64, error) {
	n, err := t.known(f.Doc)
	if err != nil {
		return 0, err
	}
	at, err := t.span(n, f.FirstRow, f.LastRow)
	if err != nil {
		return 0, err
	}
	if err := at.check(f); err != nil {
		return 0, err
	}
	if at.raw > 0 {
		oldest, err := t.int64(`SELECT min(seq) FROM journal WHERE document = ?`, n)
		if err != nil {
			return 0, fmt.Errorf("find the oldest row: %w", err)
		}
		if oldest < f.FirstRow {
			return 0, fmt.Errorf("%w: row %d comes before them and is not folded", ErrInvalid, oldest)
		}
		if err := t.settled(n, f.FirstRow, f.LastRow); err != nil {
			return 0, err
		}
	}
	segment, err := t.segment(n, &f.Segment, f.Index, f.Body)
	if err != nil {
		return 0, err
	}
	for _, old := range at.folds {
		if err := t.exec(`DELETE FROM segments WHERE id = ?`, old); err != nil {
			return 0, fmt.Errorf("replace segment %d: %w", old, err)
		}
	}
	if err := t.exec(`DELETE FROM journal WHERE document = ? AND seq BETWEEN ? AND ?`, n, f.FirstRow, f.LastRow); err != nil {
		return 0, fmt.Errorf("drop folded rows: %w", err)
	}
	err = t.exec(`UPDATE documents SET raw_changes = raw_changes - ?, raw_bytes = raw_bytes - ?, folded_row = max(folded_row, ?) WHERE id = ?`,
		at.raw, at.rawBytes, f.LastRow, n)
	if err != nil {
		return 0, fmt.Errorf("count folded rows: %w", err)
	}
	return segment, nil
}

// check holds a fold against what there is in its range.
func (sp *span) check(f *Fold) error {
	replaces := slices.Clone(f.Replaces)
	slices.Sort(replaces)
	switch {
	case !slices.Equal(slices.Compact(replaces), sp.folds):
		return fmt.Errorf("%w: it replaces segments %d, in its range are %d", ErrInvalid, replaces, sp.folds)
	case !sp.is(&f.Segment):
		return fmt.Errorf("%w: the document has rows %d to %d there", ErrInvalid, sp.first, sp.last)
	case f.Rows != sp.rows:
		return fmt.Errorf("%w: it stands for %d of %d rows", ErrInvalid, f.Rows, sp.rows)
	}
	return nil
}

// settled refuses rows that somebody has yet to look at one by one.
func (t *tx) settled(document, first, last int64) error {
	// Seldom has a document any evidence, so that is where the search begins.
	found, err := t.int64(`SELECT EXISTS (SELECT 1 FROM applying WHERE document = ?1 AND row BETWEEN ?2 AND ?3)
		OR EXISTS (SELECT 1 FROM quarantine AS q CROSS JOIN journal AS j ON j.document = q.document AND j.hash = q.hash
			WHERE q.document = ?1 AND j.seq BETWEEN ?2 AND ?3)`, document, first, last)
	if err != nil {
		return fmt.Errorf("look for marks: %w", err)
	}
	if found != 0 {
		return ErrUnsettled
	}
	return nil
}

// folded says whether a row of a document that is not in the journal lies in the
// range of a segment that rows were folded into.
func (s *Store) folded(ctx context.Context, doc id.Document, row int64) (bool, error) {
	var in bool
	err := s.row(ctx, []any{&in}, `SELECT EXISTS (SELECT 1 FROM segments
		WHERE document = `+numberOf+` AND folds = 1 AND last_row >= ?2 AND first_row <= ?2)`, doc[:], row)
	return in, err
}

// Limits from which on Foldable has an index: it is asked for long tails, and
// to keep short ones in it would cost every append.
const (
	foldableChanges = 64
	foldableBytes   = 65536
)

// Foldable returns documents that have at least minChanges rows in the journal,
// or such with bodies of at least minBytes in all; 0 leaves that measure out.
// Those with most rows come first, at most limit of them. It is cheap, however
// many documents there are, from 64 changes and 64 KiB on.
func (s *Store) Foldable(ctx context.Context, minChanges, minBytes int64, limit int) ([]DocumentInfo, error) {
	for _, least := range []*int64{&minChanges, &minBytes} {
		if *least <= 0 {
			*least = math.MaxInt64
		}
	}
	indexed := ``
	if minChanges >= foldableChanges && minBytes >= foldableBytes {
		// As the index has it, which is how SQLite knows that it may be used.
		indexed = `(raw_changes >= 64 OR raw_bytes >= 65536) AND `
	}
	var docs []DocumentInfo
	err := s.piece(ctx, func(r *sql.Rows) (bool, error) {
		d, err := scanDocument(r.Scan)
		docs = append(docs, d)
		return true, err
	}, `SELECT `+documentColumns+` FROM documents WHERE `+indexed+`deleting = 0 AND (raw_changes >= ? OR raw_bytes >= ?)
		ORDER BY raw_changes DESC, id LIMIT ?`, minChanges, minBytes, limit)
	if err != nil {
		return nil, fmt.Errorf("find documents to fold: %w", err)
	}
	return docs, nil
}
