package socket

import (
	"context"
	"fmt"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// Frames is a WebSocket as the handshake sees it. It is not to be used beside a
// Conn.
func Frames(ws *websocket.Conn) wire.Frames { return frames{ws} }

type frames struct{ ws *websocket.Conn }

// ReadFrame reads one binary frame.
func (f frames) ReadFrame(ctx context.Context) ([]byte, error) {
	typ, b, err := f.ws.Read(ctx)
	if err == nil && typ != websocket.MessageBinary {
		err = errText
	}
	return b, err
}

// WriteFrame writes one binary frame.
func (f frames) WriteFrame(ctx context.Context, b []byte) error {
	return f.ws.Write(ctx, websocket.MessageBinary, b)
}

var errText = fmt.Errorf("%w: a text frame; messages are CBOR in binary frames", wire.ErrFrame)
