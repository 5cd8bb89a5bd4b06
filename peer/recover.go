package peer

import (
	"context"
	"fmt"

	"syncline/crdt/id"
	"syncline/storage"
)

// recover finishes what a process left that died while it was applying changes:
// one that was alone with the core is put in quarantine, with all that builds on
// it, and is never tried again by itself; of several, each is now tried alone, so
// that if one ends this process too, the next start knows which. What was stored
// and not begun is applied when its document is used.
func (p *Peer) recover(ctx context.Context) error {
	marks, err := p.store.Interrupted(ctx)
	if err != nil {
		return err
	}
	type attempt struct {
		doc id.Document
		by  int64
	}
	attempts := map[attempt][]storage.Mark{}
	var order []attempt // as they come, so that equal stores are treated alike
	var docs []id.Document
	for _, m := range marks {
		a := attempt{m.Doc, m.By}
		if attempts[a] == nil {
			order = append(order, a)
		}
		attempts[a] = append(attempts[a], m)
	}
	for _, a := range order {
		ms := attempts[a]
		if len(ms) == 1 {
			m := ms[0]
			p.o.Log.Error("change put in quarantine", "doc", m.Doc.String(), "hash", m.Hash, "reason", reasonCrash)
			_, err := p.store.Append(ctx, storage.Batch{
				Quarantine: []storage.Evidence{{Doc: m.Doc, Hash: m.Hash, Reason: reasonCrash}},
				Applied:    []int64{m.Row},
			})
			if err != nil {
				return err
			}
			continue
		}
		rows := make([]int64, len(ms))
		for i, m := range ms {
			rows[i] = m.Row
		}
		if err := p.store.ResetApplying(ctx, rows); err != nil {
			return err
		}
		docs = append(docs, a.doc)
	}
	for _, doc := range docs {
		p.o.Log.Warn("the last process ended while it applied changes; each is tried alone", "doc", doc.String())
		if err := p.trySingly(ctx, doc); err != nil {
			// The document cannot be opened; others can.
			p.o.Log.Error("document not recovered", "doc", doc.String(), "err", err)
		}
	}
	return nil
}

func (p *Peer) trySingly(ctx context.Context, doc id.Document) error {
	return p.ask(ctx, doc, func(d *desk) error {
		core, err := d.openCore(ctx, true)
		if err != nil {
			return fmt.Errorf("open document %s: %w", doc, err)
		}
		core.Close()
		return nil
	})
}
