package wire

import (
	"errors"
	"fmt"
	"math"
	"time"

	"syncline/crdt/id"
)

// ErrFrame is what Decode's errors wrap: the frame is not a message of the
// protocol.
var ErrFrame = errors.New("not a message of the automerge-repo protocol")

// Decode reads one frame. The message shares no memory with b. The caller has
// bounded the length of b; what Decode allocates is in proportion to it.
//
// Who reads a connection has a Decoder, which does the same for less.
func Decode(b []byte) (Message, error) { return new(Decoder).Decode(b) }

// decode reads a frame of any kind, by the CBOR library.
func decode(b []byte) (Message, error) {
	var f frame
	if err := decMode.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	m, err := f.message()
	if err != nil {
		return nil, fmt.Errorf("%w: %.40q: %w", ErrFrame, f.Type, err)
	}
	return m, nil
}

// message makes the typed message of a frame and checks what its type needs.
func (f *frame) message() (Message, error) {
	if f.Type == "" {
		return nil, errors.New("no type")
	}
	if err := f.checkCaps(); err != nil {
		return nil, err
	}
	if f.SenderID == "" {
		return nil, errors.New("no senderId")
	}
	r := Route{SenderID: f.SenderID, TargetID: f.TargetID}
	switch f.Type {
	case typeJoin:
		return &Join{SenderID: f.SenderID, Metadata: f.Metadata.metadata(), Versions: f.Versions}, nil
	case typePeer:
		return &Peer{Route: r, Metadata: f.Metadata.metadata(), Version: f.Version}, nil
	case typeError:
		return &Error{Route: r, Message: f.Message}, nil
	case typeRemoteSubscription:
		return &RemoteSubscription{Route: r, Add: f.Add, Remove: f.Remove}, nil
	case typeToken:
		return &Token{Route: r, Token: f.Token}, nil
	case typeNotice:
		return f.notice(r)
	case typeRequest, typeSync, typeUnavailable, typeEphemeral, typeRemoteHeads, typeDigest:
		return f.documentMessage(r)
	}
	return &Unknown{Route: r, Name: f.Type}, nil
}

// documentMessage makes the messages that are about one document.
func (f *frame) documentMessage(r Route) (Message, error) {
	doc, err := f.document()
	if err != nil {
		return nil, err
	}
	switch f.Type {
	case typeDigest:
		return f.digest(r, doc)
	case typeUnavailable:
		return &Unavailable{Route: r, Document: doc}, nil
	case typeRemoteHeads:
		heads := make(map[string]RemoteHead, len(f.NewHeads))
		for storage, h := range f.NewHeads {
			heads[storage] = RemoteHead{Heads: h.Heads, Time: time.UnixMilli(int64(h.Timestamp.value()))}
		}
		return &RemoteHeads{Route: r, Document: doc, Heads: heads}, nil
	case typeEphemeral:
		if f.Count == nil {
			return nil, errors.New("no count")
		}
		if f.SessionID == "" {
			return nil, errors.New("no sessionId")
		}
		return &Ephemeral{Route: r, Document: doc, Count: f.Count.value(), SessionID: f.SessionID, Data: f.Data},
			requireData(f.Data)
	}
	return &Sync{Route: r, Request: f.Type == typeRequest, Document: doc, Data: f.Data}, requireData(f.Data)
}

func (f *frame) notice(r Route) (Message, error) {
	n := &Notice{Route: r, Code: NoticeCode(f.Code), Message: f.Message}
	if ms := f.RetryAfter.value(); ms <= math.MaxInt64/uint64(time.Millisecond) {
		n.RetryAfter = time.Duration(ms) * time.Millisecond
	}
	if f.DocumentID != "" {
		doc, err := f.document()
		if err != nil {
			return nil, err
		}
		n.Document = doc
	}
	if len(f.Hash) > 0 {
		if len(f.Hash) != len(n.Hash) {
			return nil, fmt.Errorf("hash has %d bytes, want %d", len(f.Hash), len(n.Hash))
		}
		copy(n.Hash[:], f.Hash)
	}
	return n, nil
}

func (f *frame) document() (id.Document, error) {
	doc, err := id.ParseDocument(f.DocumentID)
	if err != nil {
		return doc, fmt.Errorf("documentId: %w", err)
	}
	return doc, nil
}

// maxDocumentID is the length of the longest document id, as a URL, with room
// to spare: base58 of a long text takes time in proportion to its square.
const maxDocumentID = 64

// checkCaps refuses fields longer than any honest one.
func (f *frame) checkCaps() error {
	texts := []struct {
		field string
		value string
		max   int
	}{
		{"type", f.Type, MaxName},
		{"senderId", f.SenderID, MaxName},
		{"targetId", f.TargetID, MaxName},
		{"documentId", f.DocumentID, maxDocumentID},
		{"sessionId", f.SessionID, MaxName},
		{"selectedProtocolVersion", f.Version, MaxName},
		{"code", f.Code, MaxName},
		{"message", f.Message, MaxText},
		{"token", f.Token, MaxToken},
	}
	for _, t := range texts {
		if len(t.value) > t.max {
			return fmt.Errorf("%s has %d bytes, more than %d", t.field, len(t.value), t.max)
		}
	}
	if f.Metadata != nil {
		if n := len(f.Metadata.StorageID); n > MaxName {
			return fmt.Errorf("storageId has %d bytes, more than %d", n, MaxName)
		}
		if n := len(f.Metadata.Token); n > MaxToken {
			return fmt.Errorf("token has %d bytes, more than %d", n, MaxToken)
		}
	}
	if n := max(len(f.Versions), len(f.Add), len(f.Remove), len(f.NewHeads)); n > MaxItems {
		return fmt.Errorf("a list of %d items, more than %d", n, MaxItems)
	}
	if n := len(f.Heads); n > MaxDigestHeads {
		return fmt.Errorf("%d heads, more than %d", n, MaxDigestHeads)
	}
	return nil
}

func (d *metadataFrame) metadata() Metadata {
	if d == nil {
		return Metadata{}
	}
	return Metadata{StorageID: d.StorageID, Ephemeral: d.Ephemeral, Syncline: d.Syncline.value(), Token: d.Token}
}

// value is the number, or 0 when there is none.
func (n *number) value() uint64 {
	if n == nil {
		return 0
	}
	return uint64(*n)
}
