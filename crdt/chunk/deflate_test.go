package chunk

import (
	"bytes"
	"strings"
	"testing"
)

func TestDeflateKeepsTheHash(t *testing.T) {
	for _, text := range []string{"", strings.Repeat("all work and no play ", 50)} {
		raw, err := Encode(Header{Actor: "a", Seq: 1, StartOp: 1, Message: text}, []Op{{Key: "k", Action: Set}})
		if err != nil {
			t.Fatal(err)
		}
		packed := Deflate(raw)
		if text == "" && !bytes.Equal(packed, raw) {
			t.Error("a small change was deflated, though that makes it no smaller")
		}
		if text != "" && len(packed) > len(raw)/2 {
			t.Errorf("%d bytes were deflated to %d", len(raw), len(packed))
		}
		c, err := ParseChange(packed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.Raw(), raw) {
			t.Error("the change came back as another one")
		}
	}
	if b := []byte("no chunk at all"); !bytes.Equal(Deflate(b), b) {
		t.Error("what is no change was altered")
	}
}
