package graph

import (
	"container/list"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Limits on the changes that wait for their deps. An honest sender leaves gaps
// only where its Bloom filter was mistaken, and the rest of one exchange may then
// wait for the next.
const (
	// MaxOrphans is as many as an exchange may hold.
	MaxOrphans = 1 << 17
	// MaxOrphanBytes is as much as the largest change.
	MaxOrphanBytes = chunk.MaxChangeBytes
	// maxRefused is how many refused changes are remembered, so that they and what
	// builds on them are not asked for again.
	maxRefused = 4096
	// orphanCost is what holding a change takes besides its bytes.
	orphanCost = 512
)

// OrphanLimits bounds a pool of orphans. Zero fields mean the constants above.
type OrphanLimits struct {
	Count int // changes
	Bytes int // of memory, by estimate
}

// Sender is who a change came from.
type Sender struct {
	Conn uint64 // the number of its connection; 0: it came by none
	Name string // what the journal calls it
}

// Orphan is a change that waits for its deps, and who sent it.
type Orphan struct {
	Change *chunk.Change
	From   Sender
}

// Orphans holds changes of one document whose deps have not all come. They are in
// memory only and in no graph, so they are never acknowledged. When the pool is
// full the oldest give way and are handed back: their senders believe that they
// arrived, so someone has to act on it.
type Orphans struct {
	limits  OrphanLimits
	held    map[id.Hash]*list.Element // of *waiting
	age     *list.List
	waiters map[id.Hash][]*waiting // by missing dep
	bytes   int
	refused map[id.Hash]struct{}
	order   []id.Hash // of refused, a ring
	next    int       // in order
}

type waiting struct {
	Orphan
	missing int // deps that it waits for
}

// NewOrphans returns an empty pool.
func NewOrphans(limits OrphanLimits) *Orphans {
	if limits.Count <= 0 {
		limits.Count = MaxOrphans
	}
	if limits.Bytes <= 0 {
		limits.Bytes = MaxOrphanBytes
	}
	return &Orphans{limits: limits, held: map[id.Hash]*list.Element{}, age: list.New(), waiters: map[id.Hash][]*waiting{}, refused: map[id.Hash]struct{}{}}
}

// Len is the number of changes held.
func (o *Orphans) Len() int { return len(o.held) }

// Bytes estimates the memory that they take.
func (o *Orphans) Bytes() int { return o.bytes }

// Has reports whether the change is held.
func (o *Orphans) Has(h id.Hash) bool { return o.held[h] != nil }

// Hold keeps a change until the missing ones, which a *MissingError lists, have
// come. It returns the changes that had to give way, which may be this one.
func (o *Orphans) Hold(c *chunk.Change, from Sender, missing []id.Hash) (evicted []Orphan) {
	if len(missing) == 0 || o.Has(c.Hash) {
		return nil
	}
	w := &waiting{Orphan: Orphan{Change: c, From: from}, missing: len(missing)}
	for _, m := range missing {
		o.waiters[m] = append(o.waiters[m], w)
	}
	o.held[c.Hash] = o.age.PushBack(w)
	o.bytes += cost(c)
	for len(o.held) > o.limits.Count || o.bytes > o.limits.Bytes {
		oldest := o.age.Front().Value.(*waiting)
		o.forget(oldest)
		evicted = append(evicted, oldest.Orphan)
	}
	return evicted
}

// Arrived says that a change was added to the graph, and returns those that now
// have all their deps. They have left the pool: if what they depend on is
// truncated, hold them again.
func (o *Orphans) Arrived(h id.Hash) (ready []Orphan) {
	if len(o.waiters) == 0 {
		return nil
	}
	for _, w := range o.waiters[h] {
		if w.missing--; w.missing == 0 {
			ready = append(ready, w.Orphan)
		}
	}
	delete(o.waiters, h)
	for _, r := range ready {
		o.unlist(r.Change)
	}
	return ready
}

// Refuse says that a change was refused, and returns what waited for it, however
// indirectly. They have left the pool, and none of them is asked for again soon.
func (o *Orphans) Refuse(h id.Hash) (dropped []Orphan) {
	for todo := []id.Hash{h}; len(todo) > 0; {
		h, todo = todo[len(todo)-1], todo[:len(todo)-1]
		o.remember(h)
		for len(o.waiters[h]) > 0 {
			w := o.waiters[h][0]
			o.forget(w)
			dropped = append(dropped, w.Orphan)
			todo = append(todo, w.Change.Hash)
		}
	}
	return dropped
}

// Refused reports whether the change was refused, or depended on one that was.
func (o *Orphans) Refused(h id.Hash) bool {
	_, ok := o.refused[h]
	return ok
}

func (o *Orphans) remember(h id.Hash) {
	if o.Refused(h) {
		return
	}
	if len(o.order) < maxRefused {
		o.order = append(o.order, h)
	} else {
		delete(o.refused, o.order[o.next])
		o.order[o.next] = h
		o.next = (o.next + 1) % maxRefused
	}
	o.refused[h] = struct{}{}
}

// MissingFrom lists, ascending, the changes that are to be asked for to get to
// the given heads: those that the graph does not know and that are not held, and
// what the held ones among them wait for; nothing that was refused. It lists limit changes at most.
func (o *Orphans) MissingFrom(g *Graph, heads []id.Hash, limit int) (missing []id.Hash) {
	var seen map[id.Hash]struct{}
	var todo []id.Hash
	for _, h := range heads {
		if !g.Knows(h) {
			todo = append(todo, h)
		}
	}
	for len(todo) > 0 && len(missing) < limit {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := seen[h]; ok || g.Knows(h) || o.Refused(h) {
			continue
		}
		if seen == nil {
			seen = map[id.Hash]struct{}{}
		}
		seen[h] = struct{}{}
		if e := o.held[h]; e != nil {
			todo = append(todo, e.Value.(*waiting).Change.Deps...)
		} else {
			missing = append(missing, h)
		}
	}
	id.SortHashes(missing)
	return missing
}

// forget takes a change out of the pool altogether.
func (o *Orphans) forget(w *waiting) {
	o.unlist(w.Change)
	for _, d := range w.Change.Deps {
		list := o.waiters[d]
		// Lists are in order of age and mostly the oldest goes.
		i := slices.Index(list, w)
		switch {
		case i < 0:
		case len(list) == 1:
			delete(o.waiters, d)
		case i == 0:
			list[0] = nil
			o.waiters[d] = list[1:]
		default:
			o.waiters[d] = slices.Delete(list, i, i+1)
		}
	}
}

func (o *Orphans) unlist(c *chunk.Change) {
	o.age.Remove(o.held[c.Hash])
	delete(o.held, c.Hash)
	o.bytes -= cost(c)
}

func cost(c *chunk.Change) int { return len(c.Raw()) + 64*len(c.Deps) + orphanCost }
