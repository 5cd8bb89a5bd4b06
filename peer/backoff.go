package peer

import "time"

// Backoff spaces repeated attempts with full jitter: each delay is drawn evenly
// from [0, bound), and the bound doubles from First to Most with each failure.
// Many peers that have lost the same relay at once come back spread over the
// whole bound, where an even doubling would have them come in waves.
type Backoff struct {
	First time.Duration // the bound after one failure. 0: 1 s
	Most  time.Duration // what the bound grows to. 0: 1 min
}

func (b Backoff) withDefaults() Backoff {
	setDefault(&b.First, time.Second)
	setDefault(&b.Most, time.Minute)
	return b
}

// Bound is the longest delay after so many failures in a row, at least one.
func (b Backoff) Bound(failures int) time.Duration {
	b = b.withDefaults()
	bound := b.First
	for range failures - 1 {
		if bound >= b.Most/2 {
			return b.Most
		}
		bound *= 2
	}
	return min(bound, b.Most)
}

// Delay is how long to wait after so many failures in a row, at least one; random
// is a number in [0, 1).
func (b Backoff) Delay(failures int, random float64) time.Duration {
	return time.Duration(random * float64(b.Bound(failures)))
}
