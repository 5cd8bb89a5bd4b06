package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/id"
	"syncline/storage"
)

// rounds is how often a repair looks again: what is mended may show what was behind
// it. A row that is withdrawn alters the heads, which alters what is noted. It ends when a round has
// mended nothing new.
const rounds = 64

// Repair mends what can be mended safely, and reports what was mended and what is
// left. It needs the file for itself: storage.ErrBusy while another has it open. Other
// errors are as Examine's, and those of writing the evidence, without which nothing is
// mended.
func Repair(ctx context.Context, path string, o Options) (*Report, error) {
	r := &Report{Path: path, tried: map[key]bool{}, failed: map[key]error{}}
	x := newExport(path, o.Export)
	again := false // only the documents in which something was mended are left to look at
	for range rounds {
		look, before := o, len(r.Mended)
		if again {
			look.Documents = r.mended()
		}
		start, err := mendOnce(ctx, path, look, x, r, again)
		if errors.Is(err, storage.ErrDamaged) {
			r.Findings = append(r.Findings, beyondReach(err))
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		if len(start) > 0 {
			o.at("start")
			if err := o.Rules.Start(ctx, path, start); err != nil {
				return nil, fmt.Errorf("finish the start-up: %w", err)
			}
		}
		now := r.Mended[before:]
		if len(now) == 0 {
			break
		}
		again = !slices.ContainsFunc(now, func(f Finding) bool { return f.Document == (id.Document{}) })
	}
	after, err := Examine(ctx, path, o)
	if err != nil {
		return nil, err
	}
	after.Mended, after.Export = r.Mended, x.made
	after.settle(r.failed)
	return after, nil
}

// mended lists the documents in which something was.
func (r *Report) mended() (docs []id.Document) {
	for i := range r.Mended {
		if doc := r.Mended[i].Document; doc != (id.Document{}) && !slices.Contains(docs, doc) {
			docs = append(docs, doc)
		}
	}
	return docs
}

func (o *Options) at(what string) {
	if o.Step != nil {
		o.Step(what)
	}
}

// mendOnce is one round. start are the documents that the owner has to open. again
// leaves out what is not about documents.
func mendOnce(ctx context.Context, path string, o Options, x *export, r *Report, again bool) (start []id.Document, err error) {
	m, err := storage.Mend(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	e := newExamination(m.Inspection(), o)
	e.again = again
	if err := e.run(ctx); err != nil {
		return nil, err
	}
	for _, f := range e.found {
		if f.Mend == "" || f.Fixed {
			continue
		}
		if f.Repair == nil || f.Open {
			start = append(start, f.Document)
		}
		if f.Repair != nil {
			if len(f.Rows) > 0 {
				o.at("export " + string(f.Kind))
				if err := x.rows(ctx, m.Inspection(), &f); err != nil {
					return nil, err
				}
			}
			o.at("mend " + string(f.Kind))
			if err := f.Repair(ctx, m); err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				r.failed[f.key()] = err
				continue
			}
		}
		f.Fixed = true
		if !r.tried[f.key()] {
			r.tried[f.key()] = true
			r.Mended = append(r.Mended, f)
		}
	}
	slices.SortFunc(start, func(a, b id.Document) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(start), nil
}

// settle takes out of what was mended what is there still, and says why the rest is.
func (r *Report) settle(failed map[key]error) {
	left := map[key]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		left[f.key()] = f.Mend != ""
		if err := failed[f.key()]; err != nil {
			f.Mend, f.Why = "", "it could not be mended: "+err.Error()
		} else if f.Mend != "" {
			f.Mend, f.Why = "", "it is there after a repair, as something else is in its way: "+restore
		}
	}
	r.Mended = slices.DeleteFunc(r.Mended, func(f Finding) bool { return left[f.key()] })
}
