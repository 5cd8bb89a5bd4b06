package wire

import (
	"context"
	"errors"
	"io"
	"reflect"
	"testing"
)

// pipe is one end of a connection in memory.
type pipe struct {
	in  <-chan []byte
	out chan<- []byte
}

func newPipe() (a, b pipe) {
	x, y := make(chan []byte, 4), make(chan []byte, 4)
	return pipe{x, y}, pipe{y, x}
}

func (p pipe) ReadFrame(ctx context.Context) ([]byte, error) {
	select {
	case b, ok := <-p.in:
		if !ok {
			return nil, io.EOF
		}
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipe) WriteFrame(_ context.Context, b []byte) error {
	p.out <- b
	return nil
}

var (
	server = Local{PeerID: "relay", Metadata: Metadata{StorageID: "store", Syncline: Syncline}}
	client = Local{PeerID: "peer-1", Metadata: Metadata{StorageID: "laptop"}}
)

func TestHandshakeOfBothSides(t *testing.T) {
	a, b := newPipe()
	type result struct {
		Remote
		error
	}
	done := make(chan result, 1)
	go func() {
		r, err := server.Serve(t.Context(), a, nil)
		done <- result{r, err}
	}()
	gotServer, err := client.Connect(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	gotClient := <-done
	if gotClient.error != nil {
		t.Fatal(gotClient.error)
	}
	if want := Remote(client); gotClient.Remote != want {
		t.Errorf("server: have %+v, want %+v", gotClient.Remote, want)
	}
	if want := Remote(server); gotServer != want {
		t.Errorf("client: have %+v, want %+v", gotServer, want)
	}
}

func TestAnswerToAFirstMessage(t *testing.T) {
	tests := []struct {
		name  string
		first Message
		err   error
	}{
		{"join with the version", &Join{SenderID: "p", Versions: []string{"0", "1"}}, nil},
		{"join without a list", &Join{SenderID: "p"}, nil},
		{"join with an empty list", &Join{SenderID: "p", Versions: []string{}}, ErrVersion},
		{"join with other versions", &Join{SenderID: "p", Versions: []string{"2"}}, ErrVersion},
		{"a sync", &Sync{Route: Route{SenderID: "p"}}, ErrNotJoin},
		{"a message of the future", &Unknown{Route: Route{SenderID: "p"}, Name: "hello"}, ErrNotJoin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, remote, err := server.Answer(tt.first)
			if !errors.Is(err, tt.err) {
				t.Fatalf("have error %v, want %v", err, tt.err)
			}
			if from, to := reply.Ends(); from != "relay" || to != "p" {
				t.Errorf("reply goes from %q to %q", from, to)
			}
			if tt.err != nil {
				if m, ok := reply.(*Error); !ok || m.Message == "" {
					t.Errorf("have reply %#v, want an error", reply)
				}
				return
			}
			if m, ok := reply.(*Peer); !ok || m.Version != Version || m.Metadata != server.Metadata {
				t.Errorf("have reply %#v, want peer", reply)
			}
			if remote.PeerID != "p" {
				t.Errorf("have peer id %q", remote.PeerID)
			}
		})
	}
}

func TestAcceptOfAFirstMessage(t *testing.T) {
	r := Route{SenderID: "relay", TargetID: "peer-1"}
	tests := []struct {
		name  string
		first Message
		err   error
	}{
		{"peer", &Peer{Route: r, Version: "1"}, nil},
		{"peer that does not say the version", &Peer{Route: r}, nil},
		{"peer with another version", &Peer{Route: r, Version: "2"}, ErrVersion},
		{"error", &Error{Route: r, Message: "go away"}, ErrRefused},
		{"a sync", &Sync{Route: r}, ErrNotPeer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := client.Accept(tt.first); !errors.Is(err, tt.err) {
				t.Errorf("have %v, want %v", err, tt.err)
			}
		})
	}
}

func TestServeTellsTheClientWhyItIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		frame []byte
		err   error
	}{
		"no CBOR":       {[]byte{0xff, 0x00}, ErrFrame},
		"empty frame":   {nil, ErrFrame},
		"wrong version": {b(t, "a3", "'type", "'join", "'senderId", "'p", "'supportedProtocolVersions", "81", "'9"), ErrVersion},
	} {
		t.Run(name, func(t *testing.T) {
			a, far := newPipe()
			far.out <- tt.frame
			if _, err := server.Serve(t.Context(), a, nil); !errors.Is(err, tt.err) {
				t.Fatalf("have %v, want %v", err, tt.err)
			}
			m, err := Decode(<-far.in)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := m.(*Error); !ok {
				t.Errorf("client was sent %#v, want an error", m)
			}
		})
	}
}

func TestHandshakeWithAConnectionThatEnds(t *testing.T) {
	in := make(chan []byte)
	close(in)
	dead := pipe{in: in, out: make(chan []byte, 1)}
	if _, err := server.Serve(t.Context(), dead, nil); !errors.Is(err, io.EOF) {
		t.Errorf("serve: have %v, want EOF", err)
	}
	if _, err := client.Connect(t.Context(), dead); !errors.Is(err, io.EOF) {
		t.Errorf("connect: have %v, want EOF", err)
	}
}

func TestJoinIsReadAsWritten(t *testing.T) {
	frame, err := Encode(client.Join())
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, client.Join()) {
		t.Errorf("have %#v", m)
	}
}
