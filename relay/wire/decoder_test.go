package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// commonMessages are some that are read and written by hand.
func commonMessages(t testing.TB) []Message {
	doc := testDocument(t)
	r := Route{SenderID: "from", TargetID: "to"}
	messages := []Message{
		&Sync{Route: Route{SenderID: "alone"}, Document: doc, Data: []byte{1}},
		&Sync{Route: Route{SenderID: strings.Repeat("x", MaxName), TargetID: strings.Repeat("y", MaxName)}, Document: doc, Data: []byte{1}},
	}
	for _, n := range []int{1, 23, 24, 255, 256, 65535, 65536} {
		data := bytes.Repeat([]byte{7}, n)
		messages = append(messages,
			&Sync{Route: r, Document: doc, Data: data},
			&Sync{Route: r, Request: true, Document: doc, Data: data},
			&Ephemeral{Route: r, Document: doc, Count: uint64(n) - 1, SessionID: "é", Data: data})
	}
	return messages
}

func TestCommonMessagesAreWrittenAsTheLibraryDoes(t *testing.T) {
	for _, m := range commonMessages(t) {
		_, target := m.Ends()
		got := encodeCommon(m, target)
		f, err := m.frame()
		if err != nil {
			t.Fatal(err)
		}
		want, err := encMode.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: have %.100x\nwant %.100x", m.Type(), got, want)
		}
		if back := new(Decoder).common(got); !reflect.DeepEqual(back, m) {
			t.Errorf("%s is read as %.100v", m.Type(), back)
		}
	}
}

func TestASharedFrameIsForEachTarget(t *testing.T) {
	for _, m := range append(everyMessage(t), commonMessages(t)...) {
		if _, target := m.Ends(); target == "" {
			continue
		}
		shared, err := EncodeShared(m)
		if err != nil {
			t.Fatal(err)
		}
		_, target := m.Ends()
		got, err := Decode(append(bytes.Clone(shared), Target(target)...))
		if err != nil {
			t.Fatalf("%s: %v", m.Type(), err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("have %.200v\nwant %.200v", got, m)
		}
	}
}

// TestADecoderRemembersWithoutMixingUp has one decoder read messages that differ
// in each of what it remembers.
func TestADecoderRemembersWithoutMixingUp(t *testing.T) {
	var d Decoder
	doc := testDocument(t)
	other := doc
	other[3]++
	for i, m := range []Message{
		&Ephemeral{Route: Route{SenderID: "a", TargetID: "b"}, Document: doc, SessionID: "s", Data: []byte{1}},
		&Ephemeral{Route: Route{SenderID: "a", TargetID: "c"}, Document: doc, SessionID: "s", Data: []byte{2}},
		&Ephemeral{Route: Route{SenderID: "d", TargetID: "c"}, Document: doc, SessionID: "t", Data: []byte{3}},
		&Sync{Route: Route{SenderID: "d"}, Document: other, Data: []byte{4}},
		&Sync{Route: Route{SenderID: "d", TargetID: "c"}, Document: doc, Data: []byte{5}},
	} {
		frame, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(frame)
		clear(frame) // the message shares no memory with it
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("message %d: have %v, %v; want %v", i, got, err, m)
		}
	}
}

func TestACommonMessageOfAConnectionIsTwoAllocations(t *testing.T) {
	var d Decoder
	m := &Sync{Route: Route{SenderID: "from", TargetID: "to"}, Document: testDocument(t), Data: make([]byte, 200)}
	frame, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Decode(frame); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%.0f allocations, want the message and its data", n)
	}
}

// FuzzDecoder holds what is read by hand against what the library reads: the same
// message, or left to the library.
func FuzzDecoder(f *testing.F) {
	for _, m := range append(everyMessage(f), commonMessages(f)[:8]...) {
		frame, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	onward := []string{"'senderId", "'p", "'documentId", "'" + docID, "'data", "4101"}
	for _, begin := range [][]string{
		{"b90004", "'type", "'sync"},                                          // as stock clients do
		{"bb0000000000000004", "7b0000000000000004", "74797065", "'sync"},     // all lengths too long
		{"a4", "'type", "630000"},                                             // cut
		{"a5", "'type", "'sync", "'targetId", "f7"},                           // undefined
		{"a5", "'type", "'sync", "'targetId", "60"},                           // empty
		{"a5", "'type", "'sync", "'targetId", "61ff"},                         // not UTF-8
		{"a5", "'type", "'sync", "'hops", "01"},                               // unknown
		{"a5", "'type", "'sync", "'data", "4102"},                             // twice
		{"a6", "'type", "'ephemeral", "'count", "1801", "'sessionId", "'s"},   // a long 1
		{"a7", "'type", "'ephemeral", "'count", "01", "'count", "01"},         // twice
		{"a6", "'type", "'ephemeral", "'count", "f90000", "'sessionId", "'s"}, // a float
	} {
		f.Add(b(f, append(begin, onward...)...))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		want, err := decode(frame)
		var d Decoder
		for range 2 { // anew, and remembering
			got := d.common(frame)
			if got != nil && (err != nil || !reflect.DeepEqual(got, want)) {
				t.Fatalf("have %#v\nwant %#v, %v", got, want, err)
			}
			if got == nil {
				continue
			}
			again, err := Encode(got)
			if err != nil {
				t.Fatal(err)
			}
			fr, err := got.frame()
			if err != nil {
				t.Fatal(err)
			}
			if marshalled, err := encMode.Marshal(fr); err != nil || !bytes.Equal(again, marshalled) {
				t.Fatalf("have %x\nwant %x, %v", again, marshalled, err)
			}
		}
	})
}

func benchmarkFrame(b *testing.B) (*Sync, []byte) {
	m := &Sync{
		Route:    Route{SenderID: "relay-3760df37-a4c6-4f66-9ecd-732039a9385d", TargetID: "4NMNnkMhL8jXrdJ9jamS58PAVdXu"},
		Document: testDocument(b), Data: make([]byte, 200),
	}
	frame, err := Encode(m)
	if err != nil {
		b.Fatal(err)
	}
	return m, frame
}

// BenchmarkDecode reads a sync message: as one of a connection, as the first of
// one, and by the library.
func BenchmarkDecode(b *testing.B) {
	_, frame := benchmarkFrame(b)
	var d Decoder
	for _, how := range []struct {
		name   string
		decode func([]byte) (Message, error)
	}{{"next", d.Decode}, {"first", Decode}, {"library", decode}} {
		b.Run(how.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := how.decode(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncode writes a sync message.
func BenchmarkEncode(b *testing.B) {
	m, _ := benchmarkFrame(b)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Encode(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := m.frame()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := encMode.Marshal(f); err != nil {
				b.Fatal(err)
			}
		}
	})
}
