package peer

import (
	"fmt"

	"syncline/crdt/chunk"
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
		c, err := in.carryOut(doc, now)
		if err == nil {
			in.made = storage.Operation{Doc: d.doc, Hash: c.Hash, Time: now, Record: recordOf(c, in.ops, in.undo)}
			if err = d.r.stageLocal(c, kept{now, in.made.Record}); err != nil {
				err = fmt.Errorf("our own change was refused: %w", err)
			}
		} else if !doc.Closed() {
			in.reply <- err
			continue
		}
		made = append(made, in)
		changes = append(changes, c)
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
		in.made.Row = rows[i]
		d.pace.start(in.made.Hash, in.made.Time)
		in.reply <- nil
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
