package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/crdt/id"
)

// cold is the paper, one edit in a change, asked for by a client that has nothing.
// A server that keeps documents is started again before, so that it has to read
// them. It is asked twice: as soon as the upload is done, and again once the server
// has been idle for a while, in which it may make what is asked for smaller.
var cold = work{
	name: "cold",
	title: func(s sizes) string {
		return fmt.Sprintf("cold start of a document of %d changes", s.edited+1)
	},
	metrics: []metric{
		{name: bytesDown, format: "%.0f"}, {name: cpuSeconds, format: "%.2f"}, {name: peakMB, format: "%.0f"},
		{name: "again: bytes", format: "%.0f"}, {name: "again: CPU, s", format: "%.2f"}, {name: "again: peak, MB", format: "%.0f"},
		{name: "client load, s", format: "%.2f"}, {name: "  of a saved one", format: "%.2f"},
	},
	run:      runCold,
	patience: 8 * time.Minute,
}

// idleMost is for how long a server is given to become idle.
const idleMost = 3 * time.Minute

func runCold(r *run) (figures, error) {
	changes, err := r.papers.get(r.ctx, r.side.dialect, r.edited, 1)
	if err != nil {
		return nil, err
	}
	doc := id.NewDocument()
	if err := r.seed(doc, changes); err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	last := r.side.dialect.progress(changes[len(changes)-1])
	f := make(figures)
	if f[bytesDown], f[cpuSeconds], f[peakMB], _, err = r.fetch(doc, last); err != nil {
		return nil, fmt.Errorf("first fetch: %w", err)
	}
	r.settle(r.idle, idleMost)
	var got replica
	if f["again: bytes"], f["again: CPU, s"], f["again: peak, MB"], got, err = r.fetch(doc, last); err != nil {
		return nil, fmt.Errorf("second fetch: %w", err)
	}
	if a, ok := got.(automergeReplica); ok && js.Available() == nil {
		f["client load, s"], f["  of a saved one"], err = r.load(a)
	}
	return f, err
}

// seed uploads changes of author 1 as one history.
func (r *run) seed(doc id.Document, changes []change) error {
	done := newCountdown(1)
	last := r.side.dialect.progress(changes[len(changes)-1])
	var reached atomic.Bool
	writer := r.side.dialect.replica(doc, 1, hearing{acknowledged: func(upTo int) {
		if upTo == last && reached.CompareAndSwap(false, true) {
			done.less(1)
		}
	}})
	for _, c := range changes {
		if err := writer.put(c); err != nil {
			return err
		}
	}
	if err := r.join(writer); err != nil {
		return err
	}
	return done.wait(r.ctx)
}

// fetch starts the server again, if it keeps documents, and has a new client ask
// for one.
func (r *run) fetch(doc id.Document, last int) (bytes, cpu, peak float64, got replica, err error) {
	if r.side.keeps {
		if err := r.restart(); err != nil {
			return 0, 0, 0, nil, err
		}
	}
	before, down := r.settled(), r.world.down()
	done := newCountdown(1)
	got = r.side.dialect.replica(doc, 2, hearing{arrived: func(author, upTo int) {
		if author == 1 && upTo == last {
			done.less(1)
		}
	}})
	if a, ok := got.(automergeReplica); ok {
		a.KeepMessages()
	}
	if err := r.join(got); err != nil {
		return 0, 0, 0, nil, err
	}
	if err := done.wait(r.ctx); err != nil {
		return 0, 0, 0, nil, err
	}
	after := r.settled()
	return float64(r.world.down() - down), since(before, after), mb(after.Peak), got, nil
}

// load is how long a stock client takes for what the server has sent, and for the
// same document as saved by itself, in seconds.
func (r *run) load(got automergeReplica) (sent, saved float64, err error) {
	node, err := js.StartAutomerge(r.ctx)
	if err != nil {
		return 0, 0, err
	}
	defer node.Close()
	// The first use of the library compiles it.
	if _, err := node.Inspect(r.ctx, got.History()[0].Raw()); err != nil {
		return 0, 0, err
	}
	d, err := node.Create(r.ctx, "")
	if err != nil {
		return 0, 0, err
	}
	state, err := node.NewSyncState(r.ctx)
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	var heads []string
	for _, m := range got.Messages() {
		if heads, err = d.Receive(r.ctx, state, m); err != nil {
			return 0, 0, err
		}
	}
	sent = time.Since(begun).Seconds()
	if want := rig.Hex(got.Heads()); len(heads) != 1 || heads[0] != want[0] {
		return 0, 0, fmt.Errorf("the stock client has heads %v, not %v", heads, want)
	}
	file, err := d.Save(r.ctx)
	if err != nil {
		return 0, 0, err
	}
	begun = time.Now()
	_, err = node.Load(r.ctx, file, "")
	return sent, time.Since(begun).Seconds(), err
}
