package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
	"syncline/storage"
	"syncline/storage/fold"
)

// Relay serves WebSocket connections. It is an http.Handler for the path that
// clients connect to; Serve adds the rest of a server around it.
type Relay struct {
	// Static after construction.
	o     Options
	local wire.Local
	turns *semaphore.Weighted // to parse large messages
	halls halls

	segments  *fold.Cache
	compactor *fold.Compactor

	// ctx is for the store; it ends when Close has waited long enough.
	ctx    context.Context
	cancel context.CancelFunc
	watch  context.CancelFunc // ends what runs in the background

	count  counters
	lastID atomic.Uint64

	background sync.WaitGroup // the watcher and the compactor
	serving    sync.WaitGroup // connections; Add under mu

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	peers  map[string]*conn // by peer id; the newest of each
	open   int              // connections, with those still shaking hands

	closing sync.Once
}

// New returns a relay over a store. Close it to end the goroutine that it starts.
func New(o Options) (*Relay, error) {
	if o.Store == nil {
		return nil, errors.New("relay: no store")
	}
	o = o.withDefaults()
	storageID := o.Store.StorageID()
	r := &Relay{
		o: o,
		// Clients keep what they know of a relay by its peer id while they run, and
		// by its storage id when they have a store: both live as long as the data.
		local: wire.Local{PeerID: "relay-" + storageID, Metadata: wire.Metadata{StorageID: storageID, Syncline: wire.Syncline}},
		turns: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		conns: make(map[*conn]struct{}),
		peers: make(map[string]*conn),
	}
	r.halls.init(r)
	r.segments = fold.NewCache(segmentBytes)
	r.compactor = fold.NewCompactor(fold.Options{Store: o.Store, Share: o.CompactionShare, Log: o.Log})
	r.ctx, r.cancel = context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(r.ctx)
	r.watch = cancel
	r.background.Go(func() { r.halls.watch(ctx, o.Store, o.Log) })
	if o.CompactionShare > 0 {
		r.background.Go(func() { r.compactor.Run(ctx) })
	}
	return r, nil
}

// segmentBytes is how much memory opened segments may take: a few of the largest.
const segmentBytes = 16 << 20

// append stores what is new in a document.
func (r *Relay) append(doc id.Document, b storage.Batch) ([]int64, error) {
	rows, err := r.o.Store.Append(r.ctx, b)
	if err != nil {
		r.count.appendFailures.Add(1)
		return nil, err
	}
	r.count.changesIn.Add(int64(len(rows)))
	r.compactor.Touched(doc, len(rows))
	return rows, nil
}

// PeerID is what the relay calls itself.
func (r *Relay) PeerID() string { return r.local.PeerID }

// ServeHTTP upgrades the request and serves the connection until it ends.
//
// Refusals come as an error message and a close, never as an HTTP status: stock
// clients under Node throw on that, and their process ends.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	pulse := new(socket.Pulse)
	ws, err := websocket.Accept(w, req, &websocket.AcceptOptions{
		OnPongReceived: pulse.Pong,
		// Any page may connect: nothing here rests on cookies.
		InsecureSkipVerify: true,
	})
	if err != nil {
		r.o.Log.Debug("not a WebSocket request", "err", err)
		return
	}
	ws.SetReadLimit(r.o.MaxFrame)
	if refusal := r.admit(); refusal != nil {
		r.turnAway(ws, refusal)
		return
	}
	defer r.leave()
	r.count.connections.Add(1)
	r.serve(ws, pulse)
}

// serve shakes hands and runs the connection.
func (r *Relay) serve(ws *websocket.Conn, pulse *socket.Pulse) {
	ctx, cancel := context.WithTimeout(r.ctx, r.o.HandshakeTimeout)
	remote, err := r.local.Serve(ctx, socket.Frames(ws))
	cancel()
	if err != nil {
		r.count.refused.Add(1)
		r.o.Log.Info("handshake failed", "err", err)
		socket.Shut(ws, wire.CloseProtocol, err.Error())
		return
	}
	c := newConn(r, connID(r.lastID.Add(1)), ws, pulse, remote)
	if !r.register(c) {
		c.sendError(errDraining.Error())
		c.ws.Close(wire.CloseDraining, errDraining.Error())
	}
	c.log.Info("peer joined", "syncline", remote.Metadata.Syncline)
	c.run()
	r.unregister(c)
}

var errDraining = errors.New("the relay is shutting down; connect again in a moment")

// admit counts a connection in, or says why not.
func (r *Relay) admit() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return socket.WithCode(wire.CloseDraining, errDraining)
	case r.open >= r.o.MaxConnections:
		return socket.WithCode(wire.CloseOverLimit, fmt.Errorf("the relay has %d connections and takes no more", r.open))
	}
	r.open++
	r.count.openConnections.Add(1)
	r.serving.Add(1)
	return nil
}

func (r *Relay) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	r.count.openConnections.Add(-1)
	r.serving.Done()
}

// turnAway says why, and closes.
func (r *Relay) turnAway(ws *websocket.Conn, why error) {
	r.count.refused.Add(1)
	ctx, cancel := context.WithTimeout(r.ctx, r.o.CloseTimeout)
	defer cancel()
	m := &wire.Error{Route: wire.Route{SenderID: r.local.PeerID}, Message: why.Error()}
	if b, err := wire.Encode(m); err == nil {
		socket.Frames(ws).WriteFrame(ctx, b)
	}
	socket.Shut(ws, socket.CodeOf(why), why.Error())
}

// register makes a connection the one of its peer. An older one of the same peer
// is replaced. It reports false when the relay is closing.
func (r *Relay) register(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if old := r.peers[c.remote.PeerID]; old != nil {
		old.ws.Close(wire.CloseReplaced, "the same peer has connected again")
	}
	r.peers[c.remote.PeerID] = c
	r.conns[c] = struct{}{}
	return true
}

func (r *Relay) unregister(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	if r.peers[c.remote.PeerID] == c {
		delete(r.peers, c.remote.PeerID)
	}
}

// Close stops taking connections, stores what has arrived, sends what is queued,
// closes every connection with wire.CloseDraining and waits for all goroutines.
// Options.CloseTimeout bounds the wait for each of store and network. It may be
// called again, and returns when the first call does.
func (r *Relay) Close() error {
	r.closing.Do(r.drain)
	return nil
}

func (r *Relay) drain() {
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.ws.Close(wire.CloseDraining, errDraining.Error())
	}
	r.mu.Unlock()
	r.watch()

	impatient := time.AfterFunc(r.o.CloseTimeout, r.cancel)
	defer impatient.Stop()
	r.serving.Wait()
	r.background.Wait()
	r.halls.running.Wait()
	r.cancel()
}
