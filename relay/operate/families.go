package operate

import (
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// family is the series of one name.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	series     []series
}

// series is one value, by what its labels say.
type series struct {
	values []string
	read   func() float64
}

// shared are the labels of metrics that a native peer and a browser have, too,
// under the same names.
var shared = prometheus.Labels{"role": "relay"}

// Names that begin so are of relays alone; the others are shared.
const relayPrefix = "syncline_relay_"

func plain(name, help string, kind prometheus.ValueType, read func() float64) family {
	return family{name: name, help: help, kind: kind, series: []series{{read: read}}}
}

func counter(name, help string, c *Counter) family {
	return plain(name, help, prometheus.CounterValue, func() float64 { return float64(c.Load()) })
}

func gauge(name, help string, g *Gauge) family {
	return plain(name, help, prometheus.GaugeValue, func() float64 { return float64(g.Load()) })
}

func number(name, help string, n *atomic.Int64) family {
	return plain(name, help, prometheus.CounterValue, func() float64 { return float64(n.Load()) })
}

// counters is one series for each value of a label.
func counters(name, help, label string, values []string, cs []Counter) family {
	f := family{name: name, help: help, kind: prometheus.CounterValue, labels: []string{label}}
	for i := range cs {
		f.series = append(f.series, series{values[i : i+1], func() float64 { return float64(cs[i].Load()) }})
	}
	return f
}

// gauges is a gauge of two states.
func gauges(name, help string, first string, a *Gauge, second string, b *Gauge) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, labels: []string{"state"}, series: []series{
		{[]string{first}, func() float64 { return float64(a.Load()) }},
		{[]string{second}, func() float64 { return float64(b.Load()) }},
	}}
}

func constant(name, help string, value float64, labels, values []string) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, labels: labels,
		series: []series{{values, func() float64 { return value }}}}
}

// families are all metrics but the histograms.
func (m *Metrics) families(o MetricsOptions) []family {
	s := &m.Sockets
	return []family{
		constant("syncline_build_info", "The program that runs; always 1.", 1,
			[]string{"version", "goversion"}, []string{o.Version, runtime.Version()}),
		number("syncline_messages_received_total", "Messages received.", &s.MessagesIn),
		number("syncline_messages_sent_total", "Messages sent.", &s.MessagesOut),
		number("syncline_received_bytes_total", "Payload of the messages received.", &s.BytesIn),
		number("syncline_sent_bytes_total", "Payload of the messages sent.", &s.BytesOut),
		counter("syncline_sync_messages_received_total", "Messages received that carry the sync protocol.", &m.SyncIn),
		counter("syncline_sync_messages_sent_total", "Messages sent that carry the sync protocol.", &m.SyncOut),
		counter("syncline_ephemeral_messages_received_total", "Ephemeral messages that were passed on.", &m.EphemeralIn),
		counter("syncline_ephemeral_messages_sent_total", "Ephemeral messages sent, once for each session.", &m.EphemeralOut),
		counter("syncline_changes_received_total", "Changes received that were new and are durable.", &m.ChangesIn),
		counter("syncline_changes_sent_total", "Changes sent, once for each session.", &m.ChangesOut),
		counters("syncline_changes_rejected_total", "Changes that were not taken.", "reason", rejectionNames[:], m.Rejected[:]),
		counters("syncline_divergences_total", "Detections of what should be equal and is not.", "kind", divergenceNames[:], m.Divergences[:]),
		counter("syncline_commit_failures_total", "Batches of changes that the store did not take.", &m.CommitFailures),

		gauges(relayPrefix+"connections", "Connections open.", "handshake", &m.Handshakes, "joined", &m.Joined),
		constant(relayPrefix+"connections_limit", "How many connections may be open.", float64(o.MaxConnections), nil, nil),
		counter(relayPrefix+"connections_accepted_total", "Connections accepted, with those that failed the handshake.", &m.Accepted),
		counters(relayPrefix+"connections_closed_total", "Connections that have ended.", "reason", reasonNames[:closings], m.closed[:]),
		counters(relayPrefix+"refusals_total", "Connections, messages and documents refused; changes are in syncline_changes_rejected_total.", "reason", reasonNames[refusals:], m.refused[:]),
		counters(relayPrefix+"auth_failures_total", "Access tokens that did not open a connection.", "reason", authFailureNames[:], m.AuthFailures[:]),
		counters(relayPrefix+"messages_dropped_total", "Messages dropped without an answer.", "reason", dropNames[:], m.Dropped[:]),
		gauge(relayPrefix+"accounts", "Accounts with a connection.", &m.Accounts),
		counter(relayPrefix+"rate_limit_delays_total", "Reads that were put off by a rate limit.", &m.Delays),
		plain(relayPrefix+"rate_limit_delay_seconds_total", "By how much reads were put off.", prometheus.CounterValue,
			func() float64 { return m.Delayed.Load().Seconds() }),

		gauge(relayPrefix+"sessions", "Sessions open: a connection and a document.", &m.Sessions),
		gauges(relayPrefix+"rooms", "Documents with a session, in memory or not.", "awake", &m.Awake, "asleep", &m.Asleep),
		gauge(relayPrefix+"graphs", "Hash graphs in memory.", &m.Graphs),
		gauge(relayPrefix+"graph_bytes", "Memory of the hash graphs.", &m.GraphBytes),
		gauge(relayPrefix+"orphans", "Changes in memory that wait for what they depend on.", &m.Orphans),
		gauge(relayPrefix+"queue_bytes", "Bytes that wait to be written to connections.", &m.QueueBytes),

		gauge(relayPrefix+"documents", "Documents stored.", &m.Documents),
		gauge(relayPrefix+"segments", "Segments stored.", &m.Segments),
		gauge(relayPrefix+"compaction_backlog_rows", "Journal rows that are due to be folded.", &m.Backlog),
		counter(relayPrefix+"compaction_rows_total", "Journal rows that were folded into segments.", &m.CompactionRows),
		counter(relayPrefix+"compaction_read_bytes_total", "Bytes that compaction has read.", &m.CompactionIn),
		counter(relayPrefix+"compaction_written_bytes_total", "Bytes that compaction has written.", &m.CompactionOut),
		counter(relayPrefix+"compaction_errors_total", "Runs of compaction that failed and lost nothing.", &m.CompactionErrors),
		counter(relayPrefix+"document_chunks_written_total", "Document chunks written for fresh clients.", &m.DocumentChunks),

		gauge(relayPrefix+"store_bytes", "Size of the store's files.", &m.StoreBytes),
		gauge(relayPrefix+"disk_free_bytes", "Room on the store's disk.", &m.DiskFree),
		gauge(relayPrefix+"disk_low_water_bytes", "Room below which the relay is read-only.", &m.DiskLowWater),
		gauge(relayPrefix+"read_only", "1 while nothing can be stored.", &m.ReadOnly),
	}
}

// histograms makes them, and returns them all.
func (m *Metrics) histograms() []prometheus.Histogram {
	m.commitSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:        "syncline_commit_duration_seconds",
		Help:        "How long a batch of changes took to become durable.",
		ConstLabels: shared,
		// An SSD syncs in a quarter of a millisecond; a disk in trouble takes seconds.
		Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})
	m.commitChanges = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:        "syncline_commit_changes",
		Help:        "How many changes a batch had.",
		ConstLabels: shared,
		Buckets:     []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384},
	})
	m.fanoutSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: relayPrefix + "fanout_duration_seconds",
		Help: "From the receipt of changes until the last session has them in its queue.",
		// It contains the commit.
		Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})
	m.compactionSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    relayPrefix + "compaction_duration_seconds",
		Help:    "How long a run of compaction took, one document's.",
		Buckets: []float64{.001, .005, .02, .1, .5, 1, 2.5, 5, 10, 30, 60, 120},
	})
	return []prometheus.Histogram{m.commitSeconds, m.commitChanges, m.fanoutSeconds, m.compactionSeconds}
}
