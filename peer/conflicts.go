package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncline/crdt"
	"syncline/crdt/dirty"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/crdt/value"
)

// Conflict is a place of an entity to which concurrent changes have given several
// values, that differ.
type Conflict struct {
	// ID names the place and the values that it has: it is another one once there is
	// another value. 24 hexadecimal digits.
	ID         string
	Document   id.Document
	Collection string
	Entity     string
	Path       crdt.Path // from the entity on; empty: the entity itself was made several times
	Rule       merge.Rule
	Reason     merge.Reason // why it is left for a person; "" if the rule decides
	Losers     []crdt.OpID  // what a settlement by the rule takes away, if it is one that is written
	// Merged is as the rule reads it, and Values are what it chose from, ascending by
	// operation; the last is what is read without rules. nil if they were not asked for.
	Merged any
	Values []ConflictValue
}

// ConflictValue is one of the values of a conflict.
type ConflictValue struct {
	Operation crdt.OpID
	Time      time.Time // of its change, as its author says
	Value     any
	Chosen    bool // Merged is it, or was made of it
	Misfit    bool // the rule was not made for it
}

// Unsettled reports whether the conflict is left for a person.
func (c Conflict) Unsettled() bool { return c.Reason != merge.NoReason }

// Due reports whether the rule decides the conflict in a way that is written: see
// crdt.MergedPlace.Losers.
func (c Conflict) Due() bool { return len(c.Losers) > 0 }

// Place is where the conflict is, for people.
func (c Conflict) Place() string {
	return append(crdt.Path{c.Collection, c.Entity}, c.Path...).String()
}

// ConflictQuery says what ReadConflicts reads. The zero: all conflicts, without values.
type ConflictQuery struct {
	// Since are heads up to which the conflicts are known: only entities that were
	// touched since are read. nil: all.
	Since []id.Hash
	// Collection and Entity name a single entity to read. "": not so.
	Collection, Entity string
	// Values has Merged and Values filled in.
	Values bool
	// Limit is how many conflicts are returned at most. 0: 10,000, which take a few
	// megabytes without their values.
	Limit int
}

// ConflictReading is what ReadConflicts has read.
type ConflictReading struct {
	Heads []id.Hash
	// Read is what was looked at: the conflicts of other entities are as they were.
	Read      dirty.Set
	Conflicts []Conflict // in the order of their places
	More      int        // conflicts beyond the limit
	// Standing is how the document stands to Options.Schema; its zero without one.
	Standing schema.Standing
	// Held says why nothing is settled by that schema, for people; "" if it may be.
	Held string
}

// ReadConflicts lists the places of a document that have several values, by the rules of
// Options.Schema; without a schema each is left for a person. It costs what the
// entities do in which concurrent changes have met.
func (d *Document) ReadConflicts(ctx context.Context, q ConflictQuery) (ConflictReading, error) {
	setDefault(&q.Limit, 10_000)
	var out ConflictReading
	err := d.Read(ctx, func(doc *crdt.Document) (err error) {
		out = ConflictReading{Heads: slices.Clone(doc.Heads())}
		rules := d.p.o.rules()
		if rules.Schema != nil {
			if out.Held, out.Standing, err = holds(doc, rules.Schema); err != nil {
				return err
			}
		}
		selection, err := q.selection(doc, &out.Read)
		if err != nil {
			return err
		}
		return doc.SelectMerged(rules, selection, func(m crdt.MergedEntity) error {
			if hidden(m.Collection) {
				return nil
			}
			for _, p := range m.Contested {
				if !p.Result.Conflict {
					continue
				}
				if len(out.Conflicts) >= q.Limit {
					out.More++
					continue
				}
				c, err := conflictOf(doc, d.doc, m, p, q.Values)
				if err != nil {
					return err
				}
				out.Conflicts = append(out.Conflicts, c)
			}
			return nil
		})
	})
	if err != nil {
		return out, fmt.Errorf("read the conflicts of %s: %w", d.doc, err)
	}
	return out, nil
}

// selection is what is to be read, which is noted in set.
func (q ConflictQuery) selection(doc *crdt.Document, set *dirty.Set) (crdt.Selection, error) {
	if q.Entity != "" {
		set.Entities = map[string]map[string]struct{}{q.Collection: {q.Entity: {}}}
		return crdt.SelectionOf(*set), nil
	}
	touched, err := doc.Dirty(q.Since...)
	switch {
	case q.Since == nil || errors.Is(err, crdt.ErrUnknownHeads): // it was made again without some changes
		touched = dirty.Set{All: true}
	case err != nil:
		return crdt.Selection{}, err
	}
	*set = touched
	if !touched.All {
		return crdt.SelectionOf(touched), nil
	}
	names, err := doc.Collections()
	return crdt.Selection{Collections: names}, err
}

func conflictOf(doc *crdt.Document, name id.Document, m crdt.MergedEntity, p crdt.MergedPlace, values bool) (Conflict, error) {
	c := Conflict{
		ID: conflictID(name, m, p), Document: name, Collection: m.Collection, Entity: m.ID, Path: p.Path,
		Rule: p.Rule, Reason: p.Result.Reason, Losers: p.Losers(),
	}
	if !values {
		return c, nil
	}
	c.Merged = p.Result.Value
	for _, v := range p.Values {
		at, err := doc.TimeOf(v.ID)
		if err != nil {
			return c, err
		}
		c.Values = append(c.Values, ConflictValue{
			Operation: v.ID, Time: at, Value: v.Value,
			Chosen: slices.Contains(p.Result.From, v.ID), Misfit: slices.Contains(p.Result.Misfits, v.ID),
		})
	}
	return c, nil
}

// conflictID names a conflict. 96 bits, so that nobody who writes into a document makes
// two that are called the same.
func conflictID(name id.Document, m crdt.MergedEntity, p crdt.MergedPlace) string {
	place := []any{m.Collection, m.ID}
	for _, step := range p.Path {
		if i, isIndex := step.(int); isIndex {
			step = int64(i)
		}
		place = append(place, step)
	}
	b := value.AppendJSON(name[:], place)
	for _, v := range p.Values {
		b = fmt.Appendf(b, " %s", v.ID)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}
