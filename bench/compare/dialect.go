package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"syncline/crdt/id"
)

// dialect is what a family of servers speaks: the protocol, and the changes that
// clients make.
type dialect interface {
	// replica returns an empty document as one client has it. author tells the
	// clients of a document apart and is at least 1.
	replica(doc id.Document, author int, h hearing) replica
	// dial connects a client.
	dial(ctx context.Context, url string, w *world) (client, error)
	// progress is its author's after a change.
	progress(c change) int
	// paper is the history of a typed paper as changes of one author.
	paper(ctx context.Context, path string, edits, each int) ([]change, error)
}

// client is a connection, or several where a server wants one for each document.
type client interface {
	// open begins to keep a replica in step with the server.
	open(r replica) error
	close()
}

// replica is a document at one client. An author's progress is a number that grows
// with each change: its place among the author's changes or items. Methods may be
// called from any goroutine.
type replica interface {
	// letter makes a change that types a letter behind the author's last one, and
	// sends it if the replica is open. It returns the author's progress.
	letter() (int, error)
	// scatter makes changes of one letter each, at random places.
	scatter(n int, seed uint64) (int, error)
	// record makes a change that sets fields to values of size bytes in all.
	record(size int, seed uint64) (int, error)
	// put takes in a change and sends it if the replica is open. If it is of the
	// author, it counts as made here.
	put(c change) error
	// history is what put gives another replica to have the same.
	history() []change
}

// change is a change or an update, ready to be sent.
type change interface{}

// hearing is told of what comes to a replica, by the goroutine that reads.
type hearing struct {
	// arrived: another author's changes up to this one are here.
	arrived func(author, upTo int)
	// acknowledged: the server has this author's changes up to this one.
	acknowledged func(upTo int)
}

// world is what the clients of one run share.
type world struct {
	fail func(error) // ends the run
	in   atomic.Int64
	http *http.Client
}

func newWorld(fail func(error)) *world {
	w := &world{fail: fail}
	dialer := new(net.Dialer)
	w.http = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &meteredConn{c, &w.in}, nil
		},
	}}
	return w
}

// down is how many bytes have come from the server, all of them, frames and
// handshakes included.
func (w *world) down() int64 { return w.in.Load() }

// meteredConn counts what it reads.
type meteredConn struct {
	net.Conn
	in *atomic.Int64
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

// socket opens a WebSocket.
func (w *world) socket(ctx context.Context, url string) (*websocket.Conn, error) {
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: w.http})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	return ws, nil
}

// read hands each frame to hear until the socket is closed by us. Any other end,
// and an error of hear, ends the run.
func (w *world) read(ctx context.Context, ws *websocket.Conn, hear func([]byte) error) {
	for {
		_, frame, err := ws.Read(ctx)
		if err == nil {
			err = hear(frame)
		}
		if err != nil {
			if ctx.Err() == nil {
				w.fail(err)
			}
			return
		}
	}
}
