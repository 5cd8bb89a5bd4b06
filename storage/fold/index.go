package fold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"syncline/crdt/id"
)

// chunkIndex stands beside a document chunk and says what a reader has to know of
// its part of the document without opening it.
//
//	version · heads (count, hashes) · actors (count; length, bytes and last sequence number of each) · CRC-32C
type chunkIndex struct {
	heads []id.Hash           // ascending
	tops  map[id.Actor]uint64 // by actor: the last sequence number
}

const chunkIndexVersion = 1

var errChunkIndex = errors.New("index of a document chunk is malformed")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (x *chunkIndex) encode() []byte {
	b := []byte{chunkIndexVersion}
	b = binary.AppendUvarint(b, uint64(len(x.heads)))
	for i := range x.heads {
		b = append(b, x.heads[i][:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(x.tops)))
	for actor, seq := range x.tops {
		b = binary.AppendUvarint(b, uint64(len(actor)))
		b = append(b, actor...)
		b = binary.AppendUvarint(b, seq)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeChunkIndex(b []byte) (*chunkIndex, error) {
	if len(b) < 7 || b[0] != chunkIndexVersion || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("%w: its version or checksum does not fit", errChunkIndex)
	}
	b = b[1 : len(b)-4]
	short := false
	count := func(size int) int {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64((len(b)-n)/size) {
			short, b = true, nil
			return 0
		}
		b = b[n:]
		return int(v)
	}
	x := &chunkIndex{tops: map[id.Actor]uint64{}}
	for range count(32) {
		x.heads = append(x.heads, id.Hash(b[:32]))
		b = b[32:]
	}
	for range count(2) {
		n := count(1)
		actor := id.Actor(b[:n])
		seq, size := binary.Uvarint(b[n:])
		if short || size <= 0 {
			short = true
			break
		}
		x.tops[actor], b = seq, b[n+size:]
	}
	if short || len(b) > 0 {
		return nil, fmt.Errorf("%w: its parts do not add up", errChunkIndex)
	}
	return x, nil
}
