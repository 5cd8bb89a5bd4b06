package simulation

import (
	"container/heap"
	"time"
)

// loop owns time. Events of the same time happen in the order in which they were
// asked for.
type loop struct {
	now    time.Time
	events events
	asked  uint64
	done   int // events that have happened
}

type event struct {
	at time.Time
	n  uint64
	fn func()
}

// in has something happen after a while.
func (l *loop) in(d time.Duration, fn func()) { l.at(l.now.Add(max(d, 0)), fn) }

func (l *loop) at(t time.Time, fn func()) {
	l.asked++
	heap.Push(&l.events, event{t, l.asked, fn})
}

// next has the next event happen, unless it is later than the given time, which it
// is then. It reports whether there was one.
func (l *loop) next(until time.Time) bool {
	if len(l.events) == 0 || l.events[0].at.After(until) {
		l.now = until
		return false
	}
	e := heap.Pop(&l.events).(event)
	l.now = e.at
	l.done++
	e.fn()
	return true
}

// events is a heap.
type events []event

func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	if c := e[i].at.Compare(e[j].at); c != 0 {
		return c < 0
	}
	return e[i].n < e[j].n
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is heap.Interface's.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop is heap.Interface's.
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}
