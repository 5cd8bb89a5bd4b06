package simulation

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"syncline/bench/simulation/memory"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/peer"
	"syncline/relay/wire"
)

// epoch is when every run begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	// patience is how long after everything was mended the network may take.
	patience = 60 * time.Second
	// maxDials is how often a peer may dial a remote in a second: attempts are spaced.
	maxDials = 15
	// maxEvents ends a run that does not come to rest.
	maxEvents = 200_000
)

// Options of Run.
type Options struct {
	Seed uint64
	// Files is a directory for SQLite files; "": the model of the store.
	Files string
	// Bug is put in, if it is not nil.
	Bug *Bug
	// Trace is told of all that happens, if it is not nil.
	Trace io.Writer
}

// Result is what a run came to.
type Result struct {
	Peers, Relays, Documents int
	Events                   int
	Changes                  int // that are durable at the end
	Crashes                  int // of processes
	Twins                    bool
	Took                     time.Duration // of simulated time, after everything was mended
	Trail                    uint64        // a hash of all that happened: equal seeds, equal trails
}

// world is one run.
type world struct {
	loop
	o   Options
	rng *rand.Rand
	bug *Bug
	err error

	nodes    []*node
	devices  []*device
	stations []*station
	cables   []*cable
	docs     []id.Document
	parted   map[*node]int // sides of a partition; nil: there is none

	born    map[id.Hash]id.Document // changes by what they were made in
	kept    []kept
	crashes int
	clones  bool // a machine was copied while it ran
	mended  bool
	files   int
	trail   uint64
	stopped map[[2]*node]bool // for the bug of that name
}

// Run does one run. The error says what went wrong in the network.
func Run(o Options) (Result, error) {
	w := &world{
		o: o, rng: rand.New(rand.NewPCG(o.Seed, 1)), bug: o.Bug, loop: loop{now: epoch},
		born: map[id.Hash]id.Document{}, trail: 14695981039346656037,
	}
	if w.bug == nil {
		w.bug = &Bug{}
	}
	w.build()
	defer w.end()
	w.trouble()
	took := w.mend()
	r := Result{
		Peers: len(w.devices), Relays: len(w.stations), Documents: len(w.docs), Events: w.done, Changes: len(w.born),
		Crashes: w.crashes, Twins: w.clones, Took: took, Trail: w.trail,
	}
	if w.err != nil {
		return r, fmt.Errorf("seed %d, after %s: %w", o.Seed, w.now.Sub(epoch), w.err)
	}
	return r, nil
}

// build draws the network.
func (w *world) build() {
	for range 1 + w.rng.IntN(3) {
		var doc id.Document
		for i := range doc {
			doc[i] = byte(w.rng.UintN(256))
		}
		w.docs = append(w.docs, doc)
	}
	for i := range 1 + w.rng.IntN(2) {
		w.stations = append(w.stations, w.newStation(i))
	}
	peers := 3 + w.rng.IntN(3)
	if w.rng.IntN(4) == 0 {
		peers += w.rng.IntN(4)
	}
	for i := range min(peers, 8) {
		d := w.newDevice(i)
		switch {
		case i == 0: // joins the relays
			for _, s := range w.stations {
				d.addRemote(s.name, false)
			}
		case w.rng.IntN(5) == 0: // has no relay
			d.addRemote(w.devices[w.rng.IntN(i)].name, true)
		default:
			d.addRemote(w.stations[w.rng.IntN(len(w.stations))].name, false)
			if w.rng.IntN(4) == 0 {
				d.addRemote(w.devices[w.rng.IntN(i)].name, true)
			}
		}
	}
	for _, s := range w.stations {
		s.start()
	}
	for _, d := range w.devices {
		d.start()
		for _, doc := range w.docs {
			if w.rng.IntN(3) > 0 {
				w.in(time.Duration(w.rng.IntN(5000))*time.Millisecond, func() { d.fetch(doc) })
			}
		}
	}
}

func (w *world) newDisk(name string) disk {
	now := func() time.Time { return w.now }
	if w.o.Files == "" {
		return modelDisk{memory.NewDisk(fmt.Sprintf("disk of %s, %d", name, w.rng.Uint32()), now)}
	}
	d := &fileDisk{now: now, dir: w.o.Files, n: &w.files}
	d.path = d.another()
	return d
}

// end gives back what processes have.
func (w *world) end() {
	for _, n := range w.nodes {
		n.wanted = false
		if n.up {
			n.up = false
			n.life++
			for _, e := range n.ends {
				e.drop()
			}
			if n.gate != nil {
				n.gate.close()
			}
			n.halt()
		}
	}
	for _, c := range w.cables {
		c.ends[0].cancel()
		c.ends[1].cancel()
	}
}

// fail ends the run: something is as it must never be.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
		w.note("failed: %v", w.err)
	}
}

// note is for the trace and the trail.
func (w *world) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, b := range []byte(text) {
		w.trail = (w.trail ^ uint64(b)) * 1099511628211
	}
	w.trail = (w.trail ^ uint64(w.now.UnixNano())) * 1099511628211
	if w.o.Trace != nil {
		fmt.Fprintf(w.o.Trace, "%s %s\n", w.now.Sub(epoch), text)
	}
}

// pass lets time pass.
func (w *world) pass(until time.Time) {
	for w.err == nil && w.next(until) {
		if w.done > maxEvents {
			w.fail("no rest after %d events", w.done)
		}
	}
}

// spoken looks at what a node says: heads only of what is durable.
func (w *world) spoken(n *node, frame []byte) {
	m, err := wire.Decode(frame)
	if err != nil {
		w.fail("%s sends a frame that cannot be read: %v", n.name, err)
		return
	}
	sync, ok := m.(*wire.Sync)
	if !ok {
		w.note("%s says %s", n.name, m.Type())
		return
	}
	msg, err := session.Decode(sync.Data)
	if err != nil {
		w.fail("%s sends a sync message that cannot be read: %v", n.name, err)
		return
	}
	w.note("%s syncs %x with %s: %s", n.name, sync.Document[:2], sync.TargetID, told(msg))
	for _, h := range msg.Heads {
		if !n.stored[sync.Document][h] {
			w.fail("%s speaks of change %s, which is not durable there", n.name, h)
		}
	}
}

// told is a sync message in words.
func told(m *session.Message) string {
	b := fmt.Appendf(nil, "it has %s", short(m.Heads))
	if len(m.Need) > 0 {
		b = fmt.Appendf(b, ", needs %s", short(m.Need))
	}
	for i := range m.Have {
		b = fmt.Appendf(b, ", since %s", short(m.Have[i].LastSync))
		if !m.Have[i].Bloom.Empty() {
			b = append(b, " by filter"...)
		}
	}
	if m.HasFlags {
		b = fmt.Appendf(b, ", flags %x", m.Flags)
	}
	if changes, err := m.Changes(); err != nil {
		b = fmt.Appendf(b, ", gives what cannot be read: %v", err)
	} else if len(changes) > 0 {
		hashes := make([]id.Hash, len(changes))
		for i, c := range changes {
			hashes[i] = c.Hash
		}
		b = fmt.Appendf(b, ", gives %s", short(hashes))
	}
	return string(b)
}

// apart reports whether two nodes cannot reach each other.
func (w *world) apart(a, b *node) bool {
	return w.parted != nil && w.parted[a] != w.parted[b]
}

func (w *world) nodeAt(url string) *node {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return urlOf(n.name) == url })
	return w.nodes[i]
}

// addRemote adds a remote.
func (d *device) addRemote(name string, isPeer bool) {
	url := urlOf(name)
	if !slices.ContainsFunc(d.remotes, func(r peer.Remote) bool { return r.URL == url }) {
		d.remotes = append(d.remotes, peer.Remote{URL: url, Peer: isPeer})
	}
}

// fetch makes a document known on a device.
func (d *device) fetch(doc id.Document) {
	if !slices.Contains(d.docs, doc) {
		d.docs = append(d.docs, doc)
	}
	if !d.up {
		d.w.in(time.Second, func() { d.fetch(doc) })
		return
	}
	d.do(func() {
		if _, err := d.p.Fetch(ctx, doc); err != nil && !errors.Is(err, peer.ErrClosed) {
			d.w.in(time.Second, func() { d.fetch(doc) })
		}
	})
}

// short names heads for people.
func short(heads []id.Hash) string {
	var b strings.Builder
	for i, h := range heads {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%x", h[:3])
	}
	return b.String()
}
