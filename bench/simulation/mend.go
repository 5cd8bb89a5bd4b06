package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"syncline/crdt"
	"syncline/crdt/digest"
	"syncline/crdt/id"
	"syncline/peer"
	"syncline/storage"
	"syncline/storage/fold"
)

// mend mends everything, and says how long the network took to come to rest.
func (w *world) mend() (took time.Duration) {
	if w.err != nil {
		return 0
	}
	w.note("everything is mended")
	w.mended = true
	w.parted = nil
	for _, n := range w.nodes {
		n.refuses = false
		if n.gate != nil {
			n.gate.dieIn = 0
		}
		if !n.up {
			n.start()
		}
	}
	for _, s := range w.stations {
		s.lockout = false
	}
	for _, d := range w.devices {
		d.picky = false
		d.online()
		for _, doc := range w.docs {
			d.fetch(doc)
		}
	}
	begun := w.now
	why := errors.New("nothing was looked at")
	for w.err == nil && why != nil {
		w.pass(w.now.Add(time.Second))
		took = w.now.Sub(begun)
		if took <= 10*time.Second {
			w.retry()
		}
		if why = w.apartStill(); why == nil {
			// It has to last: somebody may not have noticed yet that a relay has lost
			// its data. And what is kept a little later is kept then.
			w.pass(w.now.Add(3 * time.Second))
			why = w.apartStill()
		}
		if why != nil && took >= patience {
			w.fail("not at rest %s after everything was mended: %v", took, why)
		}
	}
	if w.err == nil {
		w.rested()
	}
	return took
}

// retry is what a person does who sees that something is not delivered.
func (w *world) retry() {
	for _, d := range w.devices {
		d.do(func() {
			list, err := d.p.Outbox(ctx)
			for _, l := range list {
				if l.State == peer.DeliveryDead {
					delete(d.locked, l.Remote)
					err = errors.Join(err, d.p.Retry(ctx, l.Remote, l.Document))
				}
			}
			if err != nil {
				w.note("%s: retry: %v", d.name, err)
			}
		})
	}
}

// apartStill says in what the network does not agree yet; nil: in nothing.
func (w *world) apartStill() (why error) {
	for _, n := range w.nodes {
		if !n.up {
			return fmt.Errorf("%s does not run", n.name)
		}
	}
	for _, doc := range w.docs {
		var first []id.Hash
		for i, d := range w.devices {
			heads, err := d.heads(doc)
			if err != nil {
				return err
			}
			if i == 0 {
				first = heads
			} else if !slices.Equal(heads, first) {
				return fmt.Errorf("document %x: heads %s at %s, and %s at %s", doc[:2], short(heads), d.name, short(first), w.devices[0].name)
			}
		}
		for _, s := range w.stations {
			g, err := fold.Graph(ctx, s.gate, doc)
			if err == nil && !slices.Equal(g.Heads(), first) {
				err = fmt.Errorf("document %x: heads %s at %s, and %s at %s", doc[:2], short(g.Heads()), s.name, short(first), w.devices[0].name)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, d := range w.devices {
		if err := d.delivered(); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) heads(doc id.Document) (heads []id.Hash, err error) {
	d.do(func() {
		var open *peer.Document
		if open, err = d.p.OpenDocument(ctx, doc); err == nil {
			heads, err = open.Heads(ctx)
		}
	})
	if !d.up {
		err = errors.New("it died")
	}
	if err != nil {
		err = fmt.Errorf("%s: heads: %w", d.name, err)
	}
	return heads, err
}

// delivered says what is left in a device's outbox.
func (d *device) delivered() (err error) {
	var list []peer.Delivery
	d.do(func() { list, err = d.p.Outbox(ctx) })
	if err == nil && len(list) > 0 {
		l := list[0]
		err = fmt.Errorf("document %x is %s for %s, %d changes, %s %s", l.Document[:2], l.State, l.Remote, l.Pending, l.Class, l.Reason)
	}
	if err != nil {
		err = fmt.Errorf("outbox of %s: %w", d.name, err)
	}
	return err
}

// rested looks at a network at rest.
func (w *world) rested() {
	w.sameValues()
	w.nothingLost()
	w.derived()
	w.tables()
	w.claims()
	w.alone()
	w.left()
}

// sameValues: equal heads mean equal documents.
func (w *world) sameValues() {
	for _, doc := range w.docs {
		var first digest.Sum
		for i, d := range w.devices {
			var sum digest.Sum
			err := errors.New("it died")
			d.do(func() {
				var open *peer.Document
				if open, err = d.p.OpenDocument(ctx, doc); err == nil {
					err = open.Read(ctx, func(c *crdt.Document) (err error) {
						sum, err = c.Digest()
						return err
					})
				}
			})
			if err != nil {
				w.fail("%s: document %x: %v", d.name, doc[:2], err)
				return
			}
			if i == 0 {
				first = sum
			} else if sum != first {
				w.fail("document %x: %s and %s have equal heads, and not equal values", doc[:2], d.name, w.devices[0].name)
			}
			w.note("%x has digest %x", doc[:2], sum)
		}
	}
}

// nothingLost: what was said to be durable is there, under its own name, or, if a copy
// of the machine had used its number, under another.
func (w *world) nothingLost() {
	w.forgiveTwins()
	for _, k := range w.kept {
		for _, n := range w.nodes {
			if !n.stored[k.doc][k.hash] {
				w.fail("%s does not have change %s of %s, which was said to be durable", n.name, k.hash, k.d.name)
				return
			}
		}
		if k.d.tainted {
			continue
		}
		recorded := false
		err := k.d.gate.Operations(ctx, k.doc, 0, func(o storage.Operation) error {
			recorded = recorded || o.Hash == k.hash
			return nil
		})
		if err != nil || !recorded {
			w.fail("%s has no record of its operation %s: %v", k.d.name, k.hash, err)
			return
		}
	}
	if w.clones {
		return
	}
	for _, d := range w.devices {
		for _, doc := range w.docs {
			err := d.gate.Quarantined(ctx, doc, func(e storage.Evidence) error { return errors.New(e.Reason) })
			if err != nil {
				w.fail("%s: a change of %x is in quarantine: %v", d.name, doc[:2], err)
			}
		}
	}
}

// forgiveTwins takes out what twins have put in quarantine: it is issued again, and the
// values, which are equal, have it.
func (w *world) forgiveTwins() {
	if !w.clones {
		return
	}
	out := map[id.Hash]bool{}
	for _, n := range w.nodes {
		for _, doc := range w.docs {
			g, err := fold.Graph(ctx, n.gate, doc)
			if err != nil {
				w.fail("%s: %v", n.name, err)
				return
			}
			for node := range g.Nodes() {
				if h := g.Hash(node); !g.Has(h) {
					out[h] = true
				}
			}
		}
	}
	w.kept = slices.DeleteFunc(w.kept, func(k kept) bool { return out[k.hash] })
}

// derived: what a store keeps beside the journal agrees with it.
func (w *world) derived() {
	for _, n := range w.nodes {
		for _, doc := range w.docs {
			if err := Derived(n.gate, doc); err != nil && !w.clones {
				w.fail("%s: document %x: %v", n.name, doc[:2], err)
			}
		}
	}
}

// Derived says in what something that a store keeps of a document, and that follows
// from its journal, does not agree with it: its heads.
func Derived(s Store, doc id.Document) error {
	info, err := s.Document(ctx, doc)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	g, err := fold.Graph(ctx, s, doc)
	if err != nil {
		return err
	}
	if !slices.Equal(info.Heads, g.Heads()) {
		return fmt.Errorf("heads %s are kept, and the journal has %s", short(info.Heads), short(g.Heads()))
	}
	return nil
}

// alone: what peers know outlives them. They start without a network, and nothing is
// in their outboxes.
func (w *world) alone() {
	if w.err != nil {
		return
	}
	for _, d := range w.devices {
		d.offline = true
	}
	for _, n := range w.nodes {
		if n.up {
			n.kill()
		}
	}
	for _, d := range w.devices {
		d.start()
	}
	w.pass(w.now.Add(100 * time.Millisecond))
	for _, d := range w.devices {
		if err := d.delivered(); err != nil && w.err == nil {
			w.fail("after a restart, without a network: %v", err)
		}
	}
}

// left: a relay that nobody is connected to holds nothing.
func (w *world) left() {
	if w.err != nil {
		return
	}
	for _, d := range w.devices {
		d.online()
	}
	w.pass(w.now.Add(8 * time.Second))
	for _, d := range w.devices {
		d.wanted = false
		d.kill()
		d.wanted = false
	}
	w.pass(w.now.Add(3 * time.Second))
	for _, s := range w.stations {
		if !s.up {
			continue
		}
		if awake, asleep := s.r.Documents(); awake+asleep > 0 {
			w.fail("%s has %d documents open, and nobody is connected", s.name, awake+asleep)
		}
	}
}
