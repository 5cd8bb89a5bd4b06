package operate

import "slices"

// Top picks the first n of many in an order, without keeping all: a page shows a
// hundred connections of ten thousand.
type Top[T any] struct {
	n       int
	compare func(a, b T) int
	kept    []T // the first of those offered, and fewer than n others
}

// NewTop returns one for n values, 0 or more; compare is as for slices.SortFunc.
func NewTop[T any](n int, compare func(a, b T) int) *Top[T] {
	return &Top[T]{n: max(n, 0), compare: compare}
}

// Offer adds a value.
func (t *Top[T]) Offer(v T) {
	t.kept = append(t.kept, v)
	if len(t.kept) >= 2*t.n {
		t.settle()
	}
}

// List returns the first of those offered, in order.
func (t *Top[T]) List() []T {
	t.settle()
	return slices.Clone(t.kept)
}

func (t *Top[T]) settle() {
	slices.SortStableFunc(t.kept, t.compare)
	clear(t.kept[min(t.n, len(t.kept)):])
	t.kept = t.kept[:min(t.n, len(t.kept))]
}
