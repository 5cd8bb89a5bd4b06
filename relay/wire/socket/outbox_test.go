package socket

import "testing"

func TestOutboxTakesOneLargeFrameWhenItIsEmpty(t *testing.T) {
	o := newOutbox(10)
	large := frame{data: make([]byte, 100)}
	if !o.push(large) {
		t.Fatal("refused by an empty outbox")
	}
	if o.push(frame{data: []byte{1}}) {
		t.Error("a second frame was let in")
	}
	frames, _ := o.take(nil)
	if o.push(frame{data: []byte{1}}) {
		t.Error("a frame was let in while the large one is being written")
	}
	o.wrote(len(frames[0].data))
	if !o.push(frame{data: []byte{1}}) {
		t.Error("refused after the large one has left")
	}
	o.close(false)
	if !o.push(large) {
		t.Error("overflow of a closed outbox")
	}
	if frames, shut := o.take(nil); len(frames) != 1 || !shut {
		t.Errorf("%d frames, shut %v", len(frames), shut)
	}
}

func TestOutboxThrowsAwayWhatIsQueued(t *testing.T) {
	o := newOutbox(10)
	o.push(frame{data: make([]byte, 10)})
	o.close(true)
	o.push(frame{data: []byte{1}})
	if frames, shut := o.take(nil); len(frames) != 0 || !shut {
		t.Errorf("%d frames, shut %v", len(frames), shut)
	}
}
