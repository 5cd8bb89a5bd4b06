package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// The first bytes of messages.
const (
	typeV1 = 0x42
	typeV2 = 0x43
)

const (
	// maxHashes bounds each list of hashes: heads are as many as ends have edited
	// at once, and every later change has to look at them.
	maxHashes = 1 << 16
	// maxHave is how many have entries a message may hold. Implementations send
	// one; each costs a Bloom test for every change beyond its lastSync.
	maxHave = 8
	// minChunk is the shortest a change chunk can be: its header and an empty body.
	minChunk = 10
)

// ErrMessage is what errors about malformed sync messages wrap.
var ErrMessage = errors.New("malformed sync message")

// Flags is what the sender says about itself in the last section of a message. A
// message that has the section at all comes from a sender that reads V2.
type Flags uint8

const (
	// SyncReset asks the receiver to forget what it sent in this session.
	SyncReset Flags = 1 << iota
	// ReadOnly says that the sender will not apply changes.
	ReadOnly
	// SupportsSyncReset says that the sender honours SyncReset.
	SupportsSyncReset
)

const (
	flagV2   = 0x02 // stands first, for older readers
	flagMark = 0x80 // marks the byte that holds Flags
)

// Have sums up what the sender has: the ancestors of LastSync, and what is in the
// filter. It asks for the rest.
type Have struct {
	LastSync []id.Hash
	Bloom    Bloom
}

// Message is a decoded sync message. Hashes are ascending, each once.
type Message struct {
	V2       bool // the form it came in or goes out in
	Heads    []id.Hash
	Need     []id.Hash
	Have     []Have
	Chunks   [][]byte // V1: one change each. V2: usually one entry, any chunks in a row
	Flags    Flags
	HasFlags bool
}

// reader takes a message apart. After an error it returns zeros.
type reader struct {
	buf []byte
	err error
}

func (r *reader) uint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.err = errors.New("it ends in the middle of a number")
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

// count reads how many things of at least size bytes follow.
func (r *reader) count(what string, size int) int {
	n := r.uint()
	if n > uint64(len(r.buf)/size) {
		r.fail("it claims %d %s and has %d bytes left", n, what, len(r.buf))
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) hashes(what string) []id.Hash {
	n := r.count(what, len(id.Hash{}))
	if n > maxHashes {
		r.fail("it has %d %s; the limit is %d", n, what, maxHashes)
	}
	if n == 0 || r.err != nil {
		return nil
	}
	hs := make([]id.Hash, n)
	for i := range hs {
		hs[i] = id.Hash(r.buf[:len(id.Hash{})])
		r.buf = r.buf[len(id.Hash{}):]
	}
	if !slices.IsSortedFunc(hs, id.Hash.Compare) {
		id.SortHashes(hs)
	}
	return slices.Compact(hs)
}

func (r *reader) bytes(what string) []byte {
	n := r.count(what, 1)
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

// Decode reads a message in either form. The result shares p's memory. It
// allocates in proportion to p, whatever p claims.
func Decode(p []byte) (*Message, error) {
	if len(p) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrMessage)
	}
	if p[0] != typeV1 && p[0] != typeV2 {
		return nil, fmt.Errorf("%w: its type is %#02x, neither V1 nor V2", ErrMessage, p[0])
	}
	r := reader{buf: p[1:]}
	m := &Message{V2: p[0] == typeV2}
	m.Heads = r.hashes("heads")
	m.Need = r.hashes("needed hashes")
	n := r.count("have entries", 2)
	if n > maxHave {
		r.fail("it has %d have entries; the limit is %d", n, maxHave)
	}
	for i := 0; i < n && r.err == nil; i++ {
		h := Have{LastSync: r.hashes("lastSync hashes")}
		filter := r.bytes("bytes of a filter")
		if r.err == nil {
			h.Bloom, r.err = decodeBloom(filter)
		}
		m.Have = append(m.Have, h)
	}
	if n = r.count("chunks", 1+minChunk); n > 0 {
		m.Chunks = make([][]byte, n)
	}
	for i := range m.Chunks {
		m.Chunks[i] = r.bytes("bytes of a chunk")
		if len(m.Chunks[i]) < minChunk {
			r.fail("chunk %d has %d bytes", i, len(m.Chunks[i]))
		}
	}
	if r.err == nil && len(r.buf) > 0 {
		m.HasFlags = true
		for _, b := range r.bytes("bytes of flags") {
			if b&flagMark != 0 {
				m.Flags |= Flags(b &^ flagMark)
			}
		}
		if len(r.buf) > 0 {
			r.fail("%d bytes follow it", len(r.buf))
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, r.err)
	}
	return m, nil
}

// ChunkBytes is how many bytes of chunks the message brings: what Changes takes
// grows with it.
func (m *Message) ChunkBytes() int {
	size := 0
	for _, b := range m.Chunks {
		size += len(b)
	}
	return size
}

// Changes parses the chunks of the message and checks each change alone. If one
// chunk is malformed there are none. Nothing in this package needs Chunks after
// that: who keeps the message for Receive may drop them.
func (m *Message) Changes() ([]*chunk.Change, error) {
	var changes []*chunk.Change
	for _, b := range m.Chunks {
		some, err := chunk.ParseChunks(b)
		if err != nil {
			return nil, err
		}
		if changes == nil {
			changes = some
		} else {
			changes = append(changes, some...)
		}
	}
	return changes, nil
}

// Encode writes the message in the form that V2 says.
func (m *Message) Encode() []byte {
	size := 64 + 32*(len(m.Heads)+len(m.Need))
	for i := range m.Have {
		size += 32 + 32*len(m.Have[i].LastSync) + len(m.Have[i].Bloom.data)
	}
	for _, c := range m.Chunks {
		size += binary.MaxVarintLen64 + len(c)
	}
	b := append(make([]byte, 0, size), typeV1)
	if m.V2 {
		b[0] = typeV2
	}
	b = appendHashes(b, m.Heads)
	b = appendHashes(b, m.Need)
	b = binary.AppendUvarint(b, uint64(len(m.Have)))
	for i := range m.Have {
		h := &m.Have[i]
		b = appendHashes(b, h.LastSync)
		b = binary.AppendUvarint(b, uint64(h.Bloom.size()))
		b = h.Bloom.append(b)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Chunks)))
	for _, c := range m.Chunks {
		b = binary.AppendUvarint(b, uint64(len(c)))
		b = append(b, c...)
	}
	if m.HasFlags {
		b = append(b, 2, flagV2, flagMark|byte(m.Flags))
	}
	return b
}

func appendHashes(b []byte, hs []id.Hash) []byte {
	b = binary.AppendUvarint(b, uint64(len(hs)))
	for i := range hs {
		b = append(b, hs[i][:]...)
	}
	return b
}
