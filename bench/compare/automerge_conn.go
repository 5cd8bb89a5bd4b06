package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// automergeClient is a connection that speaks the automerge-repo protocol.
type automergeClient struct {
	ctx    context.Context
	cancel context.CancelFunc
	ws     *websocket.Conn
	route  wire.Route
	done   chan struct{}

	mu   sync.Mutex
	docs map[id.Document]*automergeReplica
}

func (automerge) dial(ctx context.Context, url string, w *world) (client, error) {
	ws, err := w.socket(ctx, url)
	if err != nil {
		return nil, err
	}
	name := id.NewDocument().String() // any random name
	local := wire.Local{PeerID: name, Metadata: wire.Metadata{Ephemeral: true}}
	far, err := local.Connect(ctx, socket.Frames(ws))
	if err != nil {
		ws.CloseNow()
		return nil, err
	}
	c := &automergeClient{ws: ws, route: wire.Route{SenderID: name, TargetID: far.PeerID}, done: make(chan struct{}), docs: make(map[id.Document]*automergeReplica)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer close(c.done)
		w.read(c.ctx, ws, c.receive)
	}()
	return c, nil
}

func (c *automergeClient) receive(frame []byte) error {
	m, err := wire.Decode(frame)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.Sync:
		c.mu.Lock()
		r := c.docs[m.Document]
		c.mu.Unlock()
		if r == nil {
			return nil // of a document that this client never asked for
		}
		return r.receive(m.Data)
	case *wire.Unavailable:
		c.mu.Lock()
		r := c.docs[m.Document]
		c.mu.Unlock()
		if r != nil && r.empty() { // or else it is uploading the document
			return fmt.Errorf("document %s is unavailable", m.Document)
		}
	case *wire.Error:
		return fmt.Errorf("the server says: %s", m.Message)
	}
	return nil
}

func (c *automergeClient) open(r replica) error {
	ar := r.(*automergeReplica)
	c.mu.Lock()
	c.docs[ar.doc] = ar
	c.mu.Unlock()
	return ar.open(func(data []byte, request bool) error {
		b, err := wire.Encode(&wire.Sync{Route: c.route, Request: request, Document: ar.doc, Data: data})
		if err != nil {
			return err
		}
		return c.ws.Write(c.ctx, websocket.MessageBinary, b)
	})
}

func (c *automergeClient) close() {
	c.cancel()
	c.ws.CloseNow()
	<-c.done
}
