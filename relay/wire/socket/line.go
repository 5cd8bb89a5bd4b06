package socket

import (
	"encoding/binary"
	"net"
	"sync"
	"syscall"
)

// Line is the network connection under a WebSocket of this end's server. Whoever
// has something to say writes to it by itself, as long as the network takes it at
// once: to wake a goroutine for each frame, and to have it run, costs as much
// processor time as the frame. It never waits for that; a part that the network
// did not take is the writer's, and goes before anything else does.
type Line struct {
	net.Conn
	raw syscall.RawConn // nil: all that is written may have to wait

	mu   sync.Mutex // held while something is written
	rest []byte     // of a frame that was cut short

	// Of the attempt of now.
	attempt func(fd uintptr) bool
	part    []byte
	n       int
	err     error
}

// NewLine returns a Line over a connection that nothing else writes to from now on.
func NewLine(c net.Conn) *Line {
	l := &Line{Conn: c}
	l.attempt = func(fd uintptr) bool {
		l.n, l.err = writeNow(fd, l.part)
		return true // do not wait
	}
	if s, ok := c.(syscall.Conn); ok && canWriteNow {
		l.raw, _ = s.SyscallConn()
	}
	return l
}

// Write writes p behind what was cut short, and waits for the network.
func (l *Line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.flush(); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

// isCut says that finish has something to do.
func (l *Line) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rest) > 0
}

// finish writes what was cut short, and waits for the network.
func (l *Line) finish() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush()
}

func (l *Line) flush() error {
	if len(l.rest) == 0 {
		return nil
	}
	_, err := l.Conn.Write(l.rest)
	l.rest = nil
	return err
}

// try writes p if the network takes it now, and does not wait. What has become of it
// is one of these.
func (l *Line) try(p []byte) (outcome, error) {
	if l.raw == nil || !l.mu.TryLock() {
		return untouched, nil // what is being written may be waiting
	}
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		return untouched, nil
	}
	l.part = p
	err := l.raw.Write(l.attempt)
	l.part = nil
	if err == nil {
		err = l.err
	}
	switch {
	case err != nil:
		return untouched, err
	case l.n == 0:
		return untouched, nil
	case l.n < len(p):
		l.rest = append([]byte(nil), p[l.n:]...)
		return cut, nil
	}
	return sent, nil
}

// outcome is what has become of an attempt to write.
type outcome uint8

const (
	untouched outcome = iota // nothing is written
	cut                      // finish has to be called
	sent
)

// appendFrame appends a binary message in one frame as a server sends it (RFC 6455,
// section 5.2): data with end behind it, which are no more than shortFrame.
func appendFrame(b, data, end []byte) []byte {
	const binaryAndLast = 0x82
	b = append(b, binaryAndLast)
	if n := len(data) + len(end); n < 126 {
		b = append(b, byte(n))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return append(append(b, data...), end...)
}
