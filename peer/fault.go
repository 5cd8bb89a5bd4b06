package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// Class is what kind of thing went wrong with a remote, or with one document at a
// remote. Each error has exactly one, and the class alone decides what is done
// about it: see Backoff.
type Class string

// The classes.
const (
	ClassResolve      Class = "resolve"      // its name has no address
	ClassNoRoute      Class = "no-route"     // the network has no way to it
	ClassRefused      Class = "refused"      // nothing listens there
	ClassTLS          Class = "tls"          // its certificate is not good, or it speaks no TLS
	ClassTimeout      Class = "timeout"      // one end did not hear of the other in time
	ClassLost         Class = "lost"         // the connection broke, or was closed without a reason
	ClassProtocol     Class = "protocol"     // an end said what the other does not understand
	ClassUnauthorised Class = "unauthorised" // it takes no token, or not this one, or no longer
	ClassForbidden    Class = "forbidden"    // the token does not allow it
	ClassOverLimit    Class = "over-limit"   // too much, too many or too large
	ClassDraining     Class = "draining"     // it is being stopped, and will be back
	ClassStorageFull  Class = "storage-full" // it cannot store, or we cannot
	ClassInternal     Class = "internal"     // it failed in a way of its own
	ClassRejected     Class = "rejected"     // it found a change of ours not valid
)

// classes are all there are.
var classes = []Class{
	ClassResolve, ClassNoRoute, ClassRefused, ClassTLS, ClassTimeout, ClassLost, ClassProtocol, ClassUnauthorised,
	ClassForbidden, ClassOverLimit, ClassDraining, ClassStorageFull, ClassInternal, ClassRejected,
}

// Mendable reports whether trying again later may help. If not, somebody has to do
// something first: get another token, be given a right, look at a change.
func (c Class) Mendable() bool {
	return c != ClassUnauthorised && c != ClassForbidden && c != ClassRejected
}

// Fault is what went wrong, with all that counts for what is done about it.
type Fault struct {
	Class      Class
	RetryAfter time.Duration // what the other end asks for; 0: nothing
	Hash       id.Hash       // the change it is about, or zero
	// Receives says that the document can still be received.
	Receives bool
	Err      error
}

// Error is that of Err.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// faultOf finds out what kind of error a connection, or an attempt at one, ended
// with.
func faultOf(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return &Fault{Class: f.Class, RetryAfter: f.RetryAfter, Hash: f.Hash, Receives: f.Receives, Err: err}
	}
	return &Fault{Class: classOf(err), Err: err}
}

func classOf(err error) Class {
	if code := websocket.CloseStatus(err); code != -1 {
		return classOfCode(wire.CloseCode(code))
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return ClassResolve
	}
	for _, k := range []struct {
		err   error
		class Class
	}{
		{syscall.ECONNREFUSED, ClassRefused},
		{syscall.ENETUNREACH, ClassNoRoute},
		{syscall.EHOSTUNREACH, ClassNoRoute},
		{syscall.ENETDOWN, ClassNoRoute},
		{syscall.EADDRNOTAVAIL, ClassNoRoute},
		{syscall.ETIMEDOUT, ClassTimeout},
		{context.DeadlineExceeded, ClassTimeout},
		{os.ErrDeadlineExceeded, ClassTimeout},
		{wire.ErrVersion, ClassProtocol},
		{wire.ErrNotPeer, ClassProtocol},
		{wire.ErrRefused, ClassProtocol},
		{wire.ErrFrame, ClassProtocol},
	} {
		if errors.Is(err, k.err) {
			return k.class
		}
	}
	switch {
	case isTLS(err):
		return ClassTLS
	case isTimeout(err):
		return ClassTimeout
	}
	return ClassLost
}

func isTLS(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verify || record || alert || authority || name || invalid
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// classOfCode is the class of a connection that was closed with a code, by either
// end.
func classOfCode(code wire.CloseCode) Class {
	switch code {
	case wire.CloseUnauthorised, wire.CloseExpired:
		return ClassUnauthorised
	case wire.CloseProtocol:
		return ClassProtocol
	case wire.CloseSlow:
		return ClassTimeout
	case wire.CloseOverLimit, wire.CloseTooLarge:
		return ClassOverLimit
	case wire.CloseDraining:
		return ClassDraining
	case wire.CloseReadOnly:
		return ClassStorageFull
	case wire.CloseInternal:
		return ClassInternal
	}
	switch websocket.StatusCode(code) {
	case websocket.StatusProtocolError, websocket.StatusUnsupportedData, websocket.StatusInvalidFramePayloadData, websocket.StatusMandatoryExtension:
		return ClassProtocol
	case websocket.StatusPolicyViolation:
		return ClassForbidden
	case websocket.StatusTryAgainLater:
		return ClassOverLimit
	case websocket.StatusServiceRestart:
		return ClassDraining
	}
	return ClassLost // CloseNormal and CloseReplaced among them
}

// faultOfNotice is what a notice says. ok is false if it says that nothing is wrong
// that we know of.
func faultOfNotice(m *wire.Notice) (f *Fault, ok bool) {
	f = &Fault{RetryAfter: m.RetryAfter, Hash: m.Hash, Err: fmt.Errorf("the remote says: %.200s", m.Message)}
	switch m.Code {
	case wire.NoticeUnavailable:
		f.Class = ClassForbidden
	case wire.NoticeReadOnly:
		f.Class, f.Receives = ClassForbidden, true
	case wire.NoticeOverLimit:
		f.Class = ClassOverLimit
	case wire.NoticeStorageFull:
		f.Class = ClassStorageFull
	case wire.NoticeRejectedChange:
		f.Class = ClassRejected
	case wire.NoticeDraining:
		f.Class = ClassDraining
	default:
		// Of twins, an end that gets to know of them takes care itself.
		return nil, false
	}
	return f, true
}

// faultOfStatus is what an HTTP answer says that is no WebSocket: it comes from
// something before the relay.
func faultOfStatus(r *http.Response, now time.Time, err error) *Fault {
	f := &Fault{Class: ClassProtocol, RetryAfter: retryAfter(r.Header.Get("Retry-After"), now), Err: err}
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		f.Class = ClassUnauthorised
	case http.StatusForbidden:
		f.Class = ClassForbidden
	case http.StatusTooManyRequests:
		f.Class = ClassOverLimit
	case http.StatusServiceUnavailable:
		f.Class = ClassDraining
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		f.Class = ClassTimeout
	case http.StatusInsufficientStorage:
		f.Class = ClassStorageFull
	case http.StatusInternalServerError, http.StatusBadGateway:
		f.Class = ClassInternal
	}
	return f
}

// retryAfter reads a header that has seconds or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
