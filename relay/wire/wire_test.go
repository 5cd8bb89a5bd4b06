package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"syncline/crdt/id"
)

const docID = "4NMNnkMhL8jXrdJ9jamS58PAVdXu"

func testDocument(t testing.TB) id.Document {
	t.Helper()
	doc, err := id.ParseDocument(docID)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// b assembles a frame from pieces: strings are hexadecimal, except those that
// begin with a quote, which become CBOR text.
func b(t testing.TB, pieces ...string) []byte {
	t.Helper()
	var out []byte
	for _, p := range pieces {
		if text, ok := strings.CutPrefix(p, "'"); ok {
			switch {
			case len(text) < 24:
				out = append(out, 0x60|byte(len(text)))
			case len(text) < 256:
				out = append(out, 0x78, byte(len(text)))
			default:
				out = append(out, 0x79, byte(len(text)>>8), byte(len(text)))
			}
			out = append(out, text...)
			continue
		}
		raw, err := hex.DecodeString(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw...)
	}
	return out
}

// TestDecodeStockFrames reads frames as cbor-x writes them for automerge-repo:
// every map with a three-byte header, undefined for absent fields, floats for
// large integers, untagged byte strings.
func TestDecodeStockFrames(t *testing.T) {
	doc := testDocument(t)
	r := Route{SenderID: "peer-1", TargetID: "s"}
	ends := []string{"'senderId", "'peer-1", "'targetId", "'s"}
	on := append(append([]string{}, ends...), "'documentId", "'"+docID)
	cat := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	tests := []struct {
		name  string
		frame []string
		want  Message
	}{
		{"join with storage", []string{"b90004", "'type", "'join", "'senderId", "'peer-1", "'peerMetadata", "b90002",
			"'storageId", "'3760df37-a4c6-4f66-9ecd-732039a9385d", "'isEphemeral", "f4",
			"'supportedProtocolVersions", "81", "'1"},
			&Join{SenderID: "peer-1", Metadata: Metadata{StorageID: "3760df37-a4c6-4f66-9ecd-732039a9385d"}, Versions: []string{"1"}}},
		{"join without storage", []string{"b90004", "'type", "'join", "'senderId", "'peer-1", "'peerMetadata", "b90002",
			"'storageId", "f7", "'isEphemeral", "f5", "'supportedProtocolVersions", "81", "'1"},
			&Join{SenderID: "peer-1", Metadata: Metadata{Ephemeral: true}, Versions: []string{"1"}}},
		{"join with undefined everywhere", []string{"b90004", "'type", "'join", "'senderId", "'peer-1", "'peerMetadata", "f7",
			"'supportedProtocolVersions", "f7"}, &Join{SenderID: "peer-1"}},
		{"peer", []string{"b90005", "'type", "'peer", "'senderId", "'peer-1", "'peerMetadata", "b90002", "'storageId", "'x",
			"'isEphemeral", "f4", "'selectedProtocolVersion", "'1", "'targetId", "'s"},
			&Peer{Route: r, Metadata: Metadata{StorageID: "x"}, Version: "1"}},
		{"sync", cat([]string{"b90005", "'type", "'sync"}, on, []string{"'data", "4a43000001000000020284"}),
			&Sync{Route: r, Document: doc, Data: []byte{0x43, 0, 0, 1, 0, 0, 0, 2, 2, 0x84}}},
		{"request", cat([]string{"b90005", "'type", "'request"}, on, []string{"'data", "4142"}),
			&Sync{Route: r, Request: true, Document: doc, Data: []byte{0x42}}},
		{"doc-unavailable", cat([]string{"b90004", "'type", "'doc-unavailable"}, on), &Unavailable{Route: r, Document: doc}},
		{"ephemeral", cat([]string{"b90007", "'type", "'ephemeral"}, on,
			[]string{"'count", "01", "'sessionId", "'abc", "'data", "46b90001616101"}),
			&Ephemeral{Route: r, Document: doc, Count: 1, SessionID: "abc", Data: []byte{0xb9, 0, 1, 0x61, 0x61, 1}}},
		{"ephemeral with a float count", cat([]string{"b90007", "'type", "'ephemeral"}, on,
			[]string{"'count", "fb41f2a05f20000000", "'sessionId", "'abc", "'data", "4101"}),
			&Ephemeral{Route: r, Document: doc, Count: 5_000_000_000, SessionID: "abc", Data: []byte{1}}},
		{"remote-subscription-change", cat([]string{"b90005", "'type", "'remote-subscription-change"}, ends,
			[]string{"'add", "81", "'x", "'remove", "f7"}), &RemoteSubscription{Route: r, Add: []string{"x"}}},
		{"remote-heads-changed", cat([]string{"b90005", "'type", "'remote-heads-changed"}, on,
			[]string{"'newHeads", "b90001", "'sid", "b90002", "'heads", "81", "'abc", "'timestamp", "fb42799c82cc000000"}),
			&RemoteHeads{Route: r, Document: doc, Heads: map[string]RemoteHead{"sid": {Heads: []string{"abc"}, Time: time.UnixMilli(1_760_000_000_000)}}}},
		{"error", cat([]string{"b90004", "'type", "'error"}, ends, []string{"'message", "'no"}), &Error{Route: r, Message: "no"}},
		{"a type of the future", cat([]string{"b90004", "'type", "'gossip"}, ends, []string{"'what", "83010203"}), &Unknown{Route: r, Name: "gossip"}},
		{"a field of the future", cat([]string{"b90005", "'type", "'doc-unavailable"}, on, []string{"'hops", "b90001", "'n", "01"}), &Unavailable{Route: r, Document: doc}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Decode(b(t, tt.frame...))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("have %#v\nwant %#v", got, tt.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	on := func(typ string, n string, more ...string) []string {
		return append([]string{n, "'type", "'" + typ, "'senderId", "'p", "'documentId", "'" + docID}, more...)
	}
	tests := []struct {
		name  string
		frame []string
		want  string // part of the error
	}{
		{"nothing", nil, "EOF"},
		{"not CBOR", []string{"ff"}, ""},
		{"not a map", []string{"83010203"}, ""},
		{"cut short", []string{"b90003", "'type", "'sync"}, "EOF"},
		{"a claimed length beyond the frame", []string{"a1", "'data", "5affffffff", "00"}, "EOF"},
		{"a claimed list beyond the limit", []string{"a1", "'add", "9affffffff"}, "exceeded"},
		{"a claimed map beyond the limit", []string{"baffffffff"}, "exceeded"},
		{"more after the message", append(on("sync", "a4", "'data", "4101"), "00"), "extraneous"},
		{"an open-ended map", []string{"bf", "'type", "'join", "ff"}, "indefinite"},
		{"a field twice", []string{"a3", "'type", "'join", "'senderId", "'a", "'senderId", "'b"}, "duplicate"},
		{"deep nesting", []string{"a1", "'x", strings.Repeat("81", 40), "00"}, "nested"},
		{"no type", []string{"a1", "'senderId", "'p"}, "no type"},
		{"type in other case", []string{"a2", "'TYPE", "'join", "'senderId", "'p"}, "no type"},
		{"type is a number", []string{"a2", "'type", "01", "'senderId", "'p"}, "type"},
		{"no sender", []string{"a1", "'type", "'join"}, "no senderId"},
		{"sender is a byte string", []string{"a2", "'type", "'join", "'senderId", "4170"}, "senderId"},
		{"a sender of 300 bytes", []string{"a2", "'type", "'join", "'senderId", "'" + strings.Repeat("p", 300)}, "senderId has 300"},
		{"a sender that is not UTF-8", []string{"a2", "'type", "'join", "'senderId", "61ff"}, "UTF-8"},
		{"versions are a text", []string{"a3", "'type", "'join", "'senderId", "'p", "'supportedProtocolVersions", "'1"}, "supportedProtocolVersions"},
		{"metadata is a list", []string{"a3", "'type", "'join", "'senderId", "'p", "'peerMetadata", "80"}, "peerMetadata"},
		{"no document", []string{"a3", "'type", "'sync", "'senderId", "'p", "'data", "4101"}, "documentId"},
		{"a mistyped document", []string{"a4", "'type", "'sync", "'senderId", "'p", "'documentId", "'4NMNnkMhL8jXrdJ9jamS58PAVdXv", "'data", "4101"}, "documentId"},
		{"a document id of 300 bytes", []string{"a4", "'type", "'sync", "'senderId", "'p", "'documentId", "'" + strings.Repeat("2", 300), "'data", "4101"}, "documentId has 300"},
		{"no data", on("sync", "a3"), "data is empty"},
		{"empty data", on("sync", "a4", "'data", "40"), "data is empty"},
		{"undefined data", on("request", "a4", "'data", "f7"), "data is empty"},
		{"data is a text", on("sync", "a4", "'data", "'abc"), "data"},
		{"ephemeral without data", on("ephemeral", "a5", "'count", "01", "'sessionId", "'s"), "data is empty"},
		{"ephemeral without count", on("ephemeral", "a5", "'data", "4101", "'sessionId", "'s"), "no count"},
		{"ephemeral without session", on("ephemeral", "a5", "'data", "4101", "'count", "01"), "no sessionId"},
		{"a digest without heads", on("syncline-digest", "a4", "'digest", "5820"+strings.Repeat("11", 32)), "no heads"},
		{"a short digest", on("syncline-digest", "a5", "'heads", "815820"+strings.Repeat("11", 32), "'digest", "4101"), "digest has 1 bytes"},
		{"no digest", on("syncline-digest", "a4", "'heads", "815820"+strings.Repeat("11", 32)), "digest has 0 bytes"},
		{"a short head", on("syncline-digest", "a5", "'heads", "814101", "'digest", "5820"+strings.Repeat("11", 32)), "a head has 1 bytes"},
		{"a head twice", on("syncline-digest", "a5", "'heads", "825820"+strings.Repeat("11", 32)+"5820"+strings.Repeat("11", 32), "'digest", "5820"+strings.Repeat("11", 32)), "named twice"},
		{"too many heads", on("syncline-digest", "a5", "'heads", "990101"+strings.Repeat("40", 257), "'digest", "5820"+strings.Repeat("11", 32)), "more than 256"},
		{"heads that are texts", on("syncline-digest", "a5", "'heads", "81", "'h", "'digest", "5820"+strings.Repeat("11", 32)), "heads"},
		{"a negative count", on("ephemeral", "a6", "'data", "4101", "'sessionId", "'s", "'count", "20"), "whole number"},
		{"a broken count", on("ephemeral", "a6", "'data", "4101", "'sessionId", "'s", "'count", "fb3ff8000000000000"), "whole number"},
		{"a count that is no number", on("ephemeral", "a6", "'data", "4101", "'sessionId", "'s", "'count", "fb7ff8000000000000"), "whole number"},
		{"a count beyond 2^53", on("ephemeral", "a6", "'data", "4101", "'sessionId", "'s", "'count", "1bffffffffffffffff"), "2^53"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Decode(b(t, tt.frame...))
			if !errors.Is(err, ErrFrame) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("have %#v, %v; want an ErrFrame with %q", m, err, tt.want)
			}
		})
	}
}

// everyMessage has one of each type with every field set.
func everyMessage(t testing.TB) []Message {
	doc := testDocument(t)
	r := Route{SenderID: "from", TargetID: "to"}
	meta := Metadata{StorageID: "store", Ephemeral: true, Syncline: Syncline, Token: "t"}
	return []Message{
		&Join{SenderID: "from", Metadata: meta, Versions: []string{"1", "2"}},
		&Peer{Route: r, Metadata: meta, Version: "1"},
		&Error{Route: r, Message: "what went wrong"},
		&Sync{Route: r, Document: doc, Data: []byte{1, 2, 3}},
		&Sync{Route: r, Request: true, Document: doc, Data: []byte{1, 2, 3}},
		&Unavailable{Route: r, Document: doc},
		&Ephemeral{Route: r, Document: doc, Count: 0, SessionID: "s", Data: []byte{1}},
		&Ephemeral{Route: r, Document: doc, Count: 1 << 40, SessionID: "s", Data: []byte{1}},
		&RemoteSubscription{Route: r, Add: []string{"a"}, Remove: []string{"b"}},
		&RemoteHeads{Route: r, Document: doc, Heads: map[string]RemoteHead{"s": {Heads: []string{"h"}, Time: time.UnixMilli(1_760_000_000_123)}}},
		&Notice{Route: r, Code: NoticeRejectedChange, Document: doc, Hash: id.Hash{1}, RetryAfter: time.Second, Message: "no"},
		&Notice{Route: r, Code: NoticeDraining, Message: "bye"},
		&Token{Route: r, Token: "secret"},
		&Digest{Route: r, Document: doc, Heads: []id.Hash{{1}, {2}}, Sum: [DigestSize]byte{3}},
	}
}

func TestEncodeThenDecode(t *testing.T) {
	for _, m := range everyMessage(t) {
		frame, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(frame)
		if err != nil {
			t.Fatalf("%s: %v", m.Type(), err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("have %#v\nwant %#v", got, m)
		}
	}
}

func TestEncodeWritesTheseBytes(t *testing.T) {
	doc := testDocument(t)
	r := Route{SenderID: "s", TargetID: "p"}
	tests := []struct {
		m    Message
		want []string
	}{
		{&Peer{Route: r, Metadata: Metadata{StorageID: "x", Syncline: 1}, Version: "1"},
			[]string{"a5", "'type", "'peer", "'senderId", "'s", "'targetId", "'p", "'peerMetadata", "a3", "'storageId", "'x",
				"'isEphemeral", "f4", "'syncline", "01", "'selectedProtocolVersion", "'1"}},
		{&Sync{Route: r, Document: doc, Data: []byte{0x43}},
			[]string{"a5", "'type", "'sync", "'senderId", "'s", "'targetId", "'p", "'documentId", "'" + docID, "'data", "4143"}},
		{&Digest{Route: r, Document: doc, Heads: []id.Hash{{1}}, Sum: [DigestSize]byte{2}},
			[]string{"a6", "'type", "'syncline-digest", "'senderId", "'s", "'targetId", "'p", "'documentId", "'" + docID,
				"'heads", "81582001" + strings.Repeat("00", 31), "'digest", "582002" + strings.Repeat("00", 31)}},
		{&Ephemeral{Route: r, Document: doc, Count: 5_000_000_000, SessionID: "abc", Data: []byte{1}},
			[]string{"a7", "'type", "'ephemeral", "'senderId", "'s", "'targetId", "'p", "'documentId", "'" + docID,
				"'count", "fb41f2a05f20000000", "'sessionId", "'abc", "'data", "4101"}},
	}
	for _, tt := range tests {
		got, err := Encode(tt.m)
		if err != nil {
			t.Fatal(err)
		}
		if want := b(t, tt.want...); !bytes.Equal(got, want) {
			t.Errorf("%s: have %x\nwant %x", tt.m.Type(), got, want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	doc := testDocument(t)
	r := Route{SenderID: "s", TargetID: "p"}
	for name, m := range map[string]Message{
		"empty data":           &Sync{Route: r, Document: doc},
		"empty ephemeral data": &Ephemeral{Route: r, Document: doc, SessionID: "s", Count: 1},
		"a count beyond 2^53":  &Ephemeral{Route: r, Document: doc, SessionID: "s", Count: 1 << 60, Data: []byte{1}},
		"a long peer id":       &Unavailable{Route: Route{SenderID: strings.Repeat("x", MaxName+1)}, Document: doc},
		"an unknown message":   &Unknown{Route: r, Name: "gossip"},
		"a digest of nothing":  &Digest{Route: r, Document: doc},
		"heads in disorder":    &Digest{Route: r, Document: doc, Heads: []id.Hash{{2}, {1}}},
		"too many heads":       &Digest{Route: r, Document: doc, Heads: make([]id.Hash, MaxDigestHeads+1)},
	} {
		if frame, err := Encode(m); !errors.Is(err, ErrEncode) {
			t.Errorf("%s: have %x, %v; want ErrEncode", name, frame, err)
		}
	}
}

func TestEncodeCutsALongTextBetweenCharacters(t *testing.T) {
	frame, err := Encode(&Error{Route: Route{SenderID: "s"}, Message: "a" + strings.Repeat("é", MaxText)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.(*Error).Message); n != MaxText-1 {
		t.Errorf("cut to %d bytes, want %d", n, MaxText-1)
	}
}

func TestCloseCodesHaveNames(t *testing.T) {
	for code, want := range map[CloseCode]string{CloseSlow: "slow reader (4004)", 4999: "close code 4999"} {
		if code.String() != want {
			t.Errorf("have %q, want %q", code, want)
		}
	}
}

// FuzzDecode: whatever Decode accepts, other than types it does not know, can be
// sent on and is read as the same message.
func FuzzDecode(f *testing.F) {
	for _, m := range everyMessage(f) {
		frame, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Add(b(f, "b90004", "'type", "'join", "'senderId", "'peer-1", "'peerMetadata", "b90002", "'storageId", "f7", "'isEphemeral", "f5", "'supportedProtocolVersions", "81", "'1"))
	f.Add(b(f, "b90003", "'type", "'gossip", "'senderId", "'p", "'x", "fb42799c82cc000000"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := Decode(frame)
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if _, unknown := m.(*Unknown); unknown {
			return
		}
		again, err := Encode(m)
		if err != nil {
			t.Fatalf("decoded %#v, which cannot be encoded: %v", m, err)
		}
		m2, err := Decode(again)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		// Empty lists and absent ones are written alike.
		if again2, err := Encode(m2); err != nil || !sameFrame(again, again2) {
			t.Fatalf("have %x, %v\nwant %x", again2, err, again)
		}
	})
}

// sameFrame compares frames whose maps may be in any order.
func sameFrame(x, y []byte) bool {
	var a, b any
	return decMode.Unmarshal(x, &a) == nil && decMode.Unmarshal(y, &b) == nil && reflect.DeepEqual(a, b)
}
