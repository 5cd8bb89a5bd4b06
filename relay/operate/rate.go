package operate

import (
	"math"
	"sync"
	"time"
)

// minute is for how long a Rate remembers, in seconds.
const minute = 60

// Rate counts by the second, for the last minute. The time is the caller's. Its zero
// is ready, and it may be used by several goroutines.
type Rate struct {
	mu sync.Mutex
	// second is the one that is being counted, in Unix time.
	second int64
	// counts are by second, modulo their number: the one that is being counted and
	// at least the minute before it.
	counts [64]uint32
}

// Add counts n, which is not negative, for now.
func (r *Rate) Add(now time.Time, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	c := &r.counts[r.second%int64(len(r.counts))]
	*c = uint32(min(int64(*c)+n, math.MaxUint32))
}

// PerSecond is the mean of the last full seconds, 1 to 60 of them: a second that is
// not over yet would have it sink and rise with the time of asking.
func (r *Rate) PerSecond(now time.Time, window time.Duration) float64 {
	n := min(max(int64(window/time.Second), 1), minute)
	last := r.LastMinute(now)
	var sum int64
	for _, c := range last[minute-n:] {
		sum += int64(c)
	}
	return float64(sum) / float64(n)
}

// LastMinute is what the last 60 full seconds have, the oldest first.
func (r *Rate) LastMinute(now time.Time) [minute]uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	var last [minute]uint32
	for i := range last {
		last[i] = r.counts[(r.second-minute+int64(i))%int64(len(r.counts))]
	}
	return last
}

// advance makes second the one that is counted. A clock that was set back by less
// than a minute has what follows counted in the newest second, and by more begins
// anew.
func (r *Rate) advance(second int64) {
	size := int64(len(r.counts))
	if r.second-second >= minute || second-r.second >= size {
		r.counts, r.second = [64]uint32{}, max(second, size)
		return
	}
	for r.second < second {
		r.second++
		r.counts[r.second%size] = 0
	}
}
