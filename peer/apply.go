package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// The way of a foreign change into the core. Its append has marked it as
// *applying*. Before the core gets it, the mark is noted as begun, by a write that
// survives the death of this process; after the core has it, the mark is taken
// away at once. So what a process leaves behind that died in the core can be told
// from what it had only stored, and the start that follows acts on it
// (recover.go).
//
// While the core document is not open, its changes wait, marked and acknowledged;
// whoever opens it sends them the same way.

// errNotOpen is how the opener says that a document is not open already.
var errNotOpen = errors.New("not open")

type onlyIfOpen struct{}

// openCore is the cache's opener. It runs on the desk's goroutine, which is the
// only one to acquire its document.
func (p *Peer) openCore(ctx context.Context, doc id.Document) (*crdt.Document, error) {
	if ctx.Value(onlyIfOpen{}) != nil {
		return nil, errNotOpen
	}
	d := p.desks.get(doc)
	if d == nil {
		return nil, errors.New("it is in use by nobody")
	}
	return d.openCore(ctx, false)
}

// openCore makes the core document under a fresh actor. singly has the core get
// each marked change by itself, each noted as begun alone. A change that another process
// is giving to its core just then is waited for.
func (d *desk) openCore(ctx context.Context, singly bool) (*crdt.Document, error) {
	for until := time.Now().Add(d.p.o.elsewherePatience); ; {
		doc, culprit, err := d.buildCore(ctx, singly)
		if errors.Is(err, storage.ErrApplying) && time.Now().Before(until) {
			select {
			case <-time.After(elsewherePoll):
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		if culprit == nil {
			if err == nil {
				d.sayOthers(doc)
			}
			return doc, err
		}
		if !singly && len(culprit) > 1 {
			singly = true
			continue
		}
		if err := d.exclude(ctx, culprit[0], reasonRefused); err != nil {
			return nil, err
		}
		if err := d.reload(ctx); err != nil {
			return nil, err
		}
	}
}

// buildCore is one attempt. culprit are changes that the core has refused, one of
// which is at fault.
func (d *desk) buildCore(ctx context.Context, singly bool) (_ *crdt.Document, culprit []journaled, err error) {
	marks, err := d.p.store.Applying(ctx, d.doc)
	if err != nil {
		return nil, nil, err
	}
	bulk, rest := d.split(marks)
	var chunks [][]byte
	err = d.bodies(ctx, bulk, func(body []byte) bool {
		chunks = append(chunks, append([]byte(nil), body...))
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	doc, err := crdt.Load(d.p.o.mint(d.p.secret, d.doc), chunks...)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil || culprit != nil {
			doc.Close()
		}
	}()
	var waiting []journaled
	err = d.changes(ctx, rest, func(n int, c *chunk.Change) error {
		waiting = append(waiting, journaled{d.r.graph.Row(n), c})
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for len(waiting) > 0 {
		step := min(len(waiting), maxStep)
		if singly {
			step = 1
		}
		now := waiting[:step]
		waiting = waiting[step:]
		err := d.applyStep(ctx, doc, now, func(rows []int64, _ []*chunk.Change) error { return d.p.store.EndApplying(ctx, rows) })
		if errors.Is(err, crdt.ErrBroken) {
			return nil, now, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if heads := doc.Heads(); !sameHashes(heads, d.r.graph.Heads()) {
		return nil, nil, fmt.Errorf("its changes lead to %d heads that are not those of the journal", len(heads))
	}
	return doc, nil, nil
}

// split divides what stands into what can be loaded at once and what is to be
// applied under its mark: the changes that have one, and what builds on them.
func (d *desk) split(marks []storage.Mark) (bulk, rest []int) {
	nodes := standingNodes(d.r.graph)
	if len(marks) == 0 {
		return nodes, nil
	}
	tainted := make(map[int]bool, len(marks))
	for _, m := range marks {
		if n, ok := d.r.graph.Lookup(m.Hash); ok {
			tainted[n] = true
		}
	}
	for _, n := range nodes {
		for p := range d.r.graph.Parents(n) {
			if tainted[p] {
				tainted[n] = true
				break
			}
		}
		if tainted[n] {
			rest = append(rest, n)
		} else {
			bulk = append(bulk, n)
		}
	}
	return bulk, rest
}

// maxStep is how many changes go to the core under one begun mark: should one of
// them end the process, so many are tried one by one at the next start.
const maxStep = 1024

// apply gives changes to the core under their marks.
func (d *desk) apply(ctx context.Context, doc *crdt.Document, changes []journaled) error {
	for len(changes) > 0 {
		n := min(len(changes), maxStep)
		end := func(rows []int64, list []*chunk.Change) error {
			return d.endApplying(ctx, doc, rows, list, n == len(changes))
		}
		if err := d.applyStep(ctx, doc, changes[:n], end); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// applyStep gives the core some changes. end takes their marks away.
func (d *desk) applyStep(ctx context.Context, doc *crdt.Document, changes []journaled, end func([]int64, []*chunk.Change) error) error {
	rows := make([]int64, len(changes))
	list := make([]*chunk.Change, len(changes))
	for i, j := range changes {
		rows[i], list[i] = j.row, j.change
	}
	d.p.o.onApply(applyStored, list)
	if err := d.p.store.BeginApplying(ctx, rows); err != nil {
		return err
	}
	d.p.o.onApply(applyBegun, list)
	if err := doc.Apply(list); err != nil {
		return err
	}
	d.p.o.onApply(applyDone, list)
	if err := end(rows, list); err != nil {
		d.log.Warn("marks not cleared", "err", err)
		d.applied = append(d.applied, rows...)
		d.p.keeper.note(d.doc)
	}
	return nil
}

// endLate takes marks away that could not be taken away at once, if nothing that is
// stored does. Should the process be killed with one there, whose change was alone with
// the core, the next would put that change in quarantine (recover), and it is innocent.
func (d *desk) endLate() {
	if len(d.applied) == 0 {
		return
	}
	if err := d.p.store.EndApplying(d.p.io, d.applied); err != nil {
		d.log.Warn("marks not cleared", "err", err)
		d.p.keeper.note(d.doc)
		return
	}
	d.applied = nil
}

// applyFresh gives the core what has just become durable, if it is open, or the tables
// are to show it.
func (d *desk) applyFresh(fresh []journaled) {
	ctx := d.p.io
	if d.p.tables.Load() == nil {
		ctx = context.WithValue(ctx, onlyIfOpen{}, true)
	}
	lease, err := d.p.cache.Acquire(ctx, d.doc)
	if err != nil {
		if !errors.Is(err, errNotOpen) {
			d.log.Warn("changes not applied yet", "err", err)
		}
		return
	}
	defer lease.Release()
	if err := d.apply(d.p.io, lease.Document(), fresh); err != nil {
		// Whoever needs the document next opens it anew, and finds out then.
		d.log.Warn("changes not applied yet", "err", err)
		d.p.cache.Forget(d.doc)
		d.shown.known = false
		return
	}
	d.sayOthers(lease.Document())
}

// exclude puts a change of the journal in quarantine.
func (d *desk) exclude(ctx context.Context, j journaled, reason string) error {
	d.log.Error("change put in quarantine", "hash", j.change.Hash, "reason", reason)
	_, err := d.p.store.Append(ctx, storage.Batch{
		Quarantine: []storage.Evidence{{Doc: d.doc, Hash: j.change.Hash, Reason: reason}},
		Applied:    []int64{j.row},
	})
	return err
}

// keepEvidence notes what twins have put in quarantine. The journal has the bodies.
func (d *desk) keepEvidence(rows []int64) {
	wanted := make(map[int64]struct{}, len(rows))
	for _, row := range rows {
		wanted[row] = struct{}{}
	}
	var b storage.Batch
	for n := range d.r.graph.Nodes() {
		if _, ok := wanted[d.r.graph.Row(n)]; ok {
			b.Quarantine = append(b.Quarantine, storage.Evidence{Doc: d.doc, Hash: d.r.graph.Hash(n), Reason: reasonTwin})
		}
	}
	if _, err := d.p.store.Append(d.p.io, b); err != nil {
		d.log.Error("evidence of twins not kept", "err", err)
	}
}

// reload makes the replica again after something was excluded, and takes its
// sessions over. Nothing may be staged.
func (d *desk) reload(ctx context.Context) error {
	old := d.r
	if err := d.load(ctx); err != nil {
		return err
	}
	for _, m := range old.order {
		in := enter{conn: m.conn, peer: m.peer, remote: m.remote, saved: m.saved, begin: m.begin, met: m.session != nil, anew: m.session != nil}
		if m.session != nil {
			in.saved = m.session.Save()
		}
		if m.barred == nil {
			d.r.take(in)
		}
	}
	d.r.grown = true
	return nil
}
