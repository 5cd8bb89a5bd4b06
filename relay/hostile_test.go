package relay

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
)

// honest is a client that must be served whatever others send.
func honest(t *testing.T, s *server) (check func()) {
	c := join(t, s.url, "honest")
	r := newReplica(t, id.NewDocument(), "honest")
	return func() {
		t.Helper()
		r.edit("k")
		c.sync(r)
		c.acked(r)
	}
}

func TestHostileFramesEndTheirConnectionOnly(t *testing.T) {
	s := serve(t, Options{})
	check := honest(t, s)
	doc := id.NewDocument()
	good, err := wire.Encode(&wire.Sync{Route: wire.Route{SenderID: "p", TargetID: "r"}, Document: doc, Data: []byte{0x43, 0, 0, 0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	sync := func(data []byte) []byte {
		b, err := wire.Encode(&wire.Sync{Route: wire.Route{SenderID: "p", TargetID: "r"}, Document: doc, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	huge := binary.AppendUvarint([]byte{0x43}, 1<<60)
	tests := map[string][]byte{
		"empty frame":                      {},
		"not CBOR":                         []byte("hello"),
		"truncated":                        good[:len(good)-3],
		"a byte more":                      append(append([]byte{}, good...), 0),
		"a list":                           {0x80},
		"a claimed text of 4 GB":           {0xa1, 0x7a, 0xff, 0xff, 0xff, 0xff},
		"a claimed list of 2^60":           {0xa1, 0x61, 'a', 0x9b, 0x10, 0, 0, 0, 0, 0, 0, 0},
		"type is a number":                 {0xa1, 0x64, 't', 'y', 'p', 'e', 1},
		"zero-length data":                 []byte("\xa4\x64type\x64sync\x68senderId\x61p\x6adocumentId\x78\x1c4NMNnkMhL8jXrdJ9jamS58PAVdXu\x64data\x40"),
		"no document":                      []byte("\xa3\x64type\x64sync\x68senderId\x61p\x64data\x41\x00"),
		"a sync message of another kind":   sync([]byte{0x41, 0, 0, 0, 0}),
		"a sync message of one byte":       sync([]byte{0x43}),
		"a sync message with 2^60 heads":   sync(huge),
		"a sync message with a tail":       sync([]byte{0x42, 0, 0, 0, 0, 2, 2, 0x80, 9}),
		"a sync message with 2^60 changes": sync(binary.AppendUvarint([]byte{0x42, 0, 0, 0}, 1<<60)),
	}
	for name, frame := range tests {
		t.Run(name, func(t *testing.T) {
			c := join(t, s.url, "p")
			c.sendFrame(frame)
			if code := c.untilClosed(); code != wire.CloseProtocol {
				t.Errorf("closed with %s, want %s", code, wire.CloseProtocol)
			}
			if len(c.errors) != 1 || c.errors[0] == "" {
				t.Errorf("told %q, want one error", c.errors)
			}
			check()
		})
	}
}

func TestARefusedChangeIsNamedToItsSender(t *testing.T) {
	s := serve(t, Options{})
	check := honest(t, s)
	for name, version := range map[string]uint64{"stock": 0, "syncline": 1} {
		t.Run(name, func(t *testing.T) {
			c := joinAs(t, s.url, wire.Local{PeerID: name, Metadata: wire.Metadata{Syncline: version}})
			r := newReplica(t, id.NewDocument(), "a")
			bad := badChange(r)
			c.send(syncOf(c, r.doc, &session.Message{V2: true, Heads: []id.Hash{bad.Hash}, Chunks: [][]byte{bad.Raw()}}))
			if version == 0 {
				c.until("it is told", func() bool { return len(c.errors) > 0 })
				if !strings.Contains(c.errors[0], bad.Hash.String()) || !strings.Contains(c.errors[0], r.doc.String()) {
					t.Errorf("told %q, want the hash and the document", c.errors)
				}
			} else {
				c.until("it is told", func() bool { return len(c.notices) > 0 })
				n := c.notices[0]
				if n.Code != wire.NoticeRejectedChange || n.Hash != bad.Hash || n.Document != r.doc || len(c.errors) > 0 {
					t.Errorf("told %+v, %q", n, c.errors)
				}
			}
			c.alive() // its connection stays
			check()
		})
	}
}

func syncOf(c *client, doc id.Document, m *session.Message) *wire.Sync {
	return &wire.Sync{Route: c.route(), Document: doc, Data: m.Encode()}
}

// sharedDir finds what is shared beside the repository.
func sharedDir(t testing.TB) string {
	dir := os.Getenv("SYNCLINE_SHARED")
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(filepath.Dir(filepath.Dir(wd)), "shared")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no shared folder beside the repository and SYNCLINE_SHARED does not name one: %v", err)
	}
	return dir
}

// TestCrashersAreRefused sends inputs that abort other implementations: as sync
// messages, as they are and as chunks in both versions of them.
func TestCrashersAreRefused(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(sharedDir(t), "corpus", "crashers", "crash-*"))
	if err != nil || len(files) == 0 {
		t.Skipf("no crashers in %s", sharedDir(t))
	}
	s := serve(t, Options{})
	check := honest(t, s)
	doc := id.NewDocument()
	watcher := join(t, s.url, "watcher")
	watched := newReplica(t, doc, "watcher")
	watched.edit("k")
	watcher.sync(watched)
	watcher.acked(watched)
	honestChanges := s.Counters().ChangesIn

	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		forms := map[string][]byte{
			"message": b,
			"V1":      (&session.Message{Heads: []id.Hash{{1}}, Chunks: [][]byte{b}}).Encode(),
			"V2":      (&session.Message{V2: true, Heads: []id.Hash{{1}}, Chunks: [][]byte{b}}).Encode(),
		}
		for form, data := range forms {
			c := join(t, s.url, "p")
			c.send(&wire.Sync{Route: c.route(), Document: doc, Data: data})
			if !crashes(data) {
				c.alive() // it can do no harm, or waits for changes that never come
			}
			for crashes(data) && len(c.errors) == 0 {
				if _, err := c.next(); err != nil {
					t.Errorf("%s as %s: no refusal but %v", filepath.Base(path), form, err)
					break
				}
			}
			c.ws.CloseNow()
		}
	}
	check()
	if n := s.Counters().ChangesIn - honestChanges; n != 1 {
		t.Errorf("%d changes were taken in, want only the honest one", n)
	}
	watcher.alive()
	if watched.g.Len() != 1 {
		t.Error("a crasher was passed on")
	}
}

// crashes reports whether a sync message brings chunks, or cannot be read: what a
// crasher does its harm with.
func crashes(data []byte) bool {
	m, err := session.Decode(data)
	if err != nil {
		return true
	}
	for _, b := range m.Chunks {
		if _, err := chunk.ParseChunks(b); err != nil {
			return true
		}
	}
	return false
}
