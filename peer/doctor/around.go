package doctor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/storage"
)

// twins are decided by the graph's rule. What is left to do, if anything, the owner
// does when it opens the document.
func (e *examination) twins(_ context.Context, d *Document) error {
	for _, t := range d.Graph.Twins() {
		f := Finding{Kind: Twin, Document: d.Doc, Hash: t.Hashes[0], Note: true,
			What: fmt.Sprintf("actor %s used number %d for %d changes; the one with the lowest hash stands", hex.EncodeToString([]byte(t.Actor)), t.Seq, len(t.Hashes))}
		if slices.ContainsFunc(t.Hashes, func(h id.Hash) bool { return !d.Graph.Has(h) && !d.noted[h] }) && e.o.Rules.Start != nil {
			f.Note, f.Mend = false, "open the document, which puts the others in quarantine and issues again what this device did in them"
		}
		e.add(f)
	}
	return nil
}

func (e *examination) tag(doc id.Document) string {
	if e.secret == nil || e.o.Rules.Tag == nil {
		return ""
	}
	return string(e.o.Rules.Tag(e.secret, doc))
}

// copies looks for changes of this device that were made in another file.
func (e *examination) copies(_ context.Context, d *Document) error {
	n := 0
	var first storage.Row
	for _, r := range d.strays {
		if d.recorded[id.Hash(r.Hash)] {
			continue // made here, and fetched again
		}
		if n++; n == 1 {
			first = r
		}
	}
	if n == 0 {
		return nil
	}
	f := Finding{Kind: Copy, Document: d.Doc, Row: first.Row, Hash: id.Hash(first.Hash),
		What: fmt.Sprintf("%d changes by this device were made in another file, the first came on %s: this file is a copy, or an older state of one", n, first.Time.UTC().Format(time.DateOnly))}
	switch unsettled := slices.ContainsFunc(e.found, func(f Finding) bool { return f.Kind == Twin && !f.Note }); {
	case e.o.Rules.NewSecret == nil:
		f.Note = true
	case unsettled:
		f.Why = "twins come first: they are mended under the name that the device has now; run the repair again"
	default:
		f.Mend = "give the device in this file a name of its own from here on"
		secret, now := e.o.Rules.Secret, e.secret
		f.Repair = func(ctx context.Context, m *storage.Mending) error {
			if v, err := m.Inspection().Value(ctx, secret); err != nil || string(v) != string(now) {
				return err // done, for another document
			}
			return m.Renew(ctx, secret, e.o.Rules.NewSecret())
		}
	}
	e.add(f)
	return nil
}

// notes holds what is noted of a document against its changes.
func (e *examination) notes(_ context.Context, d *Document) error {
	changes, raw, bytes, last, folded, err := d.Counted()
	if err != nil {
		return err
	}
	if !d.rotten && !d.unread && (d.Changes != changes || d.RawChanges != raw || d.RawBytes != bytes || d.FoldedRow != folded || d.LastRow < last) {
		number := d.Number
		e.add(Finding{Kind: Count, Document: d.Doc,
			What:   fmt.Sprintf("noted are %d changes, %d of them in the journal with %d bytes; there are %d, %d and %d", d.Changes, d.RawChanges, d.RawBytes, changes, raw, bytes),
			Mend:   "count them again",
			Repair: func(ctx context.Context, m *storage.Mending) error { return m.Recount(ctx, number) }})
	}
	if d.unsound || len(d.misnamed) > 0 || slices.Equal(d.Heads, d.Graph.Heads()) {
		return nil // else they are mended first
	}
	number, heads := d.Number, slices.Clone(d.Graph.Heads())
	e.add(Finding{Kind: Heads, Document: d.Doc,
		What: fmt.Sprintf("the noted heads (%d) are not those of the changes (%d)", len(d.Heads), len(heads)),
		// Several processes on one file, twins and what is kept out leave them so, and
		// nothing relies on them.
		Note: len(d.noted) > 0 || len(d.lost) > 0 || e.openings > 1,
		Mend: "note those of the changes", Repair: func(ctx context.Context, m *storage.Mending) error { return m.SetHeads(ctx, number, heads) }})
	return nil
}

// states looks at what is known of remotes, and at what is on its way into the core.
func (e *examination) states(_ context.Context, d *Document) error {
	number := d.Number
	err := d.SyncStates(func(remote string, state []byte) error {
		what := ""
		shared, err := session.Shared(state)
		if err != nil {
			what = err.Error()
		} else if i := slices.IndexFunc(shared, func(h id.Hash) bool { return !d.Has(h) && !d.Lost(h) }); i >= 0 && !d.unsound {
			what = fmt.Sprintf("it says that the remote has change %s, which is not here", shared[i])
		}
		if what != "" {
			e.add(Finding{Kind: SyncState, Document: d.Doc, Name: remote, What: "what is known of a remote is not right: " + what,
				Mend:   "forget it, which makes the next sync with it longer",
				Repair: func(ctx context.Context, m *storage.Mending) error { return m.ForgetSyncState(ctx, number, remote) }})
		}
		return nil
	})
	if err != nil {
		return err
	}
	waiting := 0
	err = d.Marks(func(m storage.Mark) error {
		d.applying = true
		switch m.State {
		case storage.MarkWaiting, storage.MarkElsewhere:
			waiting++
		case storage.MarkInterrupted:
			f := Finding{Kind: Applying, Document: d.Doc, Row: m.Row, What: "a process died while it gave this change to the document",
				Why: "open the file with a peer: it finds out whether the change is at fault"}
			if e.o.Rules.Start != nil {
				f.Mend = "finish that: a change that ends the process again is put in quarantine"
			}
			e.add(f)
		}
		return nil
	})
	if waiting > 0 {
		e.add(Finding{Kind: Applying, Document: d.Doc, Note: true,
			What: fmt.Sprintf("%d changes are stored and wait until the document is opened", waiting)})
	}
	return err
}

// checks has the owner look at what it derives.
func (e *examination) checks(ctx context.Context, d *Document) error {
	if d.unread || d.Graph == nil {
		return nil
	}
	for _, c := range e.o.Checks {
		if e.o.Quick && c.Thorough() {
			continue
		}
		err := c.Examine(ctx, d, func(f Finding) {
			f.Document = d.Doc
			e.add(f)
		})
		if errors.Is(err, storage.ErrTables) {
			e.otherTables(err)
		} else if err != nil {
			return err
		}
	}
	return nil
}
