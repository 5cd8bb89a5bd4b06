package relay

import (
	"context"
	"fmt"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// frames is a WebSocket as the handshake sees it.
type frames struct{ ws *websocket.Conn }

// ReadFrame reads one binary frame.
func (f frames) ReadFrame(ctx context.Context) ([]byte, error) {
	typ, b, err := f.ws.Read(ctx)
	if err == nil && typ != websocket.MessageBinary {
		err = fmt.Errorf("%w: a text frame; messages are CBOR in binary frames", wire.ErrFrame)
	}
	return b, err
}

// WriteFrame writes one binary frame.
func (f frames) WriteFrame(ctx context.Context, b []byte) error {
	return f.ws.Write(ctx, websocket.MessageBinary, b)
}
