package relay

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
)

// TestDrainingTellsEverybodyAndLosesNothing has many write while the relay is shut
// down: each is told, and what was acknowledged to any of them is stored.
func TestDrainingTellsEverybodyAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	const clients, drain = 20, 200 * time.Millisecond
	s := serveOn(t, path, Options{DrainTime: drain, CloseTimeout: patience})
	doc := id.NewDocument() // all write the same
	var all []*client
	var rs []*replica
	for n := range clients {
		c := joinAs(t, s.url, wire.Local{PeerID: fmt.Sprint("peer ", n), Metadata: wire.Metadata{Syncline: uint64(n % 2)}})
		r := newReplica(t, doc, c.peer)
		r.edit("k")
		c.sync(r)
		c.acked(r)
		all, rs = append(all, c), append(rs, r)
	}
	pending := upgrade(t, s.url, "pending") // has not joined
	until(t, "it is counted", func() bool { shaking, _, _ := s.lobby.counts(); return shaking == 1 })
	var writing sync.WaitGroup
	codes := make([]wire.CloseCode, clients)
	for n, c := range all {
		writing.Go(func() {
			for {
				rs[n].edit("k")
				if data := rs[n].generate(); data != nil {
					b, err := wire.Encode(&wire.Sync{Route: c.route(), Document: doc, Data: data})
					if err != nil {
						t.Error(err)
					}
					c.write(websocket.MessageBinary, b) // which fails at the end
				}
				if _, err := c.next(); err != nil {
					codes[n] = closeCode(t, err)
					return
				}
			}
		})
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
	}()
	until(t, "it drains", func() bool { return s.Ready() != nil })
	if status, body := s.ask(t, "GET", operate.ReadyPath, nil); status != 503 || !strings.Contains(body, "shutting down") {
		t.Errorf("%d %q", status, body)
	}
	// A pending handshake is told, and one that begins now is not served.
	if text, code := pending.refusal(wire.Local{PeerID: "pending"}); code != wire.CloseDraining || !strings.Contains(text, "connect again") {
		t.Errorf("closed with %s, told %q", code, text)
	}
	late := upgrade(t, s.url, "late")
	if code := late.untilClosed(); code != wire.CloseDraining || len(late.errors) != 1 {
		t.Errorf("closed with %s, told %q", code, late.errors)
	}
	<-closed
	writing.Wait()
	for n, c := range all {
		if codes[n] != wire.CloseDraining {
			t.Errorf("%s is closed with %s", c.peer, codes[n])
		}
		if n%2 == 0 {
			if len(c.errors) != 1 || len(c.notices) != 0 || !strings.Contains(c.errors[0], "connect again") {
				t.Errorf("%s is told %q, %v", c.peer, c.errors, c.notices)
			}
		} else if len(c.notices) != 1 || len(c.errors) != 0 || c.notices[0].Code != wire.NoticeDraining ||
			c.notices[0].RetryAfter <= 0 || c.notices[0].RetryAfter > time.Second+drain {
			t.Errorf("%s is told %q, %v", c.peer, c.errors, c.notices)
		}
	}
	after := upgrade(t, s.url, "after")
	if code := after.untilClosed(); code != wire.CloseDraining || len(after.errors) != 1 {
		t.Errorf("after the end: closed with %s, told %q", code, after.errors)
	}
	s.stop()

	s = serveOn(t, path, Options{})
	reader := join(t, s.url, "reader")
	r := newReplica(t, doc, "reader")
	reader.sync(r)
	reader.acked(r)
	for n := range rs {
		if missing := r.g.Missing(rs[n].session.Acked()); len(missing) > 0 {
			t.Errorf("acknowledged to %s and lost: %s", all[n].peer, missing)
		}
	}
}

// TestClosingDoesNotWaitForASilentClient: one that never joins is told and closed,
// long before its time to join is over.
func TestClosingDoesNotWaitForASilentClient(t *testing.T) {
	s := serve(t, Options{HandshakeTimeout: time.Hour, CloseTimeout: time.Hour})
	mute, err := net.Dial("tcp", strings.TrimPrefix(s.url, "ws://")) // sends no request
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	silent := upgrade(t, s.url, "silent")
	until(t, "it is counted", func() bool { shaking, _, _ := s.lobby.counts(); return shaking == 1 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	if code := silent.untilClosed(); code != wire.CloseDraining || len(silent.errors) != 1 || !strings.Contains(silent.errors[0], "connect again") {
		t.Errorf("closed with %s, told %q", code, silent.errors)
	}
	if n, err := mute.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	<-stopped
}
