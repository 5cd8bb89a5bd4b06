package peer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// proxy stands between peers and a server, and does to their messages what a test
// wants.
type proxy struct {
	url   string
	conns atomic.Int64

	mu     sync.Mutex
	server string
	judge  func(m wire.Message) verdict           // of each message to the server
	door   wire.CloseCode                         // refuses all connections if it is not 0
	opened func() tapping                         // is called before each connection
	cuts   map[*websocket.Conn]context.CancelFunc // of the connections there are
}

// verdict is what becomes of a message: it is passed on, or an answer is sent in its
// place, or the connection is closed.
type verdict struct {
	answer *wire.Notice
	code   wire.CloseCode
}

func (p *proxy) set(judge func(m wire.Message) verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = judge
}

// lead has connections from now on go to another server.
func (p *proxy) lead(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// cut breaks the connections there are, without a word.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cancel := range p.cuts {
		cancel()
	}
}

func (p *proxy) shut(code wire.CloseCode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.door = code
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	p := &proxy{server: server, cuts: map[*websocket.Conn]context.CancelFunc{}}
	var passing sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passing.Add(1)
		defer passing.Done()
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		p.conns.Add(1)
		p.mu.Lock()
		door := p.door
		p.mu.Unlock()
		if door != 0 {
			b, _ := wire.Encode(&wire.Error{Route: wire.Route{SenderID: "proxy"}, Message: "not now"})
			ws.Write(r.Context(), websocket.MessageBinary, b)
			ws.Close(websocket.StatusCode(door), "not now")
			return
		}
		p.pass(r.Context(), ws)
	}))
	t.Cleanup(func() {
		s.Close() // which does not wait for what has become a WebSocket
		p.cut()
		passing.Wait()
	})
	p.url = "ws" + strings.TrimPrefix(s.URL, "http")
	return p
}

// pass is a connection through the proxy.
func (p *proxy) pass(ctx context.Context, client *websocket.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.cuts[client] = cancel
	at, opened := p.server, p.opened
	p.mu.Unlock()
	var tap tapping
	if opened != nil {
		tap = opened()
	}
	defer func() {
		p.mu.Lock()
		delete(p.cuts, client)
		p.mu.Unlock()
	}()
	server, _, err := websocket.Dial(ctx, at, nil)
	if err != nil {
		return
	}
	client.SetReadLimit(-1)
	server.SetReadLimit(-1)
	var both sync.WaitGroup
	both.Go(func() {
		defer cancel()
		for {
			typ, b, err := server.Read(ctx)
			if err != nil {
				client.Close(websocket.CloseStatus(err), "")
				return
			}
			tap.hear(false, b)
			if client.Write(ctx, typ, b) != nil {
				return
			}
		}
	})
	both.Go(func() {
		defer cancel()
		for {
			typ, b, err := client.Read(ctx)
			if err != nil {
				return
			}
			tap.hear(true, b)
			v := p.verdict(b)
			switch {
			case v.code != 0:
				client.Close(websocket.StatusCode(v.code), "proxy")
				return
			case v.answer != nil:
				b, err = wire.Encode(v.answer)
				if err != nil || client.Write(ctx, typ, b) != nil {
					return
				}
			case server.Write(ctx, typ, b) != nil:
				return
			}
		}
	})
	both.Wait()
	server.CloseNow()
}

// tapping hears each message of a connection before it is passed on. It may be nil.
type tapping func(toServer bool, m wire.Message)

func (t tapping) hear(toServer bool, b []byte) {
	if t == nil {
		return
	}
	if m, err := wire.Decode(b); err == nil {
		t(toServer, m)
	}
}

func (p *proxy) verdict(b []byte) (v verdict) {
	m, err := wire.Decode(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.judge == nil {
		return v
	}
	v = p.judge(m)
	if v.answer != nil {
		from, to := m.Ends()
		v.answer.SenderID, v.answer.TargetID = to, from
	}
	return v
}

// of gives the document that a sync message is about.
func of(m wire.Message) (doc id.Document, ok bool) {
	if s, ok := m.(*wire.Sync); ok {
		return s.Document, true
	}
	return doc, false
}

// docN is a document of a test.
func docN(i int) id.Document { return id.Document{byte(i + 1)} }
