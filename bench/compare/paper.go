package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"syncline/bench/js"
	"syncline/bench/light"
	"syncline/bench/trace"
	"syncline/crdt/chunk"
)

// errAbsent is why a workload is left out: the trace is not on this machine.
var errAbsent = errors.New("not measured")

// papers makes the changes that type the paper, once for each way of cutting it.
type papers struct {
	mu   sync.Mutex
	made map[string][]change
}

// get returns the first edits of the paper as changes of author 1.
func (p *papers) get(ctx context.Context, d dialect, edits, each int) ([]change, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%T %d %d", d, edits, each)
	if all, ok := p.made[key]; ok {
		return all, nil
	}
	path, err := trace.Path(trace.Paper)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAbsent, err)
	}
	all, err := d.paper(ctx, path, edits, each)
	if err != nil {
		return nil, fmt.Errorf("the paper as changes: %w", err)
	}
	if p.made == nil {
		p.made = make(map[string][]change)
	}
	p.made[key] = all
	return all, nil
}

func (automerge) paper(_ context.Context, path string, edits, each int) ([]change, error) {
	t, err := trace.Open(path)
	if err != nil {
		return nil, err
	}
	t = t.Prefix(edits)
	h := chunk.Header{Actor: light.ActorOf(1), Seq: 1, StartOp: 1, Time: light.Epoch}
	var all []change
	add := func(ops []chunk.Op) error {
		c, err := light.Encode(h, ops)
		if err != nil {
			return err
		}
		all = append(all, c)
		h.Seq++
		h.StartOp += c.NumOps
		h.Deps = append(h.Deps[:0:0], c.Hash)
		return nil
	}
	if err := add([]chunk.Op{{Key: "text", Action: chunk.MakeText}}); err != nil {
		return nil, err
	}
	text := chunk.Ref{Ctr: 1}
	var letters gaps // the operations that inserted what is there
	var ops []chunk.Op
	for i, e := range t.Edits {
		for _, p := range e.Patches {
			letters.move(p.Pos)
			for range p.Del {
				gone := chunk.Ref{Ctr: letters.next()}
				ops = append(ops, chunk.Op{Obj: text, Elem: gone, IsElem: true, Action: chunk.Delete, Pred: []chunk.Ref{gone}})
			}
			for _, letter := range p.Ins {
				ops = append(ops, chunk.Op{
					Obj: text, Elem: chunk.Ref{Ctr: letters.last()}, IsElem: true, Insert: true, Action: chunk.Set,
					Value: chunk.Value{Type: chunk.String, Raw: []byte(string(letter))},
				})
				letters.before = append(letters.before, h.StartOp+uint64(len(ops))-1)
			}
		}
		if (i+1)%each == 0 || i+1 == len(t.Edits) {
			if err := add(ops); err != nil {
				return nil, err
			}
			ops = nil
		}
	}
	return all, nil
}

// gaps is a sequence with a cursor: what is before it, and what is behind it in
// reverse.
type gaps struct{ before, behind []uint64 }

func (g *gaps) move(to int) {
	for len(g.before) > to {
		g.behind = append(g.behind, g.last())
		g.before = g.before[:len(g.before)-1]
	}
	for len(g.before) < to {
		g.before = append(g.before, g.next())
	}
}

// last is what is right before the cursor, 0 at the beginning.
func (g *gaps) last() uint64 {
	if len(g.before) == 0 {
		return 0
	}
	return g.before[len(g.before)-1]
}

// next takes away what is right behind the cursor. There must be something.
func (g *gaps) next() uint64 {
	v := g.behind[len(g.behind)-1]
	g.behind = g.behind[:len(g.behind)-1]
	return v
}

// paper has Yjs itself make the updates. They are never of fewer than 100 edits:
// what a server holds in the end is the same.
func (yjs) paper(ctx context.Context, path string, edits, each int) ([]change, error) {
	dir, err := js.Dir()
	if err != nil {
		return nil, err
	}
	const client = yClients + 1
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, "compare", "paper.mjs"), path, strconv.Itoa(edits), strconv.Itoa(max(each, perChange)), strconv.Itoa(client), yText)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, light.Tail(stderr.String()))
	}
	var all []change
	var clock uint64
	for len(out) > 0 {
		if len(out) < 4 || uint64(len(out)-4) < uint64(binary.BigEndian.Uint32(out)) {
			return nil, errors.New("the last update is cut short")
		}
		n := 4 + int(binary.BigEndian.Uint32(out))
		if err := readYUpdate(out[4:n], func(_, upTo uint64) { clock = upTo }); err != nil {
			return nil, err
		}
		all = append(all, yUpdateOf{client, clock, out[4:n]})
		out = out[n:]
	}
	return all, nil
}
