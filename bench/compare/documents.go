package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"syncline/crdt/id"
)

// documents are many small documents that one client makes, with a few at a time
// that are not acknowledged. All stay open. y-websocket wants a connection for
// each; the others get a new one for every 10,000.
var documents = work{
	name: "documents",
	title: func(s sizes) string {
		return fmt.Sprintf("%d documents of %d bytes made by one client, %d unacknowledged at a time", s.documents, s.bytes, s.atOnce)
	},
	metrics: []metric{
		{name: seconds, format: "%.1f"}, {name: cpuSeconds, format: "%.1f"},
		{name: peakMB, format: "%.0f"}, {name: afterMB, format: "%.0f"},
	},
	run:      runDocuments,
	patience: 15 * time.Minute,
}

// perClient is how many documents a client opens at most.
const perClient = 10_000

func runDocuments(r *run) (figures, error) {
	slots := make(chan struct{}, r.atOnce)
	done := newCountdown(r.documents)
	before, begun := r.Usage(), time.Now()
	var c client
	for i := range r.documents {
		select {
		case slots <- struct{}{}:
		case <-r.ctx.Done():
			return nil, fmt.Errorf("after %d documents: %w", i, context.Cause(r.ctx))
		}
		if i%perClient == 0 {
			var err error
			if c, err = r.dial(); err != nil {
				return nil, err
			}
		}
		finish := sync.OnceFunc(func() {
			<-slots
			done.less(1)
		})
		doc := r.side.dialect.replica(id.NewDocument(), 1, hearing{acknowledged: func(int) { finish() }})
		if _, err := doc.record(r.bytes, uint64(i)); err != nil {
			return nil, err
		}
		if err := c.open(doc); err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
	}
	if err := done.wait(r.ctx); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	after := r.settled()
	return figures{
		seconds: took.Seconds(), cpuSeconds: since(before, after),
		peakMB: mb(after.Peak), afterMB: mb(after.Resident),
	}, nil
}
