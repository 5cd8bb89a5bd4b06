// Package intake takes the changes of others into one document. It stands where
// relay and peer are alike: behind chunk, which has looked at a change alone, and
// before the journal. A change is checked in its document, waits for what it builds
// on, or is refused for good; what fits is staged until the owner has stored it, and
// is then published, or un-staged if it could not be stored.
//
// It decides and does nothing: it knows no store, no wire and no clock. What is to be
// done about a sender it tells its Listener, by the number of the sender's connection.
// An Intake is not safe for concurrent use.
package intake

import (
	"errors"
	"fmt"

	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// Staged is a change that is in the graph but not yet durable.
type Staged struct {
	Change *chunk.Change
	From   graph.Sender
	Own    bool // it was made here, and not checked
	waited bool // it was an orphan of an earlier round
}

// Bodies are the changes of the document, and those of the present round before
// anybody has to read them.
type Bodies interface {
	check.Source
	Add(row int64, body []byte) // until Forget; the body must not be modified
	Forget()
}

// Loss says why a sender has to offer again what it believes has arrived: its
// connection is to end, since only a new session starts from what is really here.
type Loss uint8

// The losses.
const (
	Unreadable Loss = iota // a change could not be checked, by no fault of its own
	Crowded                // it waited for others, and had to give way
	Unstored               // the store has failed
)

// Listener is told what becomes of changes, in the course of the call that decides
// it. conn is Sender.Conn, of one that may have left meanwhile; 0: of nobody.
type Listener interface {
	// Refused: the change can never be taken in, and is not asked for again.
	Refused(conn uint64, change id.Hash, why error)
	// Lost: see Loss.
	Lost(conn uint64, loss Loss, why error)
}

// Intake is what a document takes in. Its graph and its orphans are for sessions to
// read, and for nobody else to alter.
type Intake struct {
	graph    *graph.Graph
	orphans  *graph.Orphans
	bodies   Bodies
	checker  *check.Checker // nil while the graph is shallow
	listener Listener
	staged   []Staged
}

// New returns an intake over the graph of a document whose bodies are those given.
// Over a shallow graph nothing can be taken in until Use is called.
func New(g *graph.Graph, b Bodies, limits graph.OrphanLimits, l Listener) *Intake {
	in := &Intake{orphans: graph.NewOrphans(limits), bodies: b, listener: l}
	in.Use(g)
	return in
}

// Use goes on over another graph of the same document. Nothing may be staged.
func (in *Intake) Use(g *graph.Graph) {
	in.graph, in.checker = g, nil
	if !g.IsShallow() {
		in.checker = check.New(g, in.bodies)
	}
}

// Graph is what has been taken in.
func (in *Intake) Graph() *graph.Graph { return in.graph }

// Orphans are what waits, and what was refused.
func (in *Intake) Orphans() *graph.Orphans { return in.orphans }

// Bytes is about what the intake keeps in memory between rounds, beside the graph and
// the orphans.
func (in *Intake) Bytes() int {
	if in.checker == nil {
		return 0
	}
	return in.checker.Bytes()
}

// Staged lists what is to be stored, in an order in which deps come first. It is
// good until Settle.
func (in *Intake) Staged() []Staged { return in.staged }

// TakeOwn stages a change that was made here.
func (in *Intake) TakeOwn(c *chunk.Change) error {
	if err := in.graph.Add(graph.MetaOf(c)); err != nil {
		return err
	}
	in.checker.Added(c)
	in.staged = append(in.staged, Staged{Change: c, Own: true})
	return nil
}

// Take takes in a change, and those that waited for it.
func (in *Intake) Take(c *chunk.Change, from graph.Sender) {
	in.takeAll(in.takeOne(Staged{Change: c, From: from}))
}

func (in *Intake) takeAll(ready []graph.Orphan) {
	for len(ready) > 0 {
		next := ready[0]
		ready = append(ready[1:], in.takeOne(Staged{Change: next.Change, From: next.From, waited: true})...)
	}
}

// takeOne returns the changes that were waiting for this one.
func (in *Intake) takeOne(s Staged) []graph.Orphan {
	c := s.Change
	if in.graph.Contains(c.Hash) || in.orphans.Has(c.Hash) {
		return nil
	}
	err := in.check(c)
	if err == nil {
		err = in.graph.Add(graph.MetaOf(c))
	}
	if err == nil {
		in.checker.Added(c)
		in.staged = append(in.staged, s)
		return in.orphans.Arrived(c.Hash)
	}
	if missing, ok := errors.AsType[*graph.MissingError](err); ok {
		in.hold(c, s.From, missing.Missing)
		return nil
	}
	if errors.Is(err, check.ErrSource) {
		in.listener.Lost(s.From.Conn, Unreadable, fmt.Errorf("change %s: %w", c.Hash, err))
		return nil
	}
	in.listener.Refused(s.From.Conn, c.Hash, err)
	// What builds on it can never be taken in, whoever sent it.
	for _, o := range in.orphans.Refuse(c.Hash) {
		in.listener.Refused(o.From.Conn, o.Change.Hash, buildsOnRefused(o.Change.Hash, c.Hash))
	}
	return nil
}

// check looks at a change in the document. What was refused before stays so.
func (in *Intake) check(c *chunk.Change) error {
	if in.orphans.Refused(c.Hash) {
		return fmt.Errorf("change %s was refused before", c.Hash)
	}
	for _, d := range c.Deps {
		if in.orphans.Refused(d) && !in.graph.Contains(d) {
			return buildsOnRefused(c.Hash, d)
		}
	}
	return in.checker.Check(c)
}

func buildsOnRefused(h, refused id.Hash) error {
	return fmt.Errorf("change %s builds on %s, which was refused", h, refused)
}

var errCrowded = errors.New("too many changes wait for changes that were not sent")

// hold has a change wait. Those that have to give way for it are lost.
func (in *Intake) hold(c *chunk.Change, from graph.Sender, missing []id.Hash) {
	for _, o := range in.orphans.Hold(c, from, missing) {
		in.listener.Lost(o.From.Conn, Crowded, errCrowded)
	}
}

// Heads lists what the heads will be once what is staged is published, ascending.
func (in *Intake) Heads() []id.Hash {
	heads := make(map[id.Hash]struct{})
	for _, h := range in.graph.Heads() {
		heads[h] = struct{}{}
	}
	for i := range in.staged {
		c := in.staged[i].Change
		for _, d := range c.Deps {
			delete(heads, d)
		}
		heads[c.Hash] = struct{}{}
	}
	list := make([]id.Hash, 0, len(heads))
	for h := range heads {
		list = append(list, h)
	}
	id.SortHashes(list)
	return list
}

// Publish makes what is staged visible: it is durable and has these rows.
func (in *Intake) Publish(rows []int64) graph.Verdict {
	for i := range in.staged {
		in.bodies.Add(rows[i], in.staged[i].Change.Raw())
	}
	return in.graph.Publish(rows)
}

// Unstage takes back what is staged: it could not be stored. What had waited waits
// on for what it lacks now.
func (in *Intake) Unstage(why error) {
	in.graph.Truncate()
	for i := range in.staged {
		s := &in.staged[i]
		in.listener.Lost(s.From.Conn, Unstored, fmt.Errorf("changes could not be stored: %w", why))
		if s.waited {
			in.hold(s.Change, s.From, in.graph.Missing(s.Change.Deps))
		}
	}
}

// Settle ends a round: what was staged is published or un-staged.
func (in *Intake) Settle() {
	if in.checker != nil {
		in.checker.Settle()
	}
	clear(in.staged)
	in.staged = in.staged[:0]
	in.bodies.Forget()
}

// TakeStored takes in what somebody else has stored, who has checked it. leftOut is
// called for what does not fit. Wake is to follow.
func (in *Intake) TakeStored(metas []graph.Meta, leftOut func(id.Hash, error)) (grown bool, v graph.Verdict) {
	for _, m := range metas {
		if in.graph.Contains(m.Hash) {
			continue
		}
		if err := in.graph.Add(m); err != nil {
			leftOut(m.Hash, err)
			continue
		}
		grown = true
	}
	return grown, in.graph.Publish(nil)
}

// Wake takes in what waited for changes that TakeStored was given.
func (in *Intake) Wake(metas []graph.Meta) {
	for _, m := range metas {
		in.takeAll(in.orphans.Arrived(m.Hash))
	}
}
