package crdt_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/automerge/automerge-go"

	"syncline/bench/js"
	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
)

// end is one side of a sync session, by one implementation of the protocol.
type end interface {
	// add takes in changes from elsewhere: local edits, or another connection.
	add(changes [][]byte) error
	// connect begins a session, from what the last one saved if resume is set.
	connect(resume bool) error
	// generate returns the next message, nil if there is nothing to say.
	generate() ([]byte, error)
	receive(msg []byte) error
	// heads of what is visible, ascending.
	heads() ([]id.Hash, error)
	// changes are all that it holds, each after its deps.
	changes() ([][]byte, error)
}

// ourEnd is a receiver with a session and a pool of orphans.
type ourEnd struct {
	*receiver
	orphans *graph.Orphans
	session *session.Session
}

func newOurEnd() *ourEnd {
	return &ourEnd{receiver: newReceiver(), orphans: graph.NewOrphans(graph.OrphanLimits{})}
}

func (e *ourEnd) add(changes [][]byte) error {
	for _, raw := range changes {
		if err := e.receiver.receive(raw); err != nil && !errors.Is(err, graph.ErrKnown) {
			return err
		}
	}
	return nil
}

func (e *ourEnd) connect(resume bool) error {
	old := e.session
	e.session = session.New(e.graph, e.orphans, session.Options{})
	if resume && old != nil {
		return e.session.Resume(old.Save())
	}
	return nil
}

func (e *ourEnd) generate() ([]byte, error) { return e.session.Generate(e.receiver, 0) }

func (e *ourEnd) receive(b []byte) error {
	msg, err := session.Decode(b)
	if err != nil {
		return err
	}
	for _, b := range msg.Chunks {
		changes, err := chunk.ParseChunks(b)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := e.stage(c); err != nil {
				return err
			}
		}
	}
	e.session.Receive(msg)
	return nil
}

// stage takes a change in with all that waited for it, or lets it wait.
func (e *ourEnd) stage(c *chunk.Change) error {
	for todo := []*chunk.Change{c}; len(todo) > 0; todo = todo[1:] {
		c := todo[0]
		err := e.take(c)
		var missing *graph.MissingError
		switch {
		case errors.Is(err, graph.ErrKnown):
		case errors.As(err, &missing):
			if out := e.orphans.Hold(c, graph.Sender{}, missing.Missing); len(out) > 0 {
				return fmt.Errorf("%d orphans gave way", len(out))
			}
		case err != nil:
			return err
		default:
			for _, o := range e.orphans.Arrived(c.Hash) {
				todo = append(todo, o.Change)
			}
		}
	}
	return nil
}

func (e *ourEnd) heads() ([]id.Hash, error)  { return e.graph.Heads(), nil }
func (e *ourEnd) changes() ([][]byte, error) { return e.standing(), nil }

// goEnd is automerge-go's SyncState.
type goEnd struct {
	doc   *automerge.Doc
	state *automerge.SyncState
}

func newGoEnd() *goEnd { return &goEnd{doc: automerge.New()} }

func (e *goEnd) add(changes [][]byte) error {
	if len(changes) == 0 {
		return nil
	}
	return e.doc.LoadIncremental(concat(changes))
}

func (e *goEnd) connect(resume bool) (err error) {
	old := e.state
	e.state = automerge.NewSyncState(e.doc)
	if resume && old != nil {
		e.state, err = automerge.LoadSyncState(e.doc, old.Save())
	}
	return err
}

func (e *goEnd) generate() ([]byte, error) {
	m, ok := e.state.GenerateMessage()
	if !ok {
		return nil, nil
	}
	return m.Bytes(), nil
}

func (e *goEnd) receive(b []byte) error {
	_, err := e.state.ReceiveMessage(b)
	return err
}

func (e *goEnd) heads() ([]id.Hash, error) {
	var hs []id.Hash
	for _, h := range e.doc.Heads() {
		hs = append(hs, id.Hash(h))
	}
	id.SortHashes(hs)
	return hs, nil
}

func (e *goEnd) changes() ([][]byte, error) {
	cs, err := e.doc.Changes()
	var out [][]byte
	for _, c := range cs {
		out = append(out, c.Save())
	}
	return out, err
}

// jsEnd is @automerge/automerge's sync state, in a Node worker.
type jsEnd struct {
	ctx    context.Context
	worker *js.Automerge
	doc    *js.Doc
	state  *js.SyncState
}

func newJSEnd(ctx context.Context, w *js.Automerge) (*jsEnd, error) {
	doc, err := w.Create(ctx, "")
	return &jsEnd{ctx: ctx, worker: w, doc: doc}, err
}

// free gives the worker's memory back.
func (e *jsEnd) free() error {
	return errors.Join(e.state.Free(e.ctx), e.doc.Free(e.ctx))
}

func (e *jsEnd) add(changes [][]byte) error {
	if len(changes) == 0 {
		return nil
	}
	_, err := e.doc.Apply(e.ctx, changes...)
	return err
}

func (e *jsEnd) connect(resume bool) error {
	var saved []byte
	var err error
	if e.state != nil {
		if saved, err = e.state.Encode(e.ctx); err != nil {
			return err
		}
		if err := e.state.Free(e.ctx); err != nil {
			return err
		}
	}
	if resume && saved != nil {
		e.state, err = e.worker.DecodeSyncState(e.ctx, saved)
	} else {
		e.state, err = e.worker.NewSyncState(e.ctx)
	}
	return err
}

func (e *jsEnd) generate() ([]byte, error) { return e.doc.Generate(e.ctx, e.state) }

func (e *jsEnd) receive(b []byte) error {
	_, err := e.doc.Receive(e.ctx, e.state, b)
	return err
}

func (e *jsEnd) heads() ([]id.Hash, error) {
	hs, err := e.doc.Heads(e.ctx)
	var out []id.Hash
	for _, s := range hs {
		b, err := hex.DecodeString(s)
		if err != nil {
			return nil, err
		}
		out = append(out, id.Hash(b))
	}
	id.SortHashes(out)
	return out, err
}

func (e *jsEnd) changes() ([][]byte, error) {
	all, err := e.doc.Changes(e.ctx, nil)
	for i, raw := range all {
		if all[i], err = inflated(raw); err != nil {
			break
		}
	}
	return slices.Clip(all), err
}
