package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"syncline/bench/light"
	"syncline/crdt/id"
)

// ack is many documents with a few writers each, every writer with a connection of
// its own. A writer types its next letter when the server has acknowledged the
// last one: our relay and automerge-repo by their heads, Hocuspocus by a status
// message, y-websocket by the echo of the update. A change is delivered once for
// each of the other writers that it reaches.
var ack = work{
	name: "ack",
	title: func(s sizes) string {
		return fmt.Sprintf("%d documents x %d writers, next change on acknowledgement, %.1f s", s.rooms, s.writers, s.measured.Seconds())
	},
	metrics: []metric{
		{name: "CPU s per 1,000", format: "%.3f"}, {name: "delivered/s", format: "%.0f", higher: true},
		{name: "acknowledged/s", format: "%.0f", higher: true},
	},
	run:      runAck,
	patience: 2 * time.Minute,
}

func runAck(r *run) (figures, error) {
	var delivered, acknowledged atomic.Int64
	var on atomic.Bool
	defer on.Store(false)
	var begin []func() error
	var ready []*countdown
	for range r.rooms {
		doc := id.NewDocument()
		here := newCountdown(r.writers - 1)
		ready = append(ready, here)
		for author := 1; author <= r.writers; author++ {
			last := make([]int, r.writers+1)
			var self replica
			next := func() error {
				_, err := self.letter()
				return err
			}
			h := hearing{
				arrived: func(from, upTo int) {
					if from < 1 {
						return
					}
					if from == 1 && last[1] == 0 && author != 1 {
						last[1] = 1
						here.less(1)
					}
					delivered.Add(int64(upTo - last[from]))
					last[from] = upTo
				},
				acknowledged: func(int) { // of the one change that was not yet
					acknowledged.Add(1)
					if on.Load() {
						if err := next(); err != nil {
							r.world.fail(err)
						}
					}
				},
			}
			var err error
			if author == 1 {
				self, err = r.found(doc, h)
			} else {
				self = r.side.dialect.replica(doc, author, h)
				err = r.join(self)
			}
			if err != nil {
				return nil, err
			}
			begin = append(begin, next)
		}
	}
	for _, c := range ready {
		if err := c.wait(r.ctx); err != nil {
			return nil, fmt.Errorf("writers: %w", err)
		}
	}
	r.settled()
	on.Store(true)
	for _, next := range begin {
		if err := next(); err != nil {
			return nil, err
		}
	}
	if err := light.Pause(r.ctx, r.warm); err != nil {
		return nil, err
	}
	before, was, acked, begun := r.Usage(), delivered.Load(), acknowledged.Load(), time.Now()
	for more := true; more; more = delivered.Load() == was { // a short run on a busy machine may see none at first
		if err := light.Pause(r.ctx, r.measured); err != nil {
			return nil, fmt.Errorf("%d changes were delivered in %v: %w", delivered.Load()-was, time.Since(begun), err)
		}
	}
	after, now, ackedNow, took := r.Usage(), delivered.Load(), acknowledged.Load(), time.Since(begun)
	return figures{
		"CPU s per 1,000": since(before, after) / float64(now-was) * 1000,
		"delivered/s":     float64(now-was) / took.Seconds(),
		"acknowledged/s":  float64(ackedNow-acked) / took.Seconds(),
	}, nil
}
