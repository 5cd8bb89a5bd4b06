package peer

import (
	"context"
	"encoding/json"
	"time"
)

// A peer whose Run is running says in the store how it stands, so that Status of
// another process on the same file, as that of the command, can tell. The store and
// not a socket: who may read the file may read this, there is no address to agree
// on and nothing to be left behind that refuses the next start, and it works from
// one container to another. It costs a small write without an fsync when something
// changes, once a second at most, and one every few seconds to show that it is
// alive.

const (
	// keyReport is what the store keeps reports under, with the peer id.
	keyReport = "report "
	// reportEvery is the least time between two reports, reportBeat the most.
	reportEvery = time.Second
	reportBeat  = 5 * time.Second
	// reportStale is the age from which a report is that of a process that died.
	reportStale = 3 * reportBeat
)

// report is how a running peer stands.
type report struct {
	Time     time.Time
	Remotes  []RemoteStatus
	Clients  []ClientStatus
	Counters Counters

	Mismatches []Mismatch
	Resolving  *Resolving `json:",omitempty"`
}

// publish reports until ctx ends, and then takes the report back.
func (p *Peer) publish(ctx context.Context) {
	key := keyReport + p.self
	p.sweepReports(ctx)
	defer func() {
		if err := p.store.DeleteValue(p.io, key); err != nil && p.io.Err() == nil {
			p.o.Log.Warn("report not taken back", "err", err)
		}
	}()
	beat := time.NewTicker(reportBeat)
	defer beat.Stop()
	for {
		changed := p.StatusChanged()
		b, err := json.Marshal(report{Time: p.o.Now(), Remotes: p.remoteStatus(), Clients: p.clientStatus(), Counters: p.Counters(), Mismatches: p.mismatches.all(), Resolving: p.resolving.Load()})
		if err == nil {
			err = p.store.SetPassing(ctx, key, b)
		}
		if err != nil && ctx.Err() == nil {
			p.o.Log.Warn("status not reported to other processes", "err", err)
		}
		pause := time.NewTimer(reportEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

// reports calls fn with what other processes report, and with the key of each
// report that is stale.
func (p *Peer) reports(ctx context.Context, fn func(report), stale func(key string)) error {
	now := p.o.Now()
	return p.store.Values(ctx, keyReport, func(peer string, b []byte) error {
		var r report
		if err := json.Unmarshal(b, &r); err != nil || now.Sub(r.Time).Abs() > reportStale {
			stale(keyReport + peer)
		} else if peer != p.self {
			fn(r)
		}
		return nil
	})
}

// sweepReports forgets what processes have left that died.
func (p *Peer) sweepReports(ctx context.Context) {
	var old []string
	err := p.reports(ctx, func(report) {}, func(key string) { old = append(old, key) })
	for _, key := range old {
		if err == nil {
			err = p.store.DeleteValue(ctx, key)
		}
	}
	if err != nil && ctx.Err() == nil {
		p.o.Log.Warn("old reports not forgotten", "err", err)
	}
}
