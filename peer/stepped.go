package peer

import (
	"context"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
)

// Steps are what a stepped peer has in place of what a Peer starts or asks the
// system for. All are required.
type Steps struct {
	// PeerID is what it calls itself; a Peer draws a new one with each Open.
	PeerID string
	// Secret becomes the device's if the store has none yet: 32 bytes.
	Secret []byte
	// Mint is crdt.MintActor, whose actors are random.
	Mint func(secret []byte, doc id.Document) id.Actor
	// Ready is called, in the middle of whatever the peer does, when Step has
	// something to do.
	Ready func()
	// After calls fn when so much time has passed.
	After func(d time.Duration, fn func())
	// Dial asks for a connection to a remote. Connected or Failed is to be called for
	// it, later.
	Dial func(*SteppedLink)
}

// Stepped is a peer in which nothing runs by itself: no goroutine, no socket and no
// timer. Who has it carries its frames, calls Step and keeps the clock (Options.Now),
// and so owns order and time: that is how a seeded simulation runs the desks, links
// and outboxes of this package as they are. Only what a Peer does in goroutines that
// has to do with other processes, the workspace and queries are left out: its tables
// are kept if the options say so, and read by who has the store. It is exported because what simulates whole networks stands above relay and peer, which do not know
// each other. It is for one goroutine; the methods of Peer that wait, such as those of
// Document, do what waits first.
type Stepped struct {
	*Peer
	steps   Steps
	queue   []func()
	links   []*SteppedLink
	keeping bool // a timer is set for the keeper
}

// OpenStepped opens a stepped peer on a store, which stays the caller's. Its remotes
// are tried from then on.
func OpenStepped(ctx context.Context, store Store, o Options, steps Steps) (*Stepped, error) {
	o = o.withDefaults()
	o.mint = steps.Mint
	o.elsewherePatience = 1 // there are no other processes
	s := &Stepped{Peer: makePeer(o, store, steps.PeerID), steps: steps}
	s.desks.spawn = s.push
	s.after = steps.After
	s.pump = func() {
		for s.Step() {
		}
	}
	if err := s.begin(ctx, steps.Secret); err != nil {
		return nil, err
	}
	if o.tables() {
		if err := s.startTables(ctx); err != nil {
			return nil, err
		}
		s.push(func() {
			if err := s.showAll(s.io); err != nil && s.io.Err() == nil {
				s.o.Log.Error("the tables do not show all documents", "err", err)
			}
		})
	}
	for _, l := range s.Peer.links {
		k := &SteppedLink{s: s, l: l}
		l.news = func() { s.push(k.look) }
		s.links = append(s.links, k)
		l.begin(ctx)
		l.news()
	}
	return s, nil
}

func (s *Stepped) push(fn func()) {
	s.queue = append(s.queue, fn)
	s.steps.Ready()
}

// Step does what waits for the longest: the rounds of one document, or what is due
// at one remote. It reports whether there was something.
func (s *Stepped) Step() bool {
	if len(s.queue) == 0 {
		return false
	}
	fn := s.queue[0]
	s.queue = s.queue[1:]
	fn()
	if !s.keeping && s.keeper.any() {
		s.keeping = true
		s.steps.After(keepAfter, func() {
			s.keeping = false
			s.keepNoted()
		})
	}
	return true
}

// Release gives back the memory of a peer that is over. Nothing else is done: it is
// as after a crash.
func (s *Stepped) Release() {
	s.cancel()
	s.stopIO()
	s.cache.Close()
}

// NetworkChanged is what a Peer notices by itself.
func (s *Stepped) NetworkChanged() {
	for _, k := range s.links {
		k.l.networkChanged()
		k.l.news()
	}
}

// Local is what the peer says of itself in a handshake.
func (s *Stepped) Local() wire.Local { return wire.Local{PeerID: s.self, Metadata: s.metadata()} }

// Show brings the tables up to the journal, as a Peer does before each query.
func (s *Stepped) Show(ctx context.Context) error { return s.showAll(ctx) }

// Begin has operations done, as Document.Do and Create, without waiting. What it
// returns has the outcome once there is one; until then ok is false.
func (s *Stepped) Begin(ctx context.Context, doc id.Document, ops ...crdt.Operation) (outcome func() (r Receipt, err error, ok bool), err error) {
	in := &doing{claim: newClaim(), ops: ops}
	if err := s.desks.post(ctx, doc, in, 0); err != nil {
		return nil, err
	}
	return func() (r Receipt, err error, ok bool) {
		select {
		case err = <-in.reply:
		default:
			return r, nil, false
		}
		if err == nil {
			r, err = s.receipt(in.made)
		}
		return r, err, true
	}, nil
}

// Acknowledged lists what each other end is known to have of a document, by its
// storage id.
func (s *Stepped) Acknowledged(ctx context.Context, doc id.Document) (heads map[string][]id.Hash, err error) {
	heads = map[string][]id.Hash{}
	err = s.ask(ctx, doc, func(d *desk) error {
		list, err := d.ends(ctx)
		for _, e := range list {
			heads[e.id] = e.heads
		}
		return err
	})
	return heads, err
}

// SteppedLink is a remote of a stepped peer.
type SteppedLink struct {
	s       *Stepped
	l       *link
	conn    *SteppedConn // nil while there is none
	dialing bool
	armed   int // counts timers: only the last one set counts
}

// Remote is what the link keeps the peer connected to.
func (k *SteppedLink) Remote() Remote { return k.l.spec }

// look is one turn of a link's goroutines.
func (k *SteppedLink) look() {
	ctx := k.s.io
	switch {
	case k.dialing || ctx.Err() != nil:
	case k.conn != nil:
		wait, held := k.l.offer(k.conn.c)
		k.after(wait, func() {
			if held {
				k.l.reread(ctx)
			}
		})
	default:
		if k.l.heldBack() {
			k.l.reread(ctx)
		}
		wait := k.l.next()
		if wait == 0 {
			k.l.set(LinkConnecting)
			k.dialing = true
			k.armed++
			k.s.steps.Dial(k)
			return
		}
		k.after(wait, k.l.waited)
	}
}

// after has the link look again after a while, unless it does so sooner.
func (k *SteppedLink) after(d time.Duration, then func()) {
	k.armed++
	n := k.armed
	k.s.steps.After(d, func() {
		if k.armed == n {
			then()
			k.l.news()
		}
	})
}

// Failed answers Dial: there is no connection.
func (k *SteppedLink) Failed(err error) {
	k.dialing = false
	k.l.failed(k.s.io, nil, err)
	k.l.news()
}

// Connected answers Dial.
func (k *SteppedLink) Connected(t Transport, remote wire.Remote) *SteppedConn {
	k.dialing = false
	c := k.s.makeConn(k.s.self, remote)
	c.dialed, c.peers, c.link = true, k.l.spec.Peer, k.l
	c.restrict(k.l.spec)
	c.open(t)
	k.s.register(c)
	k.s.remember(k.s.io, k.l.spec.URL, c)
	k.l.connected(k.s.io, c)
	k.conn = &SteppedConn{s: k.s, c: c, link: k, carrier: c.newCarrier()}
	k.conn.carrier.news = func() { k.s.push(k.conn.carry) }
	k.conn.carrier.news()
	k.l.news()
	return k.conn
}

// Accept takes a connection that somebody else has made, who may do everything; admits
// says whether it may bring documents that the peer does not have.
func (s *Stepped) Accept(t Transport, remote wire.Remote, admits bool) *SteppedConn {
	c := s.makeConn(s.self, remote)
	c.peers, c.admits = true, admits
	c.open(t)
	c.guard(access.Gate{}, access.Open())
	s.register(c)
	s.remember(s.io, "", c)
	return &SteppedConn{s: s, c: c}
}

// SteppedConn is a connection of a stepped peer.
type SteppedConn struct {
	s       *Stepped
	c       *conn
	link    *SteppedLink // nil if it was accepted
	carrier *carrier     // nil if it was accepted
}

// carry is one turn of carryAll.
func (c *SteppedConn) carry() {
	for doc, ok := c.carrier.next(); ok; doc, ok = c.carrier.next() {
		if c.c.takeUp(c.carrier, doc) != nil {
			return
		}
	}
	if !c.carrier.through() {
		c.s.steps.After(carryPatience, func() {
			c.carrier.passOver()
			c.carrier.news()
		})
	}
}

// Receive acts on a frame, as the reader of a socket does.
func (c *SteppedConn) Receive(frame []byte) { c.c.closeFor(c.c.receive(frame)) }

// Ended is to be called once the connection has ended, and nothing else then: how
// it ended, and what its reader met last, if anything.
func (c *SteppedConn) Ended(e socket.Ending, err error) {
	c.c.left()
	err = c.c.ended(e, err)
	if c.link != nil {
		c.link.conn = nil
		c.link.l.failed(c.s.io, c.c, err)
		c.link.l.news()
	}
}
