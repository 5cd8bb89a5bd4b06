package relay

import (
	"sync/atomic"

	"syncline/relay/wire/socket"
)

// counters are what a relay did since it started. All are monotonic but those
// that say "open".
type counters struct {
	sockets         socket.Counters
	connections     atomic.Int64
	openConnections atomic.Int64
	openRooms       atomic.Int64
	openGraphs      atomic.Int64
	changesIn       atomic.Int64
	changesOut      atomic.Int64
	ephemeralIn     atomic.Int64
	ephemeralOut    atomic.Int64
	refused         atomic.Int64
	dropped         atomic.Int64
	appendFailures  atomic.Int64
}

// Counters is a reading of what a relay did since it was made.
type Counters struct {
	Connections     int64 // accepted
	OpenConnections int64 // of now
	OpenRooms       int64 // documents with a session, of now
	MessagesIn      int64 // frames received
	MessagesOut     int64 // frames sent
	BytesIn         int64 // of the payload of frames received
	BytesOut        int64 // of the payload of frames sent
	ChangesIn       int64 // changes received that were new, and are durable
	ChangesOut      int64 // changes sent, once for each session
	EphemeralIn     int64 // ephemeral messages that were passed on
	EphemeralOut    int64 // ephemeral messages sent, once for each session
	Refused         int64 // messages and changes refused by a check
	Dropped         int64 // messages of an unknown type or with a wrong sender
	Overflows       int64 // connections closed because they did not read
	AppendFailures  int64 // failed writes to the store
}

// Counters returns the counts of now.
func (r *Relay) Counters() Counters {
	c := &r.count
	return Counters{
		Connections:     c.connections.Load(),
		OpenConnections: c.openConnections.Load(),
		OpenRooms:       c.openRooms.Load(),
		MessagesIn:      c.sockets.MessagesIn.Load(),
		MessagesOut:     c.sockets.MessagesOut.Load(),
		BytesIn:         c.sockets.BytesIn.Load(),
		BytesOut:        c.sockets.BytesOut.Load(),
		ChangesIn:       c.changesIn.Load(),
		ChangesOut:      c.changesOut.Load(),
		EphemeralIn:     c.ephemeralIn.Load(),
		EphemeralOut:    c.ephemeralOut.Load(),
		Refused:         c.refused.Load(),
		Dropped:         c.dropped.Load(),
		Overflows:       c.sockets.Overflows.Load(),
		AppendFailures:  c.appendFailures.Load(),
	}
}
