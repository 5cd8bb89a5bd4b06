package storage

import (
	"context"
	"errors"

	"syncline/crdt/id"
)

// DocumentBodies reads the bodies of one document in whatever order they are
// asked for. What is read at a time is as in Store.Bodies.
type DocumentBodies struct {
	ctx   context.Context
	store BodyReader
	doc   id.Document
}

// BodyReader is what DocumentBodies reads from: a Store, or what stands for one.
type BodyReader interface {
	// Bodies is Store.Bodies.
	Bodies(ctx context.Context, doc id.Document, rows []int64, fn func(row int64, body []byte) error) error
}

// BodiesOf returns the bodies of a document, for as long as ctx lasts.
func BodiesOf(ctx context.Context, s BodyReader, doc id.Document) DocumentBodies {
	return DocumentBodies{ctx: ctx, store: s, doc: doc}
}

var errEnough = errors.New("enough")

// Bodies calls yield with the body of each row, in the order of rows, until yield
// returns false. A body is yield's only until it returns. Errors are as Store.Bodies'.
//
// Store.Bodies gives them in ascending order, so it is asked for one ascending run
// after the other; there is one in nearly all cases.
func (b DocumentBodies) Bodies(rows []int64, yield func(body []byte) bool) error {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n] > rows[n-1] {
			n++
		}
		err := b.store.Bodies(b.ctx, b.doc, rows[:n], func(_ int64, body []byte) error {
			if !yield(body) {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
