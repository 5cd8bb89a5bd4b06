package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"syncline/crdt"
	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// HistoryOptions says which part of a history to list. The zero value is usable.
type HistoryOptions struct {
	// Before is the change behind which to begin: what HistoryPage.Next was; zero: with the last.
	Before id.Hash
	// Limit is how many changes to list; 0 means 50. More than 1,000 are not listed
	// at once, as each is read from the journal.
	Limit int
}

const (
	defaultHistoryLimit = 50
	maxHistoryLimit     = 1000
)

// HistoryPage is a part of a history.
type HistoryPage struct {
	Entries []crdt.Entry // each before those that it depends on
	Next    id.Hash      // for HistoryOptions.Before; zero if these were the last
}

// HistoryPage lists changes from the last to the first, a page at a time. It reads the changes of
// the page and no others, and does not open the document. The error wraps
// crdt.ErrUnknownHeads if Before is no change of the document.
func (d *Document) HistoryPage(ctx context.Context, o HistoryOptions) (page HistoryPage, err error) {
	if o.Limit <= 0 {
		o.Limit = defaultHistoryLimit
	}
	o.Limit = min(o.Limit, maxHistoryLimit)
	err = d.p.ask(ctx, d.doc, func(desk *desk) error {
		g := desk.r.graph
		at := g.Nodes()
		if o.Before != (id.Hash{}) {
			var ok bool
			if at, ok = g.Lookup(o.Before); !ok {
				return fmt.Errorf("%w: %s", crdt.ErrUnknownHeads, o.Before)
			}
		}
		var nodes []int
		for at--; at >= 0 && len(nodes) <= o.Limit; at-- {
			if g.Has(g.Hash(at)) {
				nodes = append(nodes, at)
			}
		}
		if len(nodes) > o.Limit {
			nodes = nodes[:o.Limit]
			page.Next = g.Hash(nodes[o.Limit-1])
		}
		slices.Reverse(nodes)
		err := desk.changes(ctx, nodes, func(_ int, c *chunk.Change) error {
			page.Entries = append(page.Entries, crdt.History([]*chunk.Change{c})...)
			return nil
		})
		slices.Reverse(page.Entries)
		return err
	})
	if err != nil {
		return HistoryPage{}, fmt.Errorf("list the history of %s: %w", d.doc, err)
	}
	return page, nil
}

// AsOf returns the heads of the document as of a time: those of the changes that by
// their authors' clocks were made no later, and of all their ancestors, whatever the
// clocks of those said. There are none if the document is younger. It reads the whole
// history, change by change.
func (d *Document) AsOf(ctx context.Context, t time.Time) (heads []id.Hash, err error) {
	err = d.p.ask(ctx, d.doc, func(desk *desk) error {
		g := desk.r.graph
		early := make([]bool, g.Nodes())
		err := desk.changes(ctx, standingNodes(g), func(n int, c *chunk.Change) error {
			early[n] = c.Time <= t.Unix()
			return nil
		})
		if err == nil {
			heads = g.HeadsOf(func(n int) bool { return early[n] })
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for what %s was at %s: %w", d.doc, t.UTC().Format(time.RFC3339), err)
	}
	return heads, nil
}

// ReadAt calls fn with the document as it was at some heads. fn must not keep the
// view or call methods of the peer.
func (d *Document) ReadAt(ctx context.Context, heads []id.Hash, fn func(*crdt.View) error) error {
	return d.Read(ctx, func(c *crdt.Document) error {
		v, err := c.At(heads)
		if err != nil {
			return fmt.Errorf("read %s as it was: %w", d.doc, err)
		}
		return fn(v)
	})
}

// Diff lists what differs between two points of the document's history; without heads
// a point is the beginning. See crdt.Document.Diff.
func (d *Document) Diff(ctx context.Context, from, to []id.Hash) ([]crdt.EntityDiff, error) {
	return read(ctx, d, func(c *crdt.Document) ([]crdt.EntityDiff, error) { return c.Diff(from, to) })
}

// ErrNoSuchChange: no change of the document has a hash that starts like that, or several
// have.
var ErrNoSuchChange = errors.New("no change of this document")

// FindChange returns the change whose hash, in hexadecimal, starts with a prefix. The
// error wraps ErrNoSuchChange if none does, or more than one.
func (d *Document) FindChange(ctx context.Context, prefix string) (found id.Hash, err error) {
	err = d.p.ask(ctx, d.doc, func(desk *desk) error {
		g, n := desk.r.graph, 0
		for node := range g.Nodes() {
			if h := g.Hash(node); g.Has(h) && strings.HasPrefix(h.String(), prefix) {
				found = h
				n++
			}
		}
		switch {
		case n == 0:
			return fmt.Errorf("%w: none starts with %s", ErrNoSuchChange, prefix)
		case n > 1:
			return fmt.Errorf("%w: %d start with %s", ErrNoSuchChange, n, prefix)
		}
		return nil
	})
	return found, err
}
