package socket

import (
	"errors"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// closeError is an error that says with which code to close.
type closeError struct {
	code wire.CloseCode
	err  error
}

func (e *closeError) Error() string { return e.err.Error() }
func (e *closeError) Unwrap() error { return e.err }

// WithCode has err say with which code to close.
func WithCode(code wire.CloseCode, err error) error { return &closeError{code, err} }

// CodeOf is the code that an error has from WithCode. Without one it is
// wire.CloseProtocol.
func CodeOf(err error) wire.CloseCode {
	if e, ok := errors.AsType[*closeError](err); ok {
		return e.code
	}
	return wire.CloseProtocol
}

// Shut closes a WebSocket that is no Conn, as one that fails its handshake, and
// says why. The library bounds it to 10 s. An error is of no interest: the socket
// is gone either way.
func Shut(ws *websocket.Conn, code wire.CloseCode, reason string) {
	ws.Close(websocket.StatusCode(code), cutReason(reason))
}

// cutReason shortens a text to what a close frame holds.
func cutReason(s string) string {
	const maxReason = 123
	if len(s) <= maxReason {
		return s
	}
	cut := maxReason
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut]
}
