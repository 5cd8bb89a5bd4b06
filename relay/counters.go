package relay

import "syncline/relay/operate"

// Counters is a reading of what a relay did since it was made. All of it, and
// more, is in its metrics.
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
	Refused         int64 // connections, messages and changes that were refused
	Dropped         int64 // messages of an unknown type or with a wrong sender
	Overflows       int64 // connections closed because they did not read
	AppendFailures  int64 // failed writes to the store
}

// Counters returns the counts of now.
func (r *Relay) Counters() Counters {
	m := r.metrics
	awake, asleep := r.halls.count()
	shaking, joined, _ := r.lobby.counts()
	return Counters{
		Connections:     m.Accepted.Load(),
		OpenConnections: int64(shaking + joined),
		OpenRooms:       awake + asleep,
		MessagesIn:      m.Sockets.MessagesIn.Load(),
		MessagesOut:     m.Sockets.MessagesOut.Load(),
		BytesIn:         m.Sockets.BytesIn.Load(),
		BytesOut:        m.Sockets.BytesOut.Load(),
		ChangesIn:       m.ChangesIn.Load(),
		ChangesOut:      m.ChangesOut.Load(),
		EphemeralIn:     m.EphemeralIn.Load(),
		EphemeralOut:    m.EphemeralOut.Load(),
		Refused:         m.Refusals(),
		Dropped:         operate.Sum(m.Dropped[:]),
		Overflows:       m.Sockets.Overflows.Load(),
		AppendFailures:  m.CommitFailures.Load(),
	}
}
