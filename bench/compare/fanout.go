package main

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"syncline/bench/rig"
	"syncline/crdt/id"
)

// fanout is one document with one writer, who types at a steady rate, and many
// readers with a connection each. The times are from before the writer makes a
// change to after a reader has taken it in, of every change at every reader.
var fanout = work{
	name: "fanout",
	title: func(s sizes) string {
		return fmt.Sprintf("1 document, 1 writer at %.0f edits/s for %.0f s, %d readers",
			1/s.interval.Seconds(), (s.interval * time.Duration(s.edits)).Seconds(), s.readers)
	},
	metrics: []metric{
		{name: cpuSeconds, format: "%.2f"}, {name: "p50, ms", format: "%.1f"}, {name: "p99, ms", format: "%.1f"},
		{name: bytesDown, format: "%.0f"},
	},
	run:      runFanout,
	patience: 2 * time.Minute,
}

func runFanout(r *run) (figures, error) {
	doc := id.NewDocument()
	writer, err := r.found(doc, hearing{})
	if err != nil {
		return nil, err
	}
	epoch := time.Now()
	sent := make([]atomic.Int64, r.edits+2) // by progress, since epoch
	times := make([][]time.Duration, r.readers)
	ready, done := newCountdown(r.readers), newCountdown(r.readers*r.edits)
	for i := range r.readers {
		last := 1
		reader := r.side.dialect.replica(doc, 2+i, hearing{arrived: func(author, upTo int) {
			if author != 1 {
				return
			}
			if upTo == 1 {
				ready.less(1)
				return
			}
			now := time.Since(epoch)
			for n := last + 1; n <= upTo; n++ {
				times[i] = append(times[i], now-time.Duration(sent[n].Load()))
			}
			news := upTo - last
			last = upTo
			done.less(news)
		}})
		if err := r.join(reader); err != nil {
			return nil, err
		}
	}
	if err := ready.wait(r.ctx); err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	before, down := r.settled(), r.world.down()
	tick := time.NewTicker(r.interval)
	defer tick.Stop()
	for n := range r.edits {
		sent[n+2].Store(int64(time.Since(epoch)))
		if _, err := writer.letter(); err != nil {
			return nil, err
		}
		<-tick.C
	}
	if err := done.wait(r.ctx); err != nil {
		return nil, err
	}
	down = r.world.down() - down
	all := slices.Concat(times...)
	slices.Sort(all)
	return figures{
		cpuSeconds: since(before, r.settled()),
		"p50, ms":  ms(rig.Percentile(all, 50)),
		"p99, ms":  ms(rig.Percentile(all, 99)),
		bytesDown:  float64(down),
	}, nil
}
