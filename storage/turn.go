package storage

import (
	"context"
)

// Turn is the time between two transactions, for who puts a batch together only
// when it can be stored: what comes in while a transaction is written then goes into
// the next one as a whole, and many callers' batches with it. Without it the first
// part of it would go into the next transaction and the rest wait for another.
//
// The next transaction waits for whoever has a turn, so it is to be short, and must
// not write to the store in any other way. It belongs to one goroutine.
type Turn struct {
	s     *Store
	ended bool
}

// Turn waits until no transaction is being written. End it.
func (s *Store) Turn() *Turn {
	s.writer.queue.turns.RLock()
	return &Turn{s: s}
}

// Append is that of the store, and ends the turn: the batch goes into the next
// transaction.
func (t *Turn) Append(ctx context.Context, b Batch) (rows []int64, err error) {
	defer t.End()
	return t.s.append(ctx, b, t.End)
}

// End ends the turn. It may be called again, and on nil.
func (t *Turn) End() {
	if t != nil && !t.ended {
		t.ended = true
		t.s.writer.queue.turns.RUnlock()
	}
}
