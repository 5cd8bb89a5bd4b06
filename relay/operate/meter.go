package operate

import "time"

// Meter turns counts into rates: what a relay's metrics count it reads once a second.
type Meter struct {
	flows [6]flow // in the order of the fields of Traffic
}

// flow is one count and its rate.
type flow struct {
	load func() int64
	seen int64 // when it was read last
	rate Rate
}

// Traffic is what goes through a relay.
type Traffic struct {
	ChangesIn   Flow `json:"changesIn"`
	ChangesOut  Flow `json:"changesOut"`
	MessagesIn  Flow `json:"messagesIn"`
	MessagesOut Flow `json:"messagesOut"`
	BytesIn     Flow `json:"bytesIn"`
	BytesOut    Flow `json:"bytesOut"`
}

// Flow is one count and how it grew.
type Flow struct {
	Total   int64          `json:"total"`   // since the relay was started
	Last10s float64        `json:"last10s"` // a second
	Last60s float64        `json:"last60s"` // a second
	Seconds [minute]uint32 `json:"seconds"` // of the last minute, the oldest first
}

// NewMeter returns a meter of those metrics.
func NewMeter(m *Metrics) *Meter {
	r := new(Meter)
	for i, load := range []func() int64{
		m.ChangesIn.Load, m.ChangesOut.Load,
		m.Sockets.MessagesIn.Load, m.Sockets.MessagesOut.Load,
		m.Sockets.BytesIn.Load, m.Sockets.BytesOut.Load,
	} {
		r.flows[i].load = load
	}
	return r
}

// Tick reads the counts. One goroutine calls it, once a second.
func (r *Meter) Tick(now time.Time) {
	for i := range r.flows {
		f := &r.flows[i]
		n := f.load()
		f.rate.Add(now, n-f.seen)
		f.seen = n
	}
}

// Traffic is how things stand. It may be called beside Tick.
func (r *Meter) Traffic(now time.Time) Traffic {
	var flows [len(r.flows)]Flow
	for i := range r.flows {
		f := &r.flows[i]
		flows[i] = Flow{f.load(), f.rate.PerSecond(now, 10*time.Second), f.rate.PerSecond(now, time.Minute), f.rate.LastMinute(now)}
	}
	return Traffic{flows[0], flows[1], flows[2], flows[3], flows[4], flows[5]}
}
