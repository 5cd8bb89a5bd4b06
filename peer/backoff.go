package peer

import "time"

// Backoff spaces repeated attempts with full jitter: each delay is drawn evenly
// from [0, bound), and the bound doubles from First to Most with each failure.
// Many peers that have lost the same relay at once come back spread over the
// whole bound, where an even doubling would have them come in waves.
//
// Both are stretched by the class of the error: five times for tls, protocol,
// over-limit and internal, which people have to mend or load has to fall;
// fifteen times for storage-full. What the other end asks for comes on top.
// Errors that are not Class.Mendable are not tried again.
type Backoff struct {
	First time.Duration // the bound after one failure. 0: 1 s
	Most  time.Duration // what the bound grows to. 0: 1 min
}

// maxRetryAfter is as long as another end may have us wait.
const maxRetryAfter = time.Hour

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

// stretch is how many times longer a class is waited for.
func (c Class) stretch() time.Duration {
	switch c {
	case ClassTLS, ClassProtocol, ClassOverLimit, ClassInternal:
		return 5
	case ClassStorageFull:
		return 15
	}
	return 1
}

// After is how long to wait after a fault, the last of so many in a row. ok is false
// if trying again would not help.
func (b Backoff) After(f *Fault, failures int, random float64) (delay time.Duration, ok bool) {
	if !f.Class.Mendable() {
		return 0, false
	}
	b = b.withDefaults()
	b.First *= f.Class.stretch()
	b.Most *= f.Class.stretch()
	return min(max(f.RetryAfter, 0), maxRetryAfter) + b.Delay(failures, random), true
}
