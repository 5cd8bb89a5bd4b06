package relay

import (
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/access/accesstest"
)

// TestWhoMayOnlyReadGoesOnReading has changes of its own refused, once by a notice
// or an error, while those of others keep coming; and it keeps its own.
func TestWhoMayOnlyReadGoesOnReading(t *testing.T) {
	for name, version := range map[string]uint64{"stock": 0, "syncline": wire.Syncline} {
		t.Run(name, func(t *testing.T) {
			i := accesstest.NewIssuer(t)
			s := serve(t, guarded(i))
			doc := id.NewDocument()
			w := joinBearing(t, s, "writer", i.Token("writer", accesstest.Writes(doc)), 0)
			rw := newReplica(t, doc, "writer")
			rw.edit("k")
			w.sync(rw)
			w.acked(rw)

			c := joinBearing(t, s, "reader", i.Token("reader", accesstest.Reads(doc)), version)
			r := newReplica(t, doc, "reader")
			c.sync(r)
			c.fetch(r, rw.g.Heads()...)
			for n := range 5 {
				own := r.edit("mine")
				c.send(changesOf(c, r))
				theirs := rw.edit("theirs")
				w.sync(rw)
				c.fetch(r, theirs.Hash)
				w.acked(rw)
				if n == 0 {
					c.until("it is told", func() bool { return len(c.errors)+len(c.notices) > 0 })
				}
				if rw.has(own.Hash) {
					t.Fatal("its change was passed on")
				}
			}
			c.alive()
			if version == 0 {
				if len(c.errors) != 1 || len(c.notices) != 0 || !strings.Contains(c.errors[0], "may read this document and not change it") {
					t.Errorf("told %q, %v", c.errors, c.notices)
				}
			} else if len(c.notices) != 1 || len(c.errors) != 0 || c.notices[0].Code != wire.NoticeReadOnly || c.notices[0].Document != doc {
				t.Errorf("told %q, %v", c.errors, c.notices)
			}
			if n := s.metrics.Rejected[operate.RejectForbidden].Load(); n != 1 {
				t.Errorf("%d rejections are counted", n)
			}
			if r.g.Len() != 6+5 {
				t.Errorf("the reader has %d changes, of all its own and the others'", r.g.Len())
			}
		})
	}
}

// changesOf is a sync message that brings all changes of a replica, whatever the
// other end said about them.
func changesOf(c *client, r *replica) *wire.Sync {
	m := &session.Message{V2: true, Heads: r.g.Heads(), Have: []session.Have{{LastSync: r.g.Heads()}}, HasFlags: true, Chunks: r.bodies}
	return syncOf(c, r.doc, m)
}

// TestRightsOutlastRest has every room rest between any two messages.
func TestRightsOutlastRest(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	doc := id.NewDocument()
	w := joinBearing(t, s, "writer", i.Token("writer", accesstest.Writes(doc)), wire.Syncline)
	c := joinBearing(t, s, "reader", i.Token("reader", accesstest.Reads(doc)), wire.Syncline)
	rw, r := newReplica(t, doc, "writer"), newReplica(t, doc, "reader")
	rw.edit("k")
	w.sync(rw)
	w.acked(rw)
	c.sync(r)
	c.fetch(r, rw.g.Heads()...)
	c.acked(r)
	for range 3 {
		until(t, "the document rests", func() bool { _, asleep := s.halls.count(); return asleep == 1 })
		theirs := rw.edit("k")
		w.sync(rw)
		c.fetch(r, theirs.Hash)
		w.acked(rw)
		c.acked(r)
	}
	until(t, "the document rests", func() bool { _, asleep := s.halls.count(); return asleep == 1 })
	own := r.edit("mine")
	c.send(changesOf(c, r))
	c.until("it is told", func() bool { return len(c.notices) > 0 })
	if c.notices[0].Code != wire.NoticeReadOnly || c.notices[0].Hash != own.Hash {
		t.Errorf("told %v", c.notices)
	}
	w.alive()
	if rw.has(own.Hash) {
		t.Error("a change of a reader was passed on")
	}
}

// renewing is a client that replaces its token.
func (c *client) renew(token string) {
	c.t.Helper()
	c.send(&wire.Token{Route: c.route(), Token: token})
}

func TestATokenIsReplaced(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	kept, lost, gained := id.NewDocument(), id.NewDocument(), id.NewDocument()
	w := joinBearing(t, s, "writer", i.Token("writer", accesstest.WritesAll), 0)
	theirs := map[id.Document]*replica{}
	for _, doc := range []id.Document{kept, lost, gained} {
		r := newReplica(t, doc, "writer")
		r.edit("k")
		w.sync(r)
		w.acked(r)
		theirs[doc] = r
	}
	c := joinBearing(t, s, "c", i.Token("alice", accesstest.Writes(kept), accesstest.Writes(lost)), wire.Syncline)
	rk, rl, rg := newReplica(t, kept, "c"), newReplica(t, lost, "c"), newReplica(t, gained, "c")
	for _, r := range []*replica{rk, rl} {
		c.sync(r)
		c.fetch(r, theirs[r.doc].g.Heads()...)
		c.acked(r)
	}
	c.sync(rg)
	c.until("it may not", func() bool { return len(c.unavailable) == 1 })

	// What it may no longer is gone, and it is told once; what it may now is there.
	c.renew(i.Token("alice", accesstest.Writes(kept), accesstest.Writes(gained)))
	c.until("it is told", func() bool { return len(c.unavailable) == 2 })
	if c.unavailable[1] != lost {
		t.Errorf("told that %s is gone", c.unavailable[1])
	}
	secret := theirs[lost].edit("secret")
	w.sync(theirs[lost])
	w.acked(theirs[lost])
	w.say(lost, "s", 1, "secret")
	rg.begin(nil)
	c.sync(rg)
	c.fetch(rg, theirs[gained].g.Heads()...)
	known := theirs[kept].edit("k")
	w.sync(theirs[kept])
	c.fetch(rk, known.Hash)
	c.alive()
	if rl.has(secret.Hash) || len(c.gossip) > 0 {
		t.Error("it still hears of the document that it may no longer read")
	}
	rl.edit("more")
	c.send(changesOf(c, rl))
	c.until("it is told", func() bool { return c.unavailable[len(c.unavailable)-1] == lost })
	if len(c.errors)+len(c.notices) > 0 {
		t.Errorf("told %q, %v", c.errors, c.notices)
	}
	if n := s.metrics.Sessions.Load(); n != 3+2+2 { // two of them for who was asked whether he lives
		t.Logf("%d sessions", n)
	}
}

func TestATokenThatIsNotGoodEndsTheConnection(t *testing.T) {
	i := accesstest.NewIssuer(t)
	for name, tt := range map[string]struct {
		token func() string
		code  wire.CloseCode
		says  string
	}{
		"malformed":       {func() string { return "hunter2" }, wire.CloseUnauthorised, "not a signed JWT"},
		"none":            {func() string { return "" }, wire.CloseUnauthorised, "no access token was sent"},
		"another account": {func() string { return i.Token("bob", accesstest.WritesAll) }, wire.CloseUnauthorised, "connect again to change accounts"},
		"expired": {func() string {
			return i.Sign(access.Claims{Account: "alice", Expires: time.Now().Add(-time.Second), Documents: []access.Rule{accesstest.WritesAll}})
		}, wire.CloseExpired, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, guarded(i))
			for version, peer := range []string{"stock", "syncline"} {
				c := joinBearing(t, s, peer, i.Token("alice", accesstest.WritesAll), uint64(version))
				c.renew(tt.token())
				if code := c.untilClosed(); code != tt.code {
					t.Errorf("%s: closed with %s, want %s", peer, code, tt.code)
				}
				if len(c.errors) != 1 || !strings.Contains(c.errors[0], tt.says) {
					t.Errorf("%s: told %q", peer, c.errors)
				}
			}
		})
	}
}

func TestTokensAreReplacedNowAndThenOnly(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	c := joinBearing(t, s, "c", i.Token("alice", accesstest.WritesAll), wire.Syncline)
	next := i.Token("alice", accesstest.WritesAll)
	for range 5 {
		c.renew(next)
	}
	c.alive()
	for range 20 {
		c.renew(next)
	}
	if code := c.untilClosed(); code != wire.CloseOverLimit {
		t.Errorf("closed with %s", code)
	}
	if len(c.notices) != 1 || c.notices[0].Code != wire.NoticeOverLimit || c.notices[0].RetryAfter == 0 {
		t.Errorf("told %q, %v", c.errors, c.notices)
	}
}

func TestWithoutAccessControlTokensAreNotLookedAt(t *testing.T) {
	s := serve(t, Options{})
	c := dial(t, s.url, "p", bearing("whatever"))
	c.handshake(wire.Local{PeerID: "p", Metadata: wire.Metadata{Token: "something else"}})
	c.renew("and another")
	c.alive()
}

// connOf is the relay's end of a client.
func (s *server) connOf(c *client) *conn {
	c.t.Helper()
	c.alive() // it is not listed before it is welcomed
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, conn := range s.peers {
		if who.peer == c.peer {
			return conn
		}
	}
	return nil
}

func TestAConnectionEndsWithItsToken(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	refreshed := joinBearing(t, s, "refreshed", i.Token("alice", accesstest.WritesAll), 0)
	s.connOf(refreshed).pass.Set(access.Grant{Account: "alice", Expires: time.Now().Add(time.Minute)})
	refreshed.renew(i.Token("alice", accesstest.WritesAll))
	for version, peer := range []string{"stock", "syncline"} {
		c := joinBearing(t, s, peer, i.Token("alice", accesstest.WritesAll), uint64(version))
		s.connOf(c).pass.Set(access.Grant{Account: "alice", Expires: time.Now().Add(10 * time.Millisecond)})
		if code := c.untilClosed(); code != wire.CloseExpired {
			t.Errorf("%s: closed with %s", peer, code)
		}
		if len(c.errors) != 1 || !strings.Contains(c.errors[0], "expired") {
			t.Errorf("%s: told %q", peer, c.errors)
		}
	}
	refreshed.alive()
	if left := time.Until(s.connOf(refreshed).pass.Grant().Expires); left < 50*time.Minute {
		t.Errorf("the token that was refreshed ends in %v", left)
	}
}
