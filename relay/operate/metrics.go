package operate

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// Metrics are all numbers of one relay. The relay adds to the fields where things
// happen; nothing is looked up by name or label there. README.md beside this file
// says of each what it tells and what to do when it is off.
//
// Arrays are indexed by the constants of their kind: m.Rejected[RejectUnfit].Inc().
type Metrics struct {
	// Sockets are for the connections to count in: frames, and bytes of their payload.
	Sockets socket.Counters

	SyncIn, SyncOut           Counter // messages that carry the sync protocol
	EphemeralIn, EphemeralOut Counter // passed on; sent, once for each session
	Dropped                   [drops]Counter

	ChangesIn   Counter // that were new, and are durable
	ChangesOut  Counter // once for each session
	Rejected    [rejections]Counter
	Divergences [divergences]Counter
	Orphans     Gauge // changes that wait for what they depend on

	Accepted   Counter // connections, with those that fail the handshake
	Handshakes Gauge   // connections that have not joined yet
	Joined     Gauge   // connections that have
	closed     [closings]Counter
	// refused is by reason less refusals.
	refused      [reasons - refusals]Counter
	AuthFailures [authFailures]Counter
	Accounts     Gauge     // with a connection
	Delays       Counter   // reads put off by a rate limit
	Delayed      Stopwatch // by how much, all together

	Sessions      Gauge // a connection and a document
	Awake, Asleep Gauge // documents with a session: in memory; only known to have one
	Graphs        Gauge // hash graphs in memory
	GraphBytes    Gauge
	QueueBytes    Gauge // waiting to be written to connections

	CommitFailures Counter // batches that the store did not take

	CompactionRows   Counter // journal rows that were folded into segments
	CompactionIn     Counter // bytes read by it
	CompactionOut    Counter // bytes written by it
	CompactionErrors Counter
	Backlog          Gauge   // journal rows that are due to be folded
	Segments         Gauge   // stored
	DocumentChunks   Counter // written

	Documents    Gauge // stored
	StoreBytes   Gauge // of the store's files
	DiskFree     Gauge // bytes that the relay may yet use
	DiskLowWater Gauge // bytes; below, the relay is read-only
	ReadOnly     Gauge // 1 while nothing can be stored

	commitSeconds, commitChanges prometheus.Histogram
	fanoutSeconds                prometheus.Histogram
	compactionSeconds            prometheus.Histogram

	registry *prometheus.Registry
}

// MetricsOptions are what metrics say of the relay as it stands. The zero will do.
type MetricsOptions struct {
	// Version of the program. "": development.
	Version string
	// MaxConnections is the relay's limit. 0: not known.
	MaxConnections int
	// Sample is called before the metrics are read, for those Gauges that are
	// cheaper measured than kept, such as QueueBytes and DiskFree. It may be called
	// by several goroutines at once. nil: there are none.
	Sample func(*Metrics)
}

// NewMetrics returns metrics that are all at zero, in a registry of their own.
func NewMetrics(o MetricsOptions) *Metrics {
	if o.Version == "" {
		o.Version = "development"
	}
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(m, o),
	)
	return m
}

// Gatherer is where the metrics are read, with those of the Go runtime and of the
// process.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Closed counts a connection that has ended. Lost: nobody here wanted it.
func (m *Metrics) Closed(code wire.CloseCode, lost bool) {
	reason := ReasonOf(code)
	if lost {
		reason = Lost
	}
	m.closed[reason].Inc()
}

// Refused counts a refusal. Reasons that do not refuse count as Protocol.
func (m *Metrics) Refused(why Reason) {
	if why < refusals {
		why = Protocol
	}
	m.refused[why-refusals].Inc()
}

// Refusals is how many connections, messages and changes were refused so far.
func (m *Metrics) Refusals() int64 { return Sum(m.refused[:]) + Sum(m.Rejected[:]) }

// Committed counts a batch that the store made durable: how long the caller waited
// for it, and how many changes were in it.
func (m *Metrics) Committed(d time.Duration, changes int) {
	m.commitSeconds.Observe(d.Seconds())
	m.commitChanges.Observe(float64(changes))
}

// FannedOut counts the way of changes through the relay: from when they were read
// until the last session that they are for has them in its queue.
func (m *Metrics) FannedOut(d time.Duration) { m.fanoutSeconds.Observe(d.Seconds()) }

// Compacted counts a run of compaction, one document's, by its time.
func (m *Metrics) Compacted(d time.Duration) { m.compactionSeconds.Observe(d.Seconds()) }
