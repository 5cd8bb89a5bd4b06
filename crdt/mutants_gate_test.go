package crdt_test

import (
	"fmt"
	"strings"

	"syncline/crdt/check"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// receiver is a relay or a peer as far as its checks: what stands in it is what a
// peer would hand to the core, and a relay pass on.
type receiver struct {
	graph   *graph.Graph
	check   *check.Checker
	changes []*chunk.Change // by row of the graph
}

func newReceiver() *receiver {
	r := &receiver{graph: graph.New()}
	r.check = check.New(r.graph, r)
	return r
}

// Bodies makes the receiver the source of its checker and of its sessions.
func (r *receiver) Bodies(rows []int64, yield func(body []byte) bool) error {
	for _, row := range rows {
		if !yield(r.changes[row].Raw()) {
			break
		}
	}
	return nil
}

// receive takes in one change chunk, or says why not.
func (r *receiver) receive(raw []byte) error {
	c, err := chunk.ParseChange(raw)
	if err != nil {
		return err
	}
	return r.take(c)
}

func (r *receiver) take(c *chunk.Change) error {
	if err := r.check.Check(c); err != nil {
		return err
	}
	if err := r.graph.Add(graph.MetaOf(c)); err != nil {
		return fmt.Errorf("checked and then not added: %w", err)
	}
	r.check.Added(c)
	r.graph.Publish([]int64{int64(len(r.changes))})
	r.check.Settle()
	r.changes = append(r.changes, c)
	return nil
}

// standing lists the chunks that stand, in order.
func (r *receiver) standing() [][]byte {
	var out [][]byte
	for _, c := range r.changes {
		if r.graph.Has(c.Hash) {
			out = append(out, c.Raw())
		}
	}
	return out
}

// throughChecks is the gate of the real thing: each change is decoded and checked
// in its document; one that is refused is left out, and with it what needs it.
func throughChecks(m *mutant) {
	switch {
	case m.document != nil:
		throughDocument(m)
		return
	case m.message != nil:
		throughSession(m)
		return
	}
	r := newReceiver()
	for _, raw := range m.changes {
		_ = r.receive(raw) // refused ones are counted by what stands
	}
	m.accepted = r.standing()
	m.heads = r.graph.Heads()
	if h := hashOf(m.changes[m.at]); r.graph.Has(h) && !m.base.has(h) {
		m.passed = true
	}
}

// has reports whether the history itself holds a change.
func (h *history) has(hash id.Hash) bool { return h.hashes[hash] }

// dump writes a change for people: one line for its header, one for each operation.
func dump(raw []byte) string {
	c, err := chunk.ParseChange(raw)
	if err != nil {
		return fmt.Sprintf("  unreadable change: %v\n", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %.8s actor %.8s seq %d start %d time %d message %q extra %x deps", c.Hash, c.Actor, c.Seq, c.StartOp, c.Time, c.Message, c.Extra())
	for _, d := range c.Deps {
		fmt.Fprintf(&b, " %.8s", d)
	}
	b.WriteByte('\n')
	for i, o := range readOps(c) {
		key := fmt.Sprintf("%q", o.Key)
		if o.IsElem {
			key = "element " + o.elem.String()
		}
		fmt.Fprintf(&b, "    %d: %s in %s at %s", c.StartOp+uint64(i), o.Action, o.obj, key)
		if o.Insert {
			b.WriteString(" insert")
		}
		fmt.Fprintf(&b, " value %d:%x", o.Value.Type, o.Value.Raw)
		if len(o.pred) > 0 {
			fmt.Fprintf(&b, " over %v", o.pred)
		}
		if o.Expand || o.HasMark {
			fmt.Fprintf(&b, " mark %q (%v) expand %v", o.MarkName, o.HasMark, o.Expand)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (o opID) String() string {
	if o.ctr == 0 {
		return "-"
	}
	return fmt.Sprintf("%d@%.8s", o.ctr, o.actor)
}
