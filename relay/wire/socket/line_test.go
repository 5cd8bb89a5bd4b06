package socket

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/coder/websocket"
)

// lines is a Line with its other end.
func lines(t *testing.T) (*Line, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return NewLine(near), far
}

func TestALineWritesWhatTheNetworkTakesAndKeepsTheRest(t *testing.T) {
	if !canWriteNow {
		t.Skip("this system cannot say what the network takes now")
	}
	l, far := lines(t)
	var want bytes.Buffer
	piece := make([]byte, 10_007)
	var is outcome
	for i := 0; ; i++ {
		for j := range piece {
			piece[j] = byte(i + j)
		}
		var err error
		if is, err = l.try(piece); err != nil {
			t.Fatal(err)
		}
		if is == untouched {
			break
		}
		want.Write(piece)
		if is == cut {
			break
		}
	}
	if l.isCut() != (is == cut) {
		t.Errorf("a part is left: %v, after %d", l.isCut(), is)
	}
	if is, err := l.try(piece); is != untouched || err != nil {
		t.Errorf("a network that took no more takes something: %d, %v", is, err)
	}
	wrote := make(chan error, 1)
	go func() { // waits until the other end reads
		err := l.finish()
		if err == nil {
			_, err = l.Write([]byte("the end"))
		}
		wrote <- err
	}()
	want.WriteString("the end")
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("what arrives is not what was written")
	}
	if l.isCut() {
		t.Error("a part is left when all has arrived")
	}
}

func TestALineOverAPipeTakesNothingNow(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if is, err := NewLine(near).try([]byte("now")); is != untouched || err != nil {
		t.Errorf("%d, %v", is, err)
	}
}

func TestALineThatIsClosedSaysSo(t *testing.T) {
	l, _ := lines(t)
	l.Close()
	if is, err := l.try([]byte("now")); err == nil && canWriteNow {
		t.Errorf("%d, and no error", is)
	}
}

// TestFramesOverALineArriveInOrder fills the network while the other end reads
// nothing but for pings, whose pongs go between the frames.
func TestFramesOverALineArriveInOrder(t *testing.T) {
	const frames = 3000
	size := func(i int) int { return 8 + []int{0, 117, 118, 1000, 4096, shortFrame - 8, shortFrame}[i%7] }
	target := []byte("whom it is for")
	filled := make(chan struct{})
	far := pair(t, func(c *Conn) {
		for i := range frames {
			b := make([]byte, size(i)-8, size(i))
			c.SendJoined(b, binary.BigEndian.AppendUint64(nil, uint64(i)), nil)
			if i%100 == 0 {
				if _, err := c.Next(); err != nil {
					t.Error(err)
					return
				}
			}
		}
		c.SendJoined(target, nil, func() {}) // goes by the writer
		close(filled)
		for {
			if _, err := c.Next(); err != nil {
				return
			}
		}
	})
	far.SetReadLimit(-1)
	ctx := context.Background()
	go func() {
		for i := 0; i < frames; i += 100 {
			if err := far.Write(ctx, websocket.MessageBinary, []byte("go on")); err != nil {
				t.Error(err)
			}
		}
	}()
	<-filled
	pinged := make(chan error, 1)
	go func() { pinged <- far.Ping(ctx) }()
	for i := range frames {
		_, b, err := far.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != size(i) || binary.BigEndian.Uint64(b[len(b)-8:]) != uint64(i) {
			t.Fatalf("frame %d has %d bytes, want %d", i, len(b), size(i))
		}
	}
	if _, b, err := far.Read(ctx); err != nil || !bytes.Equal(b, target) {
		t.Fatalf("%q, %v", b, err)
	}
	go far.Read(ctx) // until it is closed: the pong is read by a reader
	if err := <-pinged; err != nil {
		t.Error(err)
	}
}

func TestAFrameOverALineAllocatesNothing(t *testing.T) {
	done := make(chan float64, 1)
	pair(t, func(c *Conn) {
		begun := make(chan struct{})
		c.Send([]byte("by the writer"), func() { close(begun) })
		<-begun // and it has given its turn back
		data, end := make([]byte, 300), make([]byte, 50)
		done <- testing.AllocsPerRun(100, func() { c.SendJoined(data, end, nil) })
		for {
			if _, err := c.Next(); err != nil {
				return
			}
		}
	})
	if n := <-done; n != 0 {
		t.Errorf("%.1f allocations for each", n)
	}
}
