package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// Why a change is in quarantine, as the store keeps it. Changes of the first kind
// are in the graph, whose rule decides about them; the others are not.
const (
	reasonTwin    = "twin: its actor used the sequence number twice, or it builds on such a change"
	reasonCrash   = "the process ended while it was being applied"
	reasonRefused = "the document's core refused it"
	reasonCheck   = "it does not fit the document in which it came to stand"
)

// load makes the replica from the journal, without reading a body. What is in
// quarantine and what builds on it is left out.
func (d *desk) load(ctx context.Context) error {
	for {
		l, err := d.loadGraph(ctx)
		if err != nil {
			return err
		}
		g := l.graph
		d.r = newReplica(d.doc, g, storage.BodiesOf(ctx, d.p.store, d.doc))
		d.again = newAgain(d.r, newDevice(d.p.secret, d.doc))
		for _, h := range l.refused {
			d.r.orphans.Refuse(h)
		}
		d.held = len(l.refused)
		if err := d.holdBack(ctx, l.waiting()); err != nil {
			return err
		}
		if g.Nodes() == g.Len() {
			return nil
		}
		rows, err := d.unnoted(ctx)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			d.keepEvidence(rows)
		}
		// Twins have chosen what stands, and may have chosen what was never
		// checked in full because it was evidence when it came.
		bad, err := d.verify(ctx, g)
		if err != nil || len(bad) == 0 {
			return err
		}
		for _, n := range bad {
			if err := d.exclude(ctx, journaled{row: n.row, change: n.change}, reasonCheck); err != nil {
				return err
			}
		}
	}
}

// unnoted lists the rows that twins have put in quarantine and of which that is not
// kept: the process died before it came to it.
func (d *desk) unnoted(ctx context.Context) (rows []int64, err error) {
	noted := map[id.Hash]bool{}
	err = d.p.store.Quarantined(ctx, d.doc, func(e storage.Evidence) error {
		noted[e.Hash] = true
		return nil
	})
	g := d.r.graph
	for n := range g.Nodes() {
		if h := g.Hash(n); !g.Has(h) && !noted[h] {
			rows = append(rows, g.Row(n))
		}
	}
	return rows, err
}

// loadGraph reads the journal.
func (d *desk) loadGraph(ctx context.Context) (*loading, error) {
	l := newLoading()
	err := d.p.store.Quarantined(ctx, d.doc, func(e storage.Evidence) error {
		if e.Reason != reasonTwin {
			l.exclude(e.Hash)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	stuck, err := d.stuckElsewhere(ctx, func(h id.Hash) bool { return l.excluded[h] })
	if err != nil {
		return nil, err
	}
	for _, h := range stuck {
		l.exclude(h)
	}
	err = d.p.store.Journal(ctx, d.doc, 0, func(row int64, hash id.Hash, head []byte) error {
		d.lastRow = row
		if l.excluded[hash] {
			return nil
		}
		m, err := graph.DecodeMeta(hash, row, head)
		if err != nil {
			return err
		}
		return l.add(m)
	})
	if err != nil {
		return nil, err
	}
	l.graph.Publish(nil)
	return l, nil
}

const (
	// elsewherePatience is how long another process may take over a change that it
	// has begun to apply: that is done in microseconds. Past it the change is left
	// aside, for it may have ended that process.
	elsewherePatience = 2 * time.Second
	elsewherePoll     = 5 * time.Millisecond
)

// stuckElsewhere lists the changes that another process began to apply and does
// not finish, those aside that are out already. They are left aside until the
// document is next loaded; if they ended that process, the next that opens the
// file alone puts them in quarantine.
func (d *desk) stuckElsewhere(ctx context.Context, out func(id.Hash) bool) (stuck []id.Hash, err error) {
	for until := time.Now().Add(d.p.o.elsewherePatience); ; {
		marks, err := d.p.store.Applying(ctx, d.doc)
		if err != nil {
			return nil, err
		}
		stuck = stuck[:0]
		for _, m := range marks {
			if (m.State == storage.MarkElsewhere || m.State == storage.MarkInterrupted) && !out(m.Hash) {
				stuck = append(stuck, m.Hash)
			}
		}
		if len(stuck) == 0 {
			return nil, nil
		}
		if time.Now().After(until) {
			d.log.Warn("changes left aside: another process began to apply them and does not finish", "changes", len(stuck), "hash", stuck[0])
			return stuck, nil
		}
		select {
		case <-time.After(elsewherePoll):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// verifyTogether is how many changes are checked before their operations are let
// go of.
const verifyTogether = 4096

// verify checks all that stands in full, in a graph of its own, and returns what
// fails.
func (d *desk) verify(ctx context.Context, g *graph.Graph) (bad []journaled, err error) {
	fresh := graph.New()
	checker := check.New(fresh, storage.BodiesOf(ctx, d.p.store, d.doc))
	err = d.changes(ctx, standingNodes(g), func(n int, c *chunk.Change) error {
		if err := checker.Check(c); err != nil {
			if errors.Is(err, check.ErrSource) {
				return err
			}
			if _, missing := errors.AsType[*graph.MissingError](err); !missing {
				bad = append(bad, journaled{g.Row(n), c})
			}
			return nil // or it builds on one that failed
		}
		m := graph.MetaOf(c)
		m.Row = g.Row(n)
		if err := fresh.Add(m); err != nil {
			return err
		}
		checker.Added(c)
		if fresh.Unpublished() == verifyTogether {
			fresh.Publish(nil)
			checker.Settle()
		}
		return nil
	})
	return bad, err
}

// standingNodes lists the published nodes that stand, in topological order.
func standingNodes(g *graph.Graph) []int {
	nodes := make([]int, 0, g.Len())
	for n := range g.Nodes() {
		if g.Has(g.Hash(n)) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// changes calls fn with the decoded changes of nodes.
func (d *desk) changes(ctx context.Context, nodes []int, fn func(node int, c *chunk.Change) error) error {
	i := 0
	var failed error
	err := d.bodies(ctx, nodes, func(body []byte) bool {
		c, err := chunk.ParseChange(append([]byte(nil), body...))
		if err == nil && c.Hash != d.r.graph.Hash(nodes[i]) {
			err = fmt.Errorf("its hash is %s, not %s", c.Hash, d.r.graph.Hash(nodes[i]))
		}
		if err != nil {
			d.p.tally.rows.Add(1)
			failed = fmt.Errorf("journal row %d of %s: %w", d.r.graph.Row(nodes[i]), d.doc, err)
			return false
		}
		failed = fn(nodes[i], c)
		i++
		return failed == nil
	})
	return errors.Join(failed, err)
}

func (d *desk) bodies(ctx context.Context, nodes []int, yield func(body []byte) bool) error {
	rows := make([]int64, len(nodes))
	for i, n := range nodes {
		rows[i] = d.r.graph.Row(n)
	}
	return storage.BodiesOf(ctx, d.p.store, d.doc).Bodies(rows, yield)
}

// readElsewhere takes in what another process has stored.
func (d *desk) readElsewhere() {
	var in stored
	stuck, err := d.stuckElsewhere(d.p.io, func(h id.Hash) bool { return d.r.graph.Contains(h) || d.r.orphans.Refused(h) })
	for _, h := range stuck {
		d.r.orphans.Refuse(h)
	}
	last := d.lastRow
	if err == nil {
		err = d.p.store.Journal(d.p.io, d.doc, d.lastRow, func(row int64, hash id.Hash, head []byte) error {
			last = row
			if d.r.graph.Contains(hash) || d.r.orphans.Refused(hash) {
				return nil
			}
			m, err := graph.DecodeMeta(hash, row, head)
			if err != nil {
				return err
			}
			in.metas = append(in.metas, m)
			return nil
		})
	}
	if err == nil && len(in.metas) > 0 {
		err = d.takeElsewhere(in)
	}
	if err != nil {
		if !errors.Is(err, storage.ErrClosed) {
			d.log.Error("rows of another process not read", "err", err)
		}
		return
	}
	d.lastRow = last
}

// takeElsewhere brings replica and core up to changes of another process.
func (d *desk) takeElsewhere(in stored) error {
	rows := make([]int64, len(in.metas))
	for i, m := range in.metas {
		rows[i] = m.Row
	}
	err := storage.BodiesOf(d.p.io, d.p.store, d.doc).Bodies(rows, func(body []byte) bool {
		c, err := chunk.ParseChange(append([]byte(nil), body...))
		if err != nil {
			d.log.Error("change of another process cannot be read", "err", err)
			return false
		}
		in.changes = append(in.changes, c)
		return true
	})
	if err != nil {
		return err
	}
	if len(in.changes) < len(in.metas) {
		return fmt.Errorf("%d of %d changes of another process read", len(in.changes), len(in.metas))
	}
	nodes := d.r.graph.Nodes()
	d.r.take(in)
	if d.r.graph.Nodes() > nodes && d.r.graph.Len() == d.r.graph.Nodes() {
		var fresh []journaled
		for i, m := range in.metas {
			if d.r.graph.Has(m.Hash) {
				fresh = append(fresh, journaled{m.Row, in.changes[i]})
			}
		}
		d.applyFresh(fresh)
	} else if d.r.graph.Nodes() > nodes {
		d.p.cache.Forget(d.doc) // there are twins: made anew from what stands
	}
	if d.r.orphans.Len() > 0 {
		d.r.intake.Wake(in.metas)
	}
	return nil
}
