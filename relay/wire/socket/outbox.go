package socket

import (
	"slices"
	"sync"
)

// frame is bytes for the socket, and what to call when they have left. They are
// data and behind it end, either of which many connections may share.
type frame struct {
	data, end []byte
	then      func() // may be nil
}

func (f frame) len() int { return len(f.data) + len(f.end) }

// outbox is the queue between whoever has something to say to the other end and
// the goroutine that writes to its socket. It never blocks who says it: beyond
// its limit it refuses, and the connection is closed.
//
// It also knows whose turn it is to write: the writer's, or that of who found
// nothing before what it has to say.
type outbox struct {
	limit int           // bytes
	ready chan struct{} // holds a token when there is news for the writer

	mu     sync.Mutex
	frames []frame // those from first on are queued
	first  int
	bytes  int  // queued and being written
	taken  bool // somebody has the turn to write
	shut   bool // nothing more is let in
	thrown bool // … and what was queued is thrown away
}

// keptFrames is for how many frames an empty outbox keeps room.
const keptFrames = 64

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, ready: make(chan struct{}, 1)}
}

// push queues a frame. It reports false when the frame does not fit; a frame
// pushed after shut is gone, as the connection is. A frame larger than the limit
// fits when nothing else is queued.
func (o *outbox) push(f frame) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shut {
		return true
	}
	if o.bytes > 0 && o.bytes+f.len() > o.limit {
		return false
	}
	if len(o.frames) == cap(o.frames) && o.first > len(o.frames)/2 {
		// One that is never empty would grow with all that went through it.
		n := copy(o.frames, o.frames[o.first:])
		clear(o.frames[n:])
		o.frames, o.first = o.frames[:n], 0
	}
	o.frames = append(o.frames, f)
	o.bytes += f.len()
	if !o.taken {
		o.wake()
	}
	return true
}

// take gives the turn to write to who has a frame of n bytes, if nothing is before
// it. Then release or putBack is to be called.
func (o *outbox) take(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken || o.shut || o.first < len(o.frames) {
		return false
	}
	o.taken = true
	o.bytes += n
	return true
}

// release ends the turn of who has written n bytes. The writer has to do with what
// has come in meanwhile, or was left of the frame.
func (o *outbox) release(n int, left bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken, o.bytes = false, max(0, o.bytes-n)
	if left || o.shut || o.first < len(o.frames) {
		o.wake()
	}
}

// putBack ends a turn in which nothing was written: the frame is the next one.
func (o *outbox) putBack(f frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = false
	if !o.thrown {
		o.frames = slices.Insert(o.frames, o.first, f)
	}
	o.wake()
}

// close lets nothing more in. What is queued is still to be written, unless it is
// to be thrown away.
func (o *outbox) close(discard bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut = true
	if discard {
		o.frames, o.first, o.bytes, o.thrown = nil, 0, 0, true
	}
	o.wake()
}

// next takes the frame that is to be written, if there is one and it is the writer's
// turn, which it then has until wrote. It says whether no more will come when there
// is none.
func (o *outbox) next() (f frame, ok, shut bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken {
		return frame{}, false, false
	}
	if o.first == len(o.frames) {
		return frame{}, false, o.shut
	}
	o.taken = true
	f, o.frames[o.first] = o.frames[o.first], frame{}
	if o.first++; o.first == len(o.frames) {
		o.frames, o.first = o.frames[:0], 0
		if cap(o.frames) > keptFrames {
			o.frames = nil
		}
	}
	return f, true, false
}

// wrote makes room for as many bytes as have left, and ends the writer's turn.
func (o *outbox) wrote(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = false
	o.bytes = max(0, o.bytes-n)
}

func (o *outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}
