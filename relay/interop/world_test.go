package interop

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"syncline/bench/js"
)

// bound is how long a test may take before it counts as stuck. Every wait ends by
// an event; none lasts this long when all is well.
const bound = 4 * time.Minute

// world is a running relay and a Node process for its clients.
type world struct {
	t     *testing.T
	ctx   context.Context
	relay *relay
	node  *js.Repo
}

// newWorld starts both. The relay runs unless the test wants to start it itself.
func newWorld(t *testing.T, startRelay bool) *world {
	t.Helper()
	js.Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, relay: newRelay(t)}
	if startRelay {
		w.relay.start()
	}
	w.node = w.startNode()
	return w
}

// startNode starts a further Node process, which ends before the relay does.
func (w *world) startNode() *js.Repo {
	w.t.Helper()
	node := get(js.StartRepo(context.Background()))(w.t)
	w.t.Cleanup(func() {
		if !w.t.Failed() {
			node.Close()
			return
		}
		if s := node.Stderr(); s != "" {
			w.t.Logf("the clients' stderr ends with:\n%s", s)
		}
		node.Kill()
	})
	return node
}

// retry is how soon clients try to connect again, so that tests need not wait for
// the stock five seconds. Within it a connection must come about: the stock client
// abandons one that takes longer.
const retry = 500 * time.Millisecond

// client opens a client of the relay and waits until it is connected.
func (w *world) client(peerID string) *js.Client {
	w.t.Helper()
	return w.open(js.ClientOptions{URL: w.relay.url(), PeerID: peerID, Retry: retry})
}

func (w *world) open(o js.ClientOptions) *js.Client {
	w.t.Helper()
	c := get(w.node.Open(w.ctx, o))(w.t)
	get(c.Connected(w.ctx))(w.t)
	return c
}

// ok fails the test on an error.
func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// same waits until all clients hold the given changes and fails unless they have
// equal heads and equal content then. It returns the content.
func (w *world) same(doc string, hashes []string, clients ...*js.Client) js.Dump {
	w.t.Helper()
	for _, c := range clients {
		get(c.WaitHas(w.ctx, doc, hashes))(w.t)
	}
	first := get(clients[0].Dump(w.ctx, doc))(w.t)
	for _, c := range clients[1:] {
		d := get(c.Dump(w.ctx, doc))(w.t)
		if !slices.Equal(d.Heads, first.Heads) {
			w.t.Fatalf("%s has heads %v, %s has %v", clients[0].PeerID, first.Heads, c.PeerID, d.Heads)
		}
		if !bytes.Equal(d.Doc, first.Doc) {
			w.t.Fatalf("equal heads, but %s shows\n%s\nand %s\n%s", clients[0].PeerID, first.Doc, c.PeerID, d.Doc)
		}
	}
	return first
}

// get turns a result and its error into the result, failing the test on an error:
// get(f())(t).
func get[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
