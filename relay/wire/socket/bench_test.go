package socket

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// pair is a Conn on this machine's network with its other end in hand.
func pair(b testing.TB, serve func(*Conn)) (far *websocket.Conn) {
	var serving sync.WaitGroup
	serving.Add(1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer serving.Done()
		pulse := new(Pulse)
		tap := &Tap{ResponseWriter: w}
		ws, err := websocket.Accept(tap, req, &websocket.AcceptOptions{OnPongReceived: pulse.Pong})
		if err != nil {
			b.Error(err)
			return
		}
		c := New(ws, pulse, Options{
			PingInterval: time.Minute, MaxSilence: time.Hour, WriteTimeout: time.Minute,
			CloseTimeout: time.Second, MaxQueue: 1 << 30, Line: tap.Line,
		})
		c.Run(func() { serve(c) })
	}))
	b.Cleanup(s.Close)
	far, _, err := websocket.Dial(context.Background(), s.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		far.CloseNow()
		serving.Wait()
	})
	return far
}

// BenchmarkAnswer is a frame from the other end, and a frame in two parts back: what
// a change and its acknowledgement cost a relay beside what they mean. The time is
// that of both ends of the connection. The one allocation is at the other end, for
// what it reads.
func BenchmarkAnswer(b *testing.B) {
	answer, target := make([]byte, 300), make([]byte, 50)
	far := pair(b, func(c *Conn) {
		for {
			if _, err := c.Next(); err != nil {
				return
			}
			c.SendJoined(answer, target, nil)
		}
	})
	ctx, question := context.Background(), make([]byte, 190)
	b.ReportAllocs()
	for b.Loop() {
		if err := far.Write(ctx, websocket.MessageBinary, question); err != nil {
			b.Fatal(err)
		}
		if _, _, err := far.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
