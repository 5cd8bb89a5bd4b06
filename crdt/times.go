package crdt

import (
	"cmp"
	"slices"
	"time"

	"syncline/crdt/id"
)

// times finds the time of the change that an operation is of. It is made when a rule
// first asks for a time, and then follows the document. Changes of one actor and one
// second in a row, as typing makes them, take one entry.
type times struct {
	heads []id.Hash // up to which it knows the changes
	of    map[id.Actor][]start
}

// start is the first operation of changes, and their time in seconds.
type start struct {
	counter uint64
	time    int64
}

// TimeOf returns when an operation that the document has was done, as its author
// says, in whole seconds.
func (d *Document) TimeOf(op OpID) (time.Time, error) {
	s, err := d.timeOf(op)
	return time.Unix(s, 0).UTC(), err
}

// timeOf returns the time of an operation that the document has.
func (d *Document) timeOf(op OpID) (int64, error) {
	if err := d.times.follow(d); err != nil {
		return 0, err
	}
	starts := d.times.of[op.Actor]
	i, exact := slices.BinarySearchFunc(starts, op.Counter, func(s start, c uint64) int { return cmp.Compare(s.counter, c) })
	if !exact {
		i--
	}
	if i < 0 {
		return 0, nil
	}
	return starts[i].time, nil
}

// follow learns the changes that came since. Those of one actor come in their order,
// as each depends on the one before.
func (t *times) follow(d *Document) error {
	changes, err := d.Since(t.heads...)
	if err != nil {
		return err
	}
	if t.of == nil {
		t.of = map[id.Actor][]start{}
	}
	for _, c := range changes {
		starts := t.of[c.Actor]
		if n := len(starts); n == 0 || starts[n-1].time != c.Time {
			t.of[c.Actor] = append(starts, start{c.StartOp, c.Time})
		}
	}
	t.heads = slices.Clone(d.heads)
	return nil
}
