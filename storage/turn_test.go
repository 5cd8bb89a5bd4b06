package storage

import (
	"context"
	"errors"
	"testing"

	"syncline/crdt/id"
)

func TestWhatIsAppendedInTurnsIsOneTransaction(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	const callers = 20
	turns := make([]*Turn, callers)
	for i := range turns {
		turns[i] = s.Turn()
	}
	before := s.Stats()
	appended := make(chan error)
	for i, turn := range turns {
		b := Batch{Entries: []Entry{entry(id.Document{byte(i)}, i)}}
		go func() {
			rows, err := turn.Append(ctx, b)
			if err == nil && len(rows) != 1 {
				err = errors.New("no row")
			}
			appended <- err
		}()
	}
	for range turns {
		if err := <-appended; err != nil {
			t.Error(err)
		}
	}
	after := s.Stats()
	if commits, batches := after.Commits-before.Commits, after.Batches-before.Batches; commits != 1 || batches != callers {
		t.Errorf("%d batches in %d transactions, want %d in one", batches, commits, callers)
	}
}

func TestATurnThatEndsHoldsNothingBack(t *testing.T) {
	s := openTemp(t)
	ctx := context.Background()
	turn := s.Turn()
	appended := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, Batch{Entries: []Entry{entry(id.Document{1}, 1)}})
		appended <- err
	}()
	turn.End()
	turn.End()
	(*Turn)(nil).End()
	if err := <-appended; err != nil {
		t.Error(err)
	}
	turn = s.Turn()
	if _, err := turn.Append(ctx, Batch{Entries: []Entry{{Head: make([]byte, MaxName), Origin: string(make([]byte, MaxName+1))}}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("an origin that is too long: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	turn = s.Turn()
	if _, err := turn.Append(ended, Batch{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if _, err := s.Append(ctx, Batch{Entries: []Entry{entry(id.Document{1}, 2)}}); err != nil {
		t.Errorf("behind turns that came to nothing: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Turn().Append(ctx, Batch{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
}
