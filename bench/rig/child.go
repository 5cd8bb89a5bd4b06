package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

// What a process can be.
const (
	roleRelay = "relay"
	rolePeer  = "peer"
)

// player is what a process holds between requests.
type player struct {
	ctx   context.Context
	peer  *peer.Peer
	relay *relay.Relay
	ends  []func() error // what to end, the last one first
}

type docHeads struct {
	Doc   string
	Heads []string
}

type docBatches struct {
	Doc     string
	Batches [][]crdt.Operation
}

// play answers requests until stdin ends.
func play(role string, stdin io.Reader, stdout io.Writer) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &player{ctx: ctx}
	defer func() {
		for _, end := range slices.Backward(p.ends) {
			err = errors.Join(err, end())
		}
	}()
	verbs := map[string]map[string]func(json.RawMessage) (any, error){
		roleRelay: {"serve": with(p.serve), "counts": with(p.counts)},
		rolePeer: {
			"open": with(p.open), "create": with(p.create), "fetch": with(p.fetch), "do": with(p.do),
			"heads": with(p.heads), "waitHeads": with(p.waitHeads), "text": with(p.text), "traffic": with(p.traffic),
		},
	}[role]
	if verbs == nil {
		return fmt.Errorf("%s=%q is no role", roleEnv, role)
	}
	in, out := json.NewDecoder(stdin), json.NewEncoder(stdout)
	for {
		var q request
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var r reply
		verb := verbs[q.Verb]
		if verb == nil {
			return fmt.Errorf("a %s cannot %q", role, q.Verb)
		}
		result, err := verb(q.Params)
		if err == nil {
			r.Result, err = json.Marshal(result)
		}
		if err != nil {
			r.Error = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// with turns a method into one that takes its parameter as JSON.
func with[P, R any](f func(P) (R, error)) func(json.RawMessage) (any, error) {
	return func(b json.RawMessage) (any, error) {
		var p P
		if err := json.Unmarshal(b, &p); err != nil {
			return nil, err
		}
		return f(p)
	}
}

type none struct{}

func (p *player) serve(path string) (string, error) {
	store, err := storage.Open(p.ctx, path, storage.Options{})
	if err != nil {
		return "", err
	}
	p.ends = append(p.ends, store.Close)
	// What it has to say of its connections belongs into the test's log.
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if p.relay, err = relay.New(relay.Options{Store: store, Log: log}); err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	p.background(func(ctx context.Context) error { return p.relay.Serve(ctx, l) })
	return "ws://" + l.Addr().String(), nil
}

// background runs f until the process is to end.
func (p *player) background(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	p.ends = append(p.ends, func() error {
		cancel()
		return <-done
	})
}

func (p *player) counts(none) (Counts, error) {
	c := p.relay.Counters()
	return Counts{c.BytesIn, c.BytesOut, c.ChangesIn, c.ChangesOut, c.Connections, c.Overflows}, nil
}

func (p *player) open(o PeerOptions) (_ none, err error) {
	var opts peer.Options
	for _, url := range o.Remotes {
		opts.Remotes = append(opts.Remotes, peer.Remote{URL: url})
	}
	if p.peer, err = peer.Open(p.ctx, o.Path, opts); err != nil {
		return none{}, err
	}
	p.ends = append(p.ends, p.peer.Close)
	p.background(p.peer.Run)
	return none{}, nil
}

func (p *player) document(name string) (*peer.Document, error) {
	doc, err := id.ParseDocument(name)
	if err != nil {
		return nil, err
	}
	return p.peer.OpenDocument(p.ctx, doc)
}

func (p *player) create(none) (string, error) {
	d, err := p.peer.Create(p.ctx)
	if err != nil {
		return "", err
	}
	_, err = d.Do(p.ctx, crdt.Create(Collection, Entity, map[string]any{Field: ""}))
	return d.ID().String(), err
}

func (p *player) fetch(name string) (none, error) {
	doc, err := id.ParseDocument(name)
	if err == nil {
		_, err = p.peer.Fetch(p.ctx, doc)
	}
	return none{}, err
}

func (p *player) do(x docBatches) ([]time.Duration, error) {
	d, err := p.document(x.Doc)
	if err != nil {
		return nil, err
	}
	times := make([]time.Duration, 0, len(x.Batches))
	for i, ops := range x.Batches {
		before := time.Now()
		if _, err := d.Do(p.ctx, ops...); err != nil {
			return nil, fmt.Errorf("change %d: %w", i, err)
		}
		times = append(times, time.Since(before))
	}
	return times, nil
}

func (p *player) heads(name string) ([]string, error) {
	d, err := p.document(name)
	if err != nil {
		return nil, err
	}
	heads, err := d.Heads(p.ctx)
	return Hex(heads), err
}

func (p *player) waitHeads(x docHeads) (none, error) {
	d, err := p.document(x.Doc)
	if err != nil {
		return none{}, err
	}
	heads, err := Unhex(x.Heads)
	if err != nil {
		return none{}, err
	}
	return none{}, WaitHeads(p.ctx, d, heads)
}

func (p *player) text(name string) (string, error) {
	d, err := p.document(name)
	if err != nil {
		return "", err
	}
	fields, err := d.Entity(p.ctx, Collection, Entity)
	if err != nil {
		return "", err
	}
	text, ok := fields[Field].(string)
	if !ok {
		return "", fmt.Errorf("the text is a %T", fields[Field])
	}
	return text, nil
}

func (p *player) traffic(none) (peer.Traffic, error) {
	s, err := p.peer.Status(p.ctx)
	if err != nil || len(s.Remotes) == 0 {
		return peer.Traffic{}, err
	}
	return s.Remotes[0].Traffic, nil
}
