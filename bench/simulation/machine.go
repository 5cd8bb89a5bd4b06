package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
	"syncline/relay"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// station is a relay on its node.
type station struct {
	*node
	r       *relay.Stepped
	lockout bool // tokens are not taken
	earlier disk // the disk as it was at some time
}

func (w *world) newStation(i int) *station {
	s := &station{node: &node{w: w, name: fmt.Sprintf("relay%d", i)}}
	s.disk = w.newDisk(s.name)
	s.boot = func() error {
		g, err := s.open()
		if err != nil {
			return err
		}
		s.r = relay.NewStepped(relay.Options{Log: w.log(s.name)}, g, s.prompt)
		return nil
	}
	s.step = func() bool { return s.r.Step() }
	s.halt = func() { s.r = nil }
	w.nodes = append(w.nodes, s.node)
	w.in(time.Second, s.tick)
	return s
}

// tick is done each second.
func (s *station) tick() {
	if s.up && !s.refuses {
		s.do(s.r.LookAtDisk)
	}
	s.w.in(time.Second, s.tick)
}

// device is a peer on its node.
type device struct {
	*node
	p       *peer.Stepped
	rng     *rand.Rand // of what a device draws by itself
	remotes []peer.Remote
	offline bool
	picky   bool // it takes no new documents from those who connect
	skew    time.Duration
	docs    []id.Document // that it is to have
	earlier disk

	actors   map[id.Document]id.Actor // minted last
	borrowed map[id.Document]id.Actor // to be minted next: a machine that was copied while it ran
	pending  []pending                // operations under way
	locked   map[string]bool          // remotes, by URL, that have refused its token
	dials    map[string][]time.Time   // attempts of the last second, by URL
}

// pending is a batch of operations whose outcome is not known.
type pending struct {
	doc     id.Document
	outcome func() (peer.Receipt, error, bool)
}

// kept is a batch of operations that was said to be durable.
type kept struct {
	d    *device
	doc  id.Document
	hash id.Hash
}

func urlOf(name string) string { return "ws://" + name + ".example:1" }

func (w *world) newDevice(i int) *device {
	d := &device{
		node: &node{w: w, name: fmt.Sprintf("peer%d", i)}, rng: rand.New(rand.NewPCG(w.rng.Uint64(), 2)),
		skew: time.Duration(w.rng.IntN(20_000)-10_000) * time.Millisecond, locked: map[string]bool{}, actors: map[id.Document]id.Actor{}, dials: map[string][]time.Time{},
	}
	d.disk = w.newDisk(d.name)
	d.boot = d.open
	d.step = func() bool { return d.p.Step() }
	d.turned = d.settle
	d.halt = func() {
		if d.p != nil {
			d.p.Release()
		}
		d.p, d.pending = nil, nil
		d.locked = map[string]bool{}
	}
	w.nodes = append(w.nodes, d.node)
	w.devices = append(w.devices, d)
	return d
}

// open starts the peer.
func (d *device) open() error {
	g, err := d.node.open()
	if err != nil {
		return err
	}
	w := d.w
	life := d.life
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(d.rng.UintN(256))
	}
	o := peer.Options{
		Remotes: d.remotes, Log: w.log(d.name), Now: func() time.Time { return w.now.Add(d.skew) }, Rand: w.rng.Float64,
		Backoff: peer.Backoff{First: 200 * time.Millisecond, Most: 2 * time.Second}, Network: network{d}, Cache: crdt.CacheOptions{Documents: 2},
		MaxIdle: 1 + w.rng.IntN(3),
		// Without, the tables fall behind, and a later start, or the end, brings them up.
		Tables: d.rng.IntN(2) == 0,
	}
	if w.bug.Backoff != nil {
		o.Backoff = *w.bug.Backoff
	}
	p, err := peer.OpenStepped(context.Background(), g, o, peer.Steps{
		PeerID: fmt.Sprintf("%s-%d", d.name, d.life), Secret: secret, Mint: d.mint, Ready: d.prompt,
		After: func(after time.Duration, fn func()) {
			if hook := w.bug.Timer; hook != nil && !hook(w) {
				return
			}
			w.in(after, func() {
				if d.life == life {
					d.do(fn)
				}
			})
		},
		Dial: func(l *peer.SteppedLink) { w.dial(d, l) },
	})
	if err != nil {
		return err
	}
	d.p = p
	return nil
}

// mint draws an actor, unless the machine is a copy of one that has drawn it.
func (d *device) mint(secret []byte, doc id.Document) id.Actor {
	if a, ok := d.borrowed[doc]; ok {
		delete(d.borrowed, doc)
		d.actors[doc] = a
		return a
	}
	if hook := d.w.bug.Mint; hook != nil {
		if a := hook(d, secret, doc); a != "" {
			return a
		}
	}
	b := append([]byte(nil), crdt.DeviceTag(secret, doc)...)
	for range 8 {
		b = append(b, byte(d.rng.UintN(256)))
	}
	d.actors[doc] = id.Actor(b)
	return d.actors[doc]
}

// settle notes what has become of operations.
func (d *device) settle() {
	left := d.pending[:0]
	for _, p := range d.pending {
		r, err, ok := p.outcome()
		switch {
		case !ok:
			left = append(left, p)
		case err == nil:
			d.w.kept = append(d.w.kept, kept{d, p.doc, r.Hash})
		}
	}
	d.pending = left
}

// network is what a device knows of its network.
type network struct{ d *device }

// Fingerprint is not asked for.
func (network) Fingerprint() string { return "" }

// Routes is peer.Network's.
func (n network) Routes(string) bool { return !n.d.offline }

// dial makes a connection, or says why there is none, after a while.
func (w *world) dial(d *device, l *peer.SteppedLink) {
	url := l.Remote().URL
	life := d.life
	recent := slices.DeleteFunc(d.dials[url], func(at time.Time) bool { return w.now.Sub(at) > time.Second })
	if d.dials[url] = append(recent, w.now); len(recent) >= maxDials {
		w.fail("%s has dialled %s more than %d times in a second", d.name, url, maxDials)
	}
	if d.locked[url] {
		w.fail("%s dials %s again, which has refused its token", d.name, url)
	}
	w.in(w.latency(), func() {
		if d.life != life {
			return
		}
		refuse := func(err error) {
			if hook := w.bug.Fault; hook != nil {
				err = hook(err)
			}
			d.do(func() { l.Failed(err) })
		}
		to := w.nodeAt(url)
		switch {
		case d.offline || w.apart(d.node, to):
			refuse(fmt.Errorf("connect to %s: %w", url, syscall.ETIMEDOUT))
		case !to.up:
			refuse(fmt.Errorf("connect to %s: %w", url, syscall.ECONNREFUSED))
		default:
			w.connect(d, l, url, refuse)
		}
	})
}

// connect makes a connection to a node that can be reached.
func (w *world) connect(d *device, l *peer.SteppedLink, url string, refuse func(error)) {
	for _, s := range w.stations {
		if urlOf(s.name) != url {
			continue
		}
		if s.lockout {
			d.locked[url] = true
			refuse(&peer.Fault{Class: peer.ClassUnauthorised, Err: fmt.Errorf("%s takes no token of yours", s.name)})
			return
		}
		c := w.newCable(d.node, s.node)
		var conn *relay.SteppedConn
		s.do(func() { conn = s.r.Accept(c.ends[1], wire.Remote(d.p.Local())) })
		if conn != nil {
			c.ends[1].receive, c.ends[1].ended = conn.Receive, func(socket.Ending, error) {
				if hook := w.bug.Left; hook == nil || hook(w) {
					conn.Left()
				}
			}
		}
		w.plug(c, d, l, s.r.Local)
		return
	}
	for _, o := range w.devices {
		if urlOf(o.name) != url {
			continue
		}
		c := w.newCable(d.node, o.node)
		o.do(func() {
			conn := o.p.Accept(c.ends[1], wire.Remote(d.p.Local()), !o.picky)
			c.ends[1].receive, c.ends[1].ended = conn.Receive, conn.Ended
		})
		w.plug(c, d, l, o.p.Local)
	}
}

// plug gives the dialler its end, unless the other one has died over its own.
func (w *world) plug(c *cable, d *device, l *peer.SteppedLink, local func() wire.Local) {
	if c.cut || c.ends[1].over {
		c.ends[0].drop()
		d.forget(c.ends[0])
		d.do(func() { l.Failed(fmt.Errorf("connect: %w", syscall.ECONNRESET)) })
		return
	}
	d.do(func() {
		conn := l.Connected(c.ends[0], wire.Remote(local()))
		c.ends[0].receive, c.ends[0].ended = conn.Receive, conn.Ended
	})
}

func (w *world) log(name string) *slog.Logger {
	if w.o.Trace == nil {
		return nil
	}
	return slog.New(slog.NewTextHandler(w.o.Trace, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.DurationValue(w.now.Sub(epoch))
		}
		return a
	}})).With("node", name)
}
