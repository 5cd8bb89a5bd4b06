package resolve

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/value"
	"syncline/peer"
)

// The JSON of conflicts, as the handler writes it and syncline conflicts --json does. Readers
// pass over fields that they do not know.
type (
	// Page is a part of the conflicts that are left for a person, by id.
	Page struct {
		Conflicts []Item `json:"conflicts"`
		Next      string `json:"next,omitempty"` // what to ask for after; none: this was the last
		Counts    Counts `json:"counts"`
	}
	// Counts sum up all documents.
	Counts struct {
		Unsettled       int   `json:"unsettled"` // left for a person
		Due             int   `json:"due"`       // decided by a rule, and not at rest yet, or held
		Held            int   `json:"held"`      // documents that are not settled by the schema
		SettledByRule   int64 `json:"settledByRule"`
		SettledByPerson int64 `json:"settledByPerson"`
	}
	// Item is a conflict without its values.
	Item struct {
		ID         string     `json:"id"`
		Document   string     `json:"document"` // without automerge:
		Collection string     `json:"collection"`
		Entity     string     `json:"entity"`
		Path       []any      `json:"path"` // from the entity on: keys and indexes
		Rule       string     `json:"rule,omitempty"`
		Reason     string     `json:"reason,omitempty"`
		Why        string     `json:"why,omitempty"` // the reason in words
		Since      *time.Time `json:"since,omitempty"`
	}
	// Detail is a conflict with its values.
	Detail struct {
		Item
		Merged json.RawMessage `json:"merged"` // as the rule reads it, in typed JSON
		Values []Value         `json:"values"` // by operation; the last is what is read without rules
	}
	// Value is one of the values of a conflict.
	Value struct {
		Operation string          `json:"operation"` // 12@a1b2…: what to settle by
		Time      time.Time       `json:"time"`      // as its author says
		Device    string          `json:"device"`    // who wrote it: the same in all of a document
		Value     json.RawMessage `json:"value"`     // in typed JSON, as operations have it
		Chosen    bool            `json:"chosen"`    // merged is it, or was made of it
		Misfit    bool            `json:"misfit,omitempty"`
	}
	// Choice settles: it has exactly one of its fields.
	Choice struct {
		Operation string          `json:"operation,omitempty"`
		Merged    bool            `json:"merged,omitempty"`
		Value     json.RawMessage `json:"value,omitempty"` // typed JSON
	}
	// Settled is the change that settles.
	Settled struct {
		Hash     string `json:"hash"`
		Sequence int64  `json:"sequence"`
	}
	// Failure is any other answer.
	Failure struct {
		Error string `json:"error"`
	}
)

func itemOf(c peer.Conflict, since time.Time) Item {
	i := Item{
		ID: c.ID, Document: c.Document.String(), Collection: c.Collection, Entity: c.Entity,
		Path: append([]any{}, c.Path...), Rule: c.Rule.String(), Reason: string(c.Reason), Why: c.Reason.Words(),
	}
	if !since.IsZero() {
		since = since.UTC()
		i.Since = &since
	}
	return i
}

// Place is where the conflict is, for people.
func (i Item) Place() string {
	p := crdt.Path{i.Collection, i.Entity}
	for _, step := range i.Path {
		if n, isNumber := step.(float64); isNumber { // out of JSON
			step = int(n)
		}
		p = append(p, step)
	}
	return p.String()
}

func detailOf(c peer.Conflict, since time.Time) Detail {
	d := Detail{Item: itemOf(c, since), Merged: value.AppendTyped(nil, c.Merged), Values: []Value{}}
	for _, v := range c.Values {
		d.Values = append(d.Values, Value{
			Operation: v.Operation.String(), Time: v.Time, Device: crdt.Entry{Actor: v.Operation.Actor}.Device(),
			Value: value.AppendTyped(nil, v.Value), Chosen: v.Chosen, Misfit: v.Misfit,
		})
	}
	return d
}

// choice reads what somebody wants a conflict settled to.
func (c Choice) choice() (to peer.Choice, err error) {
	to.Merged = c.Merged
	if c.Operation != "" {
		if to.Operation, err = parseOperation(c.Operation); err != nil {
			return to, err
		}
	}
	if c.Value != nil {
		if to.Value, err = value.ParseValue(c.Value); err != nil {
			return to, fmt.Errorf("%w: the value: %w", peer.ErrNoChoice, err)
		}
		if to.Value == nil {
			return to, fmt.Errorf("%w: null; name the operation that wrote it, or delete the field", peer.ErrNoChoice)
		}
	}
	return to, nil
}

func parseOperation(s string) (o crdt.OpID, err error) {
	counter, actor, _ := strings.Cut(s, "@")
	n, numErr := strconv.ParseUint(counter, 10, 64)
	b, hexErr := hex.DecodeString(actor)
	if numErr != nil || hexErr != nil || n == 0 || len(b) == 0 {
		return o, fmt.Errorf("%w: %.80q is no operation: write it as the list of values has it, such as 12@a1b2", peer.ErrNoChoice, s)
	}
	return crdt.OpID{Counter: n, Actor: id.Actor(b)}, nil
}

// List reads the conflicts of a store on which no resolver need run: those that are
// left for a person, in the order of documents and places, and how many a rule decides.
// docs are those to be read; nil: all.
func List(ctx context.Context, p *peer.Peer, docs []id.Document) (all []Item, due int, err error) {
	err = each(ctx, p, docs, func(d *peer.Document) (bool, error) {
		r, err := d.ReadConflicts(ctx, peer.ConflictQuery{})
		for _, c := range r.Conflicts {
			switch {
			case c.Unsettled():
				all = append(all, itemOf(c, time.Time{}))
			case c.Due():
				due++
			}
		}
		return false, err
	})
	return all, due, err
}

// ErrUnknown: there is no conflict of that id.
var ErrUnknown = errors.New("there is no conflict of this id: it was settled, or has got another value")

// Show reads a conflict of a store on which no resolver need run. The error wraps
// ErrUnknown if it is not there.
func Show(ctx context.Context, p *peer.Peer, name string, docs []id.Document) (Detail, error) {
	c, _, err := find(ctx, p, name, docs)
	return detailOf(c, time.Time{}), err
}

// Settle settles one. The error wraps ErrUnknown, or is as that of peer.Document.Settle.
func Settle(ctx context.Context, p *peer.Peer, name string, docs []id.Document, to Choice) (Settled, error) {
	c, d, err := find(ctx, p, name, docs)
	if err != nil {
		return Settled{}, err
	}
	return settle(ctx, d, c, to)
}

func settle(ctx context.Context, d *peer.Document, c peer.Conflict, to Choice) (Settled, error) {
	choice, err := to.choice()
	if err != nil {
		return Settled{}, err
	}
	r, err := d.Settle(ctx, c, choice)
	return Settled{Hash: r.Hash.String(), Sequence: r.Sequence}, err
}

func find(ctx context.Context, p *peer.Peer, name string, docs []id.Document) (found peer.Conflict, in *peer.Document, err error) {
	err = each(ctx, p, docs, func(d *peer.Document) (bool, error) {
		r, err := d.ReadConflicts(ctx, peer.ConflictQuery{})
		if err != nil {
			return false, err
		}
		for _, c := range r.Conflicts {
			if c.ID != name {
				continue
			}
			if c, err = whole(ctx, d, c); err == nil {
				found, in = c, d
			}
			return true, err
		}
		return false, nil
	})
	if err == nil && in == nil {
		err = ErrUnknown
	}
	return found, in, err
}

// whole reads a conflict with its values.
func whole(ctx context.Context, d *peer.Document, c peer.Conflict) (peer.Conflict, error) {
	r, err := d.ReadConflicts(ctx, peer.ConflictQuery{Collection: c.Collection, Entity: c.Entity, Values: true})
	for _, now := range r.Conflicts {
		if now.ID == c.ID {
			return now, err
		}
	}
	if err == nil {
		err = ErrUnknown
	}
	return c, err
}

// each calls fn with documents until it says that it is done.
func each(ctx context.Context, p *peer.Peer, docs []id.Document, fn func(*peer.Document) (done bool, err error)) error {
	if docs == nil {
		infos, err := p.Documents(ctx)
		if err != nil {
			return err
		}
		for _, i := range infos {
			docs = append(docs, i.ID)
		}
	}
	for _, doc := range docs {
		d, err := p.OpenDocument(ctx, doc)
		if err != nil {
			return err
		}
		if done, err := fn(d); done || err != nil {
			return err
		}
	}
	return nil
}
