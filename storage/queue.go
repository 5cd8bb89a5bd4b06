package storage

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// job is work for the writer's goroutine.
type job struct {
	ctx     context.Context
	size    int64
	run     func(*tx) error
	outside bool   // run by itself, without a transaction
	queued  func() // called when it waits; may be nil
	state   atomic.Int32
	done    chan error // receives once, unless the job was abandoned
}

// The states of a job: it waits, and then either the writer starts it or its
// caller abandons it.
const (
	jobWaits int32 = iota
	jobStarted
	jobAbandoned
)

// start claims the job for the writer. A job whose context has ended is not
// started; its caller, who sees the same end, is told so here if it has not
// left already.
func (j *job) start() bool {
	if err := j.ctx.Err(); err != nil {
		if j.state.CompareAndSwap(jobWaits, jobAbandoned) {
			j.done <- context.Cause(j.ctx)
		}
		return false
	}
	return j.state.CompareAndSwap(jobWaits, jobStarted)
}

// queue holds the jobs that wait for the writer, in two lanes: small ones, of
// which many go into one transaction, and large ones, each a transaction of
// its own. The lanes take turns, so neither starves the other. It needs no
// limit: each caller waits with its one job, whose bytes are the caller's own.
type queue struct {
	groupBytes int64
	turns      sync.RWMutex // held by those who have a Turn, and to write while it is written

	mu        sync.Mutex
	changed   sync.Cond // on mu
	small     []*job
	large     []*job
	lastLarge bool // the last group was a large job
	closed    bool
}

func newQueue(groupBytes int64) *queue {
	q := &queue{groupBytes: groupBytes}
	q.changed.L = &q.mu
	return q
}

// do has the writer run a job and returns its result. If ctx ends before the
// writer has begun, nothing is stored and ctx's error is returned; after that
// the result is waited for and is the truth.
func (q *queue) do(j *job) error {
	if err := j.ctx.Err(); err != nil {
		return context.Cause(j.ctx)
	}
	j.done = make(chan error, 1)
	if !q.put(j) {
		return ErrClosed
	}
	if j.queued != nil {
		j.queued()
	}
	select {
	case err := <-j.done:
		return err
	case <-j.ctx.Done():
		if j.state.CompareAndSwap(jobWaits, jobAbandoned) {
			q.remove(j)
			return context.Cause(j.ctx)
		}
		return <-j.done
	}
}

func (q *queue) put(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if j.outside || j.size > q.groupBytes {
		q.large = append(q.large, j)
	} else {
		q.small = append(q.small, j)
	}
	q.changed.Signal()
	return true
}

// remove forgets a job that its caller has abandoned.
func (q *queue) remove(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	is := func(o *job) bool { return o == j }
	q.small = slices.DeleteFunc(q.small, is)
	q.large = slices.DeleteFunc(q.large, is)
}

// wait waits for a job and for those who have a turn. It returns false when the
// queue is closed and nothing is left; otherwise nobody gets a turn until done.
func (q *queue) wait() bool {
	q.mu.Lock()
	for len(q.small) == 0 && len(q.large) == 0 {
		if q.closed {
			q.mu.Unlock()
			return false
		}
		q.changed.Wait()
	}
	q.mu.Unlock()
	q.turns.Lock()
	return true
}

func (q *queue) done() { q.turns.Unlock() }

// take returns the next group, which is empty if its callers have abandoned it.
func (q *queue) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.large) > 0 && (!q.lastLarge || len(q.small) == 0) {
		q.lastLarge = true
		group := []*job{q.large[0]}
		q.large[0] = nil
		q.large = q.large[1:]
		return group
	}
	q.lastLarge = false
	n, size := 0, int64(0)
	for n < len(q.small) && (n == 0 || size+q.small[n].size <= q.groupBytes) {
		size += q.small[n].size
		n++
	}
	group := make([]*job, n)
	copy(group, q.small)
	clear(q.small[:n])
	q.small = q.small[n:]
	return group
}

// close refuses further jobs. Those that wait are still done.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Signal()
}
