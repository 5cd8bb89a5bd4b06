package chunk

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"syncline/crdt/id"
)

// The types of chunks.
const (
	typeDocument = 0
	typeChange   = 1
	typeDeflated = 2
	typeBundle   = 3
)

const (
	magic     = "\x85\x6f\x4a\x83"
	headerMax = 4 + 4 + 1 + 10 // magic, checksum, type, length
)

// ErrMalformed is what every error of this package wraps: the bytes are not a
// chunk that an honest author writes.
var ErrMalformed = errors.New("malformed chunk")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// split takes the first chunk off b. For a type 1 chunk, and a type 2 chunk
// inflated to one, whole is the chunk as it is hashed, and body its body.
func split(b []byte) (typ byte, whole, body, rest []byte, err error) {
	if len(b) < 10 || string(b[:4]) != magic {
		return 0, nil, nil, nil, malformed("it does not begin with a chunk's magic bytes")
	}
	r := reader{buf: b, off: 9}
	typ = b[8]
	body, err = r.prefixed()
	if err != nil {
		return 0, nil, nil, nil, malformed("chunk length: %w", err)
	}
	whole, rest = b[:r.off:r.off], b[r.off:]
	switch typ {
	case typeDocument, typeChange, typeBundle:
	case typeDeflated:
		inflated, err := inflate(body, MaxChangeBytes)
		if err != nil {
			return 0, nil, nil, nil, malformed("deflated change: %w", err)
		}
		whole = make([]byte, 0, headerMax+len(inflated))
		whole = append(whole, b[:8]...)
		whole = append(AppendUint(append(whole, typeChange), uint64(len(inflated))), inflated...)
		typ, body = typeChange, whole[len(whole)-len(inflated):]
	default:
		return 0, nil, nil, nil, malformed("chunk type %d is unknown", typ)
	}
	return typ, whole, body, rest, nil
}

// hashOf checks the checksum of a chunk and returns its hash.
func hashOf(whole []byte) (id.Hash, error) {
	h := id.Hash(sha256.Sum256(whole[8:]))
	if !bytes.Equal(h[:4], whole[4:8]) {
		return h, malformed("the checksum does not match the body")
	}
	return h, nil
}

// inflaters keeps decompressors, of which each has a window of 32 KB.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// inflate decompresses raw DEFLATE up to limit bytes; nothing may follow it.
func inflate(b []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(b)
	z := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(z)
	if err := z.(flate.Resetter).Reset(in, nil); err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	// Memory follows the bytes that really come out, never a claim.
	out, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("inflate: %w", err)
	case len(out) > limit:
		return nil, fmt.Errorf("inflates past the limit of %d bytes", limit)
	case in.Len() > 0:
		return nil, errors.New("has bytes behind the deflated data")
	}
	return out, nil
}
