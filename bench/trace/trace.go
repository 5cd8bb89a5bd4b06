package trace

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

const (
	maxJSON   = 256 << 20 // bytes of an inflated trace: the largest public one has 30 MB
	maxAgents = 1000      // each costs a byte for each edit
)

// Patch deletes Del code points at Pos and then inserts Ins there.
type Patch struct {
	Pos, Del int
	Ins      string
}

// UnmarshalJSON reads [position, deleted, inserted].
func (p *Patch) UnmarshalJSON(b []byte) error {
	parts := []any{&p.Pos, &p.Del, &p.Ins}
	if err := json.Unmarshal(b, &parts); err != nil {
		return fmt.Errorf("patch: %w", err)
	}
	if len(parts) != 3 || parts[2] == nil {
		return fmt.Errorf("a patch has a position, a count and a string, not %d parts", len(parts))
	}
	return nil
}

// Edit is what one agent did at once.
type Edit struct {
	Parents []int // indices of earlier edits, none of which is an ancestor of another
	Agent   int
	Patches []Patch
}

// Trace is a recorded session.
type Trace struct {
	Concurrent bool
	Agents     int    // edits have Agent from 0 to Agents-1
	Start, End string // the text before the first and after the last edit
	Edits      []Edit // parents first
}

// Open reads a trace from a file, gzipped or not.
func Open(path string) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	defer f.Close()
	t, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", path, err)
	}
	return t, nil
}

// Read reads a trace, gzipped or not, and checks that it can be replayed.
func Read(r io.Reader) (*Trace, error) {
	head := make([]byte, 2)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(head[:n]), r)
	if bytes.Equal(head, []byte{0x1f, 0x8b}) {
		if r, err = gzip.NewReader(r); err != nil {
			return nil, fmt.Errorf("gunzip: %w", err)
		}
	}
	all, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err != nil {
		return nil, err
	}
	if len(all) > maxJSON {
		return nil, fmt.Errorf("more than %d bytes of JSON", maxJSON)
	}
	return parse(all)
}

func parse(b []byte) (*Trace, error) {
	var file struct {
		Kind         string
		StartContent string
		EndContent   string
		NumAgents    int
		Txns         []struct {
			Parents []int
			Agent   int
			Patches []Patch
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	t := &Trace{Concurrent: file.Kind == "concurrent", Agents: 1, Start: file.StartContent, End: file.EndContent}
	if t.Concurrent {
		t.Agents = file.NumAgents
	}
	if t.Agents < 0 || t.Agents > maxAgents {
		return nil, fmt.Errorf("%d agents, at most %d are allowed", t.Agents, maxAgents)
	}
	for i, x := range file.Txns {
		e := Edit{Parents: x.Parents, Agent: x.Agent, Patches: x.Patches}
		if !t.Concurrent {
			e.Agent, e.Parents = 0, nil
			if i > 0 {
				e.Parents = []int{i - 1}
			}
		}
		t.Edits = append(t.Edits, e)
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

// check says why the trace cannot be replayed by one text for each agent that
// only ever takes edits in.
func (t *Trace) check() error {
	known := NewAgents(t)
	for i, e := range t.Edits {
		if e.Agent < 0 || e.Agent >= t.Agents {
			return fmt.Errorf("edit %d is by agent %d of %d", i, e.Agent, t.Agents)
		}
		for _, p := range e.Parents {
			if p < 0 || p >= i {
				return fmt.Errorf("edit %d has parent %d", i, p)
			}
		}
		for _, p := range e.Patches {
			if p.Pos < 0 || p.Del < 0 || !utf8.ValidString(p.Ins) {
				return fmt.Errorf("edit %d has the patch %+v", i, p)
			}
		}
		if _, err := known.Advance(i); err != nil {
			return err
		}
	}
	return nil
}

// Prefix is the trace up to its first n edits. Of a concurrent one the End is not
// known, and is empty.
func (t *Trace) Prefix(n int) *Trace {
	if n >= len(t.Edits) {
		return t
	}
	p := *t
	p.Edits, p.End = t.Edits[:n], ""
	if !t.Concurrent {
		text := NewText(t.Start)
		for _, e := range p.Edits {
			for _, patch := range e.Patches {
				text.Apply(patch)
			}
		}
		p.End = text.String()
	}
	return &p
}
