package storage

import (
	"log/slog"
	"runtime"
	"time"
)

// Options of Open. The zero is usable.
type Options struct {
	// Busy is how long a write, or Open, waits while another process writes.
	// 0: 10 s.
	Busy time.Duration
	// Readers is the number of connections that read at a time. 0: twice the
	// number of CPUs, at least 4.
	Readers int
	// GroupBytes is how much one transaction gathers from several callers.
	// More makes throughput no better and every caller in the group wait for
	// all of it. 0: 1 MiB, about 40 ms of work.
	GroupBytes int64
	// CacheBytes is how many bytes of pages the writer keeps in memory. Hashes fall
	// anywhere in their index: with few pages a long history's batch reads and writes
	// the same ones many times over. 0: 64 MiB.
	CacheBytes int64
	// Poll is how often Watch looks for commits of other processes. 0: 250 ms.
	Poll time.Duration
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Log is told of checks and migrations; failures are returned. nil: silent.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Busy <= 0 {
		o.Busy = 10 * time.Second
	}
	if o.Readers <= 0 {
		o.Readers = max(4, 2*runtime.NumCPU())
	}
	if o.GroupBytes <= 0 {
		o.GroupBytes = 1 << 20
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 64 << 20
	}
	if o.Poll <= 0 {
		o.Poll = 250 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
