package relay

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/socket"
	"syncline/storage"
	"syncline/storage/fold"
)

// Relay serves WebSocket connections. It is an http.Handler for the path that
// clients connect to; Serve adds the rest of a server around it.
type Relay struct {
	// Static after construction.
	o         Options
	store     Store
	local     wire.Local
	turns     *semaphore.Weighted // to parse large messages
	halls     halls
	lobby     lobby
	gate      access.Gate
	deletions deletions
	started   time.Time

	metrics  *operate.Metrics
	meter    *operate.Meter
	refusals operate.Refusals
	disk     disk

	lastCompaction atomic.Pointer[compactionEnd] // nil: none yet

	segments  *fold.Cache
	compactor *fold.Compactor

	// ctx is for the store; it ends when Close has waited long enough.
	ctx    context.Context
	cancel context.CancelFunc
	watch  context.CancelFunc // ends what runs in the background

	lastID      atomic.Uint64
	subscribers atomic.Int64 // subscriptions to the heads of others

	background sync.WaitGroup // watcher, compactor, clock

	mu    sync.Mutex
	conns map[*conn]struct{}
	peers map[identity]*conn // the newest of each

	closing sync.Once
}

// Store is what rooms are loaded from and stored in: a *storage.Store, but in a
// simulation.
type Store interface {
	fold.Reader
	// Append is storage.Store.Append.
	Append(ctx context.Context, b storage.Batch) ([]int64, error)
	// StorageID is storage.Store.StorageID.
	StorageID() string
}

// New returns a relay over a store. Close it to end the goroutines that it starts.
func New(o Options) (*Relay, error) {
	if o.Store == nil {
		return nil, errors.New("relay: no store")
	}
	r := newRelay(o, o.Store)
	r.disk.init(r.o)
	r.halls.spawn, r.halls.turn, r.halls.here = r.halls.running.Go, o.Store.Turn, true
	ctx, cancel := context.WithCancel(r.ctx)
	r.watch = cancel
	r.background.Go(func() { r.halls.watch(ctx, r.o.Store, r.o.Log) })
	r.background.Go(func() { r.tick(ctx) })
	if r.o.CompactionShare > 0 {
		r.background.Go(func() { r.compactor.Run(ctx) })
	}
	return r, nil
}

// newRelay returns a relay in which nothing runs yet.
func newRelay(o Options, store Store) *Relay {
	o = o.withDefaults()
	storageID := store.StorageID()
	r := &Relay{
		o:     o,
		store: store,
		gate:  access.Gate{Verifier: o.Access, Origins: o.Origins},
		// Clients keep what they know of a relay by its peer id while they run, and
		// by its storage id when they have a store: both live as long as the data.
		local:   wire.Local{PeerID: "relay-" + storageID, Metadata: wire.Metadata{StorageID: storageID, Syncline: wire.Syncline}},
		turns:   semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		started: time.Now(),
		conns:   make(map[*conn]struct{}),
		peers:   make(map[identity]*conn),
	}
	r.metrics = operate.NewMetrics(operate.MetricsOptions{Version: o.Version, MaxConnections: o.MaxConnections, Sample: r.sample})
	r.meter = operate.NewMeter(r.metrics)
	r.halls.init(r)
	r.lobby.init(o)
	r.segments = fold.NewCache(segmentBytes)
	r.compactor = fold.NewCompactor(fold.Options{Store: o.Store, Share: o.CompactionShare, Log: o.Log, Hold: r.disk.readOnly.Load, Did: r.compacted})
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// segmentBytes is how much memory opened segments may take: a few of the largest.
const segmentBytes = 16 << 20

// append stores what is new in a document, and ends the turn, which may be nil.
func (r *Relay) append(doc id.Document, b storage.Batch, turn *storage.Turn) (rows []int64, err error) {
	if err := r.disk.full(); err != nil {
		return nil, err
	}
	begun := time.Now()
	if turn != nil {
		rows, err = turn.Append(r.ctx, b)
	} else {
		rows, err = r.store.Append(r.ctx, b)
	}
	if err != nil {
		r.metrics.CommitFailures.Inc()
		r.disk.failed(err)
		return nil, err
	}
	r.metrics.Committed(time.Since(begun), len(rows))
	r.metrics.ChangesIn.Add(len(rows))
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
	visitor, address := r.gate.Visit(req), addressOf(req)
	pulse := new(socket.Pulse)
	tap := &socket.Tap{ResponseWriter: w}
	ws, err := websocket.Accept(tap, req, &websocket.AcceptOptions{
		OnPongReceived: pulse.Pong,
		Subprotocols:   []string{access.Subprotocol},
		// The origin is checked below, where the client can be told.
		InsecureSkipVerify: true,
	})
	if err != nil {
		r.o.Log.Debug("not a WebSocket request", "err", err)
		return
	}
	ws.SetReadLimit(min(r.o.MaxFrame, wire.MaxJoin))
	r.metrics.Accepted.Inc()
	if r.lobby.arrive() {
		defer r.lobby.present.Done()
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	v, err := r.lobby.enter(address, cancel)
	if err != nil {
		r.turnAway(ws, tap.Line, err, address)
		return
	}
	defer r.lobby.leave(v)
	r.serve(ctx, ws, tap.Line, pulse, visitor, v)
}

// serve shakes hands and runs the connection.
func (r *Relay) serve(ctx context.Context, ws *websocket.Conn, below *socket.Line, pulse *socket.Pulse, visitor access.Visitor, v *visit) {
	g := guest{address: v.address}
	// Who is silent does not hold up the end.
	told := make(chan struct{})
	stop := context.AfterFunc(r.lobby.ending, func() {
		defer close(told)
		r.turnAway(ws, below, socket.WithCode(wire.CloseDraining, errDraining), v.address)
	})
	ctx, cancel := context.WithTimeout(ctx, r.o.HandshakeTimeout)
	remote, err := r.local.Serve(ctx, socket.Frames(ws), func(ctx context.Context, client wire.Remote) (err error) {
		if g.grant, err = r.admit(ctx, visitor, client); err != nil {
			return err
		}
		g.account, err = r.lobby.joined(v, g.grant.Account)
		return err
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel()
	if !stop() {
		<-told
		return
	}
	if err != nil {
		r.refused(socket.CodeOf(err), err, v.address, "")
		r.o.Log.Info("handshake failed", "address", v.address, "err", err)
		r.metrics.Closed(socket.CodeOf(err), false)
		socket.Shut(ws, below, socket.CodeOf(err), err.Error())
		return
	}
	ws.SetReadLimit(r.o.MaxFrame)
	remote.Metadata.Token = ""
	g.remote = remote
	c := newConn(r, connID(r.lastID.Add(1)), ws, below, pulse, g)
	if !r.register(c) {
		c.refuse(wire.CloseDraining, errDraining)
	}
	c.log.Info("peer joined", "address", c.address, "account", g.grant.Account, "syncline", remote.Metadata.Syncline)
	c.run()
	r.unregister(c)
}

var errDraining = errors.New("the relay is shutting down; connect again in a moment")

// refused counts a refusal and remembers it for the operator.
func (r *Relay) refused(code wire.CloseCode, why error, address, peer string) {
	reason := operate.ReasonOf(code)
	r.metrics.Refused(reason)
	r.refusals.Add(operate.Refusal{Time: time.Now(), Reason: reason, Code: code, Text: why.Error(), Address: address, Peer: peer})
}

// turnAway says why, and closes.
func (r *Relay) turnAway(ws *websocket.Conn, below net.Conn, why error, address string) {
	r.refused(socket.CodeOf(why), why, address, "")
	r.metrics.Closed(socket.CodeOf(why), false)
	// Who comes when Close has returned, and the server has not ended, is told as well.
	ctx, cancel := context.WithTimeout(context.Background(), r.o.CloseTimeout)
	defer cancel()
	m := &wire.Error{Route: wire.Route{SenderID: r.local.PeerID}, Message: why.Error()}
	if b, err := wire.Encode(m); err == nil {
		socket.Frames(ws).WriteFrame(ctx, b)
	}
	socket.Shut(ws, below, socket.CodeOf(why), why.Error())
}

// identity is who a connection is for. Peer ids are what clients choose, and others
// see them: one account cannot take the place of another's.
type identity struct{ account, peer string }

func (c *conn) identity() identity { return identity{c.pass.Grant().Account, c.remote.PeerID} }

// register makes a connection the one of its peer. An older one of the same peer
// is replaced. It reports false when the relay is closing.
func (r *Relay) register(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lobby.isClosed() {
		return false
	}
	if old := r.peers[c.identity()]; old != nil {
		old.ws.Close(wire.CloseReplaced, "the same peer has connected again")
	}
	r.peers[c.identity()] = c
	r.conns[c] = struct{}{}
	return true
}

func (r *Relay) unregister(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	if r.peers[c.identity()] == c {
		delete(r.peers, c.identity())
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
	r.lobby.close()
	r.closeConns()
	r.watch()

	impatient := time.AfterFunc(r.o.CloseTimeout, r.cancel)
	defer impatient.Stop()
	r.lobby.present.Wait()
	r.background.Wait()
	r.halls.running.Wait()
	r.cancel()
}

// closeConns closes the connections in no order, spread over Options.DrainTime:
// stock clients come back after a fixed time, and not all at once. Syncline ends
// are told in which time to come back by themselves.
func (r *Relay) closeConns() {
	r.mu.Lock()
	conns := slices.Collect(maps.Keys(r.conns))
	r.mu.Unlock()
	spread := min(r.o.DrainTime, time.Duration(len(conns))*time.Millisecond)
	begun := time.Now()
	for i, c := range conns {
		time.Sleep(time.Until(begun.Add(spread * time.Duration(i) / time.Duration(len(conns)))))
		c.notice(wire.Notice{Code: wire.NoticeDraining, RetryAfter: rand.N(time.Second + max(r.o.DrainTime, 0)), Message: errDraining.Error()})
		c.ws.Close(wire.CloseDraining, errDraining.Error())
	}
}
