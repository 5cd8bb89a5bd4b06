package resolve

import (
	"context"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/crdt/merge"
	"syncline/crdt/schema"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; no test waits for it to pass.
const patience = 3 * time.Minute

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func orders(t testing.TB, version int) *schema.Schema {
	t.Helper()
	s, err := schema.New(schema.Definition{ID: "org.example.orders", Version: version, Collections: map[string]schema.Collection{
		"orders": {Fields: map[string]schema.Field{
			"state": {Type: schema.String, Enum: []string{"draft", "sent", "paid"}, Merge: merge.Ranked},
			"best":  {Type: schema.Int, Merge: merge.Max},
			"note":  {Type: schema.Text},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serveRelay returns the URL of a relay.
func serveRelay(t testing.TB) string {
	t.Helper()
	store, err := storage.Open(context.Background(), filepath.Join(t.TempDir(), "relay.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return "ws://" + l.Addr().String()
}

func openPeer(t testing.TB, s *schema.Schema, urls ...string) *peer.Peer {
	t.Helper()
	o := peer.Options{Schema: s, Poll: 5 * time.Millisecond, Backoff: peer.Backoff{First: time.Millisecond, Most: 20 * time.Millisecond}}
	for _, u := range urls {
		o.Remotes = append(o.Remotes, peer.Remote{URL: u})
	}
	p, err := peer.Open(bounded(t), filepath.Join(t.TempDir(), "peer.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// going runs something until the result is called, or the test ends.
func going(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func newResolver(t testing.TB, p *peer.Peer, o Options) *Resolver {
	t.Helper()
	if o.Rest == 0 {
		o.Rest = time.Millisecond
	}
	o.Poll = 2 * time.Millisecond
	r, err := New(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func do(t testing.TB, d *peer.Document, ops ...crdt.Operation) {
	t.Helper()
	if _, err := d.Do(bounded(t), ops...); err != nil {
		t.Fatal(err)
	}
}

func heads(t testing.TB, d *peer.Document) []id.Hash {
	t.Helper()
	h, err := d.Heads(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// until looks at cond whenever one of the documents changes, or their peers stand
// otherwise.
func until(t testing.TB, what string, peers []*peer.Peer, docs []*peer.Document, cond func() bool) {
	t.Helper()
	ctx := bounded(t)
	for {
		cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
		for i := range docs {
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(docs[i].Changed())},
				reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(peers[i].StatusChanged())})
		}
		if cond() {
			return
		}
		if which, _, _ := reflect.Select(cases); which == 0 {
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

func only[T any](v T) []T { return []T{v} }

// forked returns two documents of two peers beside relays, which have edited without each
// other and are joined then. The peers go on.
func forked(t testing.TB, s *schema.Schema, one, two string) (a, b *peer.Document, p, q *peer.Peer) {
	t.Helper()
	p, q = openPeer(t, s, one), openPeer(t, s, two)
	a, err := p.Create(bounded(t), crdt.Create("orders", "o1", map[string]any{"state": "draft", "best": 0, "note": ""}))
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Save(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = q.Import(bounded(t), a.ID(), c); err != nil {
		t.Fatal(err)
	}
	if b, err = q.OpenDocument(bounded(t), a.ID()); err != nil {
		t.Fatal(err)
	}
	do(t, a, crdt.Update("orders", "o1", map[string]any{"state": "paid", "best": 7, "note": "from a"}))
	do(t, b, crdt.Update("orders", "o1", map[string]any{"state": "sent", "best": 9, "note": "from b"}))
	going(t, p.Run)
	going(t, q.Run)
	return a, b, p, q
}

func sameHeads(t testing.TB, a, b *peer.Document) bool { return slices.Equal(heads(t, a), heads(t, b)) }
