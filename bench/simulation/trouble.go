package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"syncline/bench/simulation/memory"
	"syncline/crdt"
	"syncline/crdt/id"
)

var ctx = context.Background()

// trouble has people work while things go wrong.
func (w *world) trouble() {
	lasts := time.Duration(8+w.rng.IntN(25)) * time.Second
	sometime := func() time.Duration { return time.Duration(w.rng.Int64N(int64(lasts))) }
	for range 6 + w.rng.IntN(24) {
		w.in(sometime(), w.operate)
	}
	for range 2 + w.rng.IntN(8) {
		f := faults[w.rng.IntN(len(faults))]
		w.in(sometime(), func() {
			w.note("fault: %s", f.name)
			f.do(w)
		})
	}
	for range 3 {
		w.in(sometime(), w.claims)
	}
	w.pass(epoch.Add(lasts))
}

// some draws one of a list.
func some[T any](w *world, list []T) T { return list[w.rng.IntN(len(list))] }

func (w *world) span(most time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(most)))
}

// operate has somebody do a batch of operations.
func (w *world) operate() { some(w, w.devices).operate(some(w, w.docs)) }

// operateSoon has somebody work with a document once its process is there, unless all
// is mended by then.
func (w *world) operateSoon(d *device, doc id.Document) {
	w.in(w.span(4*time.Second), func() {
		switch {
		case w.mended:
		case d.up:
			d.operate(doc)
		default:
			w.operateSoon(d, doc)
		}
	})
}

func (d *device) operate(doc id.Document) {
	w := d.w
	if !d.up {
		return
	}
	if !slices.Contains(d.docs, doc) {
		d.docs = append(d.docs, doc) // it is made here
	}
	for range 1 + w.rng.IntN(3) {
		ops := operations(w.rng)
		d.do(func() {
			outcome, err := d.p.Begin(ctx, doc, ops...)
			if err != nil {
				w.fail("%s: operation not begun: %v", d.name, err)
				return
			}
			d.pending = append(d.pending, pending{doc, outcome})
		})
		if !d.up {
			return
		}
	}
}

// operations draws a batch. Many are about what is not there, and are refused.
func operations(rng *rand.Rand) []crdt.Operation {
	entity := string(rune('a' + rng.IntN(3)))
	text := string(rune('A' + rng.IntN(26)))
	switch rng.IntN(10) {
	case 0, 1, 2:
		return []crdt.Operation{crdt.Create("things", entity+text, map[string]any{"text": text, "n": crdt.Counter(0), "list": []any{text}, "title": text})}
	case 3:
		return []crdt.Operation{crdt.Create("things", entity, map[string]any{"text": text, "n": crdt.Counter(0), "list": []any{text}, "title": text})}
	case 4:
		return []crdt.Operation{crdt.Update("things", entity, map[string]any{"title": text})}
	case 5:
		return []crdt.Operation{crdt.Delete("things", entity)}
	case 6:
		return []crdt.Operation{crdt.Increment("things", entity, "n", 1+rng.Int64N(5)), crdt.Set("things", entity, "title", text)}
	case 7:
		return []crdt.Operation{crdt.Splice("things", entity, "text", 0, rng.IntN(2), text)}
	case 8:
		return []crdt.Operation{crdt.ListInsert("things", entity, "list", 0, text)}
	default:
		return []crdt.Operation{crdt.Create("more", entity+text, map[string]any{"title": text})}
	}
}

// fault is something that goes wrong.
type fault struct {
	name string
	do   func(w *world)
}

var faults = []fault{
	{"a connection is cut", (*world).cutOne},
	{"a connection is cut", (*world).cutOne},
	{"a connection is cut that one end takes to be open for long", func(w *world) {
		if c := w.openCable(); c != nil {
			c.sever(w.span(time.Second), 5*time.Second+w.span(15*time.Second))
		}
	}},
	{"a connection becomes slow", func(w *world) {
		if c := w.openCable(); c != nil {
			c.latency += w.span(4 * time.Second)
		}
	}},
	{"the network is parted", (*world).part},
	{"the network is parted", (*world).part},
	{"a process dies", func(w *world) { w.die(some(w, w.nodes)) }},
	{"a process dies in the middle of something", (*world).dieSoon},
	{"a process dies in the middle of something", (*world).dieSoon},
	{"a process dies in the middle of something", (*world).dieSoon},
	{"a disk is full", (*world).fill},
	{"a relay loses its data", func(w *world) { w.lose(some(w, w.stations)) }},
	{"a relay loses its data", func(w *world) { w.lose(some(w, w.stations)) }},
	{"a relay's disk is copied", func(w *world) { w.copyRelay(some(w, w.stations)) }},
	{"a relay's disk is put back", func(w *world) { w.restoreRelay(some(w, w.stations)) }},
	{"a peer's disk is copied", func(w *world) { w.copyPeer(some(w, w.devices)) }},
	{"a peer's disk is put back", func(w *world) { w.restorePeer(some(w, w.devices)) }},
	{"a peer's disk is put back", func(w *world) { w.restorePeer(some(w, w.devices)) }},
	{"a machine is copied while it runs", func(w *world) { w.clone(some(w, w.devices)) }},
	{"a machine is copied while it runs", func(w *world) { w.clone(some(w, w.devices)) }},
	{"a relay takes no tokens", (*world).lock},
	{"a peer takes no new documents", func(w *world) {
		d := some(w, w.devices)
		d.picky = true
		w.in(w.span(10*time.Second), func() { d.picky = false })
	}},
	{"a device is offline", func(w *world) {
		d := some(w, w.devices)
		d.offline = true
		for _, e := range slices.Clone(d.ends) {
			e.c.sever(w.span(2*time.Second), w.span(10*time.Second))
		}
		w.in(w.span(10*time.Second), d.online)
	}},
}

func (d *device) online() {
	d.offline = false
	if d.up {
		d.locked = map[string]bool{} // another network, another attempt
		d.do(d.p.NetworkChanged)
	}
}

func (w *world) openCable() *cable {
	open := slices.DeleteFunc(slices.Clone(w.cables), func(c *cable) bool { return !c.open() })
	if len(open) == 0 {
		return nil
	}
	return some(w, open)
}

func (w *world) cutOne() {
	if c := w.openCable(); c != nil {
		c.sever(w.span(3*time.Second), w.span(3*time.Second))
	}
}

func (w *world) part() {
	w.parted = map[*node]int{}
	for _, n := range w.nodes {
		w.parted[n] = w.rng.IntN(2)
	}
	for _, c := range w.cables {
		if c.open() && w.apart(c.ends[0].n, c.ends[1].n) {
			c.sever(w.span(5*time.Second), w.span(5*time.Second))
		}
	}
	parted := w.parted
	w.in(w.span(8*time.Second), func() {
		if len(parted) > 0 && maps.Equal(w.parted, parted) {
			w.parted = nil
		}
	})
}

func (w *world) die(n *node) {
	if n.up {
		w.note("%s is killed", n.name)
		n.kill()
	}
}

// dieSoon has a process die before or after one of its next transactions.
func (w *world) dieSoon() {
	if n := some(w, w.nodes); n.up && n.gate != nil {
		n.gate.dieIn, n.gate.before = 1+w.rng.IntN(6), w.rng.IntN(2) == 0
	}
}

func (w *world) fill() {
	n := some(w, w.nodes)
	n.refuses = true
	w.in(w.span(6*time.Second), func() { n.refuses = false })
}

// lose gives a relay an empty disk. It is another relay then.
func (w *world) lose(s *station) {
	w.die(s.node)
	old := s.disk
	s.disk = w.newDisk(s.name)
	if w.bug.KeepsID {
		s.disk = modelDisk{memory.NewDisk(old.(modelDisk).ID(), func() time.Time { return w.now })}
	}
	s.stored, s.tainted, s.earlier = truth{}, false, nil
	w.forgive()
}

func (w *world) copyRelay(s *station) {
	c, err := s.disk.copy()
	if err != nil {
		w.fail("copy the disk of %s: %v", s.name, err)
	}
	s.earlier = c
}

func (w *world) restoreRelay(s *station) {
	if w.mended {
		return
	}
	if s.earlier == nil {
		w.copyRelay(s)
		w.in(w.span(10*time.Second), func() { w.restoreRelay(s) })
		return
	}
	w.die(s.node)
	s.disk, s.earlier, s.tainted = s.earlier, nil, true
	s.stored = truth{}
	w.forgive()
}

func (w *world) copyPeer(d *device) {
	c, err := d.disk.copy()
	if err != nil {
		w.fail("copy the disk of %s: %v", d.name, err)
	}
	d.earlier = c
}

// restorePeer puts a peer's disk back. What it alone had since is lost, as its owner
// was told.
func (w *world) restorePeer(d *device) {
	if w.mended {
		return
	}
	if d.earlier == nil {
		w.copyPeer(d)
		if len(d.docs) > 0 {
			w.operateSoon(d, d.docs[0])
		}
		w.in(5*time.Second+w.span(5*time.Second), func() { w.restorePeer(d) })
		return
	}
	w.die(d.node)
	d.disk, d.earlier, d.tainted = d.earlier, nil, true
	d.stored = truth{}
	if len(d.docs) > 0 {
		w.operateSoon(d, d.docs[0]) // as before: what it did then is known to others
	}
	w.forgive()
}

// forgive expects no more of what is on no disk.
func (w *world) forgive() {
	w.kept = slices.DeleteFunc(w.kept, func(k kept) bool {
		return !slices.ContainsFunc(w.nodes, func(n *node) bool { return n.stored[k.doc][k.hash] })
	})
}

// clone copies a machine while it runs: both go on as the same actors.
func (w *world) clone(d *device) {
	if w.clones || len(w.devices) >= 8 || !d.up {
		return
	}
	disk, err := d.disk.copy()
	if err != nil {
		w.fail("copy the disk of %s: %v", d.name, err)
		return
	}
	w.clones = true
	c := w.newDevice(len(w.devices))
	c.disk, c.remotes, c.tainted = disk, slices.Clone(d.remotes), true
	d.tainted = true
	c.docs, c.borrowed = slices.Clone(d.docs), maps.Clone(d.actors)
	c.start()
	if len(d.docs) > 0 {
		w.operateSoon(d, d.docs[0])
		w.operateSoon(c, d.docs[0])
	}
}

func (w *world) lock() {
	s := some(w, w.stations)
	s.lockout = true
	for _, e := range slices.Clone(s.ends) {
		e.c.sever(w.span(time.Second), w.span(time.Second))
	}
	w.in(w.span(10*time.Second), func() { s.lockout = false })
}

// claims compares what peers take others to have with what those have.
func (w *world) claims() {
	for _, d := range w.devices {
		if d.up {
			d.claims()
		}
	}
}

func (d *device) claims() {
	w := d.w
	for _, doc := range d.docs {
		var heads map[string][]id.Hash
		var err error
		d.do(func() {
			if _, uerr := d.p.OpenDocument(ctx, doc); uerr == nil {
				heads, err = d.p.Acknowledged(ctx, doc)
			}
		})
		if !d.up {
			return
		}
		if err != nil {
			w.note("%s does not know who has what: %v", d.name, err)
		}
		for _, n := range w.nodes {
			if n.tainted || n.disk == nil {
				continue
			}
			for _, h := range heads[n.storageID()] {
				if !n.stored[doc][h] {
					w.fail("%s takes %s to have change %s", d.name, n.name, h)
				}
			}
		}
	}
}

func (n *node) storageID() string {
	if n.gate == nil {
		return fmt.Sprintf("%s does not run", n.name)
	}
	return n.gate.StorageID()
}
