package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// dial connects to a remote and shakes hands. l is the link that the connection is
// for, or nil; held are documents that it does not carry, and why. The error is a
// *Fault.
func (p *Peer) dial(ctx context.Context, r Remote, self string, l *link, held map[id.Document]error) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.DialTimeout)
	defer cancel()
	pulse := new(socket.Pulse)
	o := &websocket.DialOptions{OnPongReceived: pulse.Pong}
	if r.Token != "" {
		o.HTTPHeader = http.Header{"Authorization": {"Bearer " + r.Token}}
	}
	ws, answer, err := websocket.Dial(ctx, r.URL, o)
	if err != nil {
		err = fmt.Errorf("connect to %s: %w", r.URL, err)
		if answer != nil && answer.StatusCode != http.StatusSwitchingProtocols {
			return nil, faultOfStatus(answer, p.o.Now(), err)
		}
		return nil, faultOf(err)
	}
	ws.SetReadLimit(p.o.MaxFrame)
	local := wire.Local{PeerID: self, Metadata: p.metadata()}
	remote, err := local.Connect(ctx, socket.Frames(ws))
	if err != nil {
		f := faultOf(fmt.Errorf("handshake with %s: %w", r.URL, err))
		if errors.Is(err, wire.ErrRefused) {
			// What kind of refusal it is comes with the close that follows.
			_, cerr := socket.Frames(ws).ReadFrame(ctx)
			if code := websocket.CloseStatus(cerr); code != -1 {
				f.Class = classOfCode(wire.CloseCode(code))
			}
		}
		ws.CloseNow()
		return nil, f
	}
	c := p.newConn(ws, nil, self, remote, pulse)
	c.dialed, c.peers, c.link, c.held = true, r.Peer, l, held
	c.restrict(r)
	for doc, why := range held {
		c.note(doc, standingBarred, why)
	}
	if !p.register(c) {
		ws.CloseNow()
		return nil, faultOf(ErrClosed)
	}
	c.log.Info("connected", "url", r.URL)
	p.remember(ctx, r.URL, c)
	return c, nil
}

func (p *Peer) metadata() wire.Metadata {
	return wire.Metadata{StorageID: p.store.StorageID(), Syncline: wire.Syncline}
}

// bye is the reason of a close that is ours.
const bye = "bye"

// closeDown closes a connection because we have nothing more to say.
func (c *conn) closeDown() { c.ws.Close(wire.CloseNormal, bye) }
