package main

import (
	"fmt"
	"sync"
	"time"

	"syncline/crdt/id"
)

// offline are peers of one document that each made changes, of a letter at a random
// place, without a connection, and then connect at once. It ends when each of them
// has all changes and the acknowledgement of its own.
var offline = work{
	name: "offline",
	title: func(s sizes) string {
		return fmt.Sprintf("%d peers x %d offline changes, all connect at once", s.peers, s.offline)
	},
	metrics: []metric{
		{name: seconds, format: "%.2f"}, {name: cpuSeconds, format: "%.2f"},
		{name: bytesDown, format: "%.0f"}, {name: peakMB, format: "%.0f"},
	},
	run:      runOffline,
	patience: 2 * time.Minute,
}

func runOffline(r *run) (figures, error) {
	doc := id.NewDocument()
	first, err := r.found(doc, hearing{})
	if err != nil {
		return nil, err
	}
	done := newCountdown(r.peers * r.peers) // of each peer, its own changes and those of the others
	var all []replica
	for i := range r.peers {
		author, whole := 2+i, 0
		finished := make(map[int]bool)
		here := func(author, upTo int) {
			if upTo == whole && author >= 2 && !finished[author] {
				finished[author] = true
				done.less(1)
			}
		}
		peer := r.side.dialect.replica(doc, author, hearing{
			arrived:      here,
			acknowledged: func(upTo int) { here(author, upTo) },
		})
		for _, c := range first.history() {
			if err := peer.put(c); err != nil {
				return nil, err
			}
		}
		if whole, err = peer.scatter(r.offline, uint64(author)); err != nil {
			return nil, err
		}
		all = append(all, peer)
	}
	var clients []client
	for range all {
		c, err := r.dial()
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	before, down, begun := r.settled(), r.world.down(), time.Now()
	errs := make([]error, len(all))
	var opening sync.WaitGroup
	for i, peer := range all {
		opening.Go(func() { errs[i] = clients[i].open(peer) })
	}
	opening.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if err := done.wait(r.ctx); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	after := r.settled()
	return figures{
		seconds: took.Seconds(), cpuSeconds: since(before, after),
		bytesDown: float64(r.world.down() - down), peakMB: mb(after.Peak),
	}, nil
}
