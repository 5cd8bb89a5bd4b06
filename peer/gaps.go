package peer

import (
	"context"
	"errors"
	"maps"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// A journal may have gaps: a change that was damaged is withdrawn (package
// peer/doctor), and comes again by sync, with a higher row than what builds on it. What
// builds on it is kept: it waits among the orphans, as if it had just come, so that
// sessions ask for what is missing.

// loading is a graph that is read from the journal, in whatever order the rows are.
type loading struct {
	graph    *graph.Graph
	excluded map[id.Hash]bool
	refused  []id.Hash                // the same, in order
	gaps     map[id.Hash][]graph.Meta // by a dep that is not there yet: what waits for it
}

func newLoading() *loading {
	return &loading{graph: graph.New(), excluded: map[id.Hash]bool{}, gaps: map[id.Hash][]graph.Meta{}}
}

// exclude leaves a change out, and what builds on it.
func (l *loading) exclude(h id.Hash) {
	l.excluded[h] = true
	l.refused = append(l.refused, h)
}

// add enters a change, and what waited for it.
func (l *loading) add(m graph.Meta) error {
	for todo := []graph.Meta{m}; len(todo) > 0; {
		m := todo[0]
		todo = todo[1:]
		err := l.graph.Add(m)
		if missing, ok := errors.AsType[*graph.MissingError](err); ok {
			if !slices.ContainsFunc(missing.Missing, func(h id.Hash) bool { return l.excluded[h] }) {
				l.gaps[missing.Missing[0]] = append(l.gaps[missing.Missing[0]], m)
				continue
			}
			l.exclude(m.Hash)
		} else if err != nil {
			return err
		}
		todo = append(todo, l.gaps[m.Hash]...)
		delete(l.gaps, m.Hash)
	}
	return nil
}

// waiting lists what waits still, by rows.
func (l *loading) waiting() []graph.Meta {
	all := slices.Concat(slices.Collect(maps.Values(l.gaps))...)
	slices.SortFunc(all, func(a, b graph.Meta) int { return int(a.Row - b.Row) })
	return all
}

// holdBack has stored changes wait for what they build on. Those that find no room,
// or cannot be read, are left out until the document is next loaded.
func (d *desk) holdBack(ctx context.Context, waiting []graph.Meta) error {
	if len(waiting) == 0 {
		return nil
	}
	d.log.Warn("changes wait for others that are missing in the journal; a remote that has them brings them", "changes", len(waiting), "hash", waiting[0].Hash)
	rows := make([]int64, len(waiting))
	for i := range waiting {
		rows[i] = waiting[i].Row
	}
	i := 0
	return storage.BodiesOf(ctx, d.p.store, d.doc).Bodies(rows, func(body []byte) bool {
		m := waiting[i]
		i++
		c, err := chunk.ParseChange(slices.Clone(body))
		if err != nil || c.Hash != m.Hash {
			d.p.tally.rows.Add(1)
			d.log.Error("a change that waits does not decode to its hash; see syncline doctor", "hash", m.Hash, "err", err)
			return true
		}
		// Only what is not in the journal at all is missing; the rest waits itself.
		d.r.orphans.Hold(c, graph.Sender{Name: originWaiting}, d.r.graph.Missing(m.Deps))
		return true
	})
}

// originWaiting is the sender of a change that is in the journal already, which knows
// better.
const originWaiting = "journal"
