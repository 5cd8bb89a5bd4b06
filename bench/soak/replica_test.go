package soak

import (
	"context"
	"fmt"

	"syncline/bench/light"
	"syncline/crdt/id"
)

// replica is a light replica whose progress can be waited for.
type replica struct {
	*light.Replica
	news chan struct{} // holds a token when something has come
}

func newReplica(doc id.Document, author int) *replica {
	r := &replica{news: make(chan struct{}, 1)}
	tell := func() {
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
	r.Replica = light.NewReplica(doc, author, light.Hearing{
		Arrived:      func(int, int) { tell() },
		Acknowledged: func(int) { tell() },
	})
	return r
}

// until waits for something that what comes makes true.
func (r *replica) until(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		select {
		case <-r.news:
		case <-ctx.Done():
			return fmt.Errorf("document %s waits until %s: %w", r.Document(), what, context.Cause(ctx))
		}
	}
	return nil
}

// acked waits until the relay has acknowledged the author's changes.
func (r *replica) acked(ctx context.Context, upTo int) error {
	return r.until(ctx, fmt.Sprintf("change %d is acknowledged", upTo), func() bool { return r.Acked() >= upTo })
}

// has waits until changes are here.
func (r *replica) has(ctx context.Context, hashes []id.Hash) error {
	return r.until(ctx, fmt.Sprintf("%d changes are here", len(hashes)), func() bool { return len(r.Missing(hashes)) == 0 })
}

// connected dials for a replica, whose waits end when the connection does. close is to
// be called.
func connected(ctx context.Context, url string, o light.ConnOptions, r *replica, resumed bool) (_ context.Context, close func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	o.Ended = cancel
	c, err := light.Dial(ctx, url, o)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	close = func() {
		c.Close()
		cancel(nil)
	}
	open := c.Open
	if resumed {
		open = c.Resume
	}
	if err := open(r.Replica); err != nil {
		close()
		return nil, nil, err
	}
	return ctx, close, nil
}
