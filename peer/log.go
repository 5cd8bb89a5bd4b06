package peer

import (
	"context"
	"fmt"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/storage"
)

// LogEntry is a change of a document as people look at it.
type LogEntry struct {
	crdt.Entry
	// Receipt is that of the operations if they were done in this store, in which
	// case its Sequence is not 0.
	Receipt Receipt
	// Progress is where the change is beside this store, whoever made it.
	Progress Progress
	// Ours says that this device made it: this store, or a copy of it.
	Ours bool
}

// Log lists all changes with what is known of where they are, dependencies first. The
// foundings of collections (crdt.Founding) are among them, by nobody and without a time.
func (d *Document) Log(ctx context.Context) ([]LogEntry, error) {
	receipts := map[id.Hash]Receipt{}
	err := d.p.store.Operations(ctx, d.doc, 0, func(o storage.Operation) error {
		r, err := d.p.receipt(o)
		if err != nil {
			d.p.o.Log.Warn("operation left out", "doc", d.doc.String(), "sequence", o.Row, "err", err)
			return nil
		}
		receipts[o.Hash] = r
		return nil
	})
	var log []LogEntry
	if err == nil {
		err = d.p.ask(ctx, d.doc, func(desk *desk) error {
			ends, err := desk.ends(ctx)
			if err != nil {
				return err
			}
			g, dev := desk.r.graph, desk.again.dev
			followed := followedFrom(g, dev, 0)
			return desk.changes(ctx, standingNodes(g), func(n int, c *chunk.Change) error {
				log = append(log, LogEntry{
					Entry:    crdt.History([]*chunk.Change{c})[0],
					Receipt:  receipts[c.Hash],
					Progress: desk.progress(c.Hash, ends, followed),
					Ours:     dev.wrote(c.Actor),
				})
				return nil
			})
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", d.doc, err)
	}
	return log, nil
}
