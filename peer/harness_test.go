package peer

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/relay"
	"syncline/storage"
)

// patience bounds every wait of a test; no test waits for it to pass.
const patience = 3 * time.Minute

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// server is a relay on a port, over a store of its own.
type server struct {
	*relay.Relay
	url  string
	addr string
	path string
	stop func()
}

// ownAddress is an address of this machine, with any port, at which there are no sockets
// but of this process: while a relay that was there is away, nobody else takes its port.
func ownAddress() string {
	n := os.Getpid()
	own := fmt.Sprintf("127.%d.%d.%d:0", 64|n>>16&63, n>>8&255, n&255)
	l, err := net.Listen("tcp", own)
	if err != nil {
		return "127.0.0.1:0" // some systems have no more than this one
	}
	l.Close()
	return own
}

func serveRelay(t testing.TB) *server {
	t.Helper()
	return serveRelayOn(t, filepath.Join(t.TempDir(), "relay.db"), ownAddress())
}

func serveRelayOn(t testing.TB, path, addr string) *server {
	t.Helper()
	store, err := storage.Open(context.Background(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r, err := relay.New(relay.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	s := &server{Relay: r, url: "ws://" + l.Addr().String(), addr: l.Addr().String(), path: path}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close the relay's store: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func testOptions() Options {
	return Options{Poll: 5 * time.Millisecond, Backoff: Backoff{First: time.Millisecond, Most: 20 * time.Millisecond}}
}

func openPeer(t testing.TB, path string, o Options) *Peer {
	t.Helper()
	p, err := Open(bounded(t), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", path, err)
		}
	})
	return p
}

// newPeer opens a peer on a new file that syncs with the given addresses.
func newPeer(t testing.TB, urls ...string) *Peer {
	t.Helper()
	return openPeer(t, filepath.Join(t.TempDir(), "peer.db"), remotes(testOptions(), urls...))
}

func remotes(o Options, urls ...string) Options {
	for _, u := range urls {
		o.Remotes = append(o.Remotes, Remote{URL: u})
	}
	return o
}

// run has a peer sync until the result is called, or the test ends.
func run(t testing.TB, p *Peer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func create(t testing.TB, p *Peer) *Document {
	t.Helper()
	d, err := p.Create(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func fetch(t testing.TB, p *Peer, doc id.Document) *Document {
	t.Helper()
	d, err := p.Fetch(bounded(t), doc)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func do(t testing.TB, d *Document, ops ...crdt.Operation) Receipt {
	t.Helper()
	r, err := d.Do(bounded(t), ops...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// note is an operation that makes an entity with a text.
func note(name string) crdt.Operation {
	return crdt.Create("notes", name, map[string]any{"text": name})
}

func headsOf(t testing.TB, d *Document) []id.Hash {
	t.Helper()
	heads, err := d.Heads(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return heads
}

func jsonOf(t testing.TB, d *Document) string {
	t.Helper()
	b, err := d.JSON(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// until waits until cond holds, which is looked at when one of the documents
// changes.
func until(t testing.TB, what string, docs []*Document, cond func() bool) {
	t.Helper()
	ctx := bounded(t)
	for {
		woken := make(chan struct{})
		once := sync.OnceFunc(func() { close(woken) })
		done := make(chan struct{})
		var all sync.WaitGroup
		for _, d := range docs {
			changed, status := d.Changed(), d.p.StatusChanged()
			all.Go(func() {
				select {
				case <-changed:
				case <-status:
				case <-done:
				}
				once()
			})
		}
		ok := cond()
		if !ok {
			select {
			case <-woken:
			case <-ctx.Done():
			}
		}
		close(done)
		all.Wait()
		switch {
		case ok:
			return
		case ctx.Err() != nil:
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

// converge waits until all documents have the same heads, and compares what they
// then say.
func converge(t testing.TB, docs ...*Document) {
	t.Helper()
	until(t, "all have the same heads", docs, func() bool {
		first := headsOf(t, docs[0])
		for _, d := range docs[1:] {
			if !slices.Equal(headsOf(t, d), first) {
				return false
			}
		}
		return len(first) > 0
	})
	want := jsonOf(t, docs[0])
	for i, d := range docs[1:] {
		if got := jsonOf(t, d); got != want {
			t.Fatalf("equal heads and different documents: the first has\n%s\nand number %d\n%s", want, i+2, got)
		}
	}
}

// collectionLen counts the entities of a collection.
func collectionLen(t testing.TB, d *Document, name string) int {
	t.Helper()
	all, err := d.Collection(bounded(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// copyFile copies a store with what belongs to it.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(from + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// checkActors fails if two changes have the same actor and number.
func checkActors(t testing.TB, d *Document) {
	t.Helper()
	changes, err := d.Changes(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	type slot struct {
		actor id.Actor
		seq   uint64
	}
	seen := map[slot]id.Hash{}
	for _, c := range changes {
		s := slot{c.Actor, c.Seq}
		if other, ok := seen[s]; ok {
			t.Errorf("changes %s and %s are both number %d of actor %s", other, c.Hash, c.Seq, c.Actor)
		}
		seen[s] = c.Hash
	}
}

func name(i int) string { return fmt.Sprintf("n%04d", i) }
