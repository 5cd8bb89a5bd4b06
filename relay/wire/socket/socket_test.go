package socket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"syncline/relay/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The tests run in bubbles: their time is not the clock's, and passes only when
// everyone waits.

const (
	interval     = 5 * time.Second
	maxSilence   = 30 * time.Second
	stallTimeout = 9 * time.Second
	writeTimeout = 20 * time.Second
	closeTimeout = 3 * time.Second
	maxQueue     = 1 << 20
)

// rig is a Conn with its other end in hand, over a pipe that buffers nothing.
type rig struct {
	*Conn
	t     *testing.T
	far   *websocket.Conn
	pipe  net.Conn      // under far
	gate  chan struct{} // full: far reads nothing more
	ours  net.Conn      // under the Conn
	count Counters
	ended chan error // what Next said last, after Run has returned
}

// bubble runs a test with a rig whose Conn is not running yet.
func bubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	o := Options{
		PingInterval: interval, MaxSilence: maxSilence, WriteTimeout: writeTimeout,
		CloseTimeout: closeTimeout, MaxQueue: maxQueue,
	}
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, gate: make(chan struct{}, 1), ended: make(chan error, 1)}
		pulse := new(Pulse)
		var near *websocket.Conn
		client := &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
			ours, theirs := net.Pipe()
			r.ours = ours
			r.pipe = theirs
			h := hijacked{httptest.NewRecorder(), ours}
			var err error
			near, err = websocket.Accept(h, req, &websocket.AcceptOptions{OnPongReceived: pulse.Pong})
			resp := h.Result()
			resp.Body = gated{theirs, r.gate}
			return resp, err
		})}
		far, _, err := websocket.Dial(context.Background(), "ws://pipe/", &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		far.SetReadLimit(-1)
		near.SetReadLimit(-1)
		r.far = far
		o.Counters = &r.count
		r.Conn = New(near, pulse, o)
		defer near.CloseNow()
		defer far.CloseNow()
		f(t, r)
	})
}

// gated is a connection that is not read from while the gate is full. (A bubble's time
// stands still while somebody waits for a mutex.)
type gated struct {
	net.Conn
	gate chan struct{}
}

func (g gated) Read(b []byte) (int, error) {
	g.gate <- struct{}{}
	<-g.gate
	return g.Conn.Read(b)
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// run runs the connection; act has each frame that comes.
func (r *rig) run(act func(frame []byte, err error)) {
	go func() {
		var err error
		r.Run(func() {
			for {
				var frame []byte
				frame, err = r.Next()
				if err != nil && !errors.Is(err, wire.ErrFrame) {
					return
				}
				act(frame, err)
			}
		})
		r.ended <- err
	}()
}

func ignore([]byte, error) {}

// end waits until Run has returned, and checks why.
func (r *rig) end(code wire.CloseCode, reason string) {
	r.t.Helper()
	<-r.ended
	if e := r.End(); e.Code != code || !strings.Contains(e.Reason, reason) {
		r.t.Errorf("closed with %s, %q; want %s, %q", e.Code, e.Reason, code, reason)
	}
	if r.Context().Err() == nil {
		r.t.Error("its context goes on")
	}
}

// farEnd reads at the other end until it is closed: how many frames came, and how
// it ended.
func (r *rig) farEnd() (n int, e websocket.CloseError) {
	r.t.Helper()
	for {
		_, _, err := r.far.Read(context.Background())
		if err == nil {
			n++
			continue
		}
		e, _ = errors.AsType[websocket.CloseError](err)
		return n, e
	}
}

// within checks how long it is since start, in the time of the bubble.
func within(t *testing.T, start time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(start); d < least || d > most {
		t.Errorf("after %v, want %v to %v", d, least, most)
	}
}

func TestFramesArriveWholeAndInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var got [][]byte
		r.run(func(frame []byte, err error) { got = append(got, bytes.Clone(frame)) })
		sizes := []int{0, 1, fragment, fragment + 1, 5*fragment + 7}
		var want [][]byte
		var total int64
		left := 0
		for i, n := range sizes {
			want = append(want, bytes.Repeat([]byte{byte(i + 1)}, n))
			total += int64(n)
			r.Send(want[i], func() { left++ })
		}
		for i := range sizes {
			typ, b, err := r.far.Read(context.Background())
			if err != nil || typ != websocket.MessageBinary || !bytes.Equal(b, want[i]) {
				t.Fatalf("frame %d: %d bytes, %v, %v", i, len(b), typ, err)
			}
			if err := r.far.Write(context.Background(), websocket.MessageBinary, b); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if left != len(sizes) {
			t.Errorf("%d frames were said to have left, want %d", left, len(sizes))
		}
		r.far.Close(websocket.StatusNormalClosure, "")
		r.end(wire.CloseNormal, "the other end has closed")
		if !r.End().Lost {
			t.Error("the other end's close counts as ours")
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("frame %d came back with %d bytes", i, len(got[i]))
			}
		}
		n, c := int64(len(sizes)), &r.count
		if len(got) != len(sizes) || c.MessagesIn.Load() != n || c.MessagesOut.Load() != n || c.BytesIn.Load() != total || c.BytesOut.Load() != total {
			t.Errorf("%d frames came back; in %d of %d bytes, out %d of %d bytes; want %d of %d both ways", len(got),
				c.MessagesIn.Load(), c.BytesIn.Load(), c.MessagesOut.Load(), c.BytesOut.Load(), n, total)
		}
	})
}

func TestATextFrameIsAnErrorAndTheConnectionGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var frames, errs int
		r.run(func(_ []byte, err error) {
			if err != nil {
				errs++
			} else {
				frames++
			}
		})
		for _, typ := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			if err := r.far.Write(context.Background(), typ, []byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		r.far.Close(websocket.StatusNormalClosure, "")
		r.end(wire.CloseNormal, "")
		if frames != 1 || errs != 1 {
			t.Errorf("%d frames and %d errors, want one of each", frames, errs)
		}
	})
}

func TestCloseSendsWhatIsQueuedAndSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.Send([]byte("one"), nil)
		r.Send([]byte("two"), nil)
		long := strings.Repeat("é", 100)
		if !r.Close(wire.CloseDraining, long) {
			t.Error("the first reason does not stand")
		}
		if r.Close(wire.CloseProtocol, "another") {
			t.Error("a second reason stands")
		}
		r.Send([]byte("three"), nil)
		r.run(ignore)
		n, e := r.farEnd()
		if n != 2 || wire.CloseCode(e.Code) != wire.CloseDraining || len(e.Reason) < 100 || !utf8.ValidString(e.Reason) || !strings.HasPrefix(long, e.Reason) {
			t.Errorf("%d frames came, then %s, %q", n, wire.CloseCode(e.Code), e.Reason)
		}
		r.end(wire.CloseDraining, long)
		if r.End().Lost {
			t.Error("our close counts as a loss")
		}
	})
}

func TestCloseOfOneThatDoesNotReadIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.Send([]byte("nobody reads this"), nil)
		r.run(ignore)
		synctest.Wait()
		start := time.Now()
		r.Close(wire.CloseDraining, "enough")
		r.end(wire.CloseDraining, "enough")
		within(t, start, closeTimeout, closeTimeout)
	})
}

func TestWhatComesWhileItClosesIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		came := 0
		r.run(func([]byte, error) { came++ })
		synctest.Wait()
		r.Close(wire.CloseDraining, "enough")
		// Its close frame is not read yet, so this end may go on.
		for range 3 {
			if err := r.far.Write(context.Background(), websocket.MessageBinary, []byte("late")); err != nil {
				t.Fatal(err)
			}
		}
		if _, e := r.farEnd(); wire.CloseCode(e.Code) != wire.CloseDraining {
			t.Errorf("closed with %s", wire.CloseCode(e.Code))
		}
		r.end(wire.CloseDraining, "enough")
		if came != 0 {
			t.Errorf("%d frames were acted on", came)
		}
	})
}

func TestASlowReaderIsClosedAndWhatWaitsIsThrownAway(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run(ignore)
		half := make([]byte, maxQueue/2)
		for range 3 {
			r.Send(half, nil)
		}
		n, e := r.farEnd()
		if n > 1 || wire.CloseCode(e.Code) != wire.CloseSlow {
			t.Errorf("%d frames came, then %s", n, wire.CloseCode(e.Code))
		}
		r.end(wire.CloseSlow, "1048576 bytes are waiting")
		if n := r.count.Overflows.Load(); n != 1 {
			t.Errorf("%d overflows, want 1", n)
		}
	})
}

func TestSilenceEndsAConnection(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, r.pipe) }) // takes the pings, answers none
		start := time.Now()
		r.run(ignore)
		r.end(wire.CloseNormal, "it does not answer pings")
		within(t, start, maxSilence, maxSilence+2*interval)
		all.Wait()
	})
}

func TestOneThatAnswersPingsStays(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run(ignore)
		far := r.far.CloseRead(context.Background()) // answers pings
		<-time.After(time.Hour)
		if e := r.End(); e.Code != 0 {
			t.Fatalf("closed: %q", e.Reason)
		}
		r.Close(wire.CloseNormal, "bye")
		r.end(wire.CloseNormal, "bye")
		<-far.Done()
	})
}

func TestOneThatIsNotListenedToStays(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, r.pipe) })
		start := time.Now()
		r.run(func([]byte, error) { <-time.After(time.Hour) })
		if err := r.far.Write(context.Background(), websocket.MessageBinary, []byte("much work")); err != nil {
			t.Fatal(err)
		}
		r.end(wire.CloseNormal, "it does not answer pings")
		within(t, start, time.Hour+maxSilence, time.Hour+maxSilence+2*interval)
		all.Wait()
	})
}

func TestAWriteThatDoesNotMoveEndsAConnection(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		start := time.Now()
		r.Send(make([]byte, 10), func() { t.Error("said to have left") })
		r.run(ignore)
		r.end(wire.CloseSlow, "it has taken no bytes for 20s")
		within(t, start, writeTimeout, writeTimeout)
	})
}

// Pings that find no room do not end it either.
func TestAWriteThatMovesMayTakeLong(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		start := time.Now()
		left := false
		r.Send(make([]byte, 8*fragment), func() { left = true })
		r.run(ignore)
		// A fragment and its header at a time, each when patience is nearly over.
		b := make([]byte, fragment+10)
		for range 8 {
			<-time.After(writeTimeout - time.Second)
			if _, err := io.ReadFull(r.pipe, b); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, r.pipe) })
		synctest.Wait()
		if !left || r.End().Code != 0 {
			t.Errorf("left %v, ended %+v", left, r.End())
		}
		within(t, start, 4*writeTimeout, 8*writeTimeout)
		r.far.CloseNow()
		<-r.ended
		all.Wait()
	})
}

// A stall is told from silence and from work by what was sent.
func TestAStall(t *testing.T) {
	for name, test := range map[string]struct {
		sent        int
		read        bool // by the network: a pipe takes nothing else
		code        wire.CloseCode
		least, most time.Duration
	}{
		"a frame that nobody takes": {10, false, wire.CloseSlow, stallTimeout, stallTimeout},
		"a frame that nobody reads": {10, true, wire.CloseSlow, stallTimeout, stallTimeout},
		"a long frame, worked on":   {fragment + 1, true, 0, maxSilence, maxSilence + stallTimeout},
		"nothing to read":           {-1, true, wire.CloseNormal, maxSilence, maxSilence + 2*interval},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.o.StallTimeout = stallTimeout
				var all sync.WaitGroup
				if test.read {
					all.Go(func() { io.Copy(io.Discard, r.pipe) })
				}
				r.run(ignore)
				synctest.Wait()
				start := time.Now()
				if test.sent >= 0 {
					r.Send(make([]byte, test.sent), nil)
				}
				<-r.ended
				if e := r.End(); e.Code != test.code && test.sent <= fragment {
					t.Errorf("closed with %s, %q", e.Code, e.Reason)
				}
				within(t, start, test.least, test.most)
				r.pipe.Close()
				all.Wait()
			})
		})
	}
}

// One that was sent a history is held to what is sent to it as soon as it has read
// that: a ping comes behind it, and one that falls into a write comes behind that.
func TestAStallBehindAHistory(t *testing.T) {
	for name, busy := range map[string]bool{"at once": false, "at the time of a ping": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.o.StallTimeout = stallTimeout
				r.run(ignore)
				var all sync.WaitGroup
				all.Go(func() {
					for { // and answers pings
						if _, _, err := r.far.Read(context.Background()); err != nil {
							return
						}
					}
				})
				stall := func() {
					r.gate <- struct{}{}
					r.Send(make([]byte, 10), nil) // what reads already takes this one
					r.Send(make([]byte, 10), nil)
				}
				r.Send(make([]byte, fragment+1), nil)
				synctest.Wait()
				if busy {
					r.pulse.long.Store(time.Now().UnixNano()) // as if the first ping had been lost
					<-time.After(interval - 10*time.Millisecond)
					stall()
					<-time.After(20 * time.Millisecond)
					<-r.gate
					synctest.Wait()
				}
				start := time.Now()
				stall()
				<-r.ended
				if e := r.End(); e.Code != wire.CloseSlow {
					t.Errorf("closed with %s, %q", e.Code, e.Reason)
				}
				within(t, start, stallTimeout, stallTimeout)
				<-r.gate
				r.far.CloseNow()
				all.Wait()
			})
		})
	}
}

// One that answers a ping, if only just, stays.
func TestOneThatAnswersInTimeHasNotStalled(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.o.StallTimeout = stallTimeout
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, r.pipe) }) // answers no ping
		r.run(ignore)
		for range 50 {
			r.Send(make([]byte, 10), nil)
			<-time.After(stallTimeout - time.Second)
			if err := r.far.Write(context.Background(), websocket.MessageBinary, []byte("read")); err != nil {
				t.Fatalf("%v; %+v", err, r.End())
			}
		}
		r.far.CloseNow()
		<-r.ended
		all.Wait()
	})
}

// Whoever is shut out may have sent half a frame and nothing more.
func TestShutIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var all sync.WaitGroup
		all.Go(func() { io.Copy(io.Discard, r.pipe) })
		half := make(chan error, 1)
		go func() {
			_, err := r.pipe.Write([]byte("\x82\xfe\x03\xe8maskhalf"))
			half <- err
		}()
		start := time.Now()
		Shut(r.ws, r.ours, wire.CloseOverLimit, "too many")
		within(t, start, shutTimeout, shutTimeout)
		if err := <-half; err != nil {
			t.Error(err)
		}
		all.Wait()
	})
}

func TestRunClosesWhatIsNotReadFromAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var all sync.WaitGroup
		all.Go(func() { r.Run(func() {}) })
		if _, e := r.farEnd(); wire.CloseCode(e.Code) != wire.CloseNormal {
			t.Errorf("closed with %s", wire.CloseCode(e.Code))
		}
		all.Wait()
	})
}

func TestCodesOfErrors(t *testing.T) {
	plain := errors.New("plain")
	err := fmt.Errorf("somewhere: %w", WithCode(wire.CloseOverLimit, plain))
	if CodeOf(err) != wire.CloseOverLimit || !errors.Is(err, plain) || err.Error() != "somewhere: plain" {
		t.Errorf("%s: %v", CodeOf(err), err)
	}
	if CodeOf(plain) != wire.CloseProtocol {
		t.Errorf("without a code: %s", CodeOf(plain))
	}
}
