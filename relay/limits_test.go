package relay

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
)

func TestASlowReaderIsClosedAndOthersAreNot(t *testing.T) {
	s := serve(t, Options{MaxQueue: 2 << 20, CloseTimeout: patience})
	doc := id.NewDocument()
	clients := []*client{join(t, s.url, "writer"), join(t, s.url, "fast"), joinNarrow(t, s.url, "slow")}
	for _, c := range clients {
		r := newReplica(t, doc, c.peer)
		r.edit("k")
		c.sync(r)
		c.acked(r)
	}
	writer, fast, slow := clients[0], clients[1], clients[2]
	// As much as the buffers of a socket hold, which is for the machine to say, and more.
	// One message at a time, so that the fast reader never has more in its queue.
	payload := strings.Repeat("x", 512<<10)
	n := 0
	for s.Counters().Overflows == 0 {
		n++
		writer.say(doc, "s", uint64(n), payload)
		fast.until("the message has come", func() bool { return len(fast.gossip) == n })
	}
	if code := slow.untilClosed(); code != wire.CloseSlow {
		t.Errorf("the slow reader was closed with %s, want %s", code, wire.CloseSlow)
	}
	if got := len(slow.gossip); got >= n {
		t.Errorf("the slow reader got all %d messages", got)
	}
	fast.alive()
	writer.alive()
	if n := s.Counters().Overflows; n != 1 {
		t.Errorf("%d overflows, want 1", n)
	}
}

// joinNarrow joins over a socket that buffers little of what comes.
func joinNarrow(t *testing.T, url, peer string) *client {
	t.Helper()
	c := dial(t, url, peer, &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(256 << 10)
			}
			return conn, err
		},
	}}})
	c.handshake(wire.Local{PeerID: peer, Metadata: wire.Metadata{Ephemeral: true}})
	return c
}

func TestTooLargeAFrameIsRefused(t *testing.T) {
	s := serve(t, Options{MaxFrame: 4096})
	c := join(t, s.url, "p")
	c.sendFrame(make([]byte, 5000))
	if code := c.untilClosed(); code != wire.CloseTooLarge {
		t.Errorf("closed with %s, want %s", code, wire.CloseTooLarge)
	}
	join(t, s.url, "q").alive()
}

func TestTooManyDocumentsOnAConnection(t *testing.T) {
	s := serve(t, Options{MaxDocuments: 3})
	c := join(t, s.url, "p")
	for range 3 {
		c.alive()
	}
	c.sync(newReplica(t, id.NewDocument(), "a"))
	if code := c.untilClosed(); code != wire.CloseOverLimit {
		t.Errorf("closed with %s, want %s", code, wire.CloseOverLimit)
	}
	if len(c.errors) != 1 || !strings.Contains(c.errors[0], "3 documents") {
		t.Errorf("told %q", c.errors)
	}
}

func TestTooManyConnectionsAreToldSo(t *testing.T) {
	s := serve(t, Options{MaxConnections: 1})
	first := join(t, s.url, "p")
	second := upgrade(t, s.url, "q")
	if code := second.untilClosed(); code != wire.CloseOverLimit || len(second.errors) != 1 {
		t.Errorf("closed with %s and told %q, want %s", code, second.errors, wire.CloseOverLimit)
	}
	first.alive()
	if n := s.Counters().OpenConnections; n != 1 {
		t.Errorf("%d connections are open, want 1", n)
	}
}

func TestAClientThatDoesNotAnswerPingsIsDropped(t *testing.T) {
	var log logged
	s := serve(t, Options{PingInterval: 10 * time.Millisecond, MaxSilence: 30 * time.Millisecond, Log: log.logger()})
	dead := join(t, s.url, "dead")
	// coder/websocket answers pings only while it is read from. That one who answers in
	// time stays is for the bubbles of package socket to show.
	until(t, "the dead client is dropped", func() bool { return strings.Contains(log.String(), "it does not answer pings") })
	until(t, "it is counted out", func() bool { return s.Counters().OpenConnections == 0 })
	dead.ws.CloseNow()
}

func TestAClientThatSaysNothingAtAllIsDropped(t *testing.T) {
	s := serve(t, Options{HandshakeTimeout: 20 * time.Millisecond})
	// On a server that waits for the request: it may come late, and is not what this is about.
	patient := httptest.NewServer(s.Handler())
	defer patient.Close()
	raw, err := net.Dial("tcp", patient.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	// The upgrade, and then silence.
	if _, err := raw.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(raw); err != nil {
		t.Fatalf("the connection was not ended: %v", err)
	}
	if !strings.Contains(got.String(), "101 Switching Protocols") {
		t.Errorf("have %q", got.String())
	}
}

func TestATextFrameIsRefused(t *testing.T) {
	s := serve(t, Options{})
	c := join(t, s.url, "p")
	if err := c.write(websocket.MessageText, []byte(`{"type":"sync"}`)); err != nil {
		t.Fatal(err)
	}
	if code := c.untilClosed(); code != wire.CloseProtocol {
		t.Errorf("closed with %s, want %s", code, wire.CloseProtocol)
	}
}

// Changes may wait for those they build on, up to a limit; past it the client is
// sent away, which is counted, and what it has stays with it.
func TestTooMuchThatWaitsForMore(t *testing.T) {
	s := serve(t, Options{MaxOrphanBytes: 1000})
	doc := id.NewDocument()
	c, r := join(t, s.url, "p"), newReplica(t, doc, "p")
	for range 50 {
		r.edit("k")
	}
	kept := r.bodies
	r.bodies = r.bodies[1:]
	c.send(changesOf(c, r))
	if code := c.untilClosed(); code != wire.CloseOverLimit {
		t.Errorf("closed with %s, want %s", code, wire.CloseOverLimit)
	}
	if n := s.metrics.Rejected[operate.RejectOverLimit].Load(); n != 1 {
		t.Errorf("%d rejections are counted, want 1", n)
	}
	r.bodies = kept
	again := join(t, s.url, "p")
	again.sync(r)
	again.acked(r)
}
