package relay

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// delay waits until so much more may come from a connection and its account. The
// connection is not read from meanwhile, so what it sends stays with it.
func (c *conn) delay(ctx context.Context, changes, bytes int) {
	now := time.Now()
	wait := reserve(c.pace.changes, now, changes)
	wait = max(wait, reserve(c.pace.bytes, now, bytes))
	if c.account != nil {
		wait = max(wait, reserve(c.account.pace.changes, now, changes), reserve(c.account.pace.bytes, now, bytes))
	}
	if wait <= 0 {
		return
	}
	c.relay.metrics.Delays.Inc()
	c.relay.metrics.Delayed.Add(wait)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// reserve takes n from a limiter, in steps that it knows, and says how long to
// wait for them.
func reserve(l *rate.Limiter, now time.Time, n int) (wait time.Duration) {
	for n > 0 {
		step := min(n, l.Burst())
		wait = l.ReserveN(now, step).DelayFrom(now)
		n -= step
	}
	return wait
}
