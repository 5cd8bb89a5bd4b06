package peer

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNetwork is a network that changes when a test says so.
type fakeNetwork struct {
	mu   sync.Mutex
	n    int
	up   bool
	seen int
}

func newFakeNetwork() *fakeNetwork { return &fakeNetwork{up: true} }

func (f *fakeNetwork) change(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.up = up
}

func (f *fakeNetwork) Fingerprint() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	return fmt.Sprint(f.n)
}

func (f *fakeNetwork) Routes(string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.up
}

func TestNetworkWatchTellsOfChangesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := newFakeNetwork(), newNetworkWatch()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.run(ctx, f, time.Second)
		}()
		rung := func(ch <-chan struct{}) bool {
			synctest.Wait()
			select {
			case <-ch:
				return true
			default:
				return false
			}
		}
		ch := w.channel()
		time.Sleep(10 * time.Second)
		if rung(ch) {
			t.Error("nothing has changed")
		}
		f.change(true)
		time.Sleep(time.Second)
		if !rung(ch) {
			t.Error("a change was missed")
		}
		if ch = w.channel(); rung(ch) {
			t.Error("one change is told of twice")
		}
		cancel()
		<-done
		if f.seen < 10 || f.seen > 13 {
			t.Errorf("looked %d times in 11 s", f.seen)
		}
	})
}

func TestSystemNetworkKnowsThisMachine(t *testing.T) {
	n := systemNetwork{}
	for _, host := range []string{"127.0.0.1", "localhost", "a.localhost"} {
		if !n.Routes(host) {
			t.Errorf("there is no way to %s", host)
		}
	}
	// A machine's network may change at any time, but not all the time.
	for last, looks := n.Fingerprint(), 0; ; looks++ {
		now := n.Fingerprint()
		if now == last {
			break
		}
		if last = now; looks == 100 {
			t.Fatal("the network changes between any two looks")
		}
	}
	for address, want := range map[string]string{"ws://[::1]:3030/x": "::1", "wss://relay.example": "relay.example", "ws://10.0.0.1:80": "10.0.0.1", "%": ""} {
		if got := hostOf(address); got != want {
			t.Errorf("the host of %s is %q", address, got)
		}
	}
}
