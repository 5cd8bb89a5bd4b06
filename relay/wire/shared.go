package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// EncodeShared encodes a message once for many ends: what it returns is a frame to
// each end that has a Target appended. The message's own target is passed over.
func EncodeShared(m Message) ([]byte, error) {
	b, err := encodeFor(m, "")
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrEncode, m.Type(), err)
	}
	b[0]++ // the map's header, which has room for 23 fields: no message has as many
	return b, nil
}

// Target is the end of a frame that EncodeShared began, for the peer of that id.
func Target(peer string) []byte {
	return appendText(appendText(nil, "targetId"), peer)
}

// encodeCommon writes a Sync or an Ephemeral as the CBOR library would, without its
// reflection. It returns nil for any other message, and for one that cannot be
// sent: the library's way finds out why.
func encodeCommon(m Message, target string) []byte {
	switch m := m.(type) {
	case *Sync:
		if !encodable(m.SenderID, target, m.Data) {
			return nil
		}
		b := beginFrame(5, m, m.SenderID, target, m.Document.String(), len(m.Data))
		return appendData(b, m.Data)
	case *Ephemeral:
		if !encodable(m.SenderID, target, m.Data) || m.SessionID == "" || len(m.SessionID) > MaxName || m.Count > math.MaxUint32 {
			return nil
		}
		b := beginFrame(7, m, m.SenderID, target, m.Document.String(), len(m.Data)+len(m.SessionID))
		b = appendHead(appendText(b, "count"), cborUint, m.Count)
		b = appendText(appendText(b, "sessionId"), m.SessionID)
		return appendData(b, m.Data)
	}
	return nil
}

func encodable(sender, target string, data []byte) bool {
	return sender != "" && len(sender) <= MaxName && len(target) <= MaxName && len(data) > 0
}

// beginFrame begins a frame that has so many fields, one less without a target,
// with room for the names of fields and as many more bytes.
func beginFrame(fields uint64, m Message, sender, target, document string, more int) []byte {
	const names = 128 // the names of an Ephemeral's fields with their headers and those of its values
	if target == "" {
		fields--
	}
	b := make([]byte, 0, names+len(sender)+len(target)+len(document)+more)
	b = appendHead(b, cborMap, fields)
	b = appendText(appendText(b, "type"), m.Type())
	b = appendText(appendText(b, "senderId"), sender)
	if target != "" {
		b = appendText(appendText(b, "targetId"), target)
	}
	return appendText(appendText(b, "documentId"), document)
}

func appendData(b, data []byte) []byte {
	b = appendHead(appendText(b, "data"), cborBytes, uint64(len(data)))
	return append(b, data...)
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, cborText, uint64(len(s))), s...)
}

// appendHead writes the type and the number that an item begins with, as short as
// they go.
func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
