package relay

import (
	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
)

// Stepped is a relay in which nothing runs by itself: no goroutine, no socket and no
// timer. Who has it carries its frames and calls Step, and so owns order and time:
// that is how a seeded simulation runs the rooms and halls of this package as they
// are. Only what a Relay does in goroutines is left out, such as compaction and the
// look at what other processes store. It is exported because what simulates whole
// networks stands above relay and peer, which do not know each other. It is for one
// goroutine.
type Stepped struct {
	r     *Relay
	ready func()
	queue []func()
}

// NewStepped returns a stepped relay over a store. ready is called, in the middle of
// whatever the relay does, when Step has something to do.
func NewStepped(o Options, store Store, ready func()) *Stepped {
	s := &Stepped{r: newRelay(o, store), ready: ready}
	s.r.halls.spawn = func(run func()) {
		s.queue = append(s.queue, run)
		s.ready()
	}
	return s
}

// Step does what waits for the longest: the rounds of one document. It reports
// whether there was something.
func (s *Stepped) Step() bool {
	if len(s.queue) == 0 {
		return false
	}
	run := s.queue[0]
	s.queue = s.queue[1:]
	run()
	return true
}

// LookAtDisk is what a relay does once a second: a disk that was full may have room.
func (s *Stepped) LookAtDisk() { s.r.disk.readOnly.Store(false) }

// Local is what the relay says of itself in a handshake.
func (s *Stepped) Local() wire.Local { return s.r.local }

// Accept takes a connection whose handshake is over, of somebody who may do everything.
func (s *Stepped) Accept(t Transport, remote wire.Remote) *SteppedConn {
	c := makeConn(s.r, connID(s.r.lastID.Add(1)), guest{remote: remote})
	c.open(t, access.Open())
	s.r.register(c)
	return &SteppedConn{c}
}

// Documents counts the documents in memory and those that rest, and what is
// remembered of connections in them: none of it without connections.
func (s *Stepped) Documents() (awake, asleep int64) { return s.r.halls.count() }

// Heads are those of a document in memory; ok is false if it is not.
func (s *Stepped) Heads(doc id.Document) (heads []id.Hash, ok bool) {
	s.r.halls.mu.Lock()
	defer s.r.halls.mu.Unlock()
	h := s.r.halls.byDoc[doc]
	if h == nil || h.room == nil {
		return nil, false
	}
	return h.room.graph.Heads(), true
}

// SteppedConn is a connection of a stepped relay.
type SteppedConn struct{ c *conn }

// Receive acts on a frame, as the reader of a socket does.
func (c *SteppedConn) Receive(frame []byte) { c.c.closeFor(c.c.receive(frame)) }

// Left is to be called once the connection has ended, and nothing else then.
func (c *SteppedConn) Left() {
	c.c.leaveRooms()
	c.c.left()
	c.c.relay.unregister(c.c)
}
