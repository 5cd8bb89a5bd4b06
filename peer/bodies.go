package peer

import (
	"context"
	"errors"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/storage"
)

// recentBodies is a source of bodies that remembers those of the present round,
// so that passing on what has just come reads nothing.
type recentBodies struct {
	older  session.Source
	recent map[int64][]byte
	given  int // bodies given since the counter was last set to 0
}

func (b *recentBodies) add(row int64, body []byte) {
	if b.recent == nil {
		b.recent = make(map[int64][]byte)
	}
	b.recent[row] = body
}

func (b *recentBodies) forget() { b.recent = nil }

// Bodies gives the bodies of rows in the order asked for.
func (b *recentBodies) Bodies(rows []int64, yield func([]byte) bool) error {
	more := true
	counted := func(body []byte) bool {
		if more = yield(body); more {
			b.given++
		}
		return more
	}
	for len(rows) > 0 && more {
		if body, ok := b.recent[rows[0]]; ok {
			counted(body)
			rows = rows[1:]
			continue
		}
		n := 1
		for n < len(rows) && b.recent[rows[n]] == nil {
			n++
		}
		if err := b.older.Bodies(rows[:n], counted); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// storedBodies reads the bodies of one document from the store.
type storedBodies struct {
	ctx   context.Context
	store *storage.Store
	doc   id.Document
}

var errEnough = errors.New("enough")

// Bodies gives the bodies of rows in the order asked for. The store gives them in
// ascending order, so it is asked for one ascending run after the other; there is
// one in nearly all cases.
func (b storedBodies) Bodies(rows []int64, yield func([]byte) bool) error {
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
