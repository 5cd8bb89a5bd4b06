package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/id"
	"syncline/storage"
)

// Examine looks at a file and changes nothing. The error says that it could not look:
// the file is another program's (storage.ErrForeign), a newer version's
// (storage.ErrNewer), not there, or locked (storage.ErrBusy). What is damaged is no
// error but a finding.
func Examine(ctx context.Context, path string, o Options) (*Report, error) {
	r := &Report{Path: path}
	i, err := storage.Inspect(ctx, path)
	if errors.Is(err, storage.ErrDamaged) {
		r.Findings = append(r.Findings, beyondReach(err))
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	defer i.Close()
	e := newExamination(i, o)
	if err := e.run(ctx); err != nil {
		return nil, err
	}
	return e.report(r), nil
}

func beyondReach(err error) Finding {
	return Finding{
		Kind: File, What: "the file cannot be read at all: " + err.Error(),
		Why: "restore it from a backup, or move it away and let a remote fill a new one",
	}
}

// examination is one pass over a file.
type examination struct {
	i      *storage.Inspection
	o      Options
	secret []byte
	again  bool // what is not about documents was looked at before
	found  []Finding
	seen   map[seen]int
	cut    int
	tables bool // it is said that they are not as they were defined

	openings, changes int64
	documents         int
}

type seen struct {
	doc  id.Document
	kind Kind
}

func newExamination(i *storage.Inspection, o Options) *examination {
	return &examination{i: i, o: o, seen: map[seen]int{}}
}

func (e *examination) report(r *Report) *Report {
	r.Openings, r.Documents, r.Changes, r.Cut = e.openings, e.documents, e.changes, e.cut
	r.Findings = append(r.Findings, e.found...)
	return r
}

// add keeps a finding.
func (e *examination) add(f Finding) {
	k := seen{f.Document, f.Kind}
	if e.seen[k]++; e.seen[k] > maxFindings {
		e.cut++
		return
	}
	if f.Mend != "" {
		f.Why = ""
	}
	e.found = append(e.found, f)
}

// run looks at the file and at its documents, one after the other.
func (e *examination) run(ctx context.Context) error {
	if !e.again {
		err := e.i.Check(ctx, e.o.Quick, func(f storage.FileFault) error {
			e.add(e.fileFault(f))
			return nil
		})
		if err != nil {
			return err
		}
	}
	var err error
	if e.openings, err = e.i.Openings(ctx); err != nil {
		e.openings = 0 // a finding says that the table is damaged
	}
	if e.o.Rules.Secret != "" {
		e.secret, err = e.i.Value(ctx, e.o.Rules.Secret)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			e.o.Rules, e.o.Checks = Rules{}, nil
		case err != nil && !errors.Is(err, storage.ErrDamaged):
			return err
		}
	}
	numbers, err := e.list(ctx)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := e.document(ctx, n); err != nil {
			return err
		}
	}
	if e.again || e.o.Quick || e.o.Documents != nil {
		return nil
	}
	return e.strangers(ctx)
}

// strangers looks for rows of documents that are not in the file.
func (e *examination) strangers(ctx context.Context) error {
	err := e.i.ShownNowhere(ctx, func(doc string) error {
		e.add(Finding{Kind: Projection, Name: doc, What: "the tables show rows of a document that is not in the file",
			Mend:   "delete the rows",
			Repair: func(ctx context.Context, m *storage.Mending) error { return m.DropShown(ctx, doc) }})
		return nil
	})
	switch {
	case errors.Is(err, storage.ErrTables):
		e.otherTables(err)
	case errors.Is(err, storage.ErrDamaged), errors.Is(err, storage.ErrIO):
		return nil // a finding says so
	default:
		return err
	}
	return nil
}

// otherTables adds that tables are not as they were defined. One document is enough to
// say so.
func (e *examination) otherTables(err error) {
	if !e.tables {
		e.tables = true
		e.add(Finding{Kind: Projection, What: err.Error(),
			Mend:   "make all tables again, and their rows when they are next read; the documents are not concerned",
			Repair: func(ctx context.Context, m *storage.Mending) error { return m.RemakeTables(ctx) }})
	}
}

// list returns the numbers of the documents to look at.
func (e *examination) list(ctx context.Context) (numbers []int64, err error) {
	missing := slices.Clone(e.o.Documents)
	err = e.i.Documents(ctx, func(d storage.InspectedDocument) error {
		switch {
		case d.Fault != "":
			e.add(Finding{Kind: File, Name: fmt.Sprint(d.Number), What: fmt.Sprintf("document number %d: its %s cannot be read", d.Number, d.Fault), Why: restore})
			if e.o.Documents != nil {
				return nil
			}
		case d.Deleting:
			return nil
		case e.o.Documents != nil:
			n := slices.Index(missing, d.Doc)
			if n < 0 {
				return nil
			}
			missing = slices.Delete(missing, n, n+1)
		}
		numbers = append(numbers, d.Number)
		return nil
	})
	if errors.Is(err, storage.ErrDamaged) {
		e.add(Finding{Kind: File, What: "the list of documents cannot be read to its end: " + err.Error(), Why: restore})
		return numbers, nil
	}
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("document %s: %w", missing[0].URL(), storage.ErrNotFound)
	}
	return numbers, err
}

const restore = "restore the file from a backup, or move it away and let a remote fill a new one; what can still be read is not lost by looking"

// document looks at one document.
func (e *examination) document(ctx context.Context, number int64) error {
	err := e.i.Document(ctx, number, func(look *storage.Look) error {
		d := &Document{Look: look, damaged: map[id.Hash]int64{}, out: map[id.Hash]bool{},
			noted: map[id.Hash]bool{}, recorded: map[id.Hash]bool{}, lost: map[id.Hash]bool{}}
		e.documents++
		for _, part := range []func(context.Context, *Document) error{
			e.aside, e.rows, e.segments, e.graph, e.fit, e.twins, e.copies, e.notes, e.states, e.checks,
		} {
			switch err := part(ctx, d); {
			case errors.Is(err, storage.ErrDamaged), errors.Is(err, storage.ErrIO):
				e.unreadable(d, err)
			case err != nil:
				return err
			}
		}
		if d.Graph != nil {
			e.changes += int64(d.Graph.Nodes())
		}
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil // deleted meanwhile
	}
	if errors.Is(err, storage.ErrDamaged) || errors.Is(err, storage.ErrIO) {
		e.add(Finding{Kind: File, Name: fmt.Sprint(number), What: fmt.Sprintf("document number %d cannot be read: %v", number, err), Why: restore})
		return nil
	}
	return err
}

func (e *examination) unreadable(d *Document, err error) {
	d.unsound, d.unread = true, true
	e.add(Finding{Kind: File, Document: d.Doc, What: "a part of it cannot be read: " + err.Error(), Why: restore})
}

// fileFault puts what SQLite says into words.
func (e *examination) fileFault(f storage.FileFault) Finding {
	out := Finding{Name: f.Name}
	switch f.Kind {
	case storage.FaultPage:
		out.Kind, out.What, out.Why = File, "SQLite finds the file damaged: "+f.Text, restore
	case storage.FaultIndex:
		out.Kind, out.What = Index, fmt.Sprintf("index %s and its table disagree: %s", f.Name, f.Text)
		out.Mend = "make the index anew from the table"
		out.Repair = func(ctx context.Context, m *storage.Mending) error { return m.Reindex(ctx, f.Name) }
	case storage.FaultReference:
		out.Kind, out.Row, out.What = Foreign, f.Row, f.Text
		out.Why = "it may be the only trace of a change; restore the file from a backup"
		if slices.Contains([]string{"applying", "sync_states", "undelivered"}, f.Name) {
			out.Mend = "delete it: by itself it says nothing"
			out.Repair = func(ctx context.Context, m *storage.Mending) error { return m.DropUnreferenced(ctx, f.Name, f.Row) }
		}
	case storage.FaultSchema:
		out.Kind, out.What = Schema, f.Text
		if len(f.Name) > 5 && f.Name[:5] != "table" {
			out.Mend = "make it as it should be"
			out.Repair = func(ctx context.Context, m *storage.Mending) error { return m.RestoreSchema(ctx, f) }
		} else {
			out.Why = "what was in it is gone; restore the file from a backup"
		}
	}
	return out
}
