package wire

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"syncline/crdt/id"
)

// ErrEncode is what Encode's errors wrap: the message cannot be put on the wire
// as it is, which is a mistake of the program that built it.
var ErrEncode = errors.New("message cannot be sent")

// Encode returns the frame of a message. It refuses what Decode would refuse.
func Encode(m Message) ([]byte, error) {
	_, target := m.Ends()
	b, err := encodeFor(m, target)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrEncode, m.Type(), err)
	}
	return b, nil
}

func encodeFor(m Message, target string) ([]byte, error) {
	if b := encodeCommon(m, target); b != nil {
		return b, nil
	}
	f, err := m.frame()
	if err != nil {
		return nil, err
	}
	f.TargetID = target
	if err := f.checkCaps(); err != nil {
		return nil, err
	}
	return encMode.Marshal(f)
}

func (m *Join) frame() (frame, error) {
	return frame{Type: m.Type(), SenderID: m.SenderID, Metadata: m.Metadata.frame(), Versions: m.Versions}, nil
}

func (m *Peer) frame() (frame, error) {
	f := m.Route.frame(m)
	f.Metadata, f.Version = m.Metadata.frame(), m.Version
	return f, nil
}

func (m *Error) frame() (frame, error) {
	f := m.Route.frame(m)
	f.Message = cutText(m.Message)
	return f, nil
}

func (m *Sync) frame() (frame, error) {
	f := m.Route.frame(m)
	f.DocumentID, f.Data = m.Document.String(), m.Data
	return f, requireData(m.Data)
}

func (m *Unavailable) frame() (frame, error) {
	f := m.Route.frame(m)
	f.DocumentID = m.Document.String()
	return f, nil
}

func (m *Ephemeral) frame() (frame, error) {
	f := m.Route.frame(m)
	f.DocumentID, f.SessionID, f.Data = m.Document.String(), m.SessionID, m.Data
	var err error
	if f.Count, err = toNumber(m.Count); err != nil {
		return f, fmt.Errorf("count: %w", err)
	}
	return f, requireData(m.Data)
}

func (m *RemoteSubscription) frame() (frame, error) {
	f := m.Route.frame(m)
	f.Add, f.Remove = m.Add, m.Remove
	return f, nil
}

func (m *RemoteHeads) frame() (frame, error) {
	f := m.Route.frame(m)
	f.DocumentID = m.Document.String()
	f.NewHeads = make(map[string]headFrame, len(m.Heads))
	for storage, h := range m.Heads {
		ms, err := toNumber(uint64(h.Time.UnixMilli()))
		if err != nil {
			return f, fmt.Errorf("time of %.40q: %w", storage, err)
		}
		f.NewHeads[storage] = headFrame{Heads: h.Heads, Timestamp: ms}
	}
	return f, nil
}

func (m *Notice) frame() (frame, error) {
	f := m.Route.frame(m)
	f.Code, f.Message = string(m.Code), cutText(m.Message)
	if m.Document != (id.Document{}) {
		f.DocumentID = m.Document.String()
	}
	if m.Hash != (id.Hash{}) {
		f.Hash = m.Hash[:]
	}
	if m.RetryAfter > 0 {
		// Rounded up: 0 would say that there is no need to wait.
		ms := number((m.RetryAfter + time.Millisecond - 1) / time.Millisecond)
		f.RetryAfter = &ms
	}
	return f, nil
}

func (m *Token) frame() (frame, error) {
	f := m.Route.frame(m)
	f.Token = m.Token
	return f, nil
}

func (m *Digest) frame() (frame, error) {
	f := m.Route.frame(m)
	f.DocumentID, f.Digest = m.Document.String(), m.Sum[:]
	for i := range m.Heads {
		f.Heads = append(f.Heads, m.Heads[i][:])
	}
	return f, checkDigestHeads(m.Heads)
}

func (m *Unknown) frame() (frame, error) {
	return frame{}, errors.New("its fields are not known")
}

func (r Route) frame(m Message) frame {
	return frame{Type: m.Type(), SenderID: r.SenderID, TargetID: r.TargetID}
}

func (d Metadata) frame() *metadataFrame {
	f := &metadataFrame{StorageID: d.StorageID, Ephemeral: d.Ephemeral, Token: d.Token}
	if d.Syncline > 0 {
		n := number(d.Syncline)
		f.Syncline = &n
	}
	return f
}

func toNumber(u uint64) (*number, error) {
	if u > maxNumber {
		return nil, fmt.Errorf("%d is not from 0 to 2^53", u)
	}
	n := number(u)
	return &n, nil
}

func requireData(data []byte) error {
	if len(data) == 0 {
		return errors.New("data is empty")
	}
	return nil
}

// cutText shortens a text to MaxText bytes, at the start of a character.
func cutText(s string) string {
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
