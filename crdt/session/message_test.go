package session

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"syncline/crdt/id"
)

func TestMessagesComeBack(t *testing.T) {
	h := []id.Hash{{1}, {2}, {3}}
	filter := newBloom(2, bloomBits)
	filter.add(&h[0])
	filter.add(&h[1])
	chunk := []byte("0123456789abc")
	for _, m := range []*Message{
		{},
		{V2: true, Heads: h, Need: h[1:], HasFlags: true},
		{Heads: h[:1], Have: []Have{{LastSync: h, Bloom: filter}, {}}, Chunks: [][]byte{chunk, chunk}, HasFlags: true, Flags: ReadOnly | SupportsSyncReset},
	} {
		b := m.Encode()
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%+v came back as %+v", m, got)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		tail     string
		hasFlags bool
		flags    Flags
	}{
		{"", false, 0},
		{"0102", true, 0},                   // older cores
		{"020284", true, SupportsSyncReset}, // @automerge/automerge 3.5.0
		{"020287", true, SyncReset | ReadOnly | SupportsSyncReset},
		{"00", true, 0},
	} {
		tail, _ := hex.DecodeString(test.tail)
		m, err := Decode(append([]byte{typeV1, 0, 0, 0, 0}, tail...))
		if err != nil || m.HasFlags != test.hasFlags || m.Flags != test.flags {
			t.Errorf("flags %q: %+v, %v", test.tail, m, err)
		}
	}
	m := Message{HasFlags: true, Flags: SupportsSyncReset}
	if got := hex.EncodeToString(m.Encode()); got != "4200000000020284" {
		t.Errorf("our flags are %s", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"nothing":              {"", "empty"},
		"another type":         {"44", "neither V1 nor V2"},
		"cut short":            {"42", "ends in the middle"},
		"too many heads":       {"42ffffffff0f", "claims 4294967295 heads"},
		"an endless number":    {"42ffffffffffffffffffff", "ends in the middle"},
		"too many have":        {"42000009" + strings.Repeat("0000", 9), "the limit is 8"},
		"a filter cut short":   {"42000001000500", "claims 5 bytes"},
		"a filter of no bits":  {"420000010003010007" + "00", "tell nothing apart"},
		"no probes":            {"42000001000501" + "0a00" + "0000" + "00", "tell nothing apart"},
		"a short filter":       {"42000001000402" + "0a07" + "00" + "00", "1 bytes for 2 entries"},
		"a filter too wide":    {"420000010004" + "01ff0107" + "00", "out of bounds"},
		"a tiny chunk":         {"420000000105" + "0102030405" + "000000000000", "chunk 0 has 5 bytes"},
		"too many chunks":      {"42000000ff01", "claims 255 chunks"},
		"something behind it":  {"42000000000284ff00", "1 bytes follow"},
		"flags that are short": {"420000000005", "claims 5 bytes of flags"},
	} {
		in, err := hex.DecodeString(test.in)
		if err != nil {
			t.Fatal(name, err)
		}
		_, err = Decode(in)
		if !errors.Is(err, ErrMessage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestChangesOfAMessage(t *testing.T) {
	e := newEnd(t, "a")
	a, b, c := e.edit(), e.edit(), e.edit()
	m := &Message{Chunks: [][]byte{a.Raw(), slices.Concat(b.Raw(), c.Raw())}}
	if want, got := len(a.Raw())+len(b.Raw())+len(c.Raw()), m.ChunkBytes(); got != want {
		t.Errorf("%d bytes of chunks, want %d", got, want)
	}
	changes, err := m.Changes()
	if err != nil || len(changes) != 3 || changes[0].Hash != a.Hash || changes[1].Hash != b.Hash || changes[2].Hash != c.Hash {
		t.Fatalf("have %d changes, %v; want those three in order", len(changes), err)
	}
	broken := bytes.Clone(c.Raw())
	broken[len(broken)-1] ^= 1
	m.Chunks = append(m.Chunks, broken)
	if changes, err := m.Changes(); err == nil || changes != nil {
		t.Errorf("have %d changes of a message with a broken chunk, %v", len(changes), err)
	}
	if changes, err := new(Message).Changes(); err != nil || changes != nil {
		t.Errorf("no chunks: %d changes, %v", len(changes), err)
	}
}

func TestHashesAreSortedOnTheWayIn(t *testing.T) {
	b := appendHashes([]byte{typeV1}, []id.Hash{{2}, {1}, {2}})
	m, err := Decode(append(b, 0, 0, 0))
	if err != nil || !reflect.DeepEqual(m.Heads, []id.Hash{{1}, {2}}) {
		t.Errorf("%+v, %v", m, err)
	}
}

// The bits of a filter, computed by hand from the description of the format.
func TestBloom(t *testing.T) {
	b := newBloom(1, bloomBits) // 2 bytes
	h := id.Hash{5, 0, 0, 0, 3, 0, 0, 0, 2}
	b.add(&h)
	// x = 5, 8, 13, 20-16 = 4, 13, 24-16 = 8, 5; y = 3, 5, 7, 9, 11, 13
	if got := hex.EncodeToString(b.append(nil)); got != "010a07"+"3021" {
		t.Errorf("filter %s", got)
	}
	if !b.Has(&h) || b.Has(&id.Hash{1}) || b.size() != 5 {
		t.Errorf("filter of one hash: %+v", b)
	}
	var empty Bloom
	if empty.Has(&h) || len(empty.append(nil)) != 0 || empty.size() != 0 {
		t.Error("the empty filter is not empty")
	}
	missed := 0
	many := newBloom(1000, bloomBits)
	for i := range 1000 {
		h := hashOf(i)
		many.add(&h)
	}
	for i := range 1000 {
		if h := hashOf(i); !many.Has(&h) {
			t.Fatal("a filter lost a hash")
		}
		if h := hashOf(1000 + i); many.Has(&h) {
			missed++
		}
	}
	if missed > 30 {
		t.Errorf("%d false positives in a thousand", missed)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{typeV1, 0, 0, 1, 0, 0, 0, 2, 2, 0x84})
	f.Add([]byte{typeV2, 0, 0, 1, 0, 5, 1, 10, 7, 0xff, 0xff, 0})
	root := os.Getenv("SYNCLINE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	files, _ := filepath.Glob(filepath.Join(root, "corpus", "crashers", "crash-ReceiveMessage-*"))
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		for i := range m.Have {
			m.Have[i].Bloom.Has(&id.Hash{})
			m.Have[i].Bloom.Has(&id.Hash{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
		}
		again := m.Encode()
		n, err := Decode(again)
		if err != nil || !bytes.Equal(n.Encode(), again) {
			t.Fatalf("%x: encoded again it is %x, %v", b, again, err)
		}
		// A session that knows nothing takes it in its stride.
		e := newEnd(t, "x")
		e.edit()
		e.connect()
		for range 2 {
			e.s.Receive(m)
			e.generate(0)
		}
	})
}

func FuzzShared(f *testing.F) {
	f.Add([]byte{savedType, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if hs, err := Shared(b); err == nil && len(hs) > len(b)/32 {
			t.Fatalf("%d hashes from %d bytes", len(hs), len(b))
		}
	})
}
