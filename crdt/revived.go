package crdt

import (
	"cmp"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// IDRun is operations of one actor in a row. A zero Counter stands for N operations
// of which it does not matter what they were.
type IDRun struct {
	Actor   id.Actor
	Counter uint64 // of the first
	N       uint64
}

// addRun appends one operation to runs.
func addRun(runs []IDRun, op OpID) []IDRun {
	if n := len(runs); n > 0 {
		last := &runs[n-1]
		switch {
		case op.Counter == 0 && last.Counter == 0,
			op.Counter != 0 && last.Counter != 0 && last.Actor == op.Actor && last.Counter+last.N == op.Counter:
			last.N++
			return runs
		}
	}
	return append(runs, IDRun{op.Actor, op.Counter, 1})
}

// remade collects what operations make again, each under its latest id.
type remade struct {
	revived *Revived
	runs    []IDRun
}

func (r *remade) add(op OpID) {
	if op.Counter != 0 {
		op = r.revived.now(op)
	}
	r.runs = addRun(r.runs, op)
}

// Revived knows which operations of undone changes have been done again, under
// which ids: a value that was put back, or a character, is a new one to the
// document, and the same to its author. The zero value knows of none.
type Revived struct {
	by map[id.Actor][]revival // ascending, without overlaps
}

type revival struct {
	first, n uint64
	to       OpID
}

// Add notes a change that Document.Invert has led to. old is Undoing.Again as it was
// then. What does not match, for lack of an operation, is left out.
func (r *Revived) Add(old []IDRun, c *chunk.Change) {
	var runs []IDRun
	for ctr, op := range c.Ops() {
		if op.Action != chunk.Delete && op.Action != chunk.Increment {
			runs = addRun(runs, OpID{Counter: ctr, Actor: c.Actor})
		}
	}
	var from, to uint64
	for _, o := range old {
		from += o.N
	}
	for _, n := range runs {
		to += n.N
	}
	if from != to {
		return
	}
	for _, o := range old {
		for o.N > 0 {
			n := min(o.N, runs[0].N)
			if o.Counter != 0 {
				r.put(o.Actor, revival{o.Counter, n, OpID{Counter: runs[0].Counter, Actor: c.Actor}})
				o.Counter += n
			}
			o.N -= n
			if runs[0].Counter, runs[0].N = runs[0].Counter+n, runs[0].N-n; runs[0].N == 0 {
				runs = runs[1:]
			}
		}
	}
}

func (r *Revived) put(a id.Actor, v revival) {
	if r.by == nil {
		r.by = map[id.Actor][]revival{}
	}
	i, _ := r.search(a, v.first)
	r.by[a] = slices.Insert(r.by[a], i, v)
}

// search finds the revival that an operation is in, or where it would stand.
func (r *Revived) search(a id.Actor, ctr uint64) (int, bool) {
	return slices.BinarySearchFunc(r.by[a], ctr, func(v revival, ctr uint64) int {
		if v.first <= ctr && ctr < v.first+v.n {
			return 0
		}
		return cmp.Compare(v.first, ctr)
	})
}

// now is what an operation is today: itself, or what it was last done again as.
func (r *Revived) now(op OpID) OpID {
	for {
		i, ok := r.search(op.Actor, op.Counter)
		if !ok {
			return op
		}
		v := r.by[op.Actor][i]
		op = OpID{Counter: v.to.Counter + op.Counter - v.first, Actor: v.to.Actor}
	}
}
