// Package telemetry gives a peer's numbers to Prometheus:
//
//	registry.MustRegister(telemetry.NewCollector(p, telemetry.Options{}))
//
// It reads Peer.Status and Peer.Counters when it is collected, and keeps nothing, so
// a program that does not import it does not pay for it. Names are those that a relay
// has, too, for what both have; the constant label role="peer" tells them apart. No
// document, remote or account is a label. Counters begin at zero with Peer.Open.
//
//	syncline_build_info{version,goversion}       gauge      the program; always 1
//	syncline_messages_received_total             counter    messages received
//	syncline_messages_sent_total                 counter    messages sent
//	syncline_received_bytes_total                counter    payload of the messages received
//	syncline_sent_bytes_total                    counter    payload of the messages sent
//	syncline_changes_received_total              counter    changes of others that were new, and are durable
//	syncline_changes_sent_total                  counter    changes sent, once for each connection
//	syncline_changes_rejected_total{reason}      counter    changes not taken: unfit for their document
//	syncline_divergences_total{kind}             counter    what should be equal and is not: twin, row, state
//	syncline_commit_failures_total               counter    batches of changes that the store did not take
//	syncline_retries_total{class}                counter    what went wrong with remotes, by class of error
//	syncline_conflicts_settled_total{by}         counter    conflicts settled here: by rule, by person
//	syncline_unsettled_conflicts                 gauge      conflicts left for a person; of a peer that resolves
//	syncline_pending_changes                     gauge      changes that no other end is known to have
//	syncline_oldest_pending_seconds              gauge      age of the first of them that was made here; 0 if none
//	syncline_undelivered_documents{state}        gauge      documents at remotes: waiting, dead, dropped
//	syncline_remotes{state}                      gauge      remotes by state
//	syncline_reconciliation_duration_seconds     histogram  from an operation until it is durable at another end
package telemetry

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"syncline/peer"
)

// Options of NewCollector. The zero will do.
type Options struct {
	// Version of the program. "": development.
	Version string
	// Timeout bounds the reading of the store. What is not read by then is left out
	// of the collection: the counters never are. 0: 5 s.
	Timeout time.Duration
	// Now is the clock, for ages. nil: time.Now.
	Now func() time.Time
}

// metric is a metric's description, and how it is read.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(emit func(value float64, labels ...string), r reading)
}

// reading is what is read once for a collection.
type reading struct {
	counters peer.Counters
	status   peer.Status
	err      error // status is not whole
	now      time.Time
}

type collector struct {
	p              *peer.Peer
	o              Options
	metrics        []metric
	reconciliation *prometheus.Desc
}

// NewCollector returns a collector of a peer's numbers, in whose registry is no other
// peer's. It may be used until the peer is closed, and beyond.
func NewCollector(p *peer.Peer, o Options) prometheus.Collector {
	if o.Version == "" {
		o.Version = "development"
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &collector{p: p, o: o, reconciliation: describe("syncline_reconciliation_duration_seconds",
		"From an operation here until it is durable at another end.")}
	c.add("syncline_build_info", "The program that runs; always 1.", prometheus.GaugeValue,
		func(emit func(float64, ...string), _ reading) { emit(1, o.Version, runtime.Version()) }, "version", "goversion")
	c.counter("syncline_messages_received_total", "Messages received.", func(n peer.Counters) int64 { return n.MessagesIn })
	c.counter("syncline_messages_sent_total", "Messages sent.", func(n peer.Counters) int64 { return n.MessagesOut })
	c.counter("syncline_received_bytes_total", "Payload of the messages received.", func(n peer.Counters) int64 { return n.BytesIn })
	c.counter("syncline_sent_bytes_total", "Payload of the messages sent.", func(n peer.Counters) int64 { return n.BytesOut })
	c.counter("syncline_changes_received_total", "Changes received that were new and are durable.", func(n peer.Counters) int64 { return n.ChangesIn })
	c.counter("syncline_changes_sent_total", "Changes sent, once for each connection.", func(n peer.Counters) int64 { return n.ChangesOut })
	c.counter("syncline_commit_failures_total", "Batches of changes that the store did not take.", func(n peer.Counters) int64 { return n.CommitFailures })
	c.add("syncline_changes_rejected_total", "Changes that were not taken.", prometheus.CounterValue,
		func(emit func(float64, ...string), r reading) { emit(float64(r.counters.ChangesRefused), "unfit") }, "reason")
	c.add("syncline_divergences_total", "Detections of what should be equal and is not.", prometheus.CounterValue,
		func(emit func(float64, ...string), r reading) {
			for kind, n := range r.counters.Divergences {
				emit(float64(n), string(kind))
			}
		}, "kind")
	c.add("syncline_retries_total", "What went wrong with remotes and is tried again, or not, by class of error.", prometheus.CounterValue,
		func(emit func(float64, ...string), r reading) {
			for class, n := range r.counters.Retries {
				emit(float64(n), string(class))
			}
		}, "class")
	c.add("syncline_conflicts_settled_total", "Conflicts that were settled here.", prometheus.CounterValue,
		func(emit func(float64, ...string), r reading) {
			emit(float64(r.counters.SettledByRule), "rule")
			emit(float64(r.counters.SettledByPerson), "person")
		}, "by")
	c.gauges()
	return c
}

// gauges are what the store has to be read for.
func (c *collector) gauges() {
	c.add("syncline_pending_changes", "Changes that no other end is known to have.", prometheus.GaugeValue,
		func(emit func(float64, ...string), r reading) {
			if r.err == nil {
				emit(float64(r.status.Unacknowledged))
			}
		})
	c.add("syncline_oldest_pending_seconds", "Age of the first pending change that was made here; 0 if there is none.", prometheus.GaugeValue,
		func(emit func(float64, ...string), r reading) {
			age := time.Duration(0)
			if !r.status.Oldest.IsZero() {
				age = max(0, r.now.Sub(r.status.Oldest))
			}
			if r.err == nil {
				emit(age.Seconds())
			}
		})
	c.add("syncline_unsettled_conflicts", "Conflicts that are left for a person.", prometheus.GaugeValue,
		func(emit func(float64, ...string), r reading) {
			if r.err == nil && r.status.Resolving != nil {
				emit(float64(r.status.Resolving.Unsettled))
			}
		})
	c.add("syncline_undelivered_documents", "Documents that are not simply delivered to a remote.", prometheus.GaugeValue,
		func(emit func(float64, ...string), r reading) {
			var waiting, dead, dropped int
			for _, remote := range r.status.Remotes {
				waiting, dead, dropped = waiting+remote.Waiting, dead+remote.Dead, dropped+remote.Dropped
			}
			emit(float64(waiting), string(peer.DeliveryWaiting))
			emit(float64(dead), string(peer.DeliveryDead))
			emit(float64(dropped), string(peer.DeliveryDropped))
		}, "state")
	c.add("syncline_remotes", "Remotes by how they are reached.", prometheus.GaugeValue,
		func(emit func(float64, ...string), r reading) {
			n := map[peer.LinkState]int{}
			for _, remote := range r.status.Remotes {
				n[remote.State]++
			}
			for _, s := range []peer.LinkState{peer.LinkIdle, peer.LinkConnecting, peer.LinkConnected, peer.LinkWaiting, peer.LinkOffline, peer.LinkStopped} {
				emit(float64(n[s]), string(s))
			}
		}, "state")
}

func (c *collector) add(name, help string, kind prometheus.ValueType, read func(func(float64, ...string), reading), labels ...string) {
	c.metrics = append(c.metrics, metric{describe(name, help, labels...), kind, read})
}

func (c *collector) counter(name, help string, of func(peer.Counters) int64) {
	c.add(name, help, prometheus.CounterValue, func(emit func(float64, ...string), r reading) { emit(float64(of(r.counters))) })
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, prometheus.Labels{"role": "peer"})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
	ch <- c.reconciliation
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Timeout)
	defer cancel()
	r := reading{counters: c.p.Counters(), now: c.o.Now()}
	r.status, r.err = c.p.Status(ctx)
	for _, m := range c.metrics {
		m.read(func(value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		}, r)
	}
	h := r.counters.Reconciliation
	buckets := make(map[float64]uint64, len(h.Bounds))
	sum := uint64(0)
	for i, bound := range h.Bounds {
		sum += uint64(h.Counts[i])
		buckets[bound.Seconds()] = sum
	}
	ch <- prometheus.MustNewConstHistogram(c.reconciliation, uint64(h.Count()), h.Sum.Seconds(), buckets)
}
