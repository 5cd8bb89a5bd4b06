package rig

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

// ServeRelay runs a relay in this process until the test ends and returns its URL.
func ServeRelay(t testing.TB) string {
	t.Helper()
	l := Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serveRelay(ctx, filepath.Join(t.TempDir(), "relay.db"), l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	return "ws://" + l.Addr().String()
}

func serveRelay(ctx context.Context, path string, l net.Listener) error {
	store, err := storage.Open(ctx, path, storage.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	r, err := relay.New(relay.Options{Store: store})
	if err != nil {
		return err
	}
	return r.Serve(ctx, l)
}

// OpenPeer opens a peer in this process, on a new file, that syncs with the given
// addresses until the test ends. With none it is offline.
func OpenPeer(t testing.TB, o peer.Options, urls ...string) *peer.Peer {
	t.Helper()
	o.Backoff = peer.Backoff{First: time.Millisecond, Most: 50 * time.Millisecond}
	for _, url := range urls {
		o.Remotes = append(o.Remotes, peer.Remote{URL: url})
	}
	p := Get(peer.Open(context.Background(), filepath.Join(t.TempDir(), "peer.db"), o))(t)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close a peer: %v", err)
		}
	})
	if len(urls) > 0 {
		Run(t, p)
	}
	return p
}

// Run has a peer sync until the result is called, or the test ends.
func Run(t testing.TB, p *peer.Peer) (stop func()) {
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

// WaitHeads waits until a document has exactly these heads.
func WaitHeads(ctx context.Context, d *peer.Document, heads []id.Hash) error {
	for now, err := range d.Watch(ctx) {
		if err != nil {
			return err
		}
		if slices.Equal(now, heads) {
			return nil
		}
	}
	return ctx.Err()
}

// Converge waits until all documents have the same heads, which are not none, and
// returns them. Nobody may edit meanwhile.
func Converge(ctx context.Context, docs ...*peer.Document) ([]id.Hash, error) {
	for {
		changed := make([]<-chan struct{}, len(docs))
		var first []id.Hash
		same := true
		for i, d := range docs {
			changed[i] = d.Changed()
			heads, err := d.Heads(ctx)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				first = heads
			}
			same = same && slices.Equal(heads, first)
		}
		if same && len(first) > 0 {
			return first, nil
		}
		if err := anyOf(ctx, changed); err != nil {
			return nil, err
		}
	}
}

// anyOf waits until one of the channels is closed.
func anyOf(ctx context.Context, channels []<-chan struct{}) error {
	woken, done := make(chan struct{}), make(chan struct{})
	wake := sync.OnceFunc(func() { close(woken) })
	var all sync.WaitGroup
	for _, c := range channels {
		all.Go(func() {
			select {
			case <-c:
				wake()
			case <-done:
			}
		})
	}
	defer all.Wait()
	defer close(done)
	select {
	case <-woken:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Hex writes heads as JavaScript has them.
func Hex(heads []id.Hash) []string {
	out := make([]string, 0, len(heads))
	for _, h := range heads {
		out = append(out, hex.EncodeToString(h[:]))
	}
	return out
}

// WaitHas waits until a document holds the given changes.
func WaitHas(ctx context.Context, d *peer.Document, hashes []id.Hash) error {
	for {
		changed := d.Changed()
		err := d.Read(ctx, func(c *crdt.Document) error {
			_, err := c.At(hashes)
			return err
		})
		if !errors.Is(err, crdt.ErrUnknownHeads) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Unhex reads heads as JavaScript has them.
func Unhex(heads []string) ([]id.Hash, error) {
	out := make([]id.Hash, 0, len(heads))
	for _, s := range heads {
		h, err := id.ParseHash(s)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}
