package storage

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"syncline/crdt/id"
)

func TestBodiesOfADocumentComeInTheOrderAskedFor(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	es := entries(doc, 0, 50)
	rows := mustAppend(t, s, es...)
	body := make(map[int64]string)
	for i, row := range rows {
		body[row] = string(es[i].Body)
	}
	ask := slices.Clone(rows)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(ask), func(i, j int) { ask[i], ask[j] = ask[j], ask[i] })
	ask = append(ask, ask[len(ask)-1], ask[0]) // the same again counts as another
	for _, enough := range []int{len(ask), 20, 1} {
		var got []string
		err := BodiesOf(context.Background(), s, doc).Bodies(ask, func(b []byte) bool {
			got = append(got, string(b))
			return len(got) < enough
		})
		if err != nil || len(got) != enough {
			t.Fatalf("%d bodies, %v; want %d", len(got), err, enough)
		}
		for i := range got {
			if got[i] != body[ask[i]] {
				t.Fatalf("the body in place %d is not that of row %d", i, ask[i])
			}
		}
	}
}

func TestBodiesOfADocumentThatAreNotThere(t *testing.T) {
	s := openTemp(t)
	doc := id.Document{1}
	rows := mustAppend(t, s, entries(doc, 0, 2)...)
	keep := func([]byte) bool { return true }
	if err := BodiesOf(context.Background(), s, doc).Bodies([]int64{rows[1], rows[0], rows[1] + 1}, keep); !errors.Is(err, ErrNotFound) {
		t.Errorf("a row that is not there: %v, want %v", err, ErrNotFound)
	}
	if err := BodiesOf(context.Background(), s, id.Document{2}).Bodies(rows, keep); !errors.Is(err, ErrNotFound) {
		t.Errorf("rows of another document: %v, want %v", err, ErrNotFound)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := BodiesOf(ctx, s, doc).Bodies(rows, keep); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context has ended: %v", err)
	}
}
