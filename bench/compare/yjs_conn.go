package main

import (
	"context"
	"sync"

	"github.com/coder/websocket"
)

// yClient is a client of a Yjs server.
type yClient struct {
	yjs
	ctx    context.Context
	cancel context.CancelFunc
	url    string
	w      *world
	all    sync.WaitGroup // goroutines that read

	mu      sync.Mutex
	sockets []*websocket.Conn
	docs    map[string]*yReplica // multiplexed
}

func (y yjs) dial(ctx context.Context, url string, w *world) (client, error) {
	c := &yClient{yjs: y, url: url, w: w, docs: make(map[string]*yReplica)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	if y.multiplexed {
		ws, err := c.socket(url)
		if err != nil {
			return nil, err
		}
		c.listen(ws, c.route)
	}
	return c, nil
}

// socket opens a WebSocket.
func (c *yClient) socket(url string) (*websocket.Conn, error) {
	ws, err := c.w.socket(c.ctx, url)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.sockets = append(c.sockets, ws)
	c.mu.Unlock()
	return ws, nil
}

func (c *yClient) listen(ws *websocket.Conn, hear func([]byte) error) {
	c.all.Go(func() { c.w.read(c.ctx, ws, hear) })
}

// route hands a message to the document that it names.
func (c *yClient) route(frame []byte) error {
	in := yReader{buf: frame}
	name := in.bytes()
	c.mu.Lock()
	r := c.docs[string(name)]
	c.mu.Unlock()
	if in.err != nil || r == nil {
		return in.err
	}
	return r.receive(in.buf)
}

func (c *yClient) open(r replica) error {
	yr := r.(*yReplica)
	if !c.multiplexed {
		ws, err := c.socket(c.url + "/" + yr.doc)
		if err == nil {
			err = yr.open(func(b []byte) error { return ws.Write(c.ctx, websocket.MessageBinary, b) }, false)
		}
		if err == nil {
			c.listen(ws, yr.receive)
		}
		return err
	}
	c.mu.Lock()
	c.docs[yr.doc] = yr
	ws := c.sockets[0]
	c.mu.Unlock()
	send := func(b []byte) error {
		return ws.Write(c.ctx, websocket.MessageBinary, append(appendYString(nil, yr.doc), b...))
	}
	if err := send([]byte{messageAuth, 0, 0}); err != nil { // an empty token
		return err
	}
	return yr.open(send, true)
}

func (c *yClient) close() {
	c.cancel()
	c.mu.Lock()
	for _, ws := range c.sockets {
		ws.CloseNow()
	}
	c.mu.Unlock()
	c.all.Wait()
}
