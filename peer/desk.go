package peer

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/storage"
)

// desk is what lies around one replica: an inbox, a goroutine while there is something
// in it, the store, the core document and the connections that the replica's effects
// are for. It is there while its document is in use, and a while longer.
//
// A round takes all that waits in the inbox: first what others have sent, which
// becomes durable in one transaction, visible to the sessions, and then goes to
// the core if that is open; then our own operations, which go to the core, become
// durable in one transaction and then visible. So callers that come together
// share an fsync, and nobody sees what is not durable.
type desk struct {
	// Static after construction.
	p     *Peer
	doc   id.Document
	log   *slog.Logger
	space *semaphore.Weighted // bytes that may wait in the inbox
	done  chan struct{}       // closed when the desk has ended

	mu      sync.Mutex
	inbox   []parcel
	running bool // a goroutine takes from the inbox
	closed  bool

	turn uint64 // when it became idle; guarded by desks.mu

	// Owned by the goroutine.
	r       *replica
	again   *again // of r
	conns   map[connID]*conn
	lastRow int64        // rows of this document up to here are in the graph, or our own
	applied []int64      // rows that are in the core and whose marks could not be taken away
	held    int          // rows of the journal that are left out
	broken  error        // why the document could not be opened
	unsaved []saveState  // what the store did not take, one for each remote
	over    bool         // it ends as soon as nothing waits
	founded []graph.Meta // foundings of this round, which others' changes may wait for
	sent    rowSet       // has a lock of its own
	pace    pace

	compared comparison

	shown     showing
	remade    bool  // what stands is other than what the tables show
	journaled int64 // the last row that we have put into the journal
	line      line
	schemas   schemas
}

// parcel is an input with the bytes of inbox space that it holds.
type parcel struct {
	in   any
	cost int64
}

// The inputs of a desk beside those of its replica.
type (
	// attach brings a connection that carries the document.
	attach struct{ c *conn }
	// renew has a connection's session begin anew.
	renew struct{ c *conn }
	// look says that the journal may have rows of another process.
	look struct{}
	// park asks the desk to end if it is idle.
	park struct{}
	// finish has it end when it has done what waits.
	finish struct{}
	// doing are operations of ours.
	doing struct {
		claim
		ops   []crdt.Operation
		plan  plan              // says what ops are when their turn has come, unless nil
		away  *retiring         // of a settlement: what to do in place of ops
		undo  *undoNote         // of an undo
		marks bool              // it leaves the schema's mark
		made  storage.Operation // what became of them
	}
	// reading looks at the document, or at the replica alone.
	reading struct {
		claim
		core    func(*crdt.Document) error
		replica func(*desk) error
	}
	// importing takes in changes from a file.
	importing struct {
		claim
		changes []*chunk.Change
		added   int
	}
)

// claim is how a caller waits for the desk. Who comes first decides: the desk
// takes the job, or the caller, whose context has ended, gives it up.
type claim struct {
	taken atomic.Bool
	reply chan error // receives once, if the desk has taken the job
}

func (c *claim) wait(ctx context.Context) error {
	select {
	case err := <-c.reply:
		return err
	case <-ctx.Done():
		if c.taken.CompareAndSwap(false, true) {
			return context.Cause(ctx)
		}
		return <-c.reply // it is being done, and that is the truth
	}
}

func (c *claim) take() bool { return c.taken.CompareAndSwap(false, true) }

// put queues an input. It reports false if the desk has closed.
func (d *desk) put(p parcel) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.inbox = append(d.inbox, p)
	if !d.running {
		d.running = true
		d.p.desks.spawn(d.run)
	}
	return true
}

// collect takes all that waits. It returns none when nothing does, and the goroutine
// ends.
func (d *desk) collect() []parcel {
	d.mu.Lock()
	defer d.mu.Unlock()
	ps := d.inbox
	d.inbox = nil
	d.running = len(ps) > 0
	return ps
}

// run drives the replica, round by round, until nothing waits.
func (d *desk) run() {
	if d.r == nil && d.broken == nil {
		if d.broken = d.load(d.p.io); d.broken == nil {
			d.seatAll()
			d.settle(d.r.commit(nil, nil))
		} else {
			d.log.Error("document not opened", "err", d.broken)
		}
	}
	for ps := d.collect(); len(ps) > 0; ps = d.collect() {
		d.over = d.over || slices.ContainsFunc(ps, func(p parcel) bool { _, ok := p.in.(finish); return ok })
		over := true
		if d.broken != nil {
			d.turnAway(ps)
		} else {
			over = d.round(ps) || d.over
		}
		for _, p := range ps {
			d.space.Release(p.cost)
		}
		if over && d.shut() {
			d.end()
			return
		}
	}
}

// shut closes the inbox if it is empty.
func (d *desk) shut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = len(d.inbox) == 0
	return d.closed
}

// end saves what the sessions have reached and gives the memory back.
func (d *desk) end() {
	if d.r != nil {
		for len(d.r.order) > 0 {
			d.r.take(leave{d.r.order[0].conn})
		}
		d.perform(d.r.effects())
	}
	d.p.cache.Forget(d.doc)
	d.p.desks.ended(d)
}

// seatAll enters the connections that carry the document.
func (d *desk) seatAll() {
	for _, c := range d.p.connections() {
		d.seat(c)
	}
}

// seat enters a connection, unless it is there or does not carry the document.
func (d *desk) seat(c *conn) {
	if d.r.members[c.id] != nil {
		return
	}
	in, ok := c.seat(d.doc)
	if !ok {
		return
	}
	if in.remote != "" {
		saved, err := d.p.store.SyncState(d.p.io, d.doc, in.remote)
		if err != nil {
			d.log.Warn("saved sync state not read", "err", err)
		}
		in.saved = saved
	}
	d.conns[c.id] = c
	d.r.take(in)
}

// round works through inputs. It reports whether the desk was asked to park and
// may.
func (d *desk) round(ps []parcel) (over bool) {
	parking := false
	if slices.ContainsFunc(ps, func(p parcel) bool { _, ok := p.in.(look); return ok }) {
		if err := d.lookElsewhere(); err != nil && d.p.io.Err() == nil {
			d.log.Error("the tables do not show the document as it is", "err", err)
		}
	}
	var imports []*importing
	for _, p := range ps {
		switch in := p.in.(type) {
		case attach:
			d.seat(in.c)
		case look:
			d.seatAll() // those that came while the document was not known
		case renew:
			d.r.take(leave{in.c.id})
			in.c.forget(d.doc)
			d.seat(in.c)
		case park:
			parking = true
		case *importing:
			if in.take() {
				before := len(d.r.intake.Staged())
				d.r.take(imported{in.changes})
				in.added = len(d.r.intake.Staged()) - before
				imports = append(imports, in)
			}
		case save:
			for _, e := range d.unsaved {
				d.saveState(e)
			}
			d.endLate()
			d.r.take(in)
		case message, unavailable, written, waited, granted, leave:
			d.r.take(in)
		}
	}
	_, err := d.store()
	d.issueAgain()
	for _, in := range imports {
		in.reply <- err
	}
	d.operate(ps)
	d.wakeFounded()
	d.read(ps)
	d.compare(ps)
	for _, p := range ps {
		if in, ok := p.in.(leave); ok {
			delete(d.conns, in.conn)
		}
	}
	if d.r.grown { // the document was opened without a change that it refused
		d.settle(d.r.commit(nil, nil))
	}
	if parking {
		// What the store does not take now would be lost with the desk.
		d.r.take(save{})
		d.perform(d.r.effects())
		d.endLate()
	}
	idle := d.r.idle() && len(d.unsaved) == 0 && len(d.applied) == 0
	d.p.desks.rested(d, idle)
	return parking && idle
}

// store ends a round of the replica: what is staged becomes durable.
func (d *desk) store() ([]int64, error) {
	b, ok := d.r.batch()
	if !ok {
		d.settle(d.r.commit(nil, nil))
		return nil, nil
	}
	b.Applied = d.applied
	d.located()
	shown := d.shown.next
	if d.shown.next = nil; shown != nil {
		b.Projections = []*storage.Projection{shown}
	}
	rows, err := d.p.store.Append(d.p.io, b)
	if err != nil {
		d.p.tally.commitFailures.Add(1)
	} else {
		d.journaled = rows[len(rows)-1]
		d.stored(shown, rows)
		for i := range b.Entries {
			if o := b.Entries[i].Origin; o != originLocal && o != originImport && o != originFounding {
				d.p.tally.changesIn.Add(1)
			}
		}
		d.applied = nil
		if d.p.learn(d.doc) {
			d.seatAll() // those that came while it was not
		}
	}
	d.settle(d.r.commit(rows, err))
	return rows, err
}

// settle does what a round of the replica asks for, and brings the core up to
// what is now durable.
func (d *desk) settle(res result) {
	d.perform(d.r.effects())
	if res.rebuild {
		d.p.cache.Forget(d.doc)
		d.remake()
	} else if len(res.fresh) > 0 {
		d.applyFresh(res.fresh)
	}
	if res.rebuild || res.grown {
		d.p.notify(d.doc)
		if len(d.conns) > 0 {
			d.p.rests.stir(d.doc, d.p.o.Now())
		}
	}
}

// issueAgain issues again what twins have put in quarantine of our changes. What
// fails is tried again in the next round.
func (d *desk) issueAgain() {
	for d.r.contested {
		d.r.contested = false
		more, err := d.again.step()
		if err != nil {
			d.log.Error("changes in quarantine not issued again", "err", err)
			d.r.contested = true
		}
		if len(d.r.intake.Staged()) > 0 {
			if _, storeErr := d.store(); storeErr != nil {
				err = storeErr // it is in the log
				d.again.forget()
				d.again.done()
				d.r.contested = true
			} else if d.r.contested {
				d.again.forget()
			}
		} else {
			d.perform(d.r.effects())
		}
		if err != nil {
			return
		}
		d.r.contested = d.r.contested || more
	}
	if n, left := d.again.done(); n > 0 {
		d.log.Warn("changes of ours that twins had put in quarantine were issued again", "changes", n, "left out", left)
	}
}

// perform does effects, in order.
func (d *desk) perform(effects []effect) {
	for _, e := range effects {
		d.do(e)
	}
}

func (d *desk) do(e effect) {
	switch e := e.(type) {
	case sendSync:
		c := d.conns[e.conn]
		c.count.changesOut.Add(int64(len(e.rows)))
		then := func() {
			if len(e.rows) > 0 {
				d.sent.add(e.rows)
				d.p.moved.ring(d.doc)
			}
			if e.more {
				d.put(parcel{in: written{conn: e.conn}})
			}
		}
		c.sendThen(&wire.Sync{Route: c.route(), Request: e.request, Document: d.doc, Data: e.data}, then)
	case sendUnavailable:
		c := d.conns[e.conn]
		c.send(&wire.Unavailable{Route: c.route(), Document: d.doc})
	case waitSpare:
		d.p.after(sparePatience, func() { d.p.desks.tell(d.doc, waited(e)) })
	case sendRefusal:
		d.p.tally.refused.Add(1)
		d.conns[e.conn].sendRefusal(d.doc, e.hash, e.err)
	case hangUp:
		d.conns[e.conn].refuse(e.code, e.err)
	case stands:
		d.conns[e.conn].stands(d.doc, e.now, e.err)
		if e.now == standingSynced {
			d.p.rests.stir(d.doc, d.p.o.Now())
		}
	case acknowledged:
		if e.all {
			d.sent.clear()
		}
		d.pace.arrived(d.r.graph, e.heads, d.p.o.Now(), d.p.tally.reconciled)
		d.p.keeper.note(d.doc)
		d.p.moved.ring(d.doc)
	case saveState:
		d.saveState(e)
	case keepEvidence:
		d.keepEvidence(e.rows)
	case diverged:
		d.p.tally.twins.Add(int64(e.twins))
	case say:
		d.log.Warn(e.text, "hash", e.hash, "err", e.err)
	}
}

// saveState keeps what is shared with a remote. What the store does not take it is
// given again, a little later: it says what is safe, and the next start asks for it.
func (d *desk) saveState(e saveState) {
	d.unsaved = slices.DeleteFunc(slices.Clone(d.unsaved), func(o saveState) bool { return o.remote == e.remote })
	if err := d.p.store.SaveSyncState(d.p.io, d.doc, e.remote, e.state); err != nil {
		d.log.Warn("sync state not saved", "err", err)
		d.unsaved = append(d.unsaved, e)
		d.p.keeper.note(d.doc)
	}
}

// turnAway answers for a document whose journal cannot be read. Other documents
// are not affected. The desk ends after it, so that whoever comes next tries again.
func (d *desk) turnAway(ps []parcel) {
	for _, p := range ps {
		switch in := p.in.(type) {
		case attach:
			d.conns[in.c.id] = in.c
			in.c.stands(d.doc, standingBarred, &Fault{Class: ClassInternal, Err: d.broken})
		case renew:
			in.c.stands(d.doc, standingBarred, &Fault{Class: ClassInternal, Err: d.broken})
		case message:
			if c := d.conns[in.conn]; c != nil && in.request {
				c.send(&wire.Unavailable{Route: c.route(), Document: d.doc})
			}
		}
	}
	d.refuseAll(ps, d.broken)
}

// refuseAll answers every caller with an error.
func (d *desk) refuseAll(ps []parcel, err error) {
	for _, p := range ps {
		var c *claim
		switch in := p.in.(type) {
		case *doing:
			c = &in.claim
		case *reading:
			c = &in.claim
		case *importing:
			c = &in.claim
		}
		if c != nil && c.take() {
			c.reply <- err
		}
	}
}

// read answers those who look at the document.
func (d *desk) read(ps []parcel) {
	for _, p := range ps {
		in, ok := p.in.(*reading)
		if !ok || !in.take() {
			continue
		}
		if in.replica != nil {
			in.reply <- in.replica(d)
			continue
		}
		lease, err := d.p.cache.Acquire(d.p.io, d.doc)
		if err == nil {
			err = in.core(lease.Document())
			lease.Release()
		}
		in.reply <- err
	}
}

func newClaim() claim { return claim{reply: make(chan error, 1)} }
