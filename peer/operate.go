package peer

import (
	"fmt"
	"slices"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/storage"
)

// operate carries out operations of ours: all of a round become durable together,
// but that a plan looks at the records of what was done before it.
func (d *desk) operate(ps []parcel) {
	var jobs []*doing
	for _, p := range ps {
		in, ok := p.in.(*doing)
		if !ok || !in.take() {
			continue
		}
		if in.plan != nil {
			d.together(jobs)
			jobs = nil
		}
		jobs = append(jobs, in)
	}
	d.together(jobs)
}

// together carries out jobs that become durable in one transaction. Only the first
// may have a plan.
func (d *desk) together(jobs []*doing) {
	if len(jobs) == 0 {
		return
	}
	lease, err := d.p.cache.Acquire(d.p.io, d.doc)
	if err != nil {
		for _, in := range jobs {
			in.reply <- err
		}
		return
	}
	defer lease.Release()
	doc := lease.Document()
	jobs = append(jobs, d.marking(doc)...)
	var made []*doing
	var changes []*chunk.Change
	var ends []int // by job: so many of the changes are its own and of those before
	for i, in := range jobs {
		if in.marks {
			if len(made) == 0 {
				break // it only goes with what somebody does
			}
			d.schemas.marked = true
		}
		if in.plan != nil {
			if err := in.plan(d, doc, in); err != nil {
				in.reply <- err
				continue
			}
		}
		now := milliseconds(d.p.o.Now())
		all, err := d.carryOut(in, doc, now)
		if err == nil {
			c := all[len(all)-1]
			in.made = storage.Operation{Doc: d.doc, Hash: c.Hash, Time: now, Record: recordOf(c, in.ops, in.undo)}
			err = d.stageOwn(all, kept{now, in.made.Record})
			ends = append(ends, len(changes)+len(all))
		} else if !doc.Closed() && len(all) == 0 {
			in.reply <- err
			continue
		}
		made = append(made, in)
		changes = append(changes, all...)
		if err != nil {
			d.settle(d.r.commit(nil, err))
			d.abandon(append(made, jobs[i+1:]...), err)
			return
		}
	}
	if len(made) == 0 {
		return
	}
	d.projectOwn(doc, changes)
	rows, err := d.store()
	if err != nil {
		d.abandon(made, err)
		return
	}
	for i, in := range made {
		in.made.Row = rows[ends[i]-1]
		d.pace.start(in.made.Hash, in.made.Time)
		in.reply <- nil
	}
}

// carryOut does a job in the core. The last change is what was asked for, and those before
// it are the foundings that it took; with an error, they are what the core may have of the job.
func (d *desk) carryOut(in *doing, doc *crdt.Document, now time.Time) ([]*chunk.Change, error) {
	if in.away != nil {
		c, err := doc.Retire(now, in.away.places, in.away.written)
		if err != nil {
			return nil, err
		}
		return []*chunk.Change{c}, nil
	}
	all, err := d.foundings(doc, in.ops)
	if err != nil {
		return nil, err
	}
	if err := doc.Apply(all); err != nil {
		return all, err
	}
	c, err := doc.Do(now, in.ops...)
	if err != nil {
		return all, err
	}
	return append(all, c), nil
}

// foundings are the changes that begin the collections of operations, where those lack.
func (d *desk) foundings(doc *crdt.Document, ops []crdt.Operation) ([]*chunk.Change, error) {
	if len(doc.Heads()) == 0 {
		// Whoever has the document at all has its first change, and with it the
		// collections that it makes.
		return nil, nil
	}
	all, err := doc.Foundings(ops...)
	return slices.DeleteFunc(all, func(f *chunk.Change) bool {
		// One that the document has and does not show was taken out, by others or with
		// twins; one whose actor has another change would be a twin itself.
		_, taken := d.r.graph.Find(f.Actor, f.StartOp)
		return taken || d.r.graph.Contains(f.Hash)
	}), err
}

// stageOwn takes in what one job has made: foundings, and the change that has the record.
func (d *desk) stageOwn(all []*chunk.Change, m kept) error {
	for i, c := range all {
		of := m
		if i < len(all)-1 {
			of.ops = nil
			d.founded = append(d.founded, graph.MetaOf(c))
		}
		if err := d.r.stageLocal(c, of); err != nil {
			return fmt.Errorf("our own change was refused: %w", err)
		}
	}
	return nil
}

// wakeFounded takes in what waited for foundings that were made here. They are the
// same whoever makes them, so a change of others may have come before one of them did.
func (d *desk) wakeFounded() {
	founded := d.founded
	d.founded = nil
	if d.r.orphans.Len() == 0 {
		return
	}
	founded = slices.DeleteFunc(founded, func(m graph.Meta) bool { return !d.r.graph.Contains(m.Hash) }) // not stored
	if len(founded) > 0 {
		d.r.intake.Wake(founded)
		d.store() // whose failure its senders are told of
	}
}

// abandon throws the core document away: it has what is not in the journal. The
// next to need it has it made again, under a new actor.
func (d *desk) abandon(jobs []*doing, err error) {
	d.p.cache.Forget(d.doc)
	for _, in := range jobs {
		in.reply <- err
	}
}
