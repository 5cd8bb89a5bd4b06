package relay

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/access/accesstest"
)

// guarded are the options of a relay that wants this issuer's tokens.
func guarded(i *accesstest.Issuer) Options {
	return Options{Access: i.Verifier, Audience: accesstest.Audience}
}

// bearing is a request with a token in its header.
func bearing(token string) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}}
}

// joinBearing joins with a token in the header, as a Syncline end of a version or
// as a stock one, 0.
func joinBearing(t testing.TB, s *server, peer, token string, syncline uint64) *client {
	t.Helper()
	c := dial(t, s.url, peer, bearing(token))
	c.handshake(wire.Local{PeerID: peer, Metadata: wire.Metadata{Ephemeral: true, Syncline: syncline}})
	return c
}

// refusal joins and returns what the client is told, and with which code it is closed.
func (c *client) refusal(l wire.Local) (text string, code wire.CloseCode) {
	c.t.Helper()
	c.send(l.Join())
	code = c.untilClosed()
	if len(c.errors) != 1 {
		c.t.Fatalf("%s is told %q, and not one error", c.peer, c.errors)
	}
	return c.errors[0], code
}

// logged is a log at every level, as text.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestATokenComesInOneOfThreeWays(t *testing.T) {
	i := accesstest.NewIssuer(t)
	var log logged
	o := guarded(i)
	o.Log = log.logger()
	s := serve(t, o)
	doc := id.NewDocument()
	good := i.Token("alice", accesstest.Writes(doc))
	other := i.Token("alice", accesstest.Writes(doc), accesstest.Writes(id.NewDocument()))
	local := func(token string) wire.Local { return wire.Local{PeerID: "p", Metadata: wire.Metadata{Token: token}} }
	protocols := func(ps ...string) *websocket.DialOptions { return &websocket.DialOptions{Subprotocols: ps} }
	bad := good[:len(good)-8] + "AAAAAAAA"

	welcome := map[string]struct {
		o     *websocket.DialOptions
		join  string
		proto string // that is selected
	}{
		"header":                  {o: bearing(good)},
		"subprotocol":             {o: protocols(access.Subprotocol, "bearer."+good), proto: access.Subprotocol},
		"join":                    {join: good},
		"the same in each":        {o: &websocket.DialOptions{HTTPHeader: bearing(good).HTTPHeader, Subprotocols: []string{access.Subprotocol, "bearer." + good}}, join: good, proto: access.Subprotocol},
		"header of another kind":  {o: &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Basic eDp5"}}}, join: good},
		"subprotocol, none there": {o: protocols(access.Subprotocol), join: good, proto: access.Subprotocol},
	}
	for name, tt := range welcome {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.url, "p", tt.o)
			if c.ws.Subprotocol() != tt.proto {
				t.Errorf("subprotocol %q is selected", c.ws.Subprotocol())
			}
			c.handshake(local(tt.join))
			r := newReplica(t, doc, "a")
			r.edit(name)
			c.sync(r)
			c.until("it is served", func() bool { return r.session.Acked() != nil || len(c.unavailable) > 0 })
			if len(c.unavailable) > 0 {
				t.Error("its document is not there")
			}
		})
	}
	refused := map[string]struct {
		o    *websocket.DialOptions
		join string
		says string
		as   operate.AuthFailure
	}{
		"none":                   {says: "no access token was sent", as: operate.AuthMissing},
		"bad in the header":      {o: bearing(bad), says: "signature is wrong", as: operate.AuthUnauthorised},
		"bad in the subprotocol": {o: protocols(access.Subprotocol, "bearer."+bad), says: "signature is wrong", as: operate.AuthUnauthorised},
		"bad in the join":        {join: bad, says: "signature is wrong", as: operate.AuthUnauthorised},
		"two that differ":        {o: bearing(good), join: other, says: "two different access tokens", as: operate.AuthUnauthorised},
		"two in the request":     {o: &websocket.DialOptions{HTTPHeader: bearing(good).HTTPHeader, Subprotocols: []string{access.Subprotocol, "bearer." + other}}, says: "two different access tokens", as: operate.AuthUnauthorised},
		"not a JWT":              {join: "hunter2-is-no-token", says: "not a signed JWT", as: operate.AuthUnauthorised},
		"another audience":       {join: i.Sign(access.Claims{Account: "alice", Audience: []string{"elsewhere"}, Documents: []access.Rule{accesstest.WritesAll}}), says: "another audience", as: operate.AuthUnauthorised},
	}
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			before := s.metrics.AuthFailures[tt.as].Load()
			c := dial(t, s.url, "p", tt.o)
			text, code := c.refusal(local(tt.join))
			if code != wire.CloseUnauthorised || !strings.Contains(text, tt.says) {
				t.Errorf("closed with %s, told %q", code, text)
			}
			if n := s.metrics.AuthFailures[tt.as].Load() - before; n != 1 {
				t.Errorf("%d failures of its kind are counted", n)
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		c := dial(t, s.url, "p", bearing(i.Sign(access.Claims{Account: "alice", Expires: time.Now().Add(-time.Minute), Documents: []access.Rule{accesstest.WritesAll}})))
		if text, code := c.refusal(local("")); code != wire.CloseExpired || !strings.Contains(text, "expired") {
			t.Errorf("closed with %s, told %q", code, text)
		}
	})
	s.stop()
	// Nothing of a token is written anywhere: not the whole of it, nor its parts.
	text := log.String()
	if !strings.Contains(text, "peer joined") || !strings.Contains(text, "handshake failed") {
		t.Fatal("the log is not that of this test")
	}
	for _, token := range []string{good, other, bad, "hunter2-is-no-token"} {
		for part := range strings.SplitSeq(token, ".") {
			if strings.Contains(text, part) {
				t.Errorf("the log has %.12s… of a token", part)
			}
		}
	}
}

func TestAPageOfAnotherOriginIsToldAndClosed(t *testing.T) {
	from := func(origin string) *websocket.DialOptions {
		return &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}}
	}
	listed, err := access.NewOrigins([]string{"https://app.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		origins    access.Origins
		yes, never string
	}{
		"unless they are listed":        {listed, "https://app.example", "http://localhost"},
		"of this machine they are not":  {access.Origins{}, "http://localhost:5173", "https://app.example"},
		"and not one without an origin": {access.Origins{}, "http://127.0.0.1", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Options{Origins: tt.origins})
			c := dial(t, s.url, "page", from(tt.yes))
			c.handshake(wire.Local{PeerID: "page"})
			c.alive()
			// Dial fails on an HTTP error.
			c = dial(t, s.url, "page of another", from(tt.never))
			if text, code := c.refusal(wire.Local{PeerID: "q"}); code != wire.CloseUnauthorised || !strings.Contains(text, "origin") {
				t.Errorf("closed with %s, told %q", code, text)
			}
		})
	}
}

func TestWhileTheKeysCannotBeHadClientsAreToldToComeBack(t *testing.T) {
	i := accesstest.NewIssuer(t)
	gone := access.Options{JWKSURL: "http://127.0.0.1:1/keys", MinRefresh: time.Nanosecond}
	s := serve(t, Options{Access: accesstest.NewVerifier(t, gone)})
	c := dial(t, s.url, "p", bearing(i.Token("alice", accesstest.WritesAll)))
	text, code := c.refusal(wire.Local{PeerID: "p"})
	if code != wire.CloseInternal || !strings.Contains(text, "cannot be checked at the moment") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("closed with %s, told %q", code, text)
	}
	if n := s.metrics.AuthFailures[operate.AuthUnavailable].Load(); n != 1 {
		t.Errorf("%d such failures are counted", n)
	}
}
