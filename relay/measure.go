package relay

import (
	"context"
	"time"

	"syncline/relay/operate"
	"syncline/storage/fold"
)

// What is measured rather than counted where it happens.

// tick does what is done once a second, until ctx ends.
func (r *Relay) tick(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			was := r.disk.readOnly.Load()
			r.disk.look()
			if is := r.disk.readOnly.Load(); is != was {
				r.o.Log.Warn("disk space", "free", r.disk.free.Load(), "lowWater", r.disk.lowWater, "readOnly", is)
			}
			r.meter.Tick(now)
		}
	}
}

// compacted is told of each step of the compactor.
func (r *Relay) compacted(d fold.Done, worked time.Duration, err error) {
	m := r.metrics
	m.Compacted(worked)
	if err != nil {
		m.CompactionErrors.Inc()
		r.lastCompaction.Store(&compactionEnd{at: time.Now(), err: err})
		return
	}
	r.lastCompaction.Store(&compactionEnd{at: time.Now()})
	if d.Work == fold.Chunk {
		m.DocumentChunks.Inc()
	} else {
		m.CompactionRows.Add(int(d.Rows))
	}
	m.CompactionIn.Add(int(d.BytesIn))
	m.CompactionOut.Add(int(d.BytesOut))
}

// compactionEnd is how the last step ended.
type compactionEnd struct {
	at  time.Time
	err error
}

// sample sets the metrics that are measured and not kept.
func (r *Relay) sample(m *operate.Metrics) {
	shaking, joined, accounts := r.lobby.counts()
	m.Handshakes.Set(int64(shaking))
	m.Joined.Set(int64(joined))
	m.Accounts.Set(int64(accounts))
	awake, asleep := r.halls.count()
	m.Awake.Set(awake)
	m.Asleep.Set(asleep)
	graphs, bytes, orphans := r.halls.weigh()
	m.Graphs.Set(graphs)
	m.GraphBytes.Set(bytes)
	m.Orphans.Set(orphans)
	queue := int64(0)
	r.mu.Lock()
	for c := range r.conns {
		queue += int64(c.ws.Queued())
	}
	r.mu.Unlock()
	m.QueueBytes.Set(queue)
	if due, err := r.compactor.Due(r.ctx); err == nil {
		m.Backlog.Set(due)
	}
	m.DiskFree.Set(r.disk.free.Load())
	m.DiskLowWater.Set(r.disk.lowWater)
	m.ReadOnly.Set(0)
	if r.disk.readOnly.Load() {
		m.ReadOnly.Set(1)
	}
	if s, err := r.o.Store.Size(r.ctx); err == nil {
		m.Documents.Set(s.Documents)
		m.Segments.Set(s.Segments)
		m.StoreBytes.Set(s.Bytes)
	}
}
