package socket

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"syncline/relay/wire"
)

func TestTwoPartsArriveAsOneFrame(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run(ignore)
		var total int64
		for _, sizes := range [][2]int{
			{3, 2}, {0, 5}, {keptBuffer, 1}, {1, 1}, // around what is kept to put frames together in
			{fragment - 1, 1}, {fragment, 1}, {fragment + 1, fragment + 1}, {3 * fragment, 9},
		} {
			data, end := bytes.Repeat([]byte{1}, sizes[0]), bytes.Repeat([]byte{2}, sizes[1])
			r.SendJoined(data, end, nil)
			_, b, err := r.far.Read(context.Background())
			if err != nil || !bytes.Equal(b, append(bytes.Clone(data), end...)) {
				t.Fatalf("of %v bytes %d came, %v", sizes, len(b), err)
			}
			total += int64(len(b))
		}
		synctest.Wait()
		if n := r.count.BytesOut.Load(); n != total {
			t.Errorf("%d bytes are counted, of %d", n, total)
		}
		if n := r.Queued(); n != 0 {
			t.Errorf("%d bytes are queued when all have left", n)
		}
		r.far.Close(websocket.StatusNormalClosure, "")
		r.end(wire.CloseNormal, "")
	})
}

func TestBothPartsCountAgainstTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		end := make([]byte, maxQueue/2)
		r.SendJoined([]byte{1}, end, nil)
		r.SendJoined([]byte{1}, end, nil)
		if e := r.End(); e.Code != wire.CloseSlow {
			t.Errorf("closed with %s", e.Code)
		}
		r.run(ignore)
		r.end(wire.CloseSlow, "waiting to be read")
	})
}

// TestWhatAFrameTookIsNotKept: many connections that each had one long frame would
// fill the memory otherwise.
func TestWhatAFrameTookIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var kept []int
		r.run(func([]byte, error) { kept = append(kept, r.in.Cap()) })
		for _, n := range []int{100, 100, 1 << 20, 100} {
			if err := r.far.Write(context.Background(), websocket.MessageBinary, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := kept[len(kept)-1]; n > keptBuffer {
			t.Errorf("%d bytes are kept after a long frame", n)
		}
		r.far.Close(websocket.StatusNormalClosure, "")
		r.end(wire.CloseNormal, "")
	})
}
