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
	f, _, _ := o.next()
	if o.push(frame{data: []byte{1}}) {
		t.Error("a frame was let in while the large one is being written")
	}
	o.wrote(f.len())
	if !o.push(frame{data: []byte{1}}) {
		t.Error("refused after the large one has left")
	}
	o.close(false)
	if !o.push(large) {
		t.Error("overflow of a closed outbox")
	}
	f, ok, _ := o.next()
	if !ok || f.len() != 1 {
		t.Errorf("a frame of %d bytes comes, %v", f.len(), ok)
	}
	o.wrote(f.len())
	if f, ok, shut := o.next(); ok || !shut {
		t.Errorf("a frame of %d bytes comes from a closed outbox, %v, shut %v", f.len(), ok, shut)
	}
}

func TestOutboxThrowsAwayWhatIsQueued(t *testing.T) {
	o := newOutbox(10)
	for range 5 {
		o.push(frame{data: []byte{1}})
	}
	f, _, _ := o.next()
	o.close(true)
	o.push(frame{data: []byte{1}})
	o.wrote(f.len())
	if f, ok, shut := o.next(); ok || !shut {
		t.Errorf("a frame of %d bytes comes, %v, shut %v", f.len(), ok, shut)
	}
}

// TestOutboxIsInOrderAndNoLargerThanItsFrames pushes more than it takes, then takes
// one for each that it pushes, so that it is never empty.
func TestOutboxIsInOrderAndNoLargerThanItsFrames(t *testing.T) {
	o := newOutbox(1 << 20)
	pushed, taken := 0, 0
	push := func() {
		o.push(frame{data: make([]byte, pushed%7)})
		pushed++
	}
	take := func() {
		f, ok, _ := o.next()
		if !ok || f.len() != taken%7 {
			t.Fatalf("frame %d has %d bytes, %v", taken, f.len(), ok)
		}
		o.wrote(f.len())
		taken++
	}
	for range 1000 {
		push()
		push()
		take()
	}
	for range 100_000 {
		push()
		take()
	}
	if n := cap(o.frames); n > 4*1000 {
		t.Errorf("room for %d frames, with 1000 in it", n)
	}
	for taken < pushed {
		take()
	}
	if n := cap(o.frames); n > keptFrames || o.bytes != 0 {
		t.Errorf("empty, it has room for %d frames, and counts %d bytes", n, o.bytes)
	}
}

func TestAnOutboxThatIsEmptiedAllocatesNothing(t *testing.T) {
	o := newOutbox(100)
	f := frame{data: []byte("data"), end: []byte("end")}
	if n := testing.AllocsPerRun(100, func() {
		o.push(f)
		o.next()
		o.wrote(f.len())
	}); n != 0 {
		t.Errorf("%.1f allocations for each frame", n)
	}
}

// TestTheTurnToWrite: who has the turn keeps the writer away, and what comes in
// meanwhile stays behind.
func TestTheTurnToWrite(t *testing.T) {
	o := newOutbox(100)
	mine, other := frame{data: []byte{1}}, frame{data: []byte{2, 2}}
	next := func(want frame) {
		t.Helper()
		f, ok, _ := o.next()
		if !ok || f.len() != want.len() {
			t.Fatalf("a frame of %d bytes comes, %v; want one of %d", f.len(), ok, want.len())
		}
		o.wrote(f.len())
	}
	for _, end := range []func(){
		func() { o.release(mine.len(), false) },
		func() { o.putBack(mine); next(mine) },
	} {
		if !o.take(mine.len()) {
			t.Fatal("no turn at an empty outbox")
		}
		if o.push(other); o.take(1) {
			t.Error("two have the turn")
		}
		if _, ok, _ := o.next(); ok {
			t.Error("the writer writes out of its turn")
		}
		end()
		select {
		case <-o.ready:
		default:
			t.Error("the writer is not told of what came in")
		}
		if o.take(1) {
			t.Error("a turn before what is queued")
		}
		next(other)
		if o.bytes != 0 {
			t.Errorf("%d bytes are left", o.bytes)
		}
	}
	o.take(mine.len())
	o.close(true)
	o.putBack(mine)
	if _, ok, shut := o.next(); ok || !shut {
		t.Error("what is thrown away comes again")
	}
	if o.take(1) {
		t.Error("a turn at a closed outbox")
	}
}
