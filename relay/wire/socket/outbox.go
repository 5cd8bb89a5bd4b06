package socket

import "sync"

// frame is bytes for the socket, and what to call when they have left.
type frame struct {
	data []byte
	then func() // may be nil
}

// outbox is the queue between whoever has something to say to the other end and
// the goroutine that writes to its socket. It never blocks who says it: beyond
// its limit it refuses, and the connection is closed.
type outbox struct {
	limit int           // bytes
	ready chan struct{} // holds a token when there is news for the writer

	mu     sync.Mutex
	frames []frame
	bytes  int  // queued and being written
	shut   bool // nothing more is let in
}

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
	if o.bytes > 0 && o.bytes+len(f.data) > o.limit {
		return false
	}
	o.frames = append(o.frames, f)
	o.bytes += len(f.data)
	o.wake()
	return true
}

// close lets nothing more in. What is queued is still to be written, unless it is
// to be thrown away.
func (o *outbox) close(discard bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut = true
	if discard {
		o.frames, o.bytes = nil, 0
	}
	o.wake()
}

// take returns the frames queued, and whether no more will come.
func (o *outbox) take() (frames []frame, shut bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.frames = o.frames, nil
	return frames, o.shut
}

// wrote makes room for as many bytes as have left.
func (o *outbox) wrote(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = max(0, o.bytes-n)
}

func (o *outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}
