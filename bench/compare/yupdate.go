package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// yID names a Yjs item: a client, and its count of items before this one.
type yID struct {
	client uint64
	clock  uint64
}

// yItem is an item as clients here make them: a letter of the text, or a string
// under a key of the map.
type yItem struct {
	left, right *yID   // the neighbours in the text when it was made
	key         string // of the map; "" for a letter
	value       string
}

// The names that documents have for their text and their map.
const (
	yText = "text"
	yMap  = "map"
)

// The parts of a struct's first byte, and the kinds of content that this package
// writes or counts.
const (
	yHasLeft, yHasRight, yHasKey = 0x80, 0x40, 0x20
	yKind                        = 0x1f

	yGone, yDeleted, yString, yAny, ySkip = 0, 1, 4, 8, 10

	yAnyString = 119
)

// yNothing is an update without items and deletions, and the state vector of an
// empty document but for its second byte.
var yNothing = []byte{0, 0}

// appendItem writes one struct.
func appendItem(b []byte, it *yItem) []byte {
	info := byte(yString)
	if it.key != "" {
		info = yAny | yHasKey
	}
	if it.left != nil {
		info |= yHasLeft
	}
	if it.right != nil {
		info |= yHasRight
	}
	b = append(b, info)
	for _, n := range []*yID{it.left, it.right} {
		if n != nil {
			b = binary.AppendUvarint(binary.AppendUvarint(b, n.client), n.clock)
		}
	}
	if it.left == nil && it.right == nil {
		b = append(b, 1) // the parent is named, as those that documents have by name are
		if it.key == "" {
			b = appendYString(b, yText)
		} else {
			b = appendYString(appendYString(b, yMap), it.key)
		}
	}
	if it.key == "" {
		return appendYString(b, it.value)
	}
	return appendYString(append(b, 1, yAnyString), it.value)
}

func appendYString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendYBytes(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// yUpdate is an update of items of one client, the first of which has the given
// clock.
func yUpdate(client, clock uint64, items []yItem) []byte {
	if len(items) == 0 {
		return slices.Clone(yNothing)
	}
	b := binary.AppendUvarint([]byte{1}, uint64(len(items)))
	b = binary.AppendUvarint(binary.AppendUvarint(b, client), clock)
	for i := range items {
		b = appendItem(b, &items[i])
	}
	return append(b, 0) // nothing is deleted
}

// errY is what errors about bytes that are no update wrap.
var errY = errors.New("malformed Yjs message")

// yReader reads the encoding of lib0. After an error it returns zeros.
type yReader struct {
	buf []byte
	err error
}

func (r *yReader) uint() uint64 {
	v, n := binary.Uvarint(r.buf)
	if r.err == nil && n <= 0 {
		r.err = fmt.Errorf("%w: it ends in the middle of a number", errY)
	}
	if r.err != nil {
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *yReader) byte() byte {
	if r.err == nil && len(r.buf) == 0 {
		r.err = fmt.Errorf("%w: it ends early", errY)
	}
	if r.err != nil {
		return 0
	}
	c := r.buf[0]
	r.buf = r.buf[1:]
	return c
}

func (r *yReader) bytes() []byte {
	n := r.uint()
	if r.err == nil && n > uint64(len(r.buf)) {
		r.err = fmt.Errorf("%w: %d bytes are said to follow, %d do", errY, n, len(r.buf))
	}
	if r.err != nil {
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *yReader) id() { r.uint(); r.uint() }

// item skips a struct and returns how many items it stands for.
func (r *yReader) item() uint64 {
	info := r.byte()
	switch info & yKind {
	case yGone, ySkip:
		return r.uint()
	}
	if info&yHasLeft != 0 {
		r.id()
	}
	if info&yHasRight != 0 {
		r.id()
	}
	if info&(yHasLeft|yHasRight) == 0 {
		if r.uint() == 1 {
			r.bytes()
		} else {
			r.id()
		}
		if info&yHasKey != 0 {
			r.bytes()
		}
	}
	switch info & yKind {
	case yDeleted:
		return r.uint()
	case yString:
		return uint64(len(r.bytes())) // letters here are ASCII
	case yAny:
		n := r.uint()
		for i := uint64(0); i < n && r.err == nil; i++ {
			if kind := r.byte(); r.err == nil && kind != yAnyString {
				r.err = fmt.Errorf("%w: a value of kind %d, which no client here writes", errY, kind)
			}
			r.bytes()
		}
		return n
	}
	if r.err == nil {
		r.err = fmt.Errorf("%w: content of kind %d, which no client here writes", errY, info&yKind)
	}
	return 0
}

// readYUpdate calls seen for each client that has items in an update, with the
// clock behind the last of them. Deletions are not looked at.
func readYUpdate(b []byte, seen func(client, upTo uint64)) error {
	r := yReader{buf: b}
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		items := r.uint()
		client, clock := r.uint(), r.uint()
		for ; items > 0 && r.err == nil; items-- {
			clock += r.item()
		}
		if r.err == nil {
			seen(client, clock)
		}
	}
	return r.err
}

// readYStateVector returns the clock of one client in a state vector.
func readYStateVector(b []byte, of uint64) (clock uint64, err error) {
	r := yReader{buf: b}
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		client, c := r.uint(), r.uint()
		if client == of {
			clock = c
		}
	}
	return clock, r.err
}
