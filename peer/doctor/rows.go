package doctor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
	"syncline/storage/fold"
)

// maxBody is the largest body that is decoded, in bytes: of what is larger no honest
// writer has made a change.
const maxBody = chunk.MaxChangeBytes + 1024

// aside reads what is said about changes elsewhere than in their rows.
func (e *examination) aside(_ context.Context, d *Document) error {
	err := d.Evidence(func(v storage.Evidence) error {
		d.noted[v.Hash] = true
		if e.o.Rules.KeptOut != nil && e.o.Rules.KeptOut(v.Reason) {
			d.out[v.Hash] = true
		}
		e.add(Finding{Kind: Quarantine, Document: d.Doc, Hash: v.Hash, Note: true,
			What: fmt.Sprintf("kept out of the document since %s: %s", v.Time.UTC().Format(time.DateOnly), v.Reason)})
		return nil
	})
	return errors.Join(err, d.Operations(func(o storage.Operation) error {
		d.recorded[o.Hash] = true
		return nil
	}))
}

// rows decodes every change of the journal and holds its row against it.
func (e *examination) rows(ctx context.Context, d *Document) error {
	tag := e.tag(d.Doc)
	return d.Rows(0, maxBody, func(r storage.Row) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c, err := chunk.ParseChange(r.Body)
		if r.Size > maxBody {
			err = fmt.Errorf("it has %d bytes, more than a change can have", r.Size)
		}
		if err != nil {
			e.damaged(d, r, err)
			return nil
		}
		m := graph.MetaOf(c)
		m.Row = r.Row
		switch {
		case !bytes.Equal(r.Hash, c.Hash[:]):
			d.misnamed = append(d.misnamed, misnamed{r.Row, m, "the row names change " + hex.EncodeToString(r.Hash), Hash})
			if len(r.Hash) == len(id.Hash{}) {
				d.damaged[id.Hash(r.Hash)] = r.Row
			}
		case r.Fault != "" || string(c.Actor) != string(r.Actor) || c.Seq != uint64(r.ActorSeq) || !bytes.Equal(m.Encode(), r.Head):
			d.misnamed = append(d.misnamed, misnamed{r.Row, m, "what is noted beside the change is not what its bytes say", Head})
		}
		if tag != "" && strings.HasPrefix(string(c.Actor), tag) && r.Origin != "" {
			d.strays = append(d.strays, storage.Row{Row: r.Row, Hash: bytes.Clone(c.Hash[:]), Origin: r.Origin, Time: r.Time})
		}
		d.metas = append(d.metas, m)
		return nil
	})
}

// damaged is about a row whose change does not decode.
func (e *examination) damaged(d *Document, r storage.Row, err error) {
	f := Finding{Kind: Row, Document: d.Doc, Row: r.Row, Rows: []int64{r.Row}, What: "the stored change does not decode: " + err.Error()}
	d.unsound, d.rotten = true, true
	if len(r.Hash) == len(id.Hash{}) {
		f.Hash = id.Hash(r.Hash)
		d.damaged[f.Hash] = r.Row
	}
	e.withdraw(&f, d)
	e.add(f)
}

// withdraw has a finding mended by taking its row out of the journal.
func (e *examination) withdraw(f *Finding, d *Document) {
	if !e.o.Rules.Refetches {
		f.Why = "a relay's file: delete the document at the relay with syncline relay docs, and a peer that has it fills it again"
		return
	}
	row, number := f.Row, d.Number
	f.Mend = "export its bytes, keep them aside, and have the next sync fetch the change again"
	f.Repair = func(ctx context.Context, m *storage.Mending) error {
		if err := m.Withdraw(ctx, row, string(f.Kind)); err != nil {
			return err
		}
		// What was shared with remotes names what is no longer here.
		return m.ForgetSyncState(ctx, number, "")
	}
}

// segments decodes what rows were folded into, and what lies beside rows.
func (e *examination) segments(ctx context.Context, d *Document) error {
	all, err := d.Segments()
	if err != nil || len(all) == 0 {
		return err
	}
	have := map[id.Hash]bool{}
	for _, m := range d.metas {
		have[m.Hash] = true
	}
	var folded []graph.Meta
	for _, g := range all {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		index, body, err := d.Segment(g.ID)
		if err == nil && g.Folds {
			var metas []graph.Meta
			metas, err = fold.Verify(g, index, body)
			for _, m := range metas {
				have[m.Hash] = true
			}
			folded, d.folded = append(folded, metas...), true
		} else if err == nil {
			err = fold.VerifyChunk(g, index, body, func(h id.Hash) bool { return have[h] })
		}
		if err == nil {
			continue
		}
		d.unsound = d.unsound || g.Folds
		f := Finding{Kind: Segment, Document: d.Doc, Name: fmt.Sprint(g.ID), What: err.Error()}
		if g.Folds {
			f.Why = fmt.Sprintf("it stands for %d changes that are nowhere else in the file: delete the document at the relay with syncline relay docs, and a peer that has it fills it again", g.Rows)
		} else {
			f.Mend = "drop it: the changes lie beside it, and compaction makes another"
			f.Repair = func(ctx context.Context, m *storage.Mending) error { return m.DropChunk(ctx, g.ID) }
		}
		e.add(f)
	}
	d.metas = append(folded, d.metas...)
	return nil
}

// graph puts the changes in their places.
func (e *examination) graph(_ context.Context, d *Document) error {
	refused, gaps := d.place()
	for _, w := range d.misnamed {
		f := Finding{Kind: w.kind, Document: d.Doc, Row: w.row, Hash: w.meta.Hash, Rows: []int64{w.row}, What: w.why}
		e.restate(&f, d)
		e.add(f)
	}
	for h, err := range refused {
		f := Finding{Kind: Unfit, Document: d.Doc, Hash: h, What: err.Error()}
		e.keepOut(&f, d)
		e.add(f)
	}
	err := d.Withdrawn(func(row int64, hash []byte, reason string, at time.Time) error {
		if reason != string(Row) { // else it was written anew
			return nil
		}
		if len(hash) != len(id.Hash{}) || d.Has(id.Hash(hash)) || d.Lost(id.Hash(hash)) {
			return nil
		}
		h := id.Hash(hash)
		d.lost[h] = true
		e.add(Finding{Kind: Gap, Document: d.Doc, Row: row, Hash: h, Why: fetch,
			What: fmt.Sprintf("the change was damaged, was withdrawn on %s, and has not come back%s", at.UTC().Format(time.DateOnly), waits(len(gaps[h])))})
		return nil
	})
	for missing, waiting := range gaps {
		d.unsound = true
		if d.Lost(missing) || d.unread {
			continue
		}
		f := Finding{Kind: Gap, Document: d.Doc, Hash: missing, What: "the change is not in the file" + waits(len(waiting)), Why: fetch}
		d.lost[missing] = true
		e.add(f)
	}
	return err
}

const fetch = "sync with a remote or another peer that has it: the peer asks for it by itself"

func waits(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", and 1 change that builds on it waits"
	}
	return fmt.Sprintf(", and %d changes that build on it wait", n)
}

// restate has a row mended whose change is intact.
func (e *examination) restate(f *Finding, d *Document) {
	h, row, number := f.Hash, f.Row, d.Number
	f.Mend = "write anew what the bytes of the change say"
	f.Repair = func(ctx context.Context, m *storage.Mending) error {
		var entry storage.Entry
		err := m.Inspection().Document(ctx, number, func(look *storage.Look) error {
			return look.Bodies([]int64{row}, func(body []byte) bool {
				if c, err := chunk.ParseChange(slices.Clone(body)); err == nil && c.Hash == h {
					entry = storage.Entry{Hash: h, Actor: c.Actor, ActorSeq: c.Seq, Head: graph.MetaOf(c).Encode(), Body: slices.Clone(body)}
				}
				return false
			})
		})
		if err == nil && entry.Body == nil {
			err = errors.New("the change is not there any more")
		}
		if err != nil {
			return err
		}
		return m.Restate(ctx, row, entry, string(f.Kind))
	}
}

// keepOut has a change put in quarantine.
func (e *examination) keepOut(f *Finding, d *Document) {
	reason, number, h := e.o.Rules.Unfit, d.Number, f.Hash
	d.unsound = true
	if reason == "" {
		f.Why = "a relay's file: delete the document at the relay with syncline relay docs, and a peer that has it fills it again"
		return
	}
	f.Mend = "put it in quarantine, with what builds on it"
	f.Repair = func(ctx context.Context, m *storage.Mending) error { return m.Quarantine(ctx, number, h, reason) }
}

// fitTogether is how many changes are checked before their operations are let go of.
const fitTogether = 4096

// fit makes the full check of each change in its place. Those in segments went
// through it before they were folded, and are not read one by one here.
func (e *examination) fit(ctx context.Context, d *Document) error {
	if e.o.Quick || d.folded || d.unsound || d.Graph == nil {
		return nil
	}
	g := graph.New()
	checker := check.New(g, d)
	return d.Each(func(row int64, c *chunk.Change) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := checker.Check(c)
		if errors.Is(err, check.ErrSource) {
			return err
		}
		if _, missing := errors.AsType[*graph.MissingError](err); missing {
			return nil // it builds on one that failed
		}
		if err != nil {
			f := Finding{Kind: Unfit, Document: d.Doc, Row: row, Hash: c.Hash, What: err.Error()}
			e.keepOut(&f, d)
			e.add(f)
			return nil
		}
		m := graph.MetaOf(c)
		m.Row = row
		if err := g.Add(m); err != nil {
			return nil // a twin, about which the whole graph decides
		}
		checker.Added(c)
		if g.Unpublished() == fitTogether {
			g.Publish(nil)
			checker.Settle()
		}
		return nil
	})
}
