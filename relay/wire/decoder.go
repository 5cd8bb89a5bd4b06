package wire

import (
	"encoding/binary"
	"unicode/utf8"

	"syncline/crdt/id"
)

// Decoder reads the frames of one connection, one after the other. It remembers
// whom and what the last one was about: the ends of a connection write the same
// names in each message, and to check a document id, base58 with two SHA-256,
// takes longer than to read the rest of a frame. The zero value is ready.
//
// The messages that come by the thousand, which are Sync and Ephemeral as clients
// write them, are read here by hand, with two allocations instead of nine and in a
// fifth of the time (BenchmarkDecode). Whatever is unusual about a frame, its
// errors included, is left to the CBOR library.
type Decoder struct {
	sender, target, session string

	document string
	doc      id.Document
}

// Decode reads one frame as the function of this name does.
func (d *Decoder) Decode(b []byte) (Message, error) {
	if m := d.common(b); m != nil {
		return m, nil
	}
	return decode(b)
}

// common reads a Sync or an Ephemeral, or returns nil for the library to judge.
func (d *Decoder) common(b []byte) Message {
	var f plainFrame
	if !f.read(b) || f.sender == nil || f.document == nil || f.data == nil {
		return nil
	}
	if string(f.document) != d.document {
		doc, err := id.ParseDocument(string(f.document))
		if err != nil {
			return nil
		}
		d.document, d.doc = string(f.document), doc
	}
	r := Route{SenderID: again(&d.sender, f.sender), TargetID: again(&d.target, f.target)}
	data := append([]byte(nil), f.data...)
	switch string(f.typ) {
	case typeSync, typeRequest:
		return &Sync{Route: r, Request: string(f.typ) == typeRequest, Document: d.doc, Data: data}
	case typeEphemeral:
		if f.session == nil || !f.counted {
			return nil
		}
		return &Ephemeral{Route: r, Document: d.doc, Count: f.count, SessionID: again(&d.session, f.session), Data: data}
	}
	return nil
}

// again returns b as a string: the last one, if it is the same.
func again(last *string, b []byte) string {
	if string(b) != *last {
		*last = string(b)
	}
	return *last
}

// plainFrame is a frame of fields that are all as they should be. A text or data
// that was absent is nil; none is empty.
type plainFrame struct {
	typ, sender, target, document, session, data []byte

	count   uint64
	counted bool
}

// The major types of CBOR that a plainFrame has.
const (
	cborUint  = 0
	cborBytes = 2
	cborText  = 3
	cborMap   = 5
)

// read reports whether b is a plain frame and nothing more. Its texts and data are
// parts of b.
func (f *plainFrame) read(b []byte) bool {
	major, pairs, b, ok := cborHead(b)
	if !ok || major != cborMap {
		return false
	}
	for ; pairs > 0; pairs-- {
		var key []byte
		if key, b, ok = cborString(b, cborText); !ok {
			return false
		}
		if string(key) == "count" {
			if major, f.count, b, ok = cborHead(b); !ok || major != cborUint || f.count > maxNumber || f.counted {
				return false
			}
			f.counted = true
			continue
		}
		field, most := f.field(key)
		if field == nil || *field != nil {
			return false
		}
		kind := byte(cborText)
		if field == &f.data {
			kind = cborBytes
		}
		if *field, b, ok = cborString(b, kind); !ok || len(*field) == 0 || len(*field) > most {
			return false
		}
		if kind == cborText && !utf8.Valid(*field) {
			return false
		}
	}
	return len(b) == 0
}

// field is where the value of a key goes, and how many bytes it may have; nil for
// a key that a plain frame does not have.
func (f *plainFrame) field(key []byte) (field *[]byte, most int) {
	switch string(key) {
	case "type":
		return &f.typ, MaxName
	case "senderId":
		return &f.sender, MaxName
	case "targetId":
		return &f.target, MaxName
	case "documentId":
		return &f.document, maxDocumentID
	case "sessionId":
		return &f.session, MaxName
	case "data":
		return &f.data, MaxFrame
	}
	return nil, 0
}

// cborHead reads the type and the number that an item begins with.
func cborHead(b []byte) (major byte, n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	major, info := b[0]>>5, b[0]&31
	b = b[1:]
	if info < 24 {
		return major, uint64(info), b, true
	}
	size := 1 << (info - 24)
	if info > 27 || len(b) < size {
		return 0, 0, nil, false
	}
	switch size {
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b))
	case 8:
		n = binary.BigEndian.Uint64(b)
	}
	return major, n, b[size:], true
}

// cborString reads a text or a byte string of known length.
func cborString(b []byte, want byte) (s, rest []byte, ok bool) {
	major, n, b, ok := cborHead(b)
	if !ok || major != want || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}
