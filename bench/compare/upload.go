package main

import (
	"context"
	"fmt"
	"time"

	"syncline/crdt/id"
)

// perChange is how many edits of the paper one uploaded change has.
const perChange = 100

// upload is the paper as changes of 100 edits, sent one by one by one client with a
// few that are not acknowledged. It ends with the last acknowledgement.
var upload = work{
	name: "upload",
	title: func(s sizes) string {
		return fmt.Sprintf("%d edits of the paper, changes of %d, %d unacknowledged at a time", s.edited, perChange, s.inFlight)
	},
	metrics: []metric{
		{name: seconds, format: "%.2f"}, {name: cpuSeconds, format: "%.2f"}, {name: peakMB, format: "%.0f"},
	},
	run:      runUpload,
	patience: 90 * time.Second,
}

func runUpload(r *run) (figures, error) {
	changes, err := r.papers.get(r.ctx, r.side.dialect, r.edited, perChange)
	if err != nil {
		return nil, err
	}
	c, err := r.dial()
	if err != nil {
		return nil, err
	}
	before, begun := r.settled(), time.Now()
	if err := r.send(c, id.NewDocument(), changes); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	after := r.settled()
	return figures{seconds: took.Seconds(), cpuSeconds: since(before, after), peakMB: mb(after.Peak)}, nil
}

// send uploads changes of author 1 to a document and waits until all of them are
// acknowledged.
func (r *run) send(c client, doc id.Document, changes []change) error {
	slots := make(chan struct{}, r.inFlight)
	done := newCountdown(len(changes))
	acked := 0
	at := make(map[int]int, len(changes)) // how many changes there are up to a progress
	for i, c := range changes {
		at[r.side.dialect.progress(c)] = i + 1
	}
	writer := r.side.dialect.replica(doc, 1, hearing{acknowledged: func(upTo int) {
		for ; acked < at[upTo]; acked++ {
			<-slots
			done.less(1)
		}
	}})
	if err := c.open(writer); err != nil {
		return err
	}
	for i, c := range changes {
		select {
		case slots <- struct{}{}:
		case <-r.ctx.Done():
			return fmt.Errorf("after %d changes: %w", i, context.Cause(r.ctx))
		}
		if err := writer.put(c); err != nil {
			return err
		}
	}
	return done.wait(r.ctx)
}
