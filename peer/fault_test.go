package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// injected are the errors by which each class is met, made as they come.
var injected = map[Class][]func(rng *rand.Rand) error{
	ClassResolve: {
		func(*rand.Rand) error { return &net.DNSError{Name: "relay.example", IsNotFound: true} },
		func(*rand.Rand) error { return &net.DNSError{Name: "relay.example", IsTimeout: true} },
	},
	ClassNoRoute: {sys(syscall.ENETUNREACH), sys(syscall.EHOSTUNREACH), sys(syscall.ENETDOWN)},
	ClassRefused: {sys(syscall.ECONNREFUSED)},
	ClassTLS: {
		func(*rand.Rand) error { return &tls.CertificateVerificationError{Err: errors.New("expired")} },
		func(*rand.Rand) error { return tls.RecordHeaderError{Msg: "first record does not look like TLS"} },
		func(*rand.Rand) error { return tls.AlertError(40) },
	},
	ClassTimeout:      {sys(syscall.ETIMEDOUT), plain(context.DeadlineExceeded), plain(os.ErrDeadlineExceeded), closed(wire.CloseSlow), status(504), status(408)},
	ClassLost:         {sys(syscall.ECONNRESET), plain(io.EOF), plain(io.ErrUnexpectedEOF), closed(wire.CloseNormal), closed(wire.CloseReplaced), closed(4999)},
	ClassProtocol:     {plain(wire.ErrVersion), plain(wire.ErrNotPeer), plain(wire.ErrRefused), plain(wire.ErrFrame), closed(wire.CloseProtocol), closed(1002), status(200), status(404)},
	ClassUnauthorised: {closed(wire.CloseUnauthorised), closed(wire.CloseExpired), status(401), status(407)},
	ClassForbidden:    {status(403), closed(1008), said(wire.NoticeUnavailable), said(wire.NoticeReadOnly)},
	ClassOverLimit:    {closed(wire.CloseOverLimit), closed(wire.CloseTooLarge), closed(1013), status(429), said(wire.NoticeOverLimit)},
	ClassDraining:     {closed(wire.CloseDraining), closed(1012), status(503), said(wire.NoticeDraining)},
	ClassStorageFull:  {closed(wire.CloseReadOnly), status(507), said(wire.NoticeStorageFull)},
	ClassInternal:     {closed(wire.CloseInternal), status(500), status(502)},
	ClassRejected:     {said(wire.NoticeRejectedChange)},
}

func sys(errno syscall.Errno) func(*rand.Rand) error {
	return func(*rand.Rand) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
}

func plain(err error) func(*rand.Rand) error { return func(*rand.Rand) error { return err } }

func closed(code wire.CloseCode) func(*rand.Rand) error {
	return func(*rand.Rand) error { return websocket.CloseError{Code: websocket.StatusCode(code)} }
}

// someSeconds is nothing, or what another end asks for.
func someSeconds(rng *rand.Rand) time.Duration {
	return time.Duration(max(0, rng.IntN(200)-100)) * time.Second
}

func status(code int) func(*rand.Rand) error {
	return func(rng *rand.Rand) error {
		r := &http.Response{StatusCode: code, Header: http.Header{}}
		if s := someSeconds(rng); s > 0 {
			r.Header.Set("Retry-After", fmt.Sprint(s.Seconds()))
		}
		return faultOfStatus(r, time.Time{}, errors.New("bad handshake"))
	}
}

func said(code wire.NoticeCode) func(*rand.Rand) error {
	return func(rng *rand.Rand) error {
		f, ok := faultOfNotice(&wire.Notice{Code: code, RetryAfter: someSeconds(rng), Message: "no"})
		if !ok {
			return errors.New("it says nothing")
		}
		return f
	}
}

// Every class x 100 faults: the right class, the right delay, and never a stall of
// another document, on a clock of the test's own.
func TestFaultsAreClassifiedAndSpaced(t *testing.T) {
	if len(injected) != len(classes) {
		t.Fatalf("%d classes are met of %d", len(injected), len(classes))
	}
	for _, class := range classes {
		t.Run(string(class), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(slices.Index(classes, class))))
			b := Backoff{First: time.Second, Most: time.Minute}
			now := time.UnixMilli(1_700_000_000_000)
			box := newOutbox(b)
			bad, others := id.Document{1}, []id.Document{{2}, {3}, {4}}
			var longest time.Duration
			for n := 1; n <= 100; n++ {
				causes := injected[class]
				err := fmt.Errorf("connect to wss://relay.example: %w", causes[rng.IntN(len(causes))](rng))
				f := faultOf(err)
				if f.Class != class || f.Error() != err.Error() {
					t.Fatalf("%v is of class %s", err, f.Class)
				}
				random := rng.Float64()
				delay, again := b.After(f, n, random)
				if again != class.Mendable() {
					t.Fatalf("tried again: %v", again)
				}
				bound := b.Bound(n) * class.stretch()
				if n > 20 {
					bound = time.Minute * class.stretch()
				}
				if again && (delay < f.RetryAfter || delay >= f.RetryAfter+bound) {
					t.Fatalf("after %d failures %v, asked for %v, the bound is %v", n, delay, f.RetryAfter, bound)
				}
				longest = max(longest, delay-f.RetryAfter)

				// The same in the outbox, of one document among others.
				dead := box.fail(bad, f, now, random)
				if box.admits(bad) != (dead && f.Receives) {
					t.Fatal("offered at once")
				}
				for _, doc := range others {
					if !box.admits(doc) {
						t.Fatalf("%x waits for another document", doc)
					}
				}
				at, waits := box.next()
				if dead == again || waits != again || again && !at.Equal(now.Add(delay)) {
					t.Fatalf("dead %v, next %v after %v", dead, at.Sub(now), delay)
				}
				if dead {
					if now = now.Add(24 * time.Hour); len(box.due(now)) > 0 || box.fail(bad, f, now, random) {
						t.Fatal("a dead letter is tried again by itself")
					}
					box.revive(bad)
					if !box.admits(bad) {
						t.Fatal("not offered after a retry")
					}
					continue
				}
				if early := box.due(at.Add(-1)); len(early) > 0 {
					t.Fatal("due too early")
				}
				if docs := box.due(at); !slices.Equal(docs, []id.Document{bad}) || !box.admits(bad) {
					t.Fatalf("due: %x", docs)
				}
				now = at
			}
			if !class.Mendable() {
				return
			}
			// A hundred draws come near their bound, and stay below it.
			if most := time.Minute * class.stretch(); longest < most/2 || longest >= most {
				t.Errorf("the longest delay was %v, the bound is %v", longest, most)
			}
			box.settled(bad)
			if _, waits := box.next(); waits || len(box.letters) > 0 {
				t.Error("what has arrived is still there")
			}
		})
	}
}

// Each close code and each notice has its class: new ones have to be thought of.
func TestCodesHaveOneClassEach(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "relay", "wire", "codes.go"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), " CloseCode = "); n != 11 {
		t.Errorf("there are %d close codes, and this package knows 11", n)
	}
	if n := strings.Count(string(b), " NoticeCode = "); n != 7 {
		t.Errorf("there are %d notices, and this package knows 7", n)
	}
	if _, ok := faultOfNotice(&wire.Notice{Code: wire.NoticeTwin}); ok {
		t.Error("a twin is a fault of delivery")
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q is %v, want %v", header, got, want)
		}
	}
	for _, asked := range []time.Duration{-time.Hour, 0, time.Hour, 1000 * time.Hour, 1<<63 - 1} {
		d, ok := (Backoff{}).After(&Fault{Class: ClassDraining, RetryAfter: asked}, 1, .5)
		if !ok || d < 0 || d > maxRetryAfter+time.Second {
			t.Errorf("asked for %v, it is %v", asked, d)
		}
	}
}

// What the network and the system really say.
func TestRealErrorsHaveTheirClass(t *testing.T) {
	p := newPeer(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	encrypted := httptest.NewUnstartedServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0) // our client hangs up on it
	encrypted.StartTLS()
	defer encrypted.Close()
	answer := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return "ws" + strings.TrimPrefix(s.URL, "http")
	}
	shut := func(code wire.CloseCode) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			m, _ := wire.Encode(&wire.Error{Route: wire.Route{SenderID: "x"}, Message: "no"})
			ws.Write(r.Context(), websocket.MessageBinary, m)
			ws.Close(websocket.StatusCode(code), "no")
		}))
		t.Cleanup(s.Close)
		return "ws" + strings.TrimPrefix(s.URL, "http")
	}
	for _, tt := range []struct {
		url  string
		want Class
	}{
		{"ws://127.0.0.1:1", ClassRefused}, // a port that is nobody's by itself
		{"ws://" + silent.Addr().String(), ClassTimeout},
		{"wss" + strings.TrimPrefix(encrypted.URL, "https"), ClassTLS},
		{"ws://" + strings.Repeat("x", 64) + ".invalid:1", ClassResolve}, // too long for any resolver to be asked
		{answer(401), ClassUnauthorised},
		{answer(403), ClassForbidden},
		{answer(429), ClassOverLimit},
		{answer(503), ClassDraining},
		{answer(200), ClassProtocol},
		{shut(wire.CloseUnauthorised), ClassUnauthorised},
		{shut(wire.CloseOverLimit), ClassOverLimit},
		{shut(wire.CloseDraining), ClassDraining},
		{shut(wire.CloseProtocol), ClassProtocol},
	} {
		ctx := bounded(t)
		if tt.want == ClassTimeout {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
		}
		_, err := p.dial(ctx, Remote{URL: tt.url}, p.self, nil, nil)
		f, ok := errors.AsType[*Fault](err)
		if !ok || f.Class != tt.want {
			t.Errorf("%s: %v, class %v, want %s", tt.url, err, f, tt.want)
		}
	}
}
