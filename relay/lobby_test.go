package relay

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access/accesstest"
)

// TestOneTooManyIsToldWhy has each limit on connections reached, and room again when
// one of them ends.
func TestOneTooManyIsToldWhy(t *testing.T) {
	i := accesstest.NewIssuer(t)
	alice, bob := i.Token("alice", accesstest.WritesAll), i.Token("bob", accesstest.WritesAll)
	for name, tt := range map[string]struct {
		limit func(*Options)
		says  string
		token string // of who is one too many
		other string // of who is not; "": there is nobody
	}{
		"open":             {func(o *Options) { o.MaxConnections = 2 }, "2 connections open and takes no more; try again in a minute", bob, ""},
		"from one address": {func(o *Options) { o.MaxPerAddress = 2 }, "2 connections from this address and takes no more; try again in a minute", bob, ""},
		"of one account":   {func(o *Options) { o.MaxPerAccount = 2 }, "account has 2 connections, and may not have more; close one", alice, bob},
	} {
		t.Run(name, func(t *testing.T) {
			o := guarded(i)
			tt.limit(&o)
			s := serve(t, o)
			first, second := joinBearing(t, s, "first", alice, 0), joinBearing(t, s, "second", alice, wire.Syncline)
			first.alive()
			second.alive()
			for version, peer := range []string{"stock", "syncline"} {
				c := dial(t, s.url, peer, bearing(tt.token))
				text, code := c.refusal(wire.Local{PeerID: peer, Metadata: wire.Metadata{Syncline: uint64(version)}})
				if code != wire.CloseOverLimit || !strings.Contains(text, tt.says) {
					t.Errorf("closed with %s, told %q", code, text)
				}
			}
			if tt.other != "" {
				joinBearing(t, s, "other", tt.other, 0).alive()
			}
			first.ws.CloseNow()
			until(t, "it has left", func() bool { return s.connCount("first") == 0 })
			third := joinBearing(t, s, "third", tt.token, 0)
			third.alive()
			second.alive()
		})
	}
}

// connCount is how many connections of a peer there are, with those that are
// being counted out.
func (s *server) connCount(peer string) int {
	s.mu.Lock()
	listed := 0
	for c := range s.conns {
		if c.remote.PeerID == peer {
			listed++
		}
	}
	left := len(s.conns)
	s.mu.Unlock()
	_, joined, _ := s.lobby.counts()
	return listed + joined - left
}

func TestWhoDoesNotJoinTakesNoMoreThanItsPlace(t *testing.T) {
	s := serve(t, Options{MaxHandshakes: 2, HandshakeTimeout: patience})
	served := join(t, s.url, "served")
	var silent []*client
	for i, name := range []string{"a", "b"} {
		silent = append(silent, upgrade(t, s.url, name))
		until(t, "it is counted, before the next one", func() bool { shaking, _, _ := s.lobby.counts(); return shaking == i+1 })
	}
	// One that comes when they are too many takes the place of the oldest.
	join(t, s.url, "c").alive()
	if _, err := silent[0].next(); err == nil {
		t.Error("the oldest stays")
	}
	served.alive()
	silent[1].handshake(wire.Local{PeerID: "b"})
	silent[1].alive()
	until(t, "nobody is in between", func() bool { shaking, _, _ := s.lobby.counts(); return shaking == 0 })
	if d := (Options{}).withDefaults().HandshakeTimeout; d != 5*time.Second {
		t.Errorf("whoever does not join stays for %v", d)
	}
}

func TestTooManyDocumentsOfAnAccount(t *testing.T) {
	i := accesstest.NewIssuer(t)
	o := guarded(i)
	o.MaxAccountDocuments = 4
	s := serve(t, o)
	alice := i.Token("alice", accesstest.WritesAll)
	first, second := joinBearing(t, s, "first", alice, 0), joinBearing(t, s, "second", alice, 0)
	for range 2 {
		first.alive() // opens a document
		second.alive()
	}
	third := joinBearing(t, s, "third", alice, wire.Syncline)
	third.sync(newReplica(t, id.NewDocument(), "a"))
	if code := third.untilClosed(); code != wire.CloseOverLimit {
		t.Errorf("closed with %s", code)
	}
	if n := third.notices; len(n) != 1 || n[0].Code != wire.NoticeOverLimit || n[0].RetryAfter != time.Minute || !strings.Contains(n[0].Message, "more than 4 documents") {
		t.Errorf("told %v", n)
	}
	bob := joinBearing(t, s, "bob", i.Token("bob", accesstest.WritesAll), 0)
	for range 4 {
		bob.alive()
	}
	// What a connection had is free when it ends, and so is what a token took away.
	first.ws.CloseNow()
	until(t, "it has left", func() bool { return s.connCount("first") == 0 })
	for range 2 {
		second.alive()
	}
	second.renew(i.Token("alice", accesstest.Reads(id.NewDocument())))
	second.until("its documents are gone", func() bool { return len(second.unavailable) == 8 })
	fourth := joinBearing(t, s, "fourth", alice, 0)
	for range 4 {
		fourth.alive()
	}
}

// TestWhatComesTooFastIsDelayedAndNotLost: each connection brings in one message
// more than may come at once.
func TestWhatComesTooFastIsDelayedAndNotLost(t *testing.T) {
	i := accesstest.NewIssuer(t)
	for name, tt := range map[string]struct {
		o       Options
		changes int
	}{
		"changes of a connection": {Options{ChangesPerSecond: 100, AccountShare: -1}, 100*burst + 2},
		"bytes of a connection":   {Options{BytesPerSecond: 4000, AccountShare: -1}, 4000 * burst / 100},
	} {
		t.Run(name, func(t *testing.T) {
			o := tt.o
			o.Access = i.Verifier
			s := serve(t, o)
			doc := id.NewDocument()
			clients := []*client{joinBearing(t, s, "a", i.Token("alice", accesstest.WritesAll), 0), joinBearing(t, s, "b", i.Token("alice", accesstest.WritesAll), 0)}
			var rs []*replica
			for _, c := range clients {
				r := newReplica(t, doc, c.peer)
				for range tt.changes {
					r.edit("k")
				}
				rs = append(rs, r)
				c.send(changesOf(c, r)) // all at once
			}
			late := newReplica(t, doc, "late")
			reader := joinBearing(t, s, "late", i.Token("bob", accesstest.WritesAll), 0)
			reader.sync(late)
			reader.fetch(late, rs[0].g.Heads()...)
			reader.fetch(late, rs[1].g.Heads()...)
			if s.metrics.Delays.Load() == 0 || s.metrics.Delayed.Load() == 0 {
				t.Error("nothing was delayed")
			}
			if n := s.metrics.ChangesIn.Load(); n != int64(2*tt.changes) {
				t.Errorf("%d changes came of %d", n, 2*tt.changes)
			}
		})
	}
}

// TestConnectionsOfAnAccountShareWhatItMayBring takes place in a bubble, whose clock
// stands while anybody works.
func TestConnectionsOfAnAccountShareWhatItMayBring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{ChangesPerSecond: 10, BytesPerSecond: 1000}.withDefaults()
		r := &Relay{o: o, metrics: operate.NewMetrics(operate.MetricsOptions{})}
		alice := &account{pace: newPace(o, 2)}
		first, second := &conn{relay: r, pace: newPace(o, 1), account: alice}, &conn{relay: r, pace: newPace(o, 1), account: alice}
		alone := &conn{relay: r, pace: newPace(o, 1)}
		var sum time.Duration
		waits := func(c *conn, changes, bytes int, want time.Duration) {
			t.Helper()
			begun := time.Now()
			c.delay(t.Context(), changes, bytes)
			if got := time.Since(begun).Round(time.Millisecond); got != want {
				t.Errorf("%d changes of %d bytes wait %v, want %v", changes, bytes, got, want)
			}
			sum += want
		}
		waits(first, 10*burst, 10, 0)
		waits(second, 10*burst, 10, 0)   // the account has brought all that may come at once
		waits(first, 10, 0, time.Second) // by its own pace, and the account's is half of that
		waits(second, 1, 1000*burst, 0)  // what has come free in that second
		waits(alone, 0, 1000*burst+500, 500*time.Millisecond)
		waits(alone, 0, 1, time.Millisecond)
		if got := r.metrics.Delayed.Load().Round(time.Millisecond); got != sum || r.metrics.Delays.Load() != 3 {
			t.Errorf("%d delays of %v are counted, want 3 of %v", r.metrics.Delays.Load(), got, sum)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		first.delay(ended, 1000, 0) // a connection that ends does not wait
		if time.Since(begun) > 0 {
			t.Error("an end is waited for")
		}
	})
}

func TestReserve(t *testing.T) {
	now := time.Now()
	l := rate.NewLimiter(10, 100)
	for _, tt := range []struct {
		n    int
		want time.Duration
	}{
		{0, 0}, {100, 0}, {1, 100 * time.Millisecond}, {9, time.Second},
		{350, 36 * time.Second}, // more than the limiter knows at once
		{0, 0},                  // nothing waits for nothing
	} {
		if got := reserve(l, now, tt.n); got.Round(time.Millisecond) != tt.want {
			t.Errorf("%d more wait %v, want %v", tt.n, got, tt.want)
		}
	}
}

func TestWithoutLimitsNothingWaits(t *testing.T) {
	o := Options{ChangesPerSecond: -1, BytesPerSecond: -1, AccountShare: -1}.withDefaults()
	for _, times := range []int{1, o.AccountShare} {
		p := newPace(o, times)
		for _, l := range []*rate.Limiter{p.changes, p.bytes} {
			if l.Burst() < 1<<40 {
				t.Fatalf("%d times no limit is %d at once", times, l.Burst())
			}
			for range 10 {
				if wait := reserve(l, time.Now(), 1<<30); wait > 0 {
					t.Errorf("waits %v", wait)
				}
			}
		}
	}
}
