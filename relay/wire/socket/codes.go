package socket

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

// closeError is an error that says with which code to close.
type closeError struct {
	code wire.CloseCode
	err  error
}

func (e *closeError) Error() string             { return e.err.Error() }
func (e *closeError) Unwrap() error             { return e.err }
func (e *closeError) CloseCode() wire.CloseCode { return e.code }

// WithCode has err say with which code to close.
func WithCode(code wire.CloseCode, err error) error { return &closeError{code, err} }

// coded is an error that says with which code to close.
type coded interface {
	error
	CloseCode() wire.CloseCode
}

// CodeOf is the code that an error has from WithCode, or of itself, as those of
// package access. Without one it is wire.CloseProtocol.
func CodeOf(err error) wire.CloseCode {
	if e, ok := errors.AsType[coded](err); ok {
		return e.CloseCode()
	}
	return wire.CloseProtocol
}

// Shut closes a WebSocket that is no Conn, as one that fails its handshake, and
// says why. It takes shutTimeout at most: the network connection below is told so,
// because the library would wait for the other half of a frame for ever. An error is
// of no interest: the socket is gone either way.
func Shut(ws *websocket.Conn, below net.Conn, code wire.CloseCode, reason string) {
	below.SetDeadline(time.Now().Add(shutTimeout))
	ws.Close(websocket.StatusCode(code), cutReason(reason))
}

// shutTimeout is how long an end that is shut out may keep its socket: it is beyond
// all limits.
const shutTimeout = 2 * time.Second

// Tap is a ResponseWriter that has a WebSocket made of it over a Line.
type Tap struct {
	http.ResponseWriter
	Line *Line // nil before
}

// Hijack is that of the ResponseWriter.
func (t *Tap) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	t.Line = NewLine(c)
	rw.Writer.Reset(t.Line) // in which nothing is yet
	return t.Line, rw, nil
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
