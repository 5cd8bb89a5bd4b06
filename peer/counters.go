package peer

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Counters are what a peer has counted since Open, or several of them on one file
// together. All only grow.
type Counters struct {
	MessagesIn, MessagesOut int64 // frames
	BytesIn, BytesOut       int64 // of their payload
	ChangesIn               int64 // of others that were new, and are durable
	ChangesOut              int64 // once for each connection
	ChangesRefused          int64 // of others that failed a check
	CommitFailures          int64 // batches of changes that the store did not take
	Retries                 map[Class]int64
	Divergences             map[Divergence]int64
	SettledByRule           int64     // conflicts, by SettleDeclared
	SettledByPerson         int64     // by Settle
	Reconciliation          Histogram // from an operation here until it is durable at another end
}

// Divergence is a way in which what should be equal is not.
type Divergence string

// The divergences.
const (
	DivergedTwin Divergence = "twin" // an actor used a number for two changes
	DivergedRow  Divergence = "row"  // a stored change does not decode to its hash
	// DivergedState: another end has the same heads and reads another document.
	DivergedState Divergence = "state"
)

// Histogram is how often a duration was at most as long as each bound.
type Histogram struct {
	Bounds []time.Duration // ascending
	Counts []int64         // by bound, each without those before it; the last is of those above all bounds
	Sum    time.Duration
}

// Count is how many durations there were.
func (h Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// reconciliationBounds are from a relay on the same machine to one that was away
// for a day.
var reconciliationBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour,
}

// tally is what a peer counts beside what its connections do.
type tally struct {
	changesIn, refused, commitFailures atomic.Int64
	twins, rows, states                atomic.Int64
	byRule, byPerson                   atomic.Int64 // conflicts settled
	buckets                            [len(reconciliationBounds) + 1]atomic.Int64
	sum                                atomic.Int64

	mu   sync.Mutex
	past Counters // of connections that have ended
}

func (t *tally) reconciled(d time.Duration) {
	d = max(0, d) // the clock was set
	i, _ := slices.BinarySearch(reconciliationBounds[:], d)
	t.buckets[i].Add(1)
	t.sum.Add(int64(d))
}

func (n *Counters) addConn(c *conn) {
	s := &c.count.socket
	n.MessagesIn += s.MessagesIn.Load()
	n.MessagesOut += s.MessagesOut.Load()
	n.BytesIn += s.BytesIn.Load()
	n.BytesOut += s.BytesOut.Load()
	n.ChangesOut += c.count.changesOut.Load()
}

// add adds another peer's counts.
func (n *Counters) add(o Counters) {
	n.MessagesIn += o.MessagesIn
	n.MessagesOut += o.MessagesOut
	n.BytesIn += o.BytesIn
	n.BytesOut += o.BytesOut
	n.ChangesIn += o.ChangesIn
	n.ChangesOut += o.ChangesOut
	n.ChangesRefused += o.ChangesRefused
	n.CommitFailures += o.CommitFailures
	n.SettledByRule += o.SettledByRule
	n.SettledByPerson += o.SettledByPerson
	for class, c := range o.Retries {
		n.Retries[class] += c
	}
	for kind, c := range o.Divergences {
		n.Divergences[kind] += c
	}
	// One of another version may have other bounds; it is left out.
	if slices.Equal(n.Reconciliation.Bounds, o.Reconciliation.Bounds) && len(n.Reconciliation.Counts) == len(o.Reconciliation.Counts) {
		for i, c := range o.Reconciliation.Counts {
			n.Reconciliation.Counts[i] += c
		}
		n.Reconciliation.Sum += o.Reconciliation.Sum
	}
}

// Counters returns the counts of this peer alone. Each class and each kind is there.
func (p *Peer) Counters() Counters {
	t := &p.tally
	t.mu.Lock()
	n := t.past
	// Under the lock, so that no connection is counted twice or not at all.
	for _, c := range p.connections() {
		n.addConn(c)
	}
	t.mu.Unlock()
	n.ChangesIn, n.ChangesRefused, n.CommitFailures = t.changesIn.Load(), t.refused.Load(), t.commitFailures.Load()
	n.SettledByRule, n.SettledByPerson = t.byRule.Load(), t.byPerson.Load()
	n.Retries = map[Class]int64{}
	for _, class := range classes {
		n.Retries[class] = 0
	}
	for _, l := range p.allLinks() {
		l.mu.Lock()
		for class, c := range l.retries {
			n.Retries[class] += c
		}
		l.mu.Unlock()
	}
	n.Divergences = map[Divergence]int64{DivergedTwin: t.twins.Load(), DivergedRow: t.rows.Load(), DivergedState: t.states.Load()}
	n.Reconciliation = Histogram{Bounds: slices.Clone(reconciliationBounds[:]), Sum: time.Duration(t.sum.Load())}
	for i := range t.buckets {
		n.Reconciliation.Counts = append(n.Reconciliation.Counts, t.buckets[i].Load())
	}
	return n
}
